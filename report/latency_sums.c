/*
 * What is added to rows: values of distributions, waits and wall clock.
 */
#include "report/latency_private.h"

#include <errno.h>
#include <stdlib.h>

/* Distributions with fewer values are the first to go, those with more never do. */
#define LEAST_COUNT 16
#define MOST_COUNT (1u << 20)

static void give_back(struct latency *l, struct latency_values **of, uint64_t least_count)
{
	struct latency_values *v = *of;

	if (!v || v == &l->gone || v->count >= least_count)
		return;
	l->remarks.nr_no_room += v->count;
	l->values_bytes -= sizeof(*v) + latency_values_bytes(v);
	latency_values_release(v);
	free(v);
	*of = &l->gone;
}

/* Those with the fewest values go, until half of the room is free. */
static void make_room(struct latency *l)
{
	uint64_t least_count = LEAST_COUNT;

	for (; l->values_bytes > LATENCY_VALUES_BYTES / 2 && least_count <= MOST_COUNT;
	     least_count *= 4) {
		for (uint32_t i = 0; i < l->nr_rows; i++)
			for (size_t k = 0; k < LATENCY_NR_VALUES; k++)
				give_back(l, &l->rows[i].values[k], least_count);
		for (uint32_t i = 0; i < l->nr_waits; i++)
			give_back(l, &l->waits[i].values, least_count);
	}
}

static struct latency_values *new_values(struct latency *l)
{
	struct latency_values *v = malloc(sizeof(*v));

	if (!v)
		return NULL;
	latency_values_init(v);
	l->values_bytes += sizeof(*v);
	return v;
}

int latency_sums_new_value(struct latency *l, struct latency_values **to, uint64_t value)
{
	struct latency_values *v = *to;
	size_t bytes;
	int err;

	if (!v) {
		v = *to = new_values(l);
		if (!v)
			return -ENOMEM;
	}
	if (v == &l->gone) {
		l->remarks.nr_no_room++;
		return 0;
	}
	bytes = latency_values_bytes(v);
	err = latency_values_add_more(v, value);
	l->values_bytes += latency_values_bytes(v) - bytes;
	if (!err && l->values_bytes > LATENCY_VALUES_BYTES)
		make_room(l);
	return err;
}

static struct latency_wait *add_wait(struct latency *l, struct latency_row *row)
{
	uint32_t cap = l->cap_waits ? 2 * l->cap_waits : 64;
	struct latency_wait *grown;

	if (l->nr_waits == l->cap_waits) {
		grown = realloc(l->waits, cap * sizeof(*grown));
		if (!grown)
			return NULL;
		l->waits = grown;
		l->cap_waits = cap;
	}
	grown = &l->waits[l->nr_waits];
	*grown = (struct latency_wait) { .id = l->nr_waits++, .next = row->first_wait };
	row->first_wait = l->nr_waits;
	row->nr_waits++;
	return grown;
}

/* There are a few in a row; the one that was last looked for is the first. */
struct latency_wait *latency_sums_wait(struct latency *l, uint32_t group, uint8_t reason,
				       bool idle)
{
	struct latency_row *row = &l->rows[group];
	uint32_t *link = &row->first_wait, at;
	struct latency_wait *w;

	for (at = *link; at; link = &w->next, at = *link) {
		w = &l->waits[at - 1];
		if (w->reason != reason || w->idle != idle)
			continue;
		*link = w->next;
		w->next = row->first_wait;
		row->first_wait = at;
		return w;
	}
	w = add_wait(l, row);
	if (w) {
		w->reason = reason;
		w->idle = idle;
	}
	return w;
}

void latency_sums_blocked(struct latency *l, uint32_t group, struct latency_wait *w,
			  uint64_t ns, uint64_t count)
{
	struct latency_row *row = &l->rows[group];

	w->ns += ns;
	w->count += count;
	row->blocked_ns += ns;
	row->idle_ns += w->idle ? ns : 0;
}

int latency_sums_top(struct latency *l, const struct latency_wait *w,
		     const struct latency_piece *p, uint64_t ns, uint32_t count)
{
	if (!(p->stack | p->waker | p->waker_stack | p->context))
		return 0;
	*latency_tops_next(&l->tops) = (struct latency_top) {
		.wait = w->id, .stack = p->stack, .waker_stack = p->waker_stack,
		.waker = latency_threads_comm(l, p->waker), .context = p->context,
		.count = count, .ns = ns,
	};
	return latency_tops_add(&l->tops);
}

static int compare_waits(const void *a, const void *b)
{
	const struct latency_wait *const *x = a, *const *y = b;

	if ((*x)->ns != (*y)->ns)
		return (*x)->ns > (*y)->ns ? -1 : 1;
	return (*x)->id < (*y)->id ? -1 : 1;
}

void latency_sums_sort(struct latency *l)
{
	const struct latency_wait **to = l->sorted_waits;

	for (uint32_t i = 0; i < l->nr_rows; i++) {
		struct latency_row *row = &l->rows[i];
		size_t nr = 0;

		row->waits = to;
		for (uint32_t at = row->first_wait; at; at = l->waits[at - 1].next)
			if (l->waits[at - 1].ns)
				to[nr++] = &l->waits[at - 1];
		if (nr)
			qsort(to, nr, sizeof(*to), compare_waits);
		row->nr_waits = nr;
		to += nr;
	}
}
