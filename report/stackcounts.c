#include "report/stackcounts.h"

#include <errno.h>
#include <stdlib.h>

#define FIRST_ENTRIES 1024

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

/* Where the entry is named, or belongs. */
static uint32_t *find_slot(const struct stackcounts *l, const struct stacksum_entry *key)
{
	uint64_t at = (uint64_t)key->group << 32 | key->stack;

	if (key->chain | key->part)
		at ^= mix((uint64_t)key->chain << 8 | key->part);
	for (at = mix(at);; at++) {
		uint32_t *slot = &l->slots[at & (l->cap * 2 - 1)];

		if (!*slot || same(&l->list[*slot - 1], key))
			return slot;
	}
}

static int grow(struct stackcounts *l)
{
	struct stackcounts bigger = { .cap = l->cap ? l->cap * 2 : FIRST_ENTRIES, .nr = l->nr };

	if (bigger.cap > UINT32_MAX / 2)
		return -ENOMEM;
	bigger.slots = calloc(bigger.cap * 2, sizeof(*bigger.slots));
	bigger.list = bigger.slots ? realloc(l->list, bigger.cap * sizeof(*bigger.list)) : NULL;
	if (!bigger.list) {
		free(bigger.slots);
		return -ENOMEM;
	}
	for (size_t i = 0; i < l->cap * 2; i++)
		if (l->slots[i])
			*find_slot(&bigger, &bigger.list[l->slots[i] - 1]) = l->slots[i];
	free(l->slots);
	*l = bigger;
	return 0;
}

uint32_t stackcounts_find(const struct stackcounts *l, const struct stacksum_entry *key)
{
	return l->cap ? *find_slot(l, key) - 1 : STACKCOUNTS_NONE;
}

uint32_t stackcounts_get(struct stackcounts *l, const struct stacksum_entry *key,
			 uint32_t nr_parts)
{
	uint32_t *slot = l->cap ? find_slot(l, key) : NULL;

	if (slot && *slot)
		return *slot - 1;
	if (l->nr + nr_parts > l->cap) {
		if (grow(l))
			return STACKCOUNTS_NONE;
		slot = find_slot(l, key);
	}
	*slot = (uint32_t)l->nr + 1;
	for (uint32_t i = 0; i < nr_parts; i++)
		l->list[l->nr++] = (struct stacksum_entry) {
			.group = key->group, .stack = key->stack, .chain = key->chain,
			.part = key->part + i };
	return *slot - 1;
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

	for (size_t i = 0; i < l->nr; i++)
		if (l->list[i].count)
			l->list[nr++] = l->list[i];
	l->nr = nr;
	free(l->slots);
	l->slots = NULL;
	if (nr)
		qsort(l->list, nr, sizeof(*l->list), compare);
}

void stackcounts_release(struct stackcounts *l)
{
	free(l->list);
	free(l->slots);
	*l = (struct stackcounts) { .list = NULL };
}
