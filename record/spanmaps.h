/*
 * Where the starts of spans wait for their ends: BPF hash maps, by key, and counts of what
 * found no partner.
 *
 * A table holds for each key the time of the start, who it was, and its part of the
 * record.  Where the key is the thread, the thread and the frame of a call, or the CPU,
 * entries stay and are used again and again, with the time 0 between two spans: that is three
 * times cheaper than to insert and delete.  No more than half of a table stays, so that
 * whatever comes after that finds room as it would without it.  Threads end, so tables
 * with a thread in the key are swept when they are full; others of what has waited for
 * more than ten seconds.
 *
 * One thread at a time.
 */
#ifndef RECORD_SPANMAPS_H
#define RECORD_SPANMAPS_H

#include "format/diag.h"
#include "record/probe.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct spanmaps;

/* Tables for all spans of the set.  -errno with d set. */
int spanmaps_open(struct spanmaps **out, const struct probes *set, uint32_t nr_cpus,
		  struct diag *d);
void spanmaps_close(struct spanmaps *m);

/* Of one span, since the start. */
struct spanmaps_counts {
	uint64_t no_start;	/* ends without a start */
	/* Starts that another start of the same key came after, or that were swept away. */
	uint64_t replaced;
	uint64_t no_room;	/* starts for which the table had no room: lost */
	uint64_t backwards;	/* ends before their starts: the clock jumped; lost */
};

void spanmaps_counts(const struct spanmaps *m, uint32_t probe, struct spanmaps_counts *out);
/*
 * Starts that wait now: slow, for the end of a recording.  One walk serves one call for
 * each probe of a table that is shared.
 */
uint64_t spanmaps_open_starts(struct spanmaps *m, uint32_t probe);
/*
 * Removes what ended threads left behind, or starts that are old, from tables of which
 * half stays or in which a start found no room; the less that helps, the less often.
 * Now and then.
 */
void spanmaps_sweep(struct spanmaps *m);

/* --- for spanprog.c: what the programs are built around --------------------------------- */

/*
 * A start that waits.  What is kept of it lies as in a record of the span, fixed part and
 * pieces, so that both are written and read alike.
 */
struct spanmaps_start {
	uint64_t time_ns;	/* 0: there is none */
	uint64_t task;		/* thread id, and process id in the upper half */
	uint32_t probe;		/* of tables that are shared */
	uint32_t var_bytes;	/* of the pieces, if there may be any */
	uint8_t data[];		/* as in struct probe_record */
};

/* In a key: with the number of its CPU, for the thread id 0. */
#define SPANMAPS_IDLE_THREAD (UINT64_C(1) << 32)

/* In the place of the duration: __u64, not 0 if the entry stays. */
#define SPANMAPS_STAYS_OFFSET (offsetof(struct spanmaps_start, data) + PROBE_DURATION_OFFSET)

/* An array of one value holds for each probe the counts above, in that order. */
enum { SPANMAPS_NO_START, SPANMAPS_REPLACED, SPANMAPS_NO_ROOM, SPANMAPS_BACKWARDS };
#define SPANMAPS_COUNTS_BYTES 32	/* for each probe */

struct spanmaps_table {
	int fd;			/* hash: nr_keys x __u64 -> struct spanmaps_start */
	int zeros_fd;		/* array of one such value, all zero */
	int counts_fd;
	uint32_t counts_mask;	/* no number of a probe exceeds it */
	uint32_t value_bytes;
	uint32_t nr_keys;
	bool stays;		/* entries do, as long as fewer do than ... */
	uint32_t most_staying;
	uint32_t staying_offset;	/* their number: __u64, in the value of counts_fd */
	bool is_shared;		/* by several probes */
};

/* Of a span's probe: index in the set. */
void spanmaps_table(const struct spanmaps *m, uint32_t probe, struct spanmaps_table *out);

#endif
