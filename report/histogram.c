#include "report/histogram.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "format/buckets.h"

void histogram_init(struct histogram *h, bool is_signed)
{
	*h = (struct histogram) { .is_signed = is_signed, .has_squares = true };
}

void histogram_release(struct histogram *h)
{
	slots_release(&h->buckets);
}

double histogram_number(const struct histogram *h, uint64_t value)
{
	return h->is_signed ? (double)(int64_t)value : (double)value;
}

static bool is_less(const struct histogram *h, uint64_t a, uint64_t b)
{
	return h->is_signed ? (int64_t)a < (int64_t)b : a < b;
}

static void add_limits(struct histogram *h, uint64_t least, uint64_t most)
{
	if (!h->has_limits || is_less(h, least, h->least))
		h->least = least;
	if (!h->has_limits || is_less(h, h->most, most))
		h->most = most;
	h->has_limits = true;
}

/* Those of a damaged file may be anything. */
static void add_count(struct histogram *h, uint64_t count)
{
	h->count = count > UINT64_MAX - h->count ? UINT64_MAX : h->count + count;
}

/*
 * Squares are of the distances from the first value: large numbers that lie close
 * together would leave nothing of their differences.
 */
int histogram_add_many(struct histogram *h, uint64_t value, uint64_t count)
{
	int32_t bucket = h->is_signed ? buckets_signed_index((int64_t)value)
				      : (int32_t)buckets_index(value);
	double number = histogram_number(h, value), n = (double)count;

	if (!count)
		return 0;
	if (slots_add(&h->buckets, bucket, count))
		return -ENOMEM;
	if (!h->count)
		h->origin = number;
	add_limits(h, value, value);
	add_count(h, count);
	h->sum += n * number;
	number -= h->origin;
	h->distances += n * number;
	h->squares += n * number * number;
	return 0;
}

int histogram_add(struct histogram *h, uint64_t value)
{
	return histogram_add_many(h, value, 1);
}

int histogram_add_bucket(struct histogram *h, int32_t bucket, uint64_t count)
{
	if (!count)
		return 0;
	if (bucket > BUCKETS_LAST)
		bucket = BUCKETS_LAST;
	if (bucket < (h->is_signed ? -BUCKETS_LAST : 0))
		bucket = h->is_signed ? -BUCKETS_LAST : 0;
	h->has_squares = false;
	if (slots_add(&h->buckets, bucket, count))
		return -ENOMEM;
	add_count(h, count);
	return 0;
}

void histogram_add_sums(struct histogram *h, uint64_t sum, uint64_t least, uint64_t most)
{
	h->sum += histogram_number(h, sum);
	add_limits(h, least, most);
}

int histogram_merge(struct histogram *to, const struct histogram *from)
{
	double shift, n = (double)from->count;

	if (!from->count)
		return 0;
	for (uint32_t i = 0; i < from->buckets.nr_slots; i++)
		if (slots_add(&to->buckets, from->buckets.table[i].key,
			      from->buckets.table[i].count))
			return -ENOMEM;
	if (!to->count)
		to->origin = from->origin;
	shift = from->origin - to->origin;
	to->squares += from->squares + shift * (2 * from->distances + shift * n);
	to->distances += from->distances + shift * n;
	to->has_squares = to->has_squares && from->has_squares;
	add_count(to, from->count);
	to->sum += from->sum;
	if (from->has_limits)
		add_limits(to, from->least, from->most);
	return 0;
}

/* --- answers ----------------------------------------------------------------- */

static double value_of(const struct histogram *h, int32_t bucket)
{
	double value = h->is_signed ? (double)buckets_signed_middle(bucket)
				    : (double)buckets_middle((uint32_t)bucket);

	if (!h->has_limits)
		return value;
	return fmin(fmax(value, histogram_number(h, h->least)), histogram_number(h, h->most));
}

/* Of the first: 1. */
static uint64_t rank_of(const struct histogram *h, double part)
{
	double rank = ceil(part * (double)h->count);

	if (!(rank >= 1))
		return 1;
	return rank < (double)h->count ? (uint64_t)rank : h->count;
}

int histogram_percentiles(const struct histogram *h, const double *parts, size_t nr, double *to)
{
	struct slot *list = slots_sorted(&h->buckets);
	uint64_t seen = 0;
	size_t at = 0;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++) {
		uint64_t rank = rank_of(h, parts[i]);

		while (at < h->buckets.nr_used && list[at].count < rank - seen)
			seen += list[at++].count;
		to[i] = at < h->buckets.nr_used ? value_of(h, (int32_t)list[at].key) : 0;
		/* The ends are known exactly. */
		if (h->has_limits && rank == h->count)
			to[i] = histogram_number(h, h->most);
		else if (h->has_limits && rank == 1)
			to[i] = histogram_number(h, h->least);
	}
	free(list);
	return 0;
}

double histogram_percentile(const struct histogram *h, double part)
{
	double value = 0;

	return histogram_percentiles(h, &part, 1, &value) ? 0 : value;
}

double histogram_mean(const struct histogram *h)
{
	return h->count ? h->sum / (double)h->count : 0;
}

double histogram_deviation(const struct histogram *h)
{
	double n = (double)h->count, mean, variance;

	if (!h->has_squares || !h->count)
		return 0;
	mean = h->distances / n;
	variance = h->squares / n - mean * mean;
	return variance > 0 ? sqrt(variance) : 0;
}

int histogram_each(const struct histogram *h, histogram_bucket_fn fn, void *ctx)
{
	struct slot *list = slots_sorted(&h->buckets);
	int ret = 0;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < h->buckets.nr_used && !ret; i++)
		ret = fn(ctx, (int32_t)list[i].key, list[i].count);
	free(list);
	return ret;
}
