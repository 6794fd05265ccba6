#include "report/stacksum_private.h"

#include <errno.h>

struct wakers {
	struct column time, task, waker, waker_stack, context, duration, runnable;
	const uint64_t *order;	/* times of the whole, which the batches promise */
	const struct field_desc *context_field;
	bool starts_woken;	/* the record is of the time from the wakeup on */
};

/* A part that is the time in which the thread could run begins with the wakeup. */
static bool is_runnable_part(const struct trace *t, const struct trace_event *e)
{
	const struct trace_event *whole = trace_part_whole(t, e);
	int duration = e->by_role[ROLE_DURATION];
	struct trace_part_source from;

	return whole && duration >= 0 && whole->by_role[ROLE_RUNNABLE] >= 0 &&
	       !trace_part_source(whole, e->part_from[duration], e->fields[duration].type, &from) &&
	       (int)from.field == whole->by_role[ROLE_RUNNABLE];
}

static int open_wakers(const struct stacksum *s, struct wakers *w, const struct query_batch *b)
{
	const struct trace_event *e = b->event;
	struct trace_batch *whole = b->batch->whole ? b->batch->whole : b->batch;
	const int *by_role = e->by_role;
	struct {
		struct column *column;
		enum field_role role;
	} list[] = {
		{ &w->waker, ROLE_WAKER }, { &w->waker_stack, ROLE_WAKER_STACK },
		{ &w->context, ROLE_WAKER_CONTEXT },
		/* What is only needed to put waits in order: */
		{ &w->time, ROLE_TIME }, { &w->task, ROLE_TASK },
		{ &w->duration, ROLE_DURATION }, { &w->runnable, ROLE_RUNNABLE },
	};
	size_t nr = s->order ? sizeof(list) / sizeof(list[0]) : 3;
	int err = 0;

	for (size_t i = 0; i < nr && !err; i++)
		err = column_open(list[i].column, b, by_role[list[i].role], 0);
	w->context_field = by_role[ROLE_WAKER_CONTEXT] < 0 ? NULL :
			   &e->fields[by_role[ROLE_WAKER_CONTEXT]];
	if (err || !s->order)
		return err;
	w->starts_woken = is_runnable_part(s->trace, e);
	w->order = trace_column(whole, (uint32_t)whole->event->by_role[ROLE_TIME]);
	return w->order ? 0 : -EBADMSG;
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* The row's waker, and of which thread the wait was, when. */
static void read_row(struct stacksum *s, const struct stacksum_columns *c,
		     const struct wakers *w, size_t row, struct stacksum_wait *to)
{
	uint64_t stack = column_at(&w->waker_stack, row), time_ns, duration;

	to->context_field = w->context_field;
	to->waker = column_at(&w->waker, row);
	to->waker_stack = stack < c->nr_stacks ? (uint32_t)stack : 0;
	to->context = column_at(&w->context, row);
	if (!s->order)
		return;
	time_ns = column_at(&w->time, row);
	duration = column_at(&w->duration, row);
	to->time_ns = w->order[row];
	to->task = column_at(&w->task, row);
	to->until_ns = less(time_ns, w->starts_woken ? duration : column_at(&w->runnable, row));
	to->from_ns = w->starts_woken ? 0 : less(time_ns, duration);
}

/* Rows that were left out are seen, too: they are of threads that may have woken. */
static int add_all(struct stacksum *s, const struct stacksum_columns *c, const struct wakers *w,
		   const struct query_batch *b)
{
	size_t passed = 0;
	int err = 0;

	for (size_t row = 0; row < b->batch->nr && !err; row++) {
		bool counts = passed < b->nr && (!b->rows || b->rows[passed] == row), hidden;
		struct stacksum_wait *to = handover_next(s->handover);

		*to = (struct stacksum_wait) { .group = counts ? s->row_groups[passed++] : 0 };
		if (!counts && !column_at(&w->duration, row))
			continue;
		if (counts) {
			to->value = stacksum_rows_count(s, c, row, &to->times, &hidden);
			to->counts = !hidden;
			to->stack = stacksum_rows_stack(c, row);
		}
		read_row(s, c, w, row, to);
		if (to->counts || stacksum_chains_needs_order(to))
			err = handover_put(s->handover);
	}
	if (err)
		return err;
	*(struct stacksum_wait *)handover_next(s->handover) = (struct stacksum_wait) {
		.is_promise = true, .time_ns = b->batch->safe_ns };
	return handover_put(s->handover);
}

static int add_passed(struct stacksum *s, const struct stacksum_columns *c,
		      const struct wakers *w, const struct query_batch *b)
{
	int err = 0;

	for (size_t i = 0; i < b->nr && !err; i++) {
		size_t row = b->rows ? b->rows[i] : i;
		struct stacksum_wait *to = handover_next(s->handover);
		bool hidden;

		*to = (struct stacksum_wait) {
			.group = s->row_groups[i], .stack = stacksum_rows_stack(c, row),
			.counts = true };
		to->value = stacksum_rows_count(s, c, row, &to->times, &hidden);
		if (hidden)
			continue;
		read_row(s, c, w, row, to);
		err = handover_put(s->handover);
	}
	return err;
}

int stacksum_wakers_add(struct stacksum *s, const struct stacksum_columns *c,
			const struct query_batch *b)
{
	struct wakers w;
	int err = open_wakers(s, &w, b);

	if (!err)
		err = s->order ? add_all(s, c, &w, b) : add_passed(s, c, &w, b);
	/* On a pipe what ids mean may change with the next block. */
	return err ? err : handover_flush(s->handover);
}

/*
 * Names of functions are sorted when they are asked for first, which must not happen in two
 * threads at once.
 */
int stacksum_wakers_begin(struct stacksum *s)
{
	trace_symbol(s->trace, 0, 0);
	return handover_new(&s->handover, sizeof(struct stacksum_wait),
			    !trace_is_stream(s->trace), stacksum_chains_take, s);
}
