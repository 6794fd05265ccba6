/*
 * Waits in the order of time, and what each thread had waited for before: of every wait
 * the chain of wakeups that ended it (report/chain.h), in bounded memory.
 *
 * A chain goes on from a waker with the last wait of that thread that had ended before it
 * woke, if it ended within the wait that it explains: what was over before that began is
 * no reason for it.
 */
#ifndef REPORT_CHAINORDER_H
#define REPORT_CHAINORDER_H

#include "report/chain.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chainorder_wait {
	uint64_t from_ns, until_ns;	/* blocked: then it could run */
	uint64_t thread;		/* pid << 32 | tid */
	uint64_t waker;			/* the same; 0: nobody, or no thread */
	/* The caller's, for waits that count. */
	uint64_t value, times;
	uint32_t group, stack;
	uint32_t hop;		/* the chain of one hop: who ended it */
	bool woken;		/* it was seen who ended it, if there was room for it or not */
	bool counts;		/* else it is here for the chains of others */
};

/* Once for each wait that counts, with its chain.  Not 0: stop and return that. */
typedef int (*chainorder_fn)(void *ctx, const struct chainorder_wait *w, uint32_t chain);

struct chainorder;

int chainorder_new(struct chainorder **out, struct chains *chains, uint32_t hops,
		   chainorder_fn fn, void *ctx);
void chainorder_free(struct chainorder *o);
/* In any order of the times, which are of the records. */
int chainorder_add(struct chainorder *o, uint64_t time_ns, const struct chainorder_wait *w);
/* No wait that is added from now on has an earlier time. */
int chainorder_until(struct chainorder *o, uint64_t safe_ns);
/* All that are left.  Gives memory back: nothing can be added any more. */
int chainorder_finish(struct chainorder *o);
/* Chains that end because it is not known what their last waker had waited for. */
uint64_t chainorder_ended(const struct chainorder *o);

#endif
