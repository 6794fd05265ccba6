#include "report/latency_values.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STEP BUCKETS_STEPS	/* buckets come by so many */
/* So many values take no more than the buckets of four powers of two. */
#define MOST_FEW 512
#define FIRST_FEW 4

void latency_values_init(struct latency_values *v)
{
	*v = (struct latency_values) { .least = UINT64_MAX };
}

void latency_values_release(struct latency_values *v)
{
	/* One pointer by two names. */
	free(v->counts);
	latency_values_init(v);
}

size_t latency_values_bytes(const struct latency_values *v)
{
	return v->nr ? v->nr * sizeof(*v->counts) : v->cap_few * sizeof(*v->few);
}

/* --- adding ------------------------------------------------------------------------------ */

/* Makes room for the buckets on either side. */
static int widen(struct latency_values *v, uint32_t least, uint32_t most)
{
	uint32_t first = least / STEP * STEP, end = most / STEP * STEP + STEP;
	uint32_t *counts;

	if (v->nr && v->first < first)
		first = v->first;
	if (v->nr && (uint32_t)v->first + v->nr > end)
		end = (uint32_t)v->first + v->nr;
	counts = calloc(end - first, sizeof(*counts));
	if (!counts)
		return -ENOMEM;
	if (v->nr) {
		memcpy(counts + (v->first - first), v->counts, v->nr * sizeof(*counts));
		free(v->counts);
	}
	v->counts = counts;
	v->first = (uint16_t)first;
	v->nr = (uint16_t)(end - first);
	return 0;
}

static int grow_few(struct latency_values *v)
{
	uint16_t cap = v->cap_few ? (uint16_t)(2 * v->cap_few) : FIRST_FEW;
	uint16_t *grown = realloc(v->few, cap * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	v->few = grown;
	v->cap_few = cap;
	return 0;
}

/* From now on every bucket has a count. */
static int count_few(struct latency_values *v, uint32_t bucket)
{
	uint32_t least = buckets_index(v->least), most = buckets_index(v->most);
	uint16_t *few = v->few;

	if (widen(v, least < bucket ? least : bucket, most > bucket ? most : bucket))
		return -ENOMEM;
	for (size_t i = 0; i < v->count; i++)
		v->counts[few[i] - v->first]++;
	free(few);
	v->cap_few = 0;
	return 0;
}

int latency_values_add_more(struct latency_values *v, uint64_t value)
{
	uint32_t bucket = buckets_index(value);
	int err;

	if (v->nr)
		err = widen(v, bucket, bucket);
	else
		err = v->count < MOST_FEW ? grow_few(v) : count_few(v, bucket);
	if (!err)
		latency_values_add(v, value);
	return err;
}

/* --- asking ------------------------------------------------------------------------------ */

static int compare_buckets(const void *a, const void *b)
{
	const uint16_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The bucket of the value with that rank, from 1; *at and *seen go on from call to call. */
static uint32_t bucket_of(const struct latency_values *v, const uint16_t *few, uint64_t rank,
			  uint32_t *at, uint64_t *seen)
{
	if (!v->nr)
		return few[rank - 1];
	while (*at < v->nr && *seen + v->counts[*at] < rank)
		*seen += v->counts[(*at)++];
	return *at < v->nr ? v->first + *at : UINT32_MAX;
}

static uint64_t value_of(const struct latency_values *v, uint32_t bucket)
{
	uint64_t value = bucket == UINT32_MAX ? v->most : buckets_middle(bucket);

	if (value < v->least)
		return v->least;
	return value > v->most ? v->most : value;
}

void latency_values_percentiles(const struct latency_values *v, const double *parts, size_t nr,
				uint64_t *to)
{
	uint16_t few[MOST_FEW];
	uint64_t seen = 0, rank;
	uint32_t at = 0;

	if (!v->nr && v->count) {
		memcpy(few, v->few, v->count * sizeof(*few));
		qsort(few, v->count, sizeof(*few), compare_buckets);
	}
	for (size_t i = 0; i < nr; i++) {
		double exact = ceil(parts[i] * (double)v->count);

		rank = exact >= 1 ? (uint64_t)exact : 1;
		/* The ends are known exactly. */
		if (rank >= v->count)
			to[i] = v->most;
		else if (rank == 1)
			to[i] = v->least;
		else
			to[i] = value_of(v, bucket_of(v, few, rank, &at, &seen));
	}
}
