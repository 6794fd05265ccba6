/*
 * The whole lives of threads: sums in the order of the file, for what a record tells does
 * not depend on other records.
 */
#include "report/latency_private.h"

#include <errno.h>

#include "report/handover.h"

/* The records, while they are gone through; a thread of its own adds up what they tell. */
struct reading {
	struct latency *l;
	struct handover *handover;
};

struct item {
	uint32_t row;
	struct latency_piece piece;
};

/* Distributions are of whole waits, also of those that the time range cuts. */
static int add_values(struct latency *l, struct latency_row *row,
		      const struct latency_piece *whole, const struct latency_piece *p)
{
	int err = 0;

	if (p->on_ns)
		err = latency_sums_value(l, &row->values[LATENCY_OF_ON_CPU], whole->on_ns);
	if (!err && p->irq_ns)
		err = latency_sums_value(l, &row->values[LATENCY_OF_INTERRUPTED], whole->irq_ns);
	if (!err && p->runq_ns)
		err = latency_sums_value(l, &row->values[LATENCY_OF_RUNQ], whole->runq_ns);
	return err;
}

static int add_wait(struct latency *l, uint32_t group, const struct latency_piece *whole,
		    const struct latency_piece *p)
{
	struct latency_wait *w = latency_sums_wait(l, group, p->reason, p->idle);
	int err;

	if (!w)
		return -ENOMEM;
	latency_sums_blocked(l, group, w, p->blocked_ns, 1);
	/* It may have run first, and been blocked from then on. */
	if (latency_story_is_still(p) && !p->idle && !whole->on_ns)
		l->rows[group].still_ns += p->blocked_ns;
	err = latency_sums_top(l, w, p, p->blocked_ns, 1);
	return err ? err : latency_sums_value(l, &w->values, whole->blocked_ns);
}

static int add_piece(struct latency *l, uint32_t group, const struct latency_piece *whole,
		     const struct latency_piece *p)
{
	struct latency_row *row = &l->rows[group];
	int err;

	if (!latency_sums_wall(l, row, latency_story_ns(p)))
		return 0;
	row->ns[LATENCY_ON_CPU] += p->on_ns - p->irq_ns;
	row->ns[LATENCY_INTERRUPTED] += p->irq_ns;
	row->ns[LATENCY_RUNQ] += p->runq_ns;
	row->ns[LATENCY_OFF_SKIPPED] += p->skipped_ns;
	/* Most slices are shorter than a tick. */
	if (p->user_ticks_ns | p->system_ticks_ns) {
		row->user_ticks += (double)p->user_ticks_ns;
		row->system_ticks += (double)p->system_ticks_ns;
	}
	err = add_values(l, row, whole, p);
	return err || !p->blocked_ns ? err : add_wait(l, group, whole, p);
}

static int add_life(struct latency *l, uint32_t group, const struct latency_piece *p,
		    uint64_t ns)
{
	struct latency_thread *t = latency_threads_met(l, p->task, group);
	uint32_t thread;

	if (!t) {
		thread = latency_threads_of(l, p->task);
		if (thread == UINT32_MAX || latency_threads_meet(l, thread, group, p->task))
			return -ENOMEM;
		t = &l->threads[thread];
	}
	if (p->time_ns > t->last_ns)
		t->last_ns = p->time_ns;
	if (p->time_ns - ns < t->first_ns)
		t->first_ns = p->time_ns - ns;
	t->told_ns += ns;
	return 0;
}

static int add_cut(struct latency *l, uint32_t group, const struct latency_piece *whole)
{
	struct latency_piece p = *whole;
	int err;

	if (!latency_story_cut(&p, l->first_ns, l->last_ns))
		return 0;
	l->remarks.nr_cut += latency_story_ns(&p) < latency_story_ns(whole);
	err = add_life(l, group, &p, latency_story_ns(&p));
	return err ? err : add_piece(l, group, whole, &p);
}

static int add_all(struct latency *l, uint32_t group, const struct latency_piece *p)
{
	int err = add_life(l, group, p, latency_story_ns(p));

	return err ? err : add_piece(l, group, p, p);
}

static int add_items(void *ctx, const void *items, size_t nr)
{
	const struct item *item = items;
	struct latency *l = ctx;
	int err = 0;

	for (size_t i = 0; i < nr && !err; i++, item++)
		err = l->is_sliced ? add_cut(l, item->row, &item->piece) :
				     add_all(l, item->row, &item->piece);
	return err;
}

static int put_pieces(struct reading *r, const uint32_t *rows, const struct latency_piece *p,
		      size_t nr)
{
	int err = 0;

	for (size_t i = 0; i < nr && !err; i++) {
		struct item *to = handover_next(r->handover);

		to->row = rows[i];
		to->piece = p[i];
		err = handover_put(r->handover);
	}
	return err;
}

static int add_rows(struct reading *r, const struct query_batch *b)
{
	struct latency *l = r->l;
	size_t nr;
	int err = 0;

	for (size_t i = 0; i < b->nr && !err; i += nr) {
		const struct latency_piece *p = latency_story_get(&l->story, &l->names, b, i, &nr);

		err = put_pieces(r, l->group_of + i, p, nr);
	}
	return err ? err : handover_flush(r->handover);
}

static int add_batch(void *ctx, struct query_batch *b)
{
	struct reading *r = ctx;
	struct latency *l = r->l;
	int err;

	if (!latency_story_is(b->event))
		return 0;
	/* On a pipe the time range is known from the first record on. */
	if (!l->nr_stories) {
		query_range(l->query, &l->first_ns, &l->last_ns);
		l->is_sliced = l->first_ns || l->last_ns != UINT64_MAX;
	}
	l->nr_stories += b->nr;
	err = latency_story_open(&l->story, b);
	if (!err)
		err = latency_threads_groups(l, b);
	if (err == -EBADMSG) {
		trace_damaged(b->batch);
		return 0;
	}
	return err ? err : add_rows(r, b);
}

/* What is missing between the records of a thread was lost, or lies in damaged blocks. */
static void add_gaps(struct latency *l)
{
	for (uint32_t i = 1; i < l->nr_threads; i++) {
		const struct latency_thread *t = &l->threads[i];
		uint64_t life_ns = t->last_ns - t->first_ns;
		struct latency_row *row;

		if (!t->row)
			continue;
		row = &l->rows[t->row - 1];
		if (t->told_ns > life_ns)
			l->remarks.overlap_ns += t->told_ns - life_ns;
		else if (latency_sums_wall(l, row, life_ns - t->told_ns))
			row->ns[LATENCY_UNEXPLAINED] += life_ns - t->told_ns;
	}
}

static int check_keys(const struct latency *l, struct diag *d)
{
	for (size_t i = 0; i < trace_nr_events(l->trace); i++) {
		const struct trace_event *e = trace_event_at(l->trace, i);

		if (!query_wants_event(l->query, e) || !latency_story_is(e))
			continue;
		if (!groups_has_keys(l->opts.keys, e))
			return diag_set(d, -EINVAL, "'%.80s', which tells where threads waited, "
					"has not all of the fields to group by", e->name);
	}
	return 0;
}

int latency_whole(struct latency *l, struct diag *d)
{
	struct reading r = { .l = l };
	int err = check_keys(l, d), added;

	query_read_on(l->query);
	/* None for a pipe, where the trace's dictionaries grow meanwhile. */
	if (!err)
		err = handover_new(&r.handover, sizeof(struct item), !trace_is_stream(l->trace),
				   add_items, l);
	if (err)
		return err;
	err = query_each_batch(l->query, add_batch, &r, d);
	added = handover_finish(r.handover);
	handover_free(r.handover);
	if (!err)
		err = added;
	if (!err && !l->opts.picked)
		add_gaps(l);
	return err == -ENOENT ? check_keys(l, d) : err;
}
