#include "report/stackcounts.h"

#include <errno.h>
#include <stdlib.h>

#define FIRST_SLOTS 4096

static uint64_t mix(uint64_t x)
{
	x *= 0x9e3779b97f4a7c15u;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93u;
	return x ^ x >> 32;
}

static bool same(const struct stacksum_entry *a, const struct stacksum_entry *b)
{
	return a->stack == b->stack && a->group == b->group && a->chain == b->chain &&
	       a->part == b->part;
}

static struct stacksum_entry *find_slot(struct stackcounts *l, const struct stacksum_entry *key)
{
	uint64_t at = (uint64_t)key->group << 32 | key->stack;

	if (key->chain | key->part)
		at ^= mix((uint64_t)key->chain << 8 | key->part);
	for (at = mix(at);; at++) {
		struct stacksum_entry *e = &l->list[at & (l->cap - 1)];

		if (!e->count || same(e, key))
			return e;
	}
}

static int grow(struct stackcounts *l)
{
	struct stackcounts bigger = { .cap = l->cap ? l->cap * 2 : FIRST_SLOTS, .nr = l->nr };

	bigger.list = calloc(bigger.cap, sizeof(*bigger.list));
	if (!bigger.list)
		return -ENOMEM;
	for (size_t i = 0; i < l->cap; i++)
		if (l->list[i].count)
			*find_slot(&bigger, &l->list[i]) = l->list[i];
	free(l->list);
	*l = bigger;
	return 0;
}

bool stackcounts_has(struct stackcounts *l, const struct stacksum_entry *e)
{
	return l->cap && find_slot(l, e)->count;
}

int stackcounts_add(struct stackcounts *l, const struct stacksum_entry *e)
{
	struct stacksum_entry *slot;

	if (l->nr * 4 >= l->cap * 3 && grow(l))
		return -ENOMEM;
	slot = find_slot(l, e);
	if (!slot->count) {
		*slot = *e;
		l->nr++;
		return 0;
	}
	slot->records += e->records;
	slot->count += e->count;
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct stacksum_entry *x = a, *y = b;
	uint64_t m = (uint64_t)x->group << 32 | x->part, n = (uint64_t)y->group << 32 | y->part;

	if (m == n) {
		m = (uint64_t)x->stack << 32 | x->chain;
		n = (uint64_t)y->stack << 32 | y->chain;
	}
	return m < n ? -1 : m > n;
}

void stackcounts_sort(struct stackcounts *l)
{
	size_t nr = 0;

	for (size_t i = 0; i < l->cap; i++)
		if (l->list[i].count)
			l->list[nr++] = l->list[i];
	if (nr)
		qsort(l->list, nr, sizeof(*l->list), compare);
}

void stackcounts_release(struct stackcounts *l)
{
	free(l->list);
	*l = (struct stackcounts) { .list = NULL };
}
