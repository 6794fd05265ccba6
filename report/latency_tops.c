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
	struct latency_top *old = t->slots;
	uint32_t nr_old = t->nr_slots;

	if (!is_full)
		t->nr_slots = nr_old ? 2 * nr_old : FIRST_SLOTS;
	t->slots = calloc(t->nr_slots, sizeof(*t->slots));
	if (!t->slots) {
		t->slots = old;
		t->nr_slots = nr_old;
		return -ENOMEM;
	}
	t->nr = 0;
	for (uint32_t i = 0; i < nr_old; i++) {
		if (!old[i].count)
			continue;
		if (is_full && old[i].ns <= least_ns) {
			t->dropped_ns += old[i].ns;
			t->nr_dropped++;
			continue;
		}
		*find(t, &old[i]) = old[i];
		t->nr++;
	}
	free(old);
	return 0;
}

static int add(struct latency_tops *t, const struct latency_top *what)
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

static int add_queue(struct latency_tops *t)
{
	int err = 0;

	for (uint32_t i = 0; i < t->nr_queued && !err; i++)
		err = add(t, &t->queue[i]);
	t->nr_queued = 0;
	return err;
}

int latency_tops_add(struct latency_tops *t, const struct latency_top *what)
{
	if (t->slots)
		__builtin_prefetch(&t->slots[hash_of(what) & (t->nr_slots - 1)], 1);
	t->queue[t->nr_queued++] = *what;
	return t->nr_queued == LATENCY_TOPS_QUEUE ? add_queue(t) : 0;
}

/* Places by wait: those of wait i go to place[i] and up. */
static uint32_t *find_places(const struct latency_tops *t, uint32_t nr_waits)
{
	uint32_t *place = calloc((size_t)nr_waits + 1, sizeof(*place)), sum = 0;

	for (uint32_t i = 0; place && i < t->nr_slots; i++)
		if (t->slots[i].count)
			place[t->slots[i].wait]++;
	for (uint32_t i = 0; place && i <= nr_waits; i++) {
		uint32_t nr = place[i];

		place[i] = sum;
		sum += nr;
	}
	return place;
}

int latency_tops_sort(struct latency_tops *t, uint32_t nr_waits)
{
	struct latency_top *sorted;

	if (add_queue(t))
		return -ENOMEM;
	sorted = malloc(((size_t)t->nr + 1) * sizeof(*sorted));
	t->place = find_places(t, nr_waits);
	if (!t->place || !sorted) {
		free(sorted);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < t->nr_slots; i++)
		if (t->slots[i].count)
			sorted[t->place[t->slots[i].wait]++] = t->slots[i];
	free(t->slots);
	t->slots = sorted;
	t->nr_slots = 0;
	t->nr_waits = nr_waits;
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
	if (wait >= t->nr_waits)
		return t->slots;
	/* Each place has moved on to that of the next wait. */
	from = wait ? t->place[wait - 1] : 0;
	*nr = t->place[wait] - from;
	if (*nr > 1)
		qsort(t->slots + from, *nr, sizeof(*t->slots), compare_tops);
	return t->slots + from;
}
