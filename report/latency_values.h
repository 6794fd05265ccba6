/*
 * How single times are distributed, in the log-linear buckets of format/buckets.h: quick to
 * add to, and 4 bytes for each bucket between the least and the greatest.
 */
#ifndef REPORT_LATENCY_VALUES_H
#define REPORT_LATENCY_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct latency_values {
	uint64_t count, least, most;
	uint32_t *counts;		/* of the buckets from `first` on */
	uint32_t first, nr;
	bool is_gone;			/* there was no room for it */
};

void latency_values_release(struct latency_values *v);
/* 0 or -ENOMEM. */
int latency_values_add(struct latency_values *v, uint64_t value);
/*
 * The values that these parts (0 to 1, ascending) of all are not greater than, as
 * histogram_percentiles() has them: the nearest rank's, at most 0.8 % away.
 */
void latency_values_percentiles(const struct latency_values *v, const double *parts, size_t nr,
				uint64_t *to);

#endif
