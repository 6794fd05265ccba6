/*
 * Adds up what records tell in a thread of its own, while the next records are decoded.
 * What waits is bounded; what is added, and in which order, is the same as without it.
 */
#ifndef REPORT_LATENCY_ADDER_H
#define REPORT_LATENCY_ADDER_H

#include "report/latency_private.h"

struct latency_adder;

/* Each piece is of the row with the same index in rows.  0 or -errno, which ends it. */
typedef int (*latency_adder_fn)(struct latency *l, const uint32_t *rows,
				const struct latency_piece *p, size_t nr);

/*
 * fn is called in another thread if there can be one: until latency_adder_finish() only fn
 * uses the sums of the latency, and nobody changes the dictionaries of the trace.  So there
 * is none for a pipe, where dictionaries grow.
 */
int latency_adder_new(struct latency_adder **out, struct latency *l, latency_adder_fn fn);
/* Copies what it takes.  0, or an error of fn, of these or earlier ones. */
int latency_adder_add(struct latency_adder *a, const uint32_t *rows,
		      const struct latency_piece *p, size_t nr);
/* Waits until all is added, and frees it.  0, or what fn returned first. */
int latency_adder_finish(struct latency_adder *a);

#endif
