/*
 * Where threads waited, and who woke them: time by wait (any number), stack and waker, in
 * bounded memory.  When it is full, what has least is let go, and its time is told.
 */
#ifndef REPORT_LATENCY_TOPS_H
#define REPORT_LATENCY_TOPS_H

#include <stddef.h>
#include <stdint.h>

/* At most so many are kept: 4 MiB, and while room is made half as much again. */
#define LATENCY_TOPS_SLOTS (1u << 17)

struct latency_top {
	uint32_t wait, stack, waker_stack;
	uint32_t waker;			/* string: its comm; 0: unknown */
	uint32_t context, count;	/* count 0: free */
	uint64_t ns;
};

/* So many are added at once, so that memory has time to answer. */
#define LATENCY_TOPS_QUEUE 32

struct latency_tops {
	struct latency_top *slots;	/* after latency_tops_sort(): nr of them, by wait */
	uint32_t nr_slots, nr;
	uint32_t *place, nr_waits;	/* where those of a wait end */
	uint64_t dropped_ns;		/* of all that were let go */
	uint64_t nr_dropped;
	/* Private to latency_tops.c. */
	struct latency_top queue[LATENCY_TOPS_QUEUE];
	uint32_t hashes[LATENCY_TOPS_QUEUE];
	uint32_t nr_queued;
};

void latency_tops_release(struct latency_tops *t);
/* What is put there is added next. */
static inline struct latency_top *latency_tops_next(struct latency_tops *t)
{
	return &t->queue[t->nr_queued];
}

/* Its count and time, to those of what is equal.  0 or -ENOMEM. */
int latency_tops_add(struct latency_tops *t);
/* Once, at the end: all waits are below nr_waits.  0 or -ENOMEM. */
int latency_tops_sort(struct latency_tops *t, uint32_t nr_waits);
/* Those of a wait, afterwards, the longest first. */
const struct latency_top *latency_tops_of(struct latency_tops *t, uint32_t wait, size_t *nr);

#endif
