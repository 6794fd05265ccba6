#include "format/intern.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SLOTS 256

/* Multiply and fold, the mixing step of wyhash and its kin. */
static uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t x = (a ^ UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);

	x ^= x >> 32;
	x = (x ^ b) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 29);
}

static uint32_t hash_bytes(uint64_t seed, const uint8_t *at, size_t len)
{
	uint64_t h = mix(seed, len), word;

	for (; len >= sizeof(word); at += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		h = mix(h, word);
	}
	word = 0;
	memcpy(&word, at, len);
	h = mix(h, word);
	return (uint32_t)(h ^ (h >> 32));
}

/* Keeps at most two thirds of the slots in use. */
static int index_grow(struct intern_index *x, uint32_t nr_used)
{
	size_t nr = x->nr_slots ? x->nr_slots * 2 : FIRST_SLOTS;
	struct intern_slot *slots;

	if ((uint64_t)nr_used * 3 < (uint64_t)x->nr_slots * 2)
		return 0;
	slots = calloc(nr, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < x->nr_slots; i++) {
		size_t at = x->slots[i].hash & (nr - 1);

		if (!x->slots[i].id)
			continue;
		while (slots[at].id)
			at = (at + 1) & (nr - 1);
		slots[at] = x->slots[i];
	}
	free(x->slots);
	x->slots = slots;
	x->nr_slots = nr;
	return 0;
}

/* Room for one more entry behind entry nr - 1; NULL, and nothing changed, if there is none. */
static void *entries_grow(void *by_id, uint32_t nr, uint32_t *cap, size_t entry_bytes)
{
	uint32_t want = *cap ? *cap * 2 : FIRST_SLOTS;

	if (nr < *cap)
		return by_id;
	by_id = realloc(by_id, want * entry_bytes);
	if (by_id)
		*cap = want;
	return by_id;
}

void intern_pairs_init(struct intern_pairs *p)
{
	memset(p, 0, sizeof(*p));
	p->nr = 1;
}

void intern_pairs_release(struct intern_pairs *p)
{
	free(p->index.slots);
	free(p->by_id);
	intern_pairs_init(p);
}

uint32_t intern_pair(struct intern_pairs *p, uint64_t a, uint64_t b)
{
	uint64_t h = mix(a, b);
	uint32_t hash = (uint32_t)(h ^ (h >> 32));
	struct intern_pair *by_id;
	size_t at;

	if (index_grow(&p->index, p->nr))
		return 0;
	for (at = hash & (p->index.nr_slots - 1); p->index.slots[at].id;
	     at = (at + 1) & (p->index.nr_slots - 1)) {
		const struct intern_slot *slot = &p->index.slots[at];

		if (slot->hash == hash && p->by_id[slot->id].a == a && p->by_id[slot->id].b == b)
			return slot->id;
	}
	by_id = p->nr <= BLOCK_MAX_ID ?
		entries_grow(p->by_id, p->nr, &p->cap, sizeof(*by_id)) : NULL;
	if (!by_id)
		return 0;
	p->by_id = by_id;
	p->by_id[p->nr] = (struct intern_pair){ a, b };
	p->index.slots[at] = (struct intern_slot){ p->nr, hash };
	return p->nr++;
}

void intern_strings_init(struct intern_strings *s)
{
	memset(s, 0, sizeof(*s));
	arena_init(&s->texts);
	s->nr = 1;
}

void intern_strings_release(struct intern_strings *s)
{
	free(s->index.slots);
	free(s->by_id);
	arena_release(&s->texts);
	intern_strings_init(s);
}

static bool same_string(const struct intern_string *s, uint8_t class, const void *text,
			uint32_t len_bytes)
{
	return s->class == class && s->len_bytes == len_bytes &&
	       !memcmp(s->text, text, len_bytes);
}

uint32_t intern_string(struct intern_strings *s, uint8_t class, const void *text,
		       uint32_t len_bytes)
{
	uint32_t hash = hash_bytes(class, text, len_bytes);
	struct intern_string *by_id;
	const char *copy;
	size_t at;

	if (index_grow(&s->index, s->nr - s->base))
		return 0;
	for (at = hash & (s->index.nr_slots - 1); s->index.slots[at].id;
	     at = (at + 1) & (s->index.nr_slots - 1)) {
		const struct intern_slot *slot = &s->index.slots[at];

		if (slot->hash == hash &&
		    same_string(&s->by_id[slot->id - s->base], class, text, len_bytes))
			return slot->id;
	}
	by_id = s->nr <= BLOCK_MAX_ID ?
		entries_grow(s->by_id, s->nr - s->base, &s->cap, sizeof(*by_id)) : NULL;
	if (!by_id)
		return 0;
	s->by_id = by_id;
	copy = arena_text(&s->texts, text, len_bytes);
	if (!copy)
		return 0;
	if (s->nr - s->base == 1)
		s->by_id[0] = (struct intern_string){ "", 0, 0 };
	s->by_id[s->nr - s->base] = (struct intern_string){ copy, len_bytes, class };
	s->index.slots[at] = (struct intern_slot){ s->nr, hash };
	return s->nr++;
}

const struct intern_string *intern_string_at(const struct intern_strings *s, uint64_t id)
{
	return id > s->base && id < s->nr ? &s->by_id[id - s->base] : NULL;
}

size_t intern_strings_bytes(const struct intern_strings *s)
{
	return s->texts.used_bytes + s->cap * sizeof(*s->by_id) +
	       s->index.nr_slots * sizeof(*s->index.slots);
}

void intern_strings_forget(struct intern_strings *s)
{
	uint32_t nr = s->nr;

	intern_strings_release(s);
	s->nr = nr;
	s->base = nr - 1;
}
