#include "report/latency_tops.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SLOTS 1024
#define SAMPLES 255

void latency_tops_release(struct latency_tops *t)
{
	free(t->slots);
	free(t->place);
	*t = (struct latency_tops) { 0 };
}

static uint32_t hash_of(const struct latency_top *e)
{
	uint64_t h = ((uint64_t)e->stack << 32 | e->waker_stack) * UINT64_C(0x9e3779b97f4a7c15);

	h ^= h >> 29;
	h += (uint64_t)e->wait << 32 | e->waker << 3 | e->context;
	h *= UINT64_C(0xbf58476d1ce4e5b9);
	return (uint32_t)(h >> 32);
}

static bool is_same(const struct latency_top *a, const struct latency_top *b)
{
	return a->stack == b->stack && a->waker_stack == b->waker_stack && a->wait == b->wait &&
	       a->waker == b->waker && a->context == b->context;
}

static struct latency_top *find(struct latency_tops *t, const struct latency_top *what,
				uint32_t hash)
{
	uint32_t i = hash & (t->nr_slots - 1);

	while (t->slots[i].count && !is_same(&t->slots[i], what))
		i = (i + 1) & (t->nr_slots - 1);
	return &t->slots[i];
}

static int compare_ns(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* About the median, of a sample. */
static uint64_t middle_of(const struct latency_tops *t)
{
	uint64_t ns[SAMPLES];
	uint32_t nr = 0, step = t->nr_slots / SAMPLES;

	for (uint32_t i = 0; i < t->nr_slots && nr < SAMPLES; i += step) {
		uint32_t at = i;

		while (at < t->nr_slots && at < i + step && !t->slots[at].count)
			at++;
		if (at < t->nr_slots && t->slots[at].count)
			ns[nr++] = t->slots[at].ns;
	}
	qsort(ns, nr, sizeof(*ns), compare_ns);
	return nr ? ns[nr / 2] : UINT64_MAX;
}

static void put(struct latency_tops *t, const struct latency_top *from, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		if (from[i].count)
			*find(t, &from[i], hash_of(&from[i])) = from[i];
}

static int double_room(struct latency_tops *t)
{
	struct latency_top *old = t->slots;
	uint32_t nr_old = t->nr_slots, nr = nr_old ? 2 * nr_old : FIRST_SLOTS;

	t->slots = calloc(nr, sizeof(*t->slots));
	if (!t->slots) {
		t->slots = old;
		return -ENOMEM;
	}
	t->nr_slots = nr;
	put(t, old, nr_old);
	free(old);
	return 0;
}

/* Lets those go that have up to least_ns; those that stay are put aside, and back. */
static int let_go(struct latency_tops *t, uint64_t least_ns)
{
	struct latency_top *aside;
	uint32_t nr = 0;

	for (uint32_t i = 0; i < t->nr_slots; i++)
		nr += t->slots[i].count && t->slots[i].ns > least_ns;
	aside = malloc(((size_t)nr + 1) * sizeof(*aside));
	if (!aside)
		return -ENOMEM;
	nr = 0;
	for (uint32_t i = 0; i < t->nr_slots; i++) {
		const struct latency_top *e = &t->slots[i];

		if (e->count && e->ns > least_ns) {
			aside[nr++] = *e;
		} else if (e->count) {
			t->dropped_ns += e->ns;
			t->nr_dropped++;
		}
	}
	memset(t->slots, 0, t->nr_slots * sizeof(*t->slots));
	put(t, aside, nr);
	t->nr = nr;
	free(aside);
	return 0;
}

static int make_room(struct latency_tops *t)
{
	return t->nr_slots < LATENCY_TOPS_SLOTS ? double_room(t) : let_go(t, middle_of(t));
}

static int add(struct latency_tops *t, const struct latency_top *what, uint32_t hash)
{
	struct latency_top *e;

	if (4 * (t->nr + 1) > 3 * t->nr_slots && make_room(t))
		return -ENOMEM;
	e = find(t, what, hash);
	if (!e->count) {
		t->nr++;
		*e = *what;
		return 0;
	}
	e->ns += what->ns;
	e->count += e->count < UINT32_MAX - what->count ? what->count : 0;
	return 0;
}

static int add_queue(struct latency_tops *t)
{
	int err = 0;

	for (uint32_t i = 0; i < t->nr_queued && !err; i++)
		err = add(t, &t->queue[i], t->hashes[i]);
	t->nr_queued = 0;
	return err;
}

int latency_tops_add(struct latency_tops *t)
{
	uint32_t hash = hash_of(&t->queue[t->nr_queued]);

	if (t->slots)
		__builtin_prefetch(&t->slots[hash & (t->nr_slots - 1)], 1);
	t->hashes[t->nr_queued++] = hash;
	return t->nr_queued == LATENCY_TOPS_QUEUE ? add_queue(t) : 0;
}

/* --- the end ----------------------------------------------------------------------------- */

/* Those that are, without the free slots between them. */
static void close_up(struct latency_tops *t)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; i < t->nr_slots; i++)
		if (t->slots[i].count)
			t->slots[nr++] = t->slots[i];
	t->nr_slots = 0;
}

/* Puts them in order by wait, where they are: each is swapped to its place. */
static void sort_by_wait(struct latency_tops *t, uint32_t *next)
{
	for (uint32_t wait = 0; wait < t->nr_waits; wait++) {
		while (next[wait] < t->place[wait]) {
			struct latency_top *at = &t->slots[next[wait]], moved = *at;

			if (moved.wait == wait) {
				next[wait]++;
				continue;
			}
			*at = t->slots[next[moved.wait]];
			t->slots[next[moved.wait]++] = moved;
		}
	}
}

int latency_tops_sort(struct latency_tops *t, uint32_t nr_waits)
{
	uint32_t *next, sum = 0;

	if (add_queue(t))
		return -ENOMEM;
	next = calloc((size_t)nr_waits + 1, sizeof(*next));
	t->place = calloc((size_t)nr_waits + 1, sizeof(*t->place));
	if (!t->place || !next) {
		free(next);
		return -ENOMEM;
	}
	close_up(t);
	t->nr_waits = nr_waits;
	for (uint32_t i = 0; i < t->nr; i++)
		t->place[t->slots[i].wait]++;
	for (uint32_t i = 0; i < nr_waits; i++) {
		next[i] = sum;
		sum += t->place[i];
		t->place[i] = sum;
	}
	sort_by_wait(t, next);
	free(next);
	return 0;
}

static int compare_tops(const void *a, const void *b)
{
	const struct latency_top *x = a, *y = b;

	if (x->ns != y->ns)
		return x->ns > y->ns ? -1 : 1;
	if (x->stack != y->stack)
		return x->stack < y->stack ? -1 : 1;
	if (x->waker_stack != y->waker_stack)
		return x->waker_stack < y->waker_stack ? -1 : 1;
	if (x->waker != y->waker)
		return x->waker < y->waker ? -1 : 1;
	return x->context < y->context ? -1 : x->context > y->context;
}

const struct latency_top *latency_tops_of(struct latency_tops *t, uint32_t wait, size_t *nr)
{
	uint32_t from;

	*nr = 0;
	if (wait >= t->nr_waits || !t->nr)
		return t->slots;
	from = wait ? t->place[wait - 1] : 0;
	*nr = t->place[wait] - from;
	if (*nr > 1)
		qsort(t->slots + from, *nr, sizeof(*t->slots), compare_tops);
	return t->slots + from;
}
