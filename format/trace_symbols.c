#include "format/trace_private.h"

#include <stdlib.h>
#include <string.h>

/* How many symbols that begin before an offset are asked whether they cover it. */
#define MAX_STEPS_BACK 64

static const struct trace_symbol_row *row_of(const struct trace *t, uint32_t row)
{
	return trace_array_get(&t->symbols, row);
}

static int compare_keys(const void *a, const void *b)
{
	const struct trace_symbol_key *x = a, *y = b;

	if (x->module != y->module)
		return x->module < y->module ? -1 : 1;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->row < y->row ? -1 : x->row > y->row;
}

/* A symbol without a size reaches to the next one. */
static uint64_t end_of(const struct trace *t, const struct trace_symbol_key *k,
		       const struct trace_symbol_key *next)
{
	uint64_t size = row_of(t, k->row)->symbol.size_bytes;

	if (!size)
		return next && next->module == k->module ? next->start : UINT64_MAX;
	return size < UINT64_MAX - k->start ? k->start + size : UINT64_MAX;
}

/* Of those with the same start the last row wins. */
static size_t drop_overridden(struct trace_symbol_key *keys, size_t nr)
{
	size_t kept = 0;

	for (size_t i = 0; i < nr; i++)
		if (i + 1 == nr || keys[i].module != keys[i + 1].module ||
		    keys[i].start != keys[i + 1].start)
			keys[kept++] = keys[i];
	return kept;
}

static bool sort_keys(struct trace *t)
{
	size_t nr = t->symbols.nr - 1;
	struct trace_symbol_key *keys = realloc(t->keys, nr * sizeof(*keys));

	if (!keys)
		return false;
	t->keys = keys;
	for (uint32_t i = 0; i < nr; i++) {
		const struct trace_symbol_row *r = row_of(t, i + 1);

		keys[i] = (struct trace_symbol_key){ r->symbol.start, 0, r->module, i + 1 };
	}
	qsort(keys, nr, sizeof(*keys), compare_keys);
	t->nr_keys = drop_overridden(keys, nr);
	for (size_t i = 0; i < t->nr_keys; i++) {
		uint64_t end = end_of(t, &keys[i], i + 1 < t->nr_keys ? &keys[i + 1] : NULL);

		keys[i].max_end = end;
		if (i && keys[i - 1].module == keys[i].module && keys[i - 1].max_end > end)
			keys[i].max_end = keys[i - 1].max_end;
	}
	t->nr_sorted = t->symbols.nr;
	return true;
}

const struct trace_symbol *trace_symbol(struct trace *t, uint32_t module, uint64_t offset)
{
	size_t low = 0, high;

	if (t->symbols.nr <= 1 || (t->nr_sorted != t->symbols.nr && !sort_keys(t)))
		return NULL;
	high = t->nr_keys;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct trace_symbol_key *k = &t->keys[middle];

		if (k->module < module || (k->module == module && k->start <= offset))
			low = middle + 1;
		else
			high = middle;
	}
	for (size_t i = low, steps = 0; i-- > 0 && steps < MAX_STEPS_BACK; steps++) {
		const struct trace_symbol_key *k = &t->keys[i];

		if (k->module != module || k->max_end <= offset)
			break;
		if (end_of(t, k, i + 1 < t->nr_keys ? k + 1 : NULL) > offset)
			return &row_of(t, k->row)->symbol;
	}
	return NULL;
}
