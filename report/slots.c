#include "report/slots.h"

#include <errno.h>
#include <stdlib.h>

#define FIRST_SLOTS 4

void slots_release(struct slots *s)
{
	free(s->table);
	*s = (struct slots) { 0 };
}

/* Neighbours share a cache line; keys that are a power of two apart are spread. */
static inline uint32_t place_of(const struct slots *s, int64_t key)
{
	uint64_t k = (uint64_t)key;

	return (uint32_t)(k + (k >> 6) * 17) & (s->nr_slots - 1);
}

static int grow(struct slots *s)
{
	struct slots bigger = {
		.nr_slots = s->nr_slots ? s->nr_slots * 2 : FIRST_SLOTS, .nr_used = s->nr_used,
	};

	bigger.table = bigger.nr_slots ? calloc(bigger.nr_slots, sizeof(*bigger.table)) : NULL;
	if (!bigger.table)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->nr_slots; i++) {
		uint32_t at;

		if (!s->table[i].count)
			continue;
		at = place_of(&bigger, s->table[i].key);
		while (bigger.table[at].count)
			at = (at + 1) & (bigger.nr_slots - 1);
		bigger.table[at] = s->table[i];
	}
	free(s->table);
	*s = bigger;
	return 0;
}

int slots_add(struct slots *s, int64_t key, uint64_t count)
{
	uint32_t at;

	if (!count)
		return 0;
	if (s->nr_used >= s->nr_slots / 2 && grow(s))
		return -ENOMEM;
	at = place_of(s, key);
	while (s->table[at].count && s->table[at].key != key)
		at = (at + 1) & (s->nr_slots - 1);
	s->nr_used += !s->table[at].count;
	s->table[at].key = key;
	/* Counts of a damaged file may be anything, but never 0 again. */
	if (count > UINT64_MAX - s->table[at].count)
		count = UINT64_MAX - s->table[at].count;
	s->table[at].count += count;
	return 0;
}

static int by_key(const void *a, const void *b)
{
	const struct slot *x = a, *y = b;

	return (x->key > y->key) - (x->key < y->key);
}

struct slot *slots_sorted(const struct slots *s)
{
	struct slot *list = malloc(((size_t)s->nr_used + 1) * sizeof(*list));
	size_t nr = 0;

	if (!list)
		return NULL;
	for (uint32_t i = 0; i < s->nr_slots; i++)
		if (s->table[i].count)
			list[nr++] = s->table[i];
	qsort(list, nr, sizeof(*list), by_key);
	return list;
}
