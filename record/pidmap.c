#include "record/pidmap.h"

#include <errno.h>
#include <stdlib.h>

/* Fibonacci hashing (Knuth, TAOCP 6.4): pids are dense, this spreads them. */
static size_t home(const struct pidmap *m, uint32_t key)
{
	return (size_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (m->cap - 1);
}

void pidmap_init(struct pidmap *m)
{
	*m = (struct pidmap){ 0 };
}

void pidmap_release(struct pidmap *m)
{
	free(m->slots);
	pidmap_init(m);
}

static struct pidmap_slot *slot_of(const struct pidmap *m, uint32_t key)
{
	size_t i = home(m, key);

	while (m->slots[i].value && m->slots[i].key != key)
		i = (i + 1) & (m->cap - 1);
	return &m->slots[i];
}

void *pidmap_get(const struct pidmap *m, uint32_t key)
{
	return m->cap ? slot_of(m, key)->value : NULL;
}

static int grow(struct pidmap *m)
{
	struct pidmap bigger = { .cap = m->cap ? m->cap * 2 : 64, .nr = m->nr };

	bigger.slots = calloc(bigger.cap, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < m->cap; i++)
		if (m->slots[i].value)
			*slot_of(&bigger, m->slots[i].key) = m->slots[i];
	free(m->slots);
	*m = bigger;
	return 0;
}

int pidmap_put(struct pidmap *m, uint32_t key, void *value)
{
	struct pidmap_slot *s;

	if (m->nr >= m->cap / 2 && grow(m) < 0)
		return -ENOMEM;
	s = slot_of(m, key);
	m->nr += !s->value;
	s->key = key;
	s->value = value;
	return 0;
}

/* Moves later entries of the run back, so that no tombstones are needed. */
void pidmap_remove(struct pidmap *m, uint32_t key)
{
	size_t hole, i;

	if (!pidmap_get(m, key))
		return;
	hole = (size_t)(slot_of(m, key) - m->slots);
	m->nr--;
	for (i = (hole + 1) & (m->cap - 1); m->slots[i].value; i = (i + 1) & (m->cap - 1)) {
		size_t wanted = home(m, m->slots[i].key);

		if (((i - wanted) & (m->cap - 1)) < ((i - hole) & (m->cap - 1)))
			continue;
		m->slots[hole] = m->slots[i];
		hole = i;
	}
	m->slots[hole].value = NULL;
}
