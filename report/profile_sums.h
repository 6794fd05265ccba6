/*
 * The first step of a profile: the records of one event summed up by context
 * (task, CPU, fields, as far as the keys ask for them) and stack.  No name is
 * looked up here, so it costs the same on a pipe, whose names come later.
 */
#ifndef REPORT_PROFILE_SUMS_H
#define REPORT_PROFILE_SUMS_H

#include "report/histogram.h"
#include "report/measure.h"
#include "report/profile_contexts.h"
#include "report/profile_keys.h"
#include "report/query.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct profile_sum {
	uint32_t context, stack;	/* a context by number, from 0 */
	uint64_t samples, weight;
	uint32_t values;	/* see profile_sums_take_values(); 0: not distributed */
};

struct profile_sums;

/*
 * Weights are what m measures.  distribute: the values themselves are wanted, too.  All
 * other arguments must outlive the sums.
 */
int profile_sums_new(struct profile_sums **out, const struct profile_keys *keys,
		     const struct measure *m, bool distribute, const struct trace *t,
		     struct textids *texts);
void profile_sums_free(struct profile_sums *s);
/* -EBADMSG: a column is damaged and nothing was added; -ENOMEM. */
int profile_sums_add(struct profile_sums *s, struct query_batch *b);
/* All sums, in the order of their first records; the list may be written to. */
struct profile_sum *profile_sums_list(struct profile_sums *s, size_t *nr);
const struct profile_contexts *profile_sums_contexts(const struct profile_sums *s);

/* How many values were negative: they weigh nothing. */
uint64_t profile_sums_negative(const struct profile_sums *s);
/*
 * Distributions of values by the sums' numbers, *nr of them; [0] is not used.  They belong
 * to the caller now, who releases each and frees the list.  NULL without any.
 */
struct histogram *profile_sums_take_values(struct profile_sums *s, uint32_t *nr);

#endif
