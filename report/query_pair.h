/*
 * Starts that wait for their ends, by key: what becomes of events that come in the order
 * of their times.  An end takes the start of its key.  A start replaces the one that
 * waits, whose end then never came; unless that end is still to be handed over because it
 * has the same time as the new start.
 */
#ifndef REPORT_QUERY_PAIR_H
#define REPORT_QUERY_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct query_pair;

struct query_pair_start {
	uint64_t time_ns;
	uint32_t cpu, task, stack;
	uint32_t nr_bytes;
	const uint64_t *values;		/* as many as query_pair_new() was told */
	const uint8_t *bytes;		/* that the values speak of */
};

/* Told of each start whose end never came, sooner or later. */
typedef void (*query_pair_unended_fn)(void *ctx, const struct query_pair_start *s);

/* Keys are `nr_keys` numbers.  What waits may take limit_bytes.  0 or -ENOMEM. */
int query_pair_new(struct query_pair **out, size_t nr_keys, size_t nr_values,
		   size_t limit_bytes, query_pair_unended_fn unended, void *ctx);
void query_pair_free(struct query_pair *p);

/* Keeps a copy.  -ENOSPC: no room for it; what waited under the key is gone. */
int query_pair_start(struct query_pair *p, const uint64_t *keys,
		     const struct query_pair_start *s);
/*
 * The start that ends at time_ns; valid until the next call.  False: there is none.  Its
 * time may be later, when the order was not kept.
 */
bool query_pair_end(struct query_pair *p, const uint64_t *keys, uint64_t time_ns,
		    struct query_pair_start *out);
/* Forgets everything.  Tells of the starts that still wait, too, if asked. */
void query_pair_finish(struct query_pair *p, bool tell_waiting);
/* Starts that wait now. */
size_t query_pair_nr(const struct query_pair *p);

#endif
