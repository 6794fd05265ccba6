/*
 * A distribution of numbers in log-linear buckets (format/buckets.h), with exact count,
 * sum, sum of squares, least and greatest.  Memory is that of the buckets in use.
 */
#ifndef REPORT_HISTOGRAM_H
#define REPORT_HISTOGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct histogram {
	bool is_signed;		/* of all values */
	uint64_t count;
	double sum, squares;	/* squares: 0 with tallies, which have no deviation */
	bool has_squares;
	uint64_t least, most;
	/* Private to histogram.c. */
	uint32_t **pages;
	uint64_t *overflow;
};

void histogram_init(struct histogram *h, bool is_signed);
void histogram_release(struct histogram *h);
/* 0 or -ENOMEM. */
int histogram_add(struct histogram *h, uint64_t value);
/* What a tally knows: count values of the bucket; then of the whole key its sum and limits. */
int histogram_add_bucket(struct histogram *h, int32_t bucket, uint64_t count);
void histogram_add_sums(struct histogram *h, uint64_t sum, uint64_t least, uint64_t most);
int histogram_merge(struct histogram *to, const struct histogram *from);
/*
 * The value that `part` (0 to 1) of all are not greater than: the nearest rank's, at most
 * 0.8 % away; never outside least and most.
 */
double histogram_percentile(const struct histogram *h, double part);
double histogram_mean(const struct histogram *h);
/* Of all values, not of a sample; 0 if unknown. */
double histogram_deviation(const struct histogram *h);
/* Buckets in use, ascending.  Returns 0 to go on. */
typedef int (*histogram_bucket_fn)(void *ctx, int32_t bucket, uint64_t count);
int histogram_each(const struct histogram *h, histogram_bucket_fn fn, void *ctx);

#endif
