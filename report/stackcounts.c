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

/* What entries are sorted by, the least of it first. */
enum { KEY_CHAIN, KEY_STACK, KEY_PART, KEY_GROUP, NR_KEYS };

static uint32_t key_of(const struct stacksum_entry *e, int key)
{
	switch (key) {
	case KEY_CHAIN:
		return e->chain;
	case KEY_STACK:
		return e->stack;
	case KEY_PART:
		return e->part;
	default:
		return e->group;
	}
}

/* By one byte of a key; equal ones stay as they were. */
static void sort_by(const struct stacksum_entry *from, struct stacksum_entry *to, size_t nr,
		    int key, unsigned int shift)
{
	size_t at[257] = { 0 };

	for (size_t i = 0; i < nr; i++)
		at[(key_of(&from[i], key) >> shift & 0xff) + 1]++;
	for (size_t i = 0; i < 256; i++)
		at[i + 1] += at[i];
	for (size_t i = 0; i < nr; i++)
		to[at[key_of(&from[i], key) >> shift & 0xff]++] = from[i];
}

/* Which bits of the key are not the same in all. */
static uint32_t differing(const struct stacksum_entry *list, size_t nr, int key)
{
	uint32_t first = key_of(&list[0], key), bits = 0;

	for (size_t i = 1; i < nr; i++)
		bits |= key_of(&list[i], key) ^ first;
	return bits;
}

static int sort_list(struct stackcounts *l)
{
	struct stacksum_entry *other = malloc(l->nr * sizeof(*other)), *swap;

	if (!other)
		return -ENOMEM;
	for (int key = 0; key < NR_KEYS; key++) {
		uint32_t bits = differing(l->list, l->nr, key);

		for (unsigned int shift = 0; shift < 32; shift += 8) {
			if (!(bits >> shift & 0xff))
				continue;
			sort_by(l->list, other, l->nr, key, shift);
			swap = l->list;
			l->list = other;
			other = swap;
		}
	}
	free(other);
	return 0;
}

int stackcounts_sort(struct stackcounts *l)
{
	size_t nr = 0;

	for (size_t i = 0; i < l->nr; i++)
		if (l->list[i].count)
			l->list[nr++] = l->list[i];
	l->nr = nr;
	l->cap = 0;
	free(l->slots);
	l->slots = NULL;
	return nr ? sort_list(l) : 0;
}

void stackcounts_release(struct stackcounts *l)
{
	free(l->list);
	free(l->slots);
	*l = (struct stackcounts) { .list = NULL };
}
