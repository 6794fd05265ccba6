/*
 * Where the starts of spans wait for their ends: BPF hash maps, by key, and counts of what
 * found no partner.
 *
 * A table holds for each key the time of the start, who it was, and its part of the
 * record.  With a key that is only the thread, entries stay and are used again and again,
 * with the time 0 between two spans: that is three times cheaper than to insert
 * and delete.  Threads end, so such tables are swept when they are full.
 *
 * One thread at a time.
 */
#ifndef RECORD_SPANMAPS_H
#define RECORD_SPANMAPS_H

#include "format/diag.h"
#include "record/probe.h"

#include <stdint.h>

struct spanmaps;

/* Tables for all spans of the set.  -errno with d set. */
int spanmaps_open(struct spanmaps **out, const struct probes *set, uint32_t nr_cpus,
		  struct diag *d);
void spanmaps_close(struct spanmaps *m);

/* Of one span, since the start. */
struct spanmaps_counts {
	uint64_t no_start;	/* ends without a start */
	uint64_t replaced;	/* starts that another start of the same key came after */
	uint64_t no_room;	/* starts for which the table had no room: lost */
	uint64_t backwards;	/* ends before their starts: the clock jumped; lost */
};

void spanmaps_counts(struct spanmaps *m, uint32_t probe, struct spanmaps_counts *out);
/* Starts that wait now: slow, for the end of a recording. */
uint64_t spanmaps_open_starts(struct spanmaps *m, uint32_t probe);
/* Removes what ended threads left behind, where starts found no room since the last call. */
void spanmaps_sweep(struct spanmaps *m);

#endif
