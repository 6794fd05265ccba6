/*
 * The waits of threads that came last, in memory of a fixed size: the oldest of all is
 * forgotten for a new one.  Those of a thread do not overlap, and are chained from the
 * newest to the oldest, all of them and those for each reason; what lies between any two
 * of a chain is found and summed up in steps that grow with the logarithm of their number.
 */
#ifndef REPORT_LATENCY_WAITS_H
#define REPORT_LATENCY_WAITS_H

#include "report/latency_story.h"

#include <stdbool.h>
#include <stdint.h>

/* 35 MiB, when so many have come. */
#define LATENCY_WAITS_KEPT (1u << 18)
/* Those that came so long ago are gone for the chains, but can be looked at still. */
#define LATENCY_WAITS_GRACE (LATENCY_WAITS_KEPT / 16)

enum latency_chain { LATENCY_ALL, LATENCY_SAME_REASON, LATENCY_NR_CHAINS };
enum latency_waits_sum {
	LATENCY_SUM_ON, LATENCY_SUM_IRQ, LATENCY_SUM_RUNQ, LATENCY_SUM_SKIPPED,
	LATENCY_SUM_BLOCKED,		/* of the chain for its reason */
	LATENCY_NR_SUMS,
};

struct latency_kept {
	uint64_t time_ns, from_ns;
	uint64_t ns[LATENCY_NR_SUMS];	/* its own */
	uint64_t sums[LATENCY_NR_SUMS];	/* from some older one of the chain up to this one */
	struct {
		uint32_t before, jump;	/* numbers of older ones, or 0 */
		uint32_t depth;		/* one more than that of the one before */
	} links[LATENCY_NR_CHAINS];
	uint32_t stack, waker, waker_stack;
	uint32_t marks;			/* of latency_split.c; 0: none */
	uint8_t reason, context;
	bool idle;
};

struct latency_waits {
	struct latency_kept *ring;
	uint32_t newest;		/* number of the one added last, from 1 */
};

int latency_waits_init(struct latency_waits *w);
void latency_waits_release(struct latency_waits *w);
/* The number of a new one, never 0; the numbers before it, by chain, may be 0. */
uint32_t latency_waits_add(struct latency_waits *w, const struct latency_piece *p,
			   const uint32_t before[LATENCY_NR_CHAINS]);
/* NULL: 0, or gone for the chains. */
struct latency_kept *latency_waits_get(const struct latency_waits *w, uint32_t number);
/* NULL: 0, or forgotten. */
struct latency_kept *latency_waits_look(const struct latency_waits *w, uint32_t number);
/* It, as it was told, or what is left of it. */
void latency_waits_piece(const struct latency_kept *k, struct latency_piece *to);
/* Of the thread's newest wait: ends at end_ns, within it, from now on. */
void latency_waits_cut(struct latency_waits *w, uint32_t number, uint64_t end_ns);
/* From that number on, the first of the chain that ended by the time; 0: none. */
uint32_t latency_waits_until(const struct latency_waits *w, enum latency_chain chain,
			     uint32_t number, uint64_t time_ns);
/* The last of the chain that begins at the time or after it, as that number's does. */
uint32_t latency_waits_since(const struct latency_waits *w, enum latency_chain chain,
			     uint32_t number, uint64_t time_ns);
/* What all from `oldest` up to `newest` are in sum. */
uint64_t latency_waits_sum(const struct latency_kept *newest, const struct latency_kept *oldest,
			   enum latency_waits_sum what);

#endif
