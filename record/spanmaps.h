/*
 * Where the starts of spans wait for their ends: BPF hash maps, by key, and counts of what
 * found no partner.
 *
 * A table holds for each key the time of the start, who it was, and its part of the
 * record.  With a key that is only the thread, entries stay and are used again and again,
 * with the time 0 between two spans: that is three times cheaper than to insert
 * and delete.  Threads end, so tables with a thread in the key are swept when they are
 * full.
 *
 * One thread at a time.
 */
#ifndef RECORD_SPANMAPS_H
#define RECORD_SPANMAPS_H

#include "format/diag.h"
#include "record/probe.h"

#include <stdbool.h>
#include <stdint.h>

struct spanmaps;

/* Tables for all spans of the set.  -errno with d set. */
int spanmaps_open(struct spanmaps **out, const struct probes *set, uint32_t nr_cpus,
		  struct diag *d);
void spanmaps_close(struct spanmaps *m);

/* Of one span, since the start. */
struct spanmaps_counts {
	uint64_t no_start;	/* ends without a start */
	/* Starts that another start of the same key came after, or whose thread ended. */
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
/* Removes what ended threads left behind, where starts found no room since the last call. */
void spanmaps_sweep(struct spanmaps *m);

/* --- for probeprog_span.c: what the programs are built around --------------------------- */

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
	bool stays;		/* the key is the thread: entries are not removed */
	bool is_shared;		/* by several probes */
};

/* Of a span's probe: index in the set. */
void spanmaps_table(const struct spanmaps *m, uint32_t probe, struct spanmaps_table *out);

#endif
