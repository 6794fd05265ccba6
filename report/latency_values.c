#include "report/latency_values.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "format/buckets.h"

#define STEP BUCKETS_STEPS	/* buckets come by so many */

void latency_values_release(struct latency_values *v)
{
	free(v->counts);
	*v = (struct latency_values) { 0 };
}

/* Makes room for the bucket on either side. */
static int widen(struct latency_values *v, uint32_t bucket)
{
	uint32_t first = bucket / STEP * STEP, end = first + STEP;
	uint32_t *counts;

	if (v->nr && v->first < first)
		first = v->first;
	if (v->nr && v->first + v->nr > end)
		end = v->first + v->nr;
	counts = calloc(end - first, sizeof(*counts));
	if (!counts)
		return -ENOMEM;
	if (v->nr)
		memcpy(counts + (v->first - first), v->counts, v->nr * sizeof(*counts));
	free(v->counts);
	v->counts = counts;
	v->first = first;
	v->nr = end - first;
	return 0;
}

int latency_values_add(struct latency_values *v, uint64_t value)
{
	uint32_t bucket = buckets_index(value);
	uint32_t *count;

	if (bucket - v->first >= v->nr && widen(v, bucket))
		return -ENOMEM;
	count = &v->counts[bucket - v->first];
	*count += *count < UINT32_MAX;
	if (!v->count || value < v->least)
		v->least = value;
	if (value > v->most)
		v->most = value;
	v->count++;
	return 0;
}

static uint64_t value_of(const struct latency_values *v, uint32_t bucket)
{
	uint64_t value = buckets_middle(bucket);

	if (value < v->least)
		return v->least;
	return value > v->most ? v->most : value;
}

void latency_values_percentiles(const struct latency_values *v, const double *parts, size_t nr,
				uint64_t *to)
{
	uint64_t seen = 0, rank;
	uint32_t at = 0;

	for (size_t i = 0; i < nr; i++) {
		double exact = ceil(parts[i] * (double)v->count);

		rank = exact >= 1 ? (uint64_t)exact : 1;
		while (at < v->nr && seen + v->counts[at] < rank)
			seen += v->counts[at++];
		to[i] = at < v->nr ? value_of(v, v->first + at) : v->most;
		/* The ends are known exactly. */
		if (rank >= v->count)
			to[i] = v->most;
		else if (rank == 1)
			to[i] = v->least;
	}
}
