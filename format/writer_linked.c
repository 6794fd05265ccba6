#include "format/writer_private.h"

#include <errno.h>
#include <stdlib.h>

#include "format/table_choose.h"
#include "format/table_linked.h"

#define SAMPLE_ROWS 256
#define LEAST_PERCENT 5	/* that have to be as predicted */

/* A role of a term: the column itself. */
#define SELF ROLE_NONE

struct candidate {
	enum field_role role, key;
	enum table_link_mode mode;
	uint8_t nr_terms;
	struct {
		enum table_place place;
		bool minus;
		enum field_role role;
	} terms[TABLE_LINK_TERMS];
};


/*
 * How fields of the story of a thread follow from each other.  A slice mostly ends where
 * the next one on that CPU begins; the wait is what is then left up to the record.  Who had
 * to leave the CPU waited for one all the time.
 */
static const struct candidate candidates[] = {
	{ ROLE_SLICE, ROLE_TASK, LINK_MATCH, 2, {
		{ PLACE_AFTER_BEFORE, false, ROLE_TIME }, { PLACE_BEFORE, true, ROLE_TIME } } },
	{ ROLE_DURATION, ROLE_TASK, LINK_ADD, 4, {
		{ PLACE_ROW, false, ROLE_TIME }, { PLACE_BEFORE, true, ROLE_TIME },
		{ PLACE_ROW, true, ROLE_SLICE }, { PLACE_ROW, true, ROLE_SKIPPED } } },
	{ ROLE_FROM_CPU, ROLE_TASK, LINK_MATCH, 1, { { PLACE_BEFORE, false, ROLE_CPU } } },
	{ ROLE_RUNNABLE, ROLE_TASK, LINK_MATCH, 1, { { PLACE_ROW, false, ROLE_DURATION } } },
};

#define NR_CANDIDATES (sizeof(candidates) / sizeof(candidates[0]))

/*
 * What fields are grouped by, the best first: what is known of a place in the code is mostly
 * the same the next time.  Those first by which others are grouped.
 */
#define MOST_KEYS 3
#define FEW_KEYS 1024	/* that are numbers below this */
#define FEW 2		/* changes: less than one in so many rows */

static const struct grouping {
	enum field_role role, keys[MOST_KEYS];
} groupings[] = {
	{ ROLE_STACK, { ROLE_TASK } },
	{ ROLE_STATE, { ROLE_STACK, ROLE_TASK } },
	{ ROLE_REASON, { ROLE_STACK, ROLE_STATE, ROLE_TASK } },
	{ ROLE_IDLE, { ROLE_STACK, ROLE_REASON, ROLE_TASK } },
	{ ROLE_WAKER_STACK, { ROLE_STACK, ROLE_TASK } },
	{ ROLE_WAKER, { ROLE_WAKER_STACK, ROLE_TASK } },
	{ ROLE_WAKER_CONTEXT, { ROLE_WAKER_STACK, ROLE_WAKER, ROLE_TASK } },
	{ ROLE_WAKER_CPU, { ROLE_WAKER, ROLE_TASK } },
	{ ROLE_EDGE, { ROLE_STACK, ROLE_TASK } },
};

#define NR_GROUPINGS (sizeof(groupings) / sizeof(groupings[0]))

/* The columns behind all others, in this order. */
static void put_off(struct writer_linked *l, enum field_role role)
{
	uint32_t f = l->fields[role];

	if (!f || l->is_later[f - 1])
		return;
	l->is_later[f - 1] = true;
	l->later[l->nr_later++] = f - 1;
}

void writer_linked_begin(struct writer_linked *l)
{
	const struct writer_source *s = l->b->source;

	table_links_clear(&l->p->links);
	for (uint32_t f = s->nr_fields; f--;)
		if (s->roles[f] < ROLE_MAX && s->types[f] != FIELD_BYTES)
			l->fields[s->roles[f]] = f + 1;
	if (!l->fields[ROLE_SLICE] || !l->fields[ROLE_TASK])
		return;
	for (size_t i = 0; i < NR_CANDIDATES; i++)
		put_off(l, candidates[i].role);
	for (size_t i = 0; i < NR_GROUPINGS; i++)
		put_off(l, groupings[i].role);
}

/* Columns that do not vary have not been written. */
static const uint64_t *column_of(struct writer_linked *l, uint32_t field)
{
	uint64_t *column = l->columns + field * l->stride;

	if (!l->b->varies[field] && !l->is_filled[field])
		for (uint32_t i = 0; i < l->b->nr; i++)
			column[i] = l->b->first[field];
	l->is_filled[field] = true;
	return column;
}

/* A candidate with the columns of this event. */
struct attempt {
	struct table_link link;
	const uint64_t *columns[TABLE_LINK_TERMS], *time;
	const uint32_t *before;
};

/* False: it lacks a field. */
static bool make(struct writer_linked *l, const struct candidate *c, uint32_t field,
		 struct attempt *a)
{
	*a = (struct attempt){ .link = {
		.mode = (uint8_t)c->mode, .key = l->fields[c->key], .nr_terms = c->nr_terms,
		.time = l->fields[ROLE_TIME] } };
	if (!a->link.key || !a->link.time)
		return false;
	for (size_t k = 0; k < c->nr_terms; k++) {
		uint32_t of = c->terms[k].role == SELF ? field + 1 : l->fields[c->terms[k].role];

		if (!of)
			return false;
		a->link.terms[k] = (struct table_term){ (uint8_t)c->terms[k].place,
							c->terms[k].minus, of };
		a->columns[k] = column_of(l, of - 1);
	}
	a->time = column_of(l, a->link.time - 1);
	a->before = table_links_before(&l->p->links, a->link.time, a->time, a->link.key,
				       column_of(l, a->link.key - 1), l->b->nr);
	return a->before;
}

/* Of some rows, how many are as predicted, in percent. */
static unsigned int try(const struct writer_linked *l, const struct attempt *a,
			const uint64_t *x)
{
	uint32_t nr = l->b->nr, step = nr / SAMPLE_ROWS | 1, hits = 0, rows = 0;

	for (uint32_t i = 0; i < nr; i += step, rows++)
		hits += x[i] == table_linked_row(&a->link, a->columns, a->time, a->before, nr, i);
	return hits * 100 / rows;
}

static bool has_room(struct writer_pack *p, size_t nr)
{
	if (nr > p->stored_cap) {
		free(p->stored);
		p->stored = malloc(nr * sizeof(*p->stored));
		p->stored_cap = p->stored ? nr : 0;
	}
	return p->stored;
}

static int put_linked(struct writer_linked *l, uint32_t field, enum table_hint hint)
{
	const uint64_t *x = l->columns + field * l->stride;
	struct table_linked_sums sums;
	struct attempt a;

	for (size_t i = 0; i < NR_CANDIDATES; i++) {
		if (l->fields[candidates[i].role] != field + 1 ||
		    !make(l, &candidates[i], field, &a) || try(l, &a, x) < LEAST_PERCENT)
			continue;
		table_linked_make(&a.link, a.columns, a.time, a.before, l->b->nr, x,
				  l->p->stored, &sums);
		table_linked(l->p->encoder, field + 1, hint, &a.link, l->p->stored, &sums);
		return 0;
	}
	return -ENOENT;
}

/* x with rows of the same key together, as v. */
static void group(const uint32_t *places, const uint64_t *x, size_t nr, uint64_t *v,
		  struct table_linked_sums *sums)
{
	uint64_t all = 0;

	for (size_t i = 0; i < nr; i++) {
		v[places[i]] = x[i];
		all |= x[i];
	}
	*sums = (struct table_linked_sums){ all, table_choose_count_runs(v, nr) };
}

/*
 * The same as runs, where they are so few that nothing else can be chosen: found without
 * moving any row, by what a key had last.  False: they are not.
 */
static bool put_few_runs(struct writer_linked *l, uint32_t field, uint32_t key,
			 const uint32_t *places)
{
	const uint64_t *x = l->columns + field * l->stride;
	const uint64_t *keys = l->columns + (key - 1) * l->stride;
	struct table_run runs[TABLE_FEW_RUNS];
	uint64_t last[FEW_KEYS] = { 0 };
	size_t nr = l->b->nr, nr_runs = 0;
	uint64_t all = 0;

	for (size_t i = 0; i < nr; i++) {
		uint64_t k = keys[i];

		all |= x[i];
		/* 0: nothing yet, or the greatest of all numbers, which its sign tells. */
		if (k < FEW_KEYS && last[k] == x[i] + 1)
			continue;
		if (k >= FEW_KEYS || nr_runs == TABLE_FEW_RUNS)
			return false;
		last[k] = x[i] + 1;
		runs[nr_runs++] = (struct table_run){ x[i], places[i] };
	}
	return !(all >> 63) &&
	       table_grouped_runs(l->p->encoder, field + 1, key, runs, nr_runs);
}

/* By the key that leaves the fewest changes, or the first one with which they are few enough. */
static int put_grouped(struct writer_linked *l, uint32_t field, enum table_hint hint)
{
	const uint64_t *x = l->columns + field * l->stride;
	struct table_linked_sums least = { .nr_runs = SIZE_MAX }, sums;
	const struct grouping *g = groupings;
	size_t nr = l->b->nr;
	uint64_t *v = l->p->stored, *other = v + nr, *swap;
	uint32_t best = 0;

	while (g < groupings + NR_GROUPINGS && l->fields[g->role] != field + 1)
		g++;
	if (g == groupings + NR_GROUPINGS)
		return -ENOENT;
	for (size_t i = 0; i < MOST_KEYS && g->keys[i] && least.nr_runs > nr / FEW; i++) {
		uint32_t key = l->fields[g->keys[i]];
		const uint32_t *places;

		if (!key || !l->b->varies[key - 1])
			continue;
		places = table_links_places(&l->p->links, key,
					    l->columns + (key - 1) * l->stride, nr);
		if (!places)
			return -ENOMEM;
		if (put_few_runs(l, field, key, places))
			return 0;
		group(places, x, nr, other, &sums);
		if (sums.nr_runs >= least.nr_runs)
			continue;
		least = sums;
		best = key;
		swap = v;
		v = other;
		other = swap;
	}
	if (!best)
		return -ENOENT;
	table_grouped(l->p->encoder, field + 1, hint, best, v, &least);
	return 0;
}

int writer_linked_put(struct writer_linked *l, uint32_t field, enum table_hint hint)
{
	int err;

	if (!l->b->varies[field])
		return -ENOENT;
	if (!has_room(l->p, 2 * (size_t)l->b->nr))
		return -ENOMEM;
	err = put_linked(l, field, hint);
	return err == -ENOENT ? put_grouped(l, field, hint) : err;
}
