/*
 * How single times are distributed, in the log-linear buckets of format/buckets.h: quick to
 * add to, and small while there are few values, for there may be many with few.
 */
#ifndef REPORT_LATENCY_VALUES_H
#define REPORT_LATENCY_VALUES_H

#include "format/buckets.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct latency_values {
	uint64_t count, least, most;
	/* Private to the functions below. */
	union {
		uint32_t *counts;	/* of the nr buckets from `first` on */
		uint16_t *few;		/* if nr is 0: the buckets of all values, as they came */
	};
	uint16_t first, nr, cap_few;
};

void latency_values_init(struct latency_values *v);
void latency_values_release(struct latency_values *v);
/* What it takes, besides the struct. */
size_t latency_values_bytes(const struct latency_values *v);
/* Adds a value for which there is no room yet.  0 or -ENOMEM. */
int latency_values_add_more(struct latency_values *v, uint64_t value);

/* False: there is no room for it yet, it wants latency_values_add_more(). */
static inline bool latency_values_add(struct latency_values *v, uint64_t value)
{
	uint32_t bucket = buckets_index(value), at = bucket - v->first;

	if (at < v->nr)
		v->counts[at] += v->counts[at] < UINT32_MAX;
	else if (v->count < v->cap_few)
		v->few[v->count] = (uint16_t)bucket;
	else
		return false;
	v->least = value < v->least ? value : v->least;
	v->most = value > v->most ? value : v->most;
	v->count++;
	return true;
}

/*
 * The values that these parts (0 to 1, ascending) of all are not greater than, as
 * histogram_percentiles() has them: the nearest rank's, at most 0.8 % away.
 */
void latency_values_percentiles(const struct latency_values *v, const double *parts, size_t nr,
				uint64_t *to);

#endif
