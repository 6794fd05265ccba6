#include "format/writer_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CPU_BUCKETS 1024	/* the last one takes all CPUs from it on */
#define MAX_RUNS 64		/* of records that were drained CPU by CPU */

void writer_order_release(struct writer_order *o)
{
	free(o->times);
	free(o->cpus);
	free(o->merged);
	memset(o, 0, sizeof(*o));
}

static int grow(struct writer_order *o, struct writer_batch *b)
{
	if (!b->order_space) {
		b->order_space = malloc(b->cap * sizeof(*b->order_space));
		if (!b->order_space)
			return -ENOMEM;
	}
	if (b->nr <= o->cap)
		return 0;
	writer_order_release(o);
	o->times = malloc(b->cap * sizeof(*o->times));
	o->cpus = malloc(b->cap * sizeof(*o->cpus));
	o->merged = malloc(b->cap * sizeof(*o->merged));
	if (!o->times || !o->cpus || !o->merged) {
		writer_order_release(o);
		return -ENOMEM;
	}
	o->cap = b->cap;
	return 0;
}

static uint64_t cpu_of(const struct writer_batch *b, size_t row)
{
	const struct writer_source *s = b->source;

	if (s->cpu_field == s->nr_fields)
		return 0;
	return b->varies[s->cpu_field] ? b->columns[s->cpu_field * (size_t)b->cap + row] :
	       b->first[s->cpu_field];
}

/* Whether row y may not stand before row x.  Only the last bucket has several CPUs. */
static bool in_order(const struct writer_batch *b, const struct writer_order *o, uint32_t x,
		     uint32_t y)
{
	if (o->cpus[x] == CPU_BUCKETS - 1 && cpu_of(b, x) != cpu_of(b, y))
		return cpu_of(b, x) < cpu_of(b, y);
	return o->times[x] <= o->times[y];
}

/* The length of the run from `first` on that is in order. */
static size_t run_length(const struct writer_batch *b, const struct writer_order *o,
			 size_t first, size_t end)
{
	size_t i = first + 1;

	while (i < end && in_order(b, o, b->order[i - 1], b->order[i]))
		i++;
	return i - first;
}

/*
 * Merges neighbouring runs until one is left, equal ones in the order in which
 * they came.  Usually there is one from the start.
 */
static void merge_runs(struct writer_batch *b, struct writer_order *o, size_t first, size_t end)
{
	uint32_t *from = b->order, *to = o->merged;

	while (first < end && run_length(b, o, first, end) < end - first) {
		for (size_t at = first; at < end;) {
			size_t middle = at + run_length(b, o, at, end);
			size_t past = middle < end ? middle + run_length(b, o, middle, end) : end;
			size_t x = at, y = middle;

			for (; at < past; at++) {
				bool left = y == past ||
					    (x < middle && in_order(b, o, from[x], from[y]));

				to[at] = left ? from[x++] : from[y++];
			}
		}
		memcpy(from + first, to + first, (end - first) * sizeof(*from));
	}
}

/* Records of one CPU that stand together, in time order. */
struct run {
	uint64_t cpu, first_ns, last_ns;
	uint32_t row, nr;
};

/* The times of all rows, as they came. */
static uint64_t *times_of(const struct writer_batch *b)
{
	uint32_t field = b->source->time_field;
	uint64_t *times = b->columns + field * (size_t)b->cap;

	for (uint32_t i = 0; i < b->nr && !b->varies[field]; i++)
		times[i] = b->first[field];
	return times;
}

/* The row behind the run that begins with this one. */
static uint32_t end_of_run(const struct writer_batch *b, const uint64_t *times,
			   const uint64_t *cpus, uint32_t row)
{
	uint32_t i = row + 1;

	if (!cpus)
		while (i < b->nr && times[i] >= times[i - 1])
			i++;
	else
		while (i < b->nr && times[i] >= times[i - 1] && cpus[i] == cpus[row])
			i++;
	return i;
}

/* Nr of runs, or 0: there are more than MAX_RUNS. */
static size_t find_runs(const struct writer_batch *b, struct run *runs)
{
	const struct writer_source *s = b->source;
	bool mixed = s->cpu_field < s->nr_fields && b->varies[s->cpu_field];
	const uint64_t *times = times_of(b);
	const uint64_t *cpus = mixed ? b->columns + s->cpu_field * (size_t)b->cap : NULL;
	size_t nr = 0;

	for (uint32_t i = 0, end; i < b->nr; i = end) {
		if (nr == MAX_RUNS)
			return 0;
		end = end_of_run(b, times, cpus, i);
		runs[nr++] = (struct run){
			.cpu = cpu_of(b, i), .first_ns = times[i], .last_ns = times[end - 1],
			.row = i, .nr = end - i,
		};
	}
	return nr;
}

/* Puts the runs in order, if that does it. */
static bool order_runs(struct writer_batch *b, struct run *runs, size_t nr)
{
	uint32_t *to = b->order_space;
	bool as_is = true;

	for (size_t i = 1; i < nr; i++) {
		struct run r = runs[i];
		size_t at = i;

		for (; at && (runs[at - 1].cpu > r.cpu || (runs[at - 1].cpu == r.cpu &&
						    runs[at - 1].first_ns > r.first_ns)); at--)
			runs[at] = runs[at - 1];
		runs[at] = r;
		as_is &= at == i;
	}
	b->first_ns = UINT64_MAX;
	for (size_t i = 0; i < nr; i++) {
		if (i && runs[i - 1].cpu == runs[i].cpu && runs[i - 1].last_ns > runs[i].first_ns)
			return false;
		b->first_ns = runs[i].first_ns < b->first_ns ? runs[i].first_ns : b->first_ns;
		b->last_ns = runs[i].last_ns > b->last_ns ? runs[i].last_ns : b->last_ns;
	}
	b->order = as_is ? NULL : b->order_space;
	for (size_t i = 0; i < nr && !as_is; i++)
		for (uint32_t k = 0; k < runs[i].nr; k++)
			*to++ = runs[i].row + k;
	return true;
}

/* Takes times and CPUs out of the rows.  Returns the largest bucket. */
static uint32_t read_keys(struct writer_batch *b, struct writer_order *o)
{
	const uint64_t *times = times_of(b);
	uint32_t top = 0;

	b->first_ns = UINT64_MAX;
	for (uint32_t i = 0; i < b->nr; i++) {
		uint64_t time = times[i], cpu = cpu_of(b, i);

		b->first_ns = time < b->first_ns ? time : b->first_ns;
		b->last_ns = time > b->last_ns ? time : b->last_ns;
		o->times[i] = time;
		o->cpus[i] = cpu < CPU_BUCKETS - 1 ? (uint32_t)cpu : CPU_BUCKETS - 1;
		top = o->cpus[i] > top ? o->cpus[i] : top;
	}
	return top;
}

/*
 * Records of many CPUs mixed come in time order per CPU nearly always, so a
 * distribution by CPU does the work and merging is the exception.
 */
static void distribute(struct writer_batch *b, struct writer_order *o)
{
	uint32_t ends[CPU_BUCKETS + 1], top = read_keys(b, o);

	memset(ends, 0, (top + 2) * sizeof(*ends));
	for (uint32_t i = 0; i < b->nr; i++)
		ends[o->cpus[i] + 1]++;
	for (uint32_t c = 0; c < top; c++)
		ends[c + 1] += ends[c];
	/* ends[c] is where bucket c begins, and when it is full, where it ends. */
	for (uint32_t i = 0; i < b->nr; i++)
		b->order[ends[o->cpus[i]]++] = i;
	for (uint32_t c = 0, first = 0; c <= top; first = ends[c++])
		merge_runs(b, o, first, ends[c]);
}

int writer_order_find(struct writer_batch *b, struct writer_order *o)
{
	struct run runs[MAX_RUNS];
	size_t nr_runs;
	int err = b->is_ordered ? 0 : grow(o, b);

	if (err || b->is_ordered)
		return err;
	writer_batch_split(b);
	b->is_ordered = true;
	b->last_ns = 0;
	nr_runs = find_runs(b, runs);
	if (nr_runs && order_runs(b, runs, nr_runs))
		return 0;
	b->order = b->order_space;
	b->last_ns = 0;
	distribute(b, o);
	return 0;
}
