#include "format/table_links.h"

#include <stdlib.h>
#include <string.h>

#define LEAST_SLOTS 256
#define SLOTS_OF_A_ROW 8

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
	for (size_t i = 0; i < TABLE_LINKS_KEYS; i++)
		free(l->before[i]);
	for (size_t i = 0; i < TABLE_LINKS_GROUPINGS; i++)
		free(l->places_of[i]);
	memset(l, 0, sizeof(*l));
}

static bool grow(struct table_links *l, size_t nr)
{
	size_t cap_slots = SLOTS_OF_A_ROW * nr;
	bool ok;

	if (nr <= l->cap)
		return true;
	if (cap_slots < LEAST_SLOTS)
		cap_slots = LEAST_SLOTS;
	table_links_release(l);
	l->order = malloc(nr * sizeof(*l->order));
	l->places = malloc(nr * sizeof(*l->places));
	l->merged = malloc(nr * sizeof(*l->merged));
	l->slots = malloc(cap_slots * sizeof(*l->slots));
	l->groups = malloc(nr * sizeof(*l->groups));
	ok = l->order && l->places && l->merged && l->slots && l->groups;
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
	return true;
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
static void sort_rows(struct table_links *l, const uint64_t *time, uint32_t nr)
{
	uint32_t *starts = l->groups, nr_runs = 0;
	struct table_links_place *swap;

	for (uint32_t i = 0; i < nr; i++) {
		l->order[i] = i;
		if (!i || time[i] < time[i - 1])
			starts[nr_runs++] = i;
	}
	if (nr_runs == 1)
		return;
	for (uint32_t i = 0; i < nr; i++)
		l->places[i] = (struct table_links_place){ time[i], i };
	for (; nr_runs > 1; nr_runs = (nr_runs + 1) / 2) {
		for (uint32_t k = 0; k < nr_runs; k += 2) {
			uint32_t middle = k + 1 < nr_runs ? starts[k + 1] : nr;
			uint32_t end = k + 2 < nr_runs ? starts[k + 2] : nr;

			merge_runs(l->places, starts[k], middle, end, l->merged);
			starts[k / 2] = starts[k];
		}
		swap = l->places;
		l->places = l->merged;
		l->merged = swap;
	}
	for (uint32_t i = 0; i < nr; i++)
		l->order[i] = l->places[i].row;
}

static int compare_keys(const void *x, const void *y)
{
	const struct table_links_place *a = x, *b = y;

	if (a->time != b->time)
		return a->time < b->time ? -1 : 1;
	return a->row < b->row ? -1 : a->row > b->row;
}

/* Rows by key in l->merged, with the key in place of the time. */
static void sort_keys(struct table_links *l, const uint64_t *key, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		l->merged[i] = (struct table_links_place){ key[i], (uint32_t)i };
	qsort(l->merged, nr, sizeof(*l->merged), compare_keys);
}

/*
 * Makes slots for these keys if they are small numbers, as ids are: then how many, else 0.
 * A hash of others could be made slow by a file, sorting cannot.
 */
static size_t begin_slots(struct table_links *l, const uint64_t *key, size_t nr)
{
	uint64_t all = 0, others[3] = { 0 };
	size_t i = 0;

	for (; i + 4 <= nr; i += 4) {
		all |= key[i];
		others[0] |= key[i + 1];
		others[1] |= key[i + 2];
		others[2] |= key[i + 3];
	}
	for (; i < nr; i++)
		all |= key[i];
	all |= others[0] | others[1] | others[2];
	if (all >= LEAST_SLOTS && all >= SLOTS_OF_A_ROW * nr)
		return 0;
	memset(l->slots, 0, ((size_t)all + 1) * sizeof(*l->slots));
	return (size_t)all + 1;
}

static void link_small(const uint32_t *order, uint32_t *slots, const uint64_t *key, size_t nr,
		       uint32_t *before)
{
	for (size_t i = 0; i < nr; i++) {
		uint32_t row = order[i], *slot = &slots[key[row]];

		before[row] = *slot ? *slot - 1 : TABLE_LINKS_NONE;
		*slot = row + 1;
	}
}

/* The same with a number for each key, of which there are not more than rows. */
static void link_large(struct table_links *l, const uint64_t *key, size_t nr, uint32_t *before)
{
	uint32_t number = 0;

	sort_keys(l, key, nr);
	for (size_t i = 0; i < nr; i++) {
		number += i && l->merged[i].time != l->merged[i - 1].time;
		l->groups[l->merged[i].row] = number;
	}
	memset(l->slots, 0, nr * sizeof(*l->slots));
	for (size_t i = 0; i < nr; i++) {
		uint32_t row = l->order[i], *slot = &l->slots[l->groups[row]];

		before[row] = *slot ? *slot - 1 : TABLE_LINKS_NONE;
		*slot = row + 1;
	}
}

static void link_rows(struct table_links *l, const uint64_t *key, size_t nr, uint32_t *before)
{
	if (begin_slots(l, key, nr))
		link_small(l->order, l->slots, key, nr, before);
	else
		link_large(l, key, nr, before);
}

const uint32_t *table_links_before(struct table_links *l, uint32_t time_id, const uint64_t *time,
				   uint32_t key_id, const uint64_t *key, size_t nr)
{
	size_t k = 0;

	if (!grow(l, nr))
		return NULL;
	if (!l->time || l->time != time_id || l->nr != nr) {
		table_links_clear(l);
		sort_rows(l, time, (uint32_t)nr);
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

/* Keys are counted in their slots. */
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

static void group_rows(struct table_links *l, const uint64_t *key, size_t nr, uint32_t *places)
{
	size_t nr_slots = begin_slots(l, key, nr);

	if (nr_slots) {
		group_small(l->slots, nr_slots, key, nr, places);
		return;
	}
	sort_keys(l, key, nr);
	for (uint32_t i = 0; i < nr; i++)
		places[l->merged[i].row] = i;
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
