#include "format/table_links.h"

#include <stdlib.h>
#include <string.h>

#define LEAST_SLOTS 256
#define SLOTS_OF_A_ROW 4

void table_links_clear(struct table_links *l)
{
	l->time = 0;
	memset(l->keys, 0, sizeof(l->keys));
	memset(l->group_keys, 0, sizeof(l->group_keys));
}

void table_links_release(struct table_links *l)
{
	free(l->order);
	free(l->places);
	free(l->merged);
	free(l->slots);
	free(l->groups);
	free(l->ends);
	for (size_t i = 0; i < TABLE_LINKS_KEYS; i++)
		free(l->before[i]);
	for (size_t i = 0; i < TABLE_LINKS_GROUPINGS; i++)
		free(l->places_of[i]);
	memset(l, 0, sizeof(*l));
}

static bool grow(struct table_links *l, size_t nr)
{
	size_t cap_slots = LEAST_SLOTS;
	bool ok;

	if (nr <= l->cap)
		return true;
	while (cap_slots < SLOTS_OF_A_ROW * nr)
		cap_slots *= 2;
	table_links_release(l);
	l->order = malloc(nr * sizeof(*l->order));
	l->places = malloc(nr * sizeof(*l->places));
	l->merged = malloc(nr * sizeof(*l->merged));
	l->slots = malloc(cap_slots * sizeof(*l->slots));
	l->groups = malloc(nr * sizeof(*l->groups));
	l->ends = malloc(nr * sizeof(*l->ends));
	ok = l->order && l->places && l->merged && l->slots && l->groups && l->ends;
	for (size_t i = 0; i < TABLE_LINKS_KEYS; i++) {
		l->before[i] = malloc(nr * sizeof(*l->before[i]));
		ok = ok && l->before[i];
	}
	for (size_t i = 0; i < TABLE_LINKS_GROUPINGS; i++) {
		l->places_of[i] = malloc(nr * sizeof(*l->places_of[i]));
		ok = ok && l->places_of[i];
	}
	if (!ok) {
		table_links_release(l);
		return false;
	}
	l->cap = nr;
	l->cap_slots = cap_slots;
	return true;
}

static size_t run_end(const struct table_links_place *p, size_t first, size_t nr)
{
	size_t i = first + 1;

	while (i < nr && p[i - 1].time <= p[i].time)
		i++;
	return i < nr ? i : nr;
}

/*
 * From both ends, which do not wait for each other: the first half of what comes out is
 * taken from the beginnings of the two runs, the second half from their ends.
 */
static void merge_runs(const struct table_links_place *p, size_t begin, size_t middle, size_t end,
		       struct table_links_place *to)
{
	size_t x = begin, y = middle, x_end = middle, y_end = end, at = begin, at_end = end;

	while (x < x_end && y < y_end) {
		bool first = p[x].time <= p[y].time;
		bool last = p[x_end - 1].time <= p[y_end - 1].time;

		to[at++] = p[first ? x : y];
		to[--at_end] = p[(last ? y_end : x_end) - 1];
		x += first;
		y += !first;
		y_end -= last;
		x_end -= !last;
	}
	memcpy(to + at, p + x, (x_end - x) * sizeof(*to));
	memcpy(to + at + (x_end - x), p + y, (y_end - y) * sizeof(*to));
}

/* Rows stand CPU by CPU, in time order each: few runs, which are merged in pairs. */
static void sort_rows(struct table_links *l, const uint64_t *time, size_t nr)
{
	struct table_links_place *swap;

	for (size_t i = 0; i < nr; i++)
		l->places[i] = (struct table_links_place){ time[i], (uint32_t)i };
	while (run_end(l->places, 0, nr) < nr) {
		for (size_t at = 0, middle, end; at < nr; at = end) {
			middle = run_end(l->places, at, nr);
			end = middle < nr ? run_end(l->places, middle, nr) : nr;
			merge_runs(l->places, at, middle, end, l->merged);
		}
		swap = l->places;
		l->places = l->merged;
		l->merged = swap;
	}
	for (size_t i = 0; i < nr; i++)
		l->order[i] = l->places[i].row;
}

/* Where the last row of that key is noted: in slots that are all 0 at first. */
static uint32_t *slot_of(struct table_links *l, size_t mask, const uint64_t *key, uint32_t row)
{
	size_t at = (size_t)(key[row] * UINT64_C(0x9e3779b97f4a7c15) >> 40) & mask;

	while (l->slots[at] && key[l->slots[at] - 1] != key[row])
		at = (at + 1) & mask;
	return &l->slots[at];
}

/*
 * Makes slots for these keys: as many as mask + 1, of a hash, or more than the greatest key.
 * Whether they are such small numbers, as ids are, which need no hash.
 */
static bool begin_slots(struct table_links *l, const uint64_t *key, size_t nr, size_t *mask)
{
	size_t slots = LEAST_SLOTS, i = 0;
	uint64_t all = 0, others[3] = { 0 };

	for (; i + 4 <= nr; i += 4) {
		all |= key[i];
		others[0] |= key[i + 1];
		others[1] |= key[i + 2];
		others[2] |= key[i + 3];
	}
	for (; i < nr; i++)
		all |= key[i];
	all |= others[0] | others[1] | others[2];
	while (slots < SLOTS_OF_A_ROW * nr)
		slots *= 2;
	*mask = all < slots ? (size_t)all : slots - 1;
	memset(l->slots, 0, (*mask + 1) * sizeof(*l->slots));
	return all < slots;
}

static void link_rows(struct table_links *l, const uint64_t *key, size_t nr, uint32_t *before)
{
	size_t mask;
	bool is_small = begin_slots(l, key, nr, &mask);

	for (size_t i = 0; i < nr; i++) {
		uint32_t row = l->order[i];
		uint32_t *slot = is_small ? &l->slots[key[row]] : slot_of(l, mask, key, row);

		before[row] = *slot ? *slot - 1 : TABLE_LINKS_NONE;
		*slot = row + 1;
	}
}

const uint32_t *table_links_before(struct table_links *l, uint32_t time_id, const uint64_t *time,
				   uint32_t key_id, const uint64_t *key, size_t nr)
{
	size_t k = 0;

	if (!grow(l, nr))
		return NULL;
	if (!l->time || l->time != time_id || l->nr != nr) {
		table_links_clear(l);
		sort_rows(l, time, nr);
		l->time = time_id;
		l->nr = nr;
	}
	while (k < TABLE_LINKS_KEYS && (!l->keys[k] || l->keys[k] != key_id))
		k++;
	if (k < TABLE_LINKS_KEYS)
		return l->before[k];
	k = l->next_key++ % TABLE_LINKS_KEYS;
	link_rows(l, key, nr, l->before[k]);
	l->keys[k] = key_id;
	return l->before[k];
}

/* Keys below the number of slots are counted where they are. */
static void group_small(uint32_t *slots, size_t nr_slots, const uint64_t *key, size_t nr,
			uint32_t *places)
{
	uint32_t at = 0;

	for (size_t i = 0; i < nr; i++)
		slots[key[i]]++;
	for (size_t k = 0; k < nr_slots && at < nr; k++) {
		uint32_t size = slots[k];

		slots[k] = at;
		at += size;
	}
	for (size_t i = 0; i < nr; i++)
		places[i] = slots[key[i]]++;
}

static int compare_keys(const void *x, const void *y)
{
	const struct table_links_place *a = x, *b = y;

	return (a->time > b->time) - (a->time < b->time);
}

/* Others get numbers first; only keys that differ are sorted. */
static void group_large(struct table_links *l, size_t mask, const uint64_t *key, size_t nr,
			uint32_t *places)
{
	uint32_t nr_groups = 0, at = 0;

	for (uint32_t i = 0; i < nr; i++) {
		uint32_t *slot = slot_of(l, mask, key, i);

		if (!*slot) {
			*slot = i + 1;
			l->merged[nr_groups] = (struct table_links_place){ .time = key[i], .row = nr_groups };
			l->groups[i] = nr_groups;
			l->ends[nr_groups++] = 0;
		}
		l->groups[i] = l->groups[*slot - 1];
		l->ends[l->groups[i]]++;
	}
	qsort(l->merged, nr_groups, sizeof(*l->merged), compare_keys);
	for (uint32_t g = 0; g < nr_groups; g++) {
		uint32_t *end = &l->ends[l->merged[g].row], size = *end;

		*end = at;
		at += size;
	}
	for (size_t i = 0; i < nr; i++)
		places[i] = l->ends[l->groups[i]]++;
}

static void group_rows(struct table_links *l, const uint64_t *key, size_t nr, uint32_t *places)
{
	size_t mask;

	if (begin_slots(l, key, nr, &mask))
		group_small(l->slots, mask + 1, key, nr, places);
	else
		group_large(l, mask, key, nr, places);
}

const uint32_t *table_links_places(struct table_links *l, uint32_t key_id, const uint64_t *key,
				   size_t nr)
{
	size_t k = 0;

	if (!grow(l, nr))
		return NULL;
	while (k < TABLE_LINKS_GROUPINGS && (!l->group_keys[k] || l->group_keys[k] != key_id))
		k++;
	if (k < TABLE_LINKS_GROUPINGS)
		return l->places_of[k];
	k = l->next_group_key++ % TABLE_LINKS_GROUPINGS;
	group_rows(l, key, nr, l->places_of[k]);
	l->group_keys[k] = key_id;
	return l->places_of[k];
}
