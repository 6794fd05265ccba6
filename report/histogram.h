/*
 * A distribution of numbers in log-linear buckets (format/buckets.h), with exact count,
 * sum, deviation, least and greatest.  Memory is that of the buckets in use.
 */
#ifndef REPORT_HISTOGRAM_H
#define REPORT_HISTOGRAM_H

#include "report/slots.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct histogram {
	bool is_signed;		/* of all values: read least and most accordingly */
	bool has_limits;	/* least and most are known, as always with histogram_add() */
	bool has_squares;	/* the deviation is known: tallies have none */
	uint64_t count;
	double sum;		/* of whole numbers, exact up to 2^53 */
	uint64_t least, most;
	/* Private to histogram.c. */
	double origin, distances, squares;	/* of the values' distances from the origin */
	struct slots buckets;
};

void histogram_init(struct histogram *h, bool is_signed);
void histogram_release(struct histogram *h);
/* 0 or -ENOMEM. */
int histogram_add(struct histogram *h, uint64_t value);
/* The value so many times. */
int histogram_add_many(struct histogram *h, uint64_t value, uint64_t count);
/* What a tally knows: count values of the bucket; then of the whole key its sum and limits. */
int histogram_add_bucket(struct histogram *h, int32_t bucket, uint64_t count);
void histogram_add_sums(struct histogram *h, uint64_t sum, uint64_t least, uint64_t most);
/* Both must be of one sign. */
int histogram_merge(struct histogram *to, const struct histogram *from);
/*
 * The value that `part` (0 to 1) of all are not greater than: the nearest rank's, at most
 * 0.8 % away; never outside least and most.  0 if there are no values.
 */
double histogram_percentile(const struct histogram *h, double part);
/* The same for several parts, which ascend, in one go.  0 or -ENOMEM. */
int histogram_percentiles(const struct histogram *h, const double *parts, size_t nr, double *to);
double histogram_mean(const struct histogram *h);
/* Of all values, not of a sample; 0 if unknown. */
double histogram_deviation(const struct histogram *h);
/* Buckets in use, ascending.  fn returns 0 to go on, else its value is returned; -ENOMEM. */
typedef int (*histogram_bucket_fn)(void *ctx, int32_t bucket, uint64_t count);
int histogram_each(const struct histogram *h, histogram_bucket_fn fn, void *ctx);
/* A number as is_signed says. */
double histogram_number(const struct histogram *h, uint64_t value);

#endif
