/*
 * One drain: takes what the kernel has to say since the last one, in time
 * order, and turns it into records, tasks, mappings, stacks and names of the
 * file.  A sample is understood with the mappings of its moment: side band
 * notes up to its time are applied before it.
 *
 * One thread at a time.
 */
#ifndef RECORD_DRAIN_H
#define RECORD_DRAIN_H

#include "format/diag.h"
#include "format/writer.h"
#include "record/ftgraph.h"
#include "record/probing.h"
#include "record/sampler.h"
#include "record/sched.h"
#include "record/sideband.h"
#include "record/spool.h"

#include <stdint.h>

struct drain;

/* Everything is borrowed and outlives the drain. */
struct drain_opts {
	struct sampler *sampler;
	struct sideband *sideband;
	struct target *target;
	struct writer *writer;
	struct spool *spool;
	const struct sampled *events;
	size_t nr_events;
	struct probing *probing;	/* or NULL */
	struct ftgraph *graph;		/* or NULL */
	struct sched *sched;		/* or NULL */
};

int drain_open(struct drain **out, const struct drain_opts *opts, struct diag *d);
/* A sentence for the user, or NULL: kernel addresses hidden, ... */
const char *drain_note(const struct drain *dr);
/* The processes that exist now; call it after the side band was enabled. */
int drain_snapshot(struct drain *dr, struct diag *d);
/* Probes are on from now. */
void drain_begin(struct drain *dr, uint64_t now_ns);
/* Takes what is there. */
int drain_run(struct drain *dr, struct diag *d);
/* Names new frames, counts losses and writes all of it out. */
int drain_flush(struct drain *dr, uint64_t now_ns);
/* After the sampler was switched off: the last messages, then a flush. */
int drain_finish(struct drain *dr);
struct drain_counts {
	uint64_t records, lost, frames, unresolved_frames;
	uint64_t no_start, no_end;	/* spans of which one side was seen */
	uint64_t wrong_stacks;		/* sched_wrong_stacks() */
};

void drain_get_counts(const struct drain *dr, struct drain_counts *counts);
void drain_close(struct drain *dr);

#endif
