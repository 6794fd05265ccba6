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

static struct latency_top *find(struct latency_tops *t, const struct latency_top *what)
{
	uint32_t i = hash_of(what) & (t->nr_slots - 1);

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

/* Twice the room; or as much, without what has up to least_ns. */
static int make_room(struct latency_tops *t)
{
	bool is_full = t->nr_slots == LATENCY_TOPS_SLOTS;
	uint64_t least_ns = is_full ? middle_of(t) : 0;
	struct latency_tops bigger = { .nr_slots = t->nr_slots ? 2 * t->nr_slots : FIRST_SLOTS };

	if (is_full)
		bigger.nr_slots = t->nr_slots;
	bigger.slots = calloc(bigger.nr_slots, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	bigger.dropped_ns = t->dropped_ns;
	bigger.nr_dropped = t->nr_dropped;
	for (uint32_t i = 0; i < t->nr_slots; i++) {
		const struct latency_top *e = &t->slots[i];

		if (!e->count)
			continue;
		if (is_full && e->ns <= least_ns) {
			bigger.dropped_ns += e->ns;
			bigger.nr_dropped++;
			continue;
		}
		*find(&bigger, e) = *e;
		bigger.nr++;
	}
	free(t->slots);
	*t = bigger;
	return 0;
}

int latency_tops_add(struct latency_tops *t, const struct latency_top *what)
{
	struct latency_top *e;

	if (4 * (t->nr + 1) > 3 * t->nr_slots && make_room(t))
		return -ENOMEM;
	e = find(t, what);
	if (!e->count) {
		t->nr++;
		*e = *what;
		return 0;
	}
	e->ns += what->ns;
	e->count += e->count < UINT32_MAX - what->count ? what->count : 0;
	return 0;
}

static int compare_waits(const void *a, const void *b)
{
	const struct latency_top *x = a, *y = b;

	if (x->wait != y->wait)
		return x->wait < y->wait ? -1 : 1;
	if (x->ns != y->ns)
		return x->ns > y->ns ? -1 : 1;
	if (x->stack != y->stack)
		return x->stack < y->stack ? -1 : 1;
	if (x->waker_stack != y->waker_stack)
		return x->waker_stack < y->waker_stack ? -1 : 1;
	return x->waker < y->waker ? -1 : x->waker > y->waker;
}

void latency_tops_sort(struct latency_tops *t)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; i < t->nr_slots; i++)
		if (t->slots[i].count)
			t->slots[nr++] = t->slots[i];
	if (nr)
		qsort(t->slots, nr, sizeof(*t->slots), compare_waits);
	t->nr = nr;
}

const struct latency_top *latency_tops_of(const struct latency_tops *t, uint32_t wait, size_t *nr)
{
	uint32_t low = 0, high = t->nr, end;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (t->slots[mid].wait < wait)
			low = mid + 1;
		else
			high = mid;
	}
	for (end = low; end < t->nr && t->slots[end].wait == wait; end++)
		;
	*nr = end - low;
	return t->slots + low;
}
