#include "format/writer_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CPU_BUCKETS 1024	/* the last one takes all CPUs from it on */
#define MAX_RUNS 64		/* of records that were drained CPU by CPU */
#define NO_CPU UINT32_MAX	/* what nobody knows the CPU of */

struct writer_batch *writer_batch_new(struct writer_source *s, uint32_t cap)
{
	struct writer_batch *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->source = s;
	b->cap = cap;
	b->rows = malloc((size_t)cap * s->nr_fields * sizeof(*b->rows));
	if (!b->rows) {
		free(b);
		return NULL;
	}
	return b;
}

void writer_batch_free(struct writer_batch *b)
{
	if (!b)
		return;
	free(b->rows);
	free(b->order_space);
	bytebuf_release(&b->texts);
	free(b);
}

void writer_batch_clear(struct writer_batch *b)
{
	b->nr = 0;
	b->is_ordered = false;
	bytebuf_clear(&b->texts);
}

struct writer_batch *writer_batch_copy(const struct writer_batch *b)
{
	struct writer_batch *copy = writer_batch_new(b->source, b->nr);

	if (!copy)
		return NULL;
	memcpy(copy->rows, b->rows, (size_t)b->nr * b->source->nr_fields * sizeof(*b->rows));
	bytebuf_put(&copy->texts, b->texts.data, b->texts.len);
	copy->nr = b->nr;
	copy->safe_ns = b->safe_ns;
	copy->known_stack = b->known_stack;
	copy->known_frame = b->known_frame;
	/* The order is soon found again. */
	if (copy->texts.err) {
		writer_batch_free(copy);
		return NULL;
	}
	return copy;
}

size_t writer_batch_bytes(const struct writer_batch *b)
{
	return sizeof(*b) + (size_t)b->nr * b->source->nr_fields * sizeof(*b->rows) +
	       b->texts.len;
}

/* --- order --------------------------------------------------------------------------- */

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

	return s->cpu_field < s->nr_fields ? b->rows[row * s->nr_fields + s->cpu_field] : 0;
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

/* Nr of runs, or 0: there are more than MAX_RUNS. */
static size_t find_runs(const struct writer_batch *b, struct run *runs)
{
	const struct writer_source *s = b->source;
	const uint64_t *row = b->rows;
	bool has_cpu = s->cpu_field < s->nr_fields;
	uint64_t cpu = 0, last_ns = 0;
	size_t nr = 0;

	for (uint32_t i = 0; i < b->nr; i++, row += s->nr_fields) {
		uint64_t time = row[s->time_field];

		if (!i || time < last_ns || (has_cpu && row[s->cpu_field] != cpu)) {
			if (nr == MAX_RUNS)
				return 0;
			if (nr)
				runs[nr - 1].last_ns = last_ns;
			cpu = has_cpu ? row[s->cpu_field] : 0;
			runs[nr++] = (struct run){ .cpu = cpu, .first_ns = time, .row = i };
		}
		last_ns = time;
	}
	runs[nr - 1].last_ns = last_ns;
	for (size_t i = 0; i < nr; i++)
		runs[i].nr = (i + 1 < nr ? runs[i + 1].row : b->nr) - runs[i].row;
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
	const uint64_t *row = b->rows;
	uint32_t top = 0;

	b->first_ns = UINT64_MAX;
	for (uint32_t i = 0; i < b->nr; i++, row += b->source->nr_fields) {
		uint64_t time = row[b->source->time_field], cpu = cpu_of(b, i);

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

int writer_batch_order(struct writer_batch *b, struct writer_order *o)
{
	struct run runs[MAX_RUNS];
	size_t nr_runs;
	int err = b->is_ordered ? 0 : grow(o, b);

	if (err || b->is_ordered)
		return err;
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

/* --- losses ---------------------------------------------------------------------------- */

static uint64_t hits_of(const struct writer_source *s, const uint64_t *row)
{
	return s->count_field < s->nr_fields ? row[s->count_field] : 1;
}

uint64_t writer_batch_hits(const struct writer_batch *b)
{
	uint64_t hits = 0;

	for (uint32_t i = 0; i < b->nr; i++)
		hits += hits_of(b->source, writer_batch_row(b, i));
	return hits;
}

int writer_batch_losses(const struct writer_batch *b, struct writer_rows *r)
{
	const struct writer_source *s = b->source;
	int err = 0;

	for (uint32_t first = 0, past; first < b->nr && !err; first = past) {
		uint64_t cells[6] = { UINT64_MAX, 0, 0, s->event, LOSS_OUTPUT, 0 };

		for (past = first; past < b->nr; past++) {
			const uint64_t *row = writer_batch_row(b, past);
			uint64_t time = row[s->time_field];
			uint64_t cpu = s->cpu_field < s->nr_fields ? row[s->cpu_field] : NO_CPU;

			if (past > first && cpu != cells[LOSS_CPU - 1])
				break;
			cells[LOSS_CPU - 1] = cpu;
			if (time < cells[LOSS_FIRST - 1])
				cells[LOSS_FIRST - 1] = time;
			cells[LOSS_LAST - 1] = time;
			cells[LOSS_COUNT - 1] += hits_of(s, row);
		}
		err = writer_rows_add(r, ROWS_LOSS, cells);
	}
	return err;
}
