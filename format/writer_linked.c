#include "format/writer_private.h"

#include <errno.h>
#include <stdlib.h>

#include "format/table_linked.h"

#define SAMPLE_ROWS 1024

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

#define AS_BEFORE(role, key) { role, key, LINK_MATCH, 1, { { PLACE_BEFORE, false, SELF } } }

/*
 * How fields of the story of a thread follow from each other, those first from which
 * others follow.  A slice mostly ends where the next one on that CPU begins; the wait is
 * what is then left up to the record.  What is known of a place in the code is the same
 * the next time.
 */
static const struct candidate candidates[] = {
	{ ROLE_SLICE, ROLE_TASK, LINK_MATCH, 2, {
		{ PLACE_AFTER_BEFORE, false, ROLE_TIME }, { PLACE_BEFORE, true, ROLE_TIME } } },
	{ ROLE_DURATION, ROLE_TASK, LINK_ADD, 4, {
		{ PLACE_ROW, false, ROLE_TIME }, { PLACE_BEFORE, true, ROLE_TIME },
		{ PLACE_ROW, true, ROLE_SLICE }, { PLACE_ROW, true, ROLE_SKIPPED } } },
	{ ROLE_FROM_CPU, ROLE_TASK, LINK_MATCH, 1, { { PLACE_BEFORE, false, ROLE_CPU } } },
	AS_BEFORE(ROLE_STACK, ROLE_TASK),
	AS_BEFORE(ROLE_STATE, ROLE_STACK),
	AS_BEFORE(ROLE_STATE, ROLE_TASK),
	AS_BEFORE(ROLE_REASON, ROLE_STACK),
	AS_BEFORE(ROLE_REASON, ROLE_TASK),
	AS_BEFORE(ROLE_IDLE, ROLE_STACK),
	AS_BEFORE(ROLE_IDLE, ROLE_TASK),
	AS_BEFORE(ROLE_WAKER_STACK, ROLE_STACK),
	AS_BEFORE(ROLE_WAKER_STACK, ROLE_TASK),
	AS_BEFORE(ROLE_WAKER, ROLE_WAKER_STACK),
	AS_BEFORE(ROLE_WAKER, ROLE_TASK),
	AS_BEFORE(ROLE_WAKER_CONTEXT, ROLE_WAKER_STACK),
	AS_BEFORE(ROLE_WAKER_CONTEXT, ROLE_WAKER),
	AS_BEFORE(ROLE_WAKER_CPU, ROLE_WAKER),
	AS_BEFORE(ROLE_WAKER_CPU, ROLE_TASK),
};

#define NR_CANDIDATES (sizeof(candidates) / sizeof(candidates[0]))

void writer_linked_begin(struct writer_linked *l)
{
	const struct writer_source *s = l->b->source;

	table_links_clear(&l->p->links);
	for (uint32_t f = s->nr_fields; f--;)
		if (s->roles[f] < ROLE_MAX && s->types[f] != FIELD_BYTES)
			l->fields[s->roles[f]] = f + 1;
	if (!l->fields[ROLE_SLICE] || !l->fields[ROLE_TASK])
		return;
	for (size_t i = 0; i < NR_CANDIDATES; i++) {
		uint32_t f = l->fields[candidates[i].role];

		if (!f || l->is_later[f - 1])
			continue;
		l->is_later[f - 1] = true;
		l->later[l->nr_later++] = f - 1;
	}
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

/* What repeats without a link, too, needs a better reason than what is measured. */
static unsigned int least_percent(const struct candidate *c)
{
	return c->terms[0].role == SELF ? 60 : 25;
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

int writer_linked_put(struct writer_linked *l, uint32_t field, enum table_hint hint)
{
	const uint64_t *x = l->columns + field * l->stride;
	unsigned int best_percent = 0, percent;
	struct attempt best = { .before = NULL }, a;
	struct table_linked_sums sums;

	if (!l->b->varies[field])
		return -ENOENT;
	if (!has_room(l->p, l->b->nr))
		return -ENOMEM;
	for (size_t i = 0; i < NR_CANDIDATES; i++) {
		if (l->fields[candidates[i].role] != field + 1 ||
		    !make(l, &candidates[i], field, &a))
			continue;
		percent = try(l, &a, x);
		if (percent <= best_percent || percent < least_percent(&candidates[i]))
			continue;
		best_percent = percent;
		best = a;
	}
	if (!best.before)
		return -ENOENT;
	table_linked_make(&best.link, best.columns, best.time, best.before, l->b->nr, x,
			  l->p->stored, &sums);
	table_linked(l->p->encoder, field + 1, hint, &best.link, l->p->stored, &sums);
	return 0;
}
