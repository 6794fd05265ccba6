#include "report/latency_marks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_MARKS (1u << 16)
/* Marks of a wait that are looked at for one of the same row. */
#define MAX_LOOKED_AT 8
/*
 * Rows without end may each have spans that all waits lie in.  So often a wait is added to
 * one where marks are counted; what is left then is left out of where it was.
 */
#define MAX_ADDED (UINT64_C(16) << 20)

int latency_marks_init(struct latency_marks *m, struct latency *l, struct latency_waits *w)
{
	*m = (struct latency_marks) {
		.l = l, .waits = w, .nr_marks = 1, .marks = malloc(MAX_MARKS * sizeof(*m->marks)),
	};
	return m->marks ? 0 : -ENOMEM;
}

void latency_marks_release(struct latency_marks *m)
{
	free(m->marks);
	free(m->open);
	free(m->open_of);
}

/* --- counting ------------------------------------------------------------------------------ */

/* Adds where it was to the row, as of so many spans. */
static int add_top(struct latency_marks *m, const struct latency_kept *k, uint32_t group,
		   uint32_t nr)
{
	struct latency_piece p;
	struct latency_wait *w;

	latency_waits_piece(k, &p);
	if (!p.blocked_ns || !nr)
		return 0;
	if (m->nr_added++ >= MAX_ADDED) {
		m->l->tops.dropped_ns += p.blocked_ns * nr;
		return 0;
	}
	w = latency_sums_wait(m->l, group, p.reason, p.idle);
	return w ? latency_sums_top(m->l, w, &p, p.blocked_ns * nr, nr) : -ENOMEM;
}

/* Room for all rows that there are. */
static int grow_open(struct latency_marks *m)
{
	uint32_t nr = m->l->nr_rows;
	uint32_t *grown;

	if (nr <= m->nr_open_of)
		return 0;
	grown = realloc(m->open_of, nr * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	memset(grown + m->nr_open_of, 0, (nr - m->nr_open_of) * sizeof(*grown));
	m->open_of = grown;
	m->nr_open_of = nr;
	return 0;
}

static int open_spans(struct latency_marks *m, uint32_t group, uint32_t nr)
{
	size_t cap = m->cap_open ? 2 * m->cap_open : 16;
	struct latency_marks_open *grown;

	if (!nr)
		return 0;
	m->nr_spans_open += nr;
	if (m->open_of[group]) {
		m->open[m->open_of[group] - 1].nr += nr;
		return 0;
	}
	if (m->nr_open == m->cap_open) {
		grown = realloc(m->open, cap * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		m->open = grown;
		m->cap_open = cap;
	}
	m->open[m->nr_open++] = (struct latency_marks_open) { .group = group, .nr = nr };
	m->open_of[group] = (uint32_t)m->nr_open;
	return 0;
}

static void close_spans(struct latency_marks *m, uint32_t group, uint32_t nr)
{
	struct latency_marks_open *o, *last;

	if (!nr)
		return;
	o = &m->open[m->open_of[group] - 1];
	last = &m->open[m->nr_open - 1];
	m->nr_spans_open -= nr;
	o->nr -= nr;
	if (o->nr)
		return;
	m->open_of[last->group] = m->open_of[group];
	m->open_of[group] = 0;
	*o = *last;
	m->nr_open--;
}

/* To all rows of which spans are open. */
static int add_tops(struct latency_marks *m, const struct latency_kept *k)
{
	int err = 0;

	if (m->nr_added >= MAX_ADDED) {
		m->l->tops.dropped_ns += k->ns[LATENCY_SUM_BLOCKED] * m->nr_spans_open;
		return 0;
	}
	for (size_t i = 0; i < m->nr_open && !err; i++)
		err = add_top(m, k, m->open[i].group, m->open[i].nr);
	return err;
}

static void free_mark(struct latency_marks *m, uint32_t at)
{
	m->marks[at].next = m->free_mark;
	m->free_mark = at;
}

/* What lies over one wait; spans are open from their last wait to their first. */
static int count_wait(struct latency_marks *m, struct latency_kept *k)
{
	int err = 0;

	for (uint32_t at = k->marks; at && !err; at = m->marks[at].next)
		err = open_spans(m, m->marks[at].group, m->marks[at].end);
	if (!err)
		err = add_tops(m, k);
	while (k->marks && !err) {
		uint32_t at = k->marks;

		close_spans(m, m->marks[at].group, m->marks[at].begin);
		k->marks = m->marks[at].next;
		free_mark(m, at);
	}
	return err;
}

static int count_thread(struct latency_marks *m, uint32_t thread)
{
	struct latency_kept *k = latency_waits_look(m->waits, m->l->threads[thread].newest);
	int err = 0;

	for (; k && !err; k = latency_waits_look(m->waits, k->links[LATENCY_ALL].before))
		err = count_wait(m, k);
	return err;
}

int latency_marks_count(struct latency_marks *m)
{
	int err;

	m->nr_since = 0;
	if (m->nr_marks == 1)
		return 0;
	err = grow_open(m);
	for (uint32_t i = 1; i < m->l->nr_threads && !err; i++)
		err = count_thread(m, i);
	m->nr_marks = 1;
	m->free_mark = 0;
	return err;
}

int latency_marks_wait(struct latency_marks *m)
{
	return ++m->nr_since < LATENCY_WAITS_GRACE ? 0 : latency_marks_count(m);
}

/* --- marks --------------------------------------------------------------------------------- */

/* A wait may have several for a row: they count together.  There is room. */
static struct latency_mark *mark_of(struct latency_marks *m, struct latency_kept *k,
				    uint32_t group)
{
	uint32_t at = k->marks, nr = 0;

	while (at && m->marks[at].group != group && ++nr < MAX_LOOKED_AT)
		at = m->marks[at].next;
	if (at && m->marks[at].group == group)
		return &m->marks[at];
	at = m->free_mark;
	if (at)
		m->free_mark = m->marks[at].next;
	else
		at = m->nr_marks++;
	m->marks[at] = (struct latency_mark) { .group = group, .next = k->marks };
	k->marks = at;
	return &m->marks[at];
}

int latency_marks_span(struct latency_marks *m, struct latency_kept *newest,
		       struct latency_kept *oldest, uint32_t group)
{
	int err = m->nr_marks + 2 <= MAX_MARKS ? 0 : latency_marks_count(m);

	if (err)
		return err;
	mark_of(m, newest, group)->end++;
	mark_of(m, oldest, group)->begin++;
	return 0;
}

/* The other waits that these spans lie over keep theirs: there they end one earlier. */
int latency_marks_settle(struct latency_marks *m, struct latency_kept *newest)
{
	struct latency_kept *before;
	int err;

	if (!newest->marks)
		return 0;
	before = latency_waits_look(m->waits, newest->links[LATENCY_ALL].before);
	err = grow_open(m);
	if (!err)
		err = count_wait(m, newest);
	while (m->nr_open && !err) {
		const struct latency_marks_open *o = &m->open[m->nr_open - 1];

		if (before)
			mark_of(m, before, o->group)->end += o->nr;
		close_spans(m, o->group, o->nr);
	}
	return err;
}
