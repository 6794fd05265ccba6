#include "report/histogram.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "format/buckets.h"

#define FIRST_SLOTS 4

void histogram_init(struct histogram *h, bool is_signed)
{
	*h = (struct histogram) { .is_signed = is_signed, .has_squares = true };
}

void histogram_release(struct histogram *h)
{
	free(h->slots);
	h->slots = NULL;
	h->nr_slots = 0;
	h->nr_used = 0;
}

/* Neighbours share a cache line; whole octaves, which are 64 apart, are spread. */
static inline uint32_t slot_of(const struct histogram *h, int32_t bucket)
{
	uint32_t b = (uint32_t)bucket;

	return (b + (b >> BUCKETS_STEP_BITS) * 17) & (h->nr_slots - 1);
}

static int grow(struct histogram *h)
{
	struct histogram bigger = { .nr_slots = h->nr_slots ? h->nr_slots * 2 : FIRST_SLOTS };

	bigger.slots = calloc(bigger.nr_slots, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < h->nr_slots; i++) {
		uint32_t at;

		if (!h->slots[i].count)
			continue;
		at = slot_of(&bigger, h->slots[i].bucket);
		while (bigger.slots[at].count)
			at = (at + 1) & (bigger.nr_slots - 1);
		bigger.slots[at] = h->slots[i];
	}
	free(h->slots);
	h->slots = bigger.slots;
	h->nr_slots = bigger.nr_slots;
	return 0;
}

static inline int add_to_bucket(struct histogram *h, int32_t bucket, uint64_t count)
{
	uint32_t at;

	if (h->nr_used * 2 >= h->nr_slots && grow(h))
		return -ENOMEM;
	at = slot_of(h, bucket);
	while (h->slots[at].count && h->slots[at].bucket != bucket)
		at = (at + 1) & (h->nr_slots - 1);
	h->nr_used += !h->slots[at].count;
	h->slots[at].bucket = bucket;
	h->slots[at].count += count;
	return 0;
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

/*
 * Squares are of the distances from the first value: large numbers that lie close
 * together would leave nothing of their differences.
 */
int histogram_add(struct histogram *h, uint64_t value)
{
	int32_t bucket = h->is_signed ? buckets_signed_index((int64_t)value)
				      : (int32_t)buckets_index(value);
	double number = histogram_number(h, value);

	if (add_to_bucket(h, bucket, 1))
		return -ENOMEM;
	if (!h->count)
		h->origin = number;
	add_limits(h, value, value);
	h->count++;
	h->sum += number;
	number -= h->origin;
	h->distances += number;
	h->squares += number * number;
	return 0;
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
	if (add_to_bucket(h, bucket, count))
		return -ENOMEM;
	h->count += count;
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
	for (uint32_t i = 0; i < from->nr_slots; i++)
		if (from->slots[i].count &&
		    add_to_bucket(to, from->slots[i].bucket, from->slots[i].count))
			return -ENOMEM;
	if (!to->count)
		to->origin = from->origin;
	shift = from->origin - to->origin;
	to->squares += from->squares + shift * (2 * from->distances + shift * n);
	to->distances += from->distances + shift * n;
	to->has_squares = to->has_squares && from->has_squares;
	to->count += from->count;
	to->sum += from->sum;
	if (from->has_limits)
		add_limits(to, from->least, from->most);
	return 0;
}

/* --- answers ----------------------------------------------------------------- */

static int by_bucket(const void *a, const void *b)
{
	const struct histogram_slot *x = a, *y = b;

	return (x->bucket > y->bucket) - (x->bucket < y->bucket);
}

/* The slots in use in ascending order, nr_used of them; NULL without memory. */
static struct histogram_slot *sorted_slots(const struct histogram *h)
{
	struct histogram_slot *list = malloc((h->nr_used + 1) * sizeof(*list));
	size_t nr = 0;

	if (!list)
		return NULL;
	for (uint32_t i = 0; i < h->nr_slots; i++)
		if (h->slots[i].count)
			list[nr++] = h->slots[i];
	qsort(list, nr, sizeof(*list), by_bucket);
	return list;
}

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
	struct histogram_slot *list = sorted_slots(h);
	uint64_t seen = 0;
	size_t at = 0;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++) {
		uint64_t rank = rank_of(h, parts[i]);

		while (at < h->nr_used && seen + list[at].count < rank)
			seen += list[at++].count;
		to[i] = at < h->nr_used ? value_of(h, list[at].bucket) : 0;
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
	struct histogram_slot *list = sorted_slots(h);
	int ret = 0;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < h->nr_used && !ret; i++)
		ret = fn(ctx, list[i].bucket, list[i].count);
	free(list);
	return ret;
}
