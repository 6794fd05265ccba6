#include "report/stacksum_private.h"

#include <errno.h>

/* Of stacks with chains so many different ones are told apart: 6 MB. */
#define MAX_CHAINED ((size_t)98304)

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
		{ &w->time, ROLE_TIME }, { &w->task, ROLE_TASK }, { &w->waker, ROLE_WAKER },
		{ &w->waker_stack, ROLE_WAKER_STACK }, { &w->context, ROLE_WAKER_CONTEXT },
		{ &w->duration, ROLE_DURATION }, { &w->runnable, ROLE_RUNNABLE },
	};
	int err = 0;

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]) && !err; i++)
		err = column_open(list[i].column, b, by_role[list[i].role], 0);
	w->context_field = by_role[ROLE_WAKER_CONTEXT] < 0 ? NULL :
			   &e->fields[by_role[ROLE_WAKER_CONTEXT]];
	w->starts_woken = is_runnable_part(s->trace, e);
	w->order = trace_column(whole, (uint32_t)whole->event->by_role[ROLE_TIME]);
	return err ? err : w->order ? 0 : -EBADMSG;
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static uint64_t thread_of(const struct trace *trace, uint64_t task)
{
	const struct trace_task *t = task <= UINT32_MAX ? trace_task(trace, (uint32_t)task) : NULL;

	return t ? (uint64_t)t->pid << 32 | t->tid : 0;
}

/* The wait of a row, and who ended it. */
static int get_wait(struct stacksum *s, const struct stacksum_columns *c, const struct wakers *w,
		    size_t row, struct chainorder_wait *out)
{
	uint64_t task = column_at(&w->task, row), waker = column_at(&w->waker, row);
	uint64_t context = column_at(&w->context, row), time_ns = column_at(&w->time, row);
	uint64_t stack = column_at(&w->waker_stack, row);
	uint64_t duration = column_at(&w->duration, row);
	int err;

	*out = (struct chainorder_wait) { .time_ns = w->order[row] };
	out->thread = thread_of(s->trace, task);
	out->until_ns = less(time_ns, w->starts_woken ? duration : column_at(&w->runnable, row));
	out->from_ns = w->starts_woken ? 0 : less(time_ns, duration);
	if (!waker && !context)
		return 0;
	err = chain_waker(s->chains, waker <= UINT32_MAX ? (uint32_t)waker : 0,
			  stack < c->nr_stacks ? (uint32_t)stack : 0, w->context_field, context,
			  &out->by);
	if (!err && out->by.is_thread)
		out->waker = thread_of(s->trace, waker);
	return err;
}

/* When there are too many different chains, new ones count for shorter ones. */
int stacksum_wakers_settle(void *ctx, const struct chainorder_wait *w, uint32_t chain)
{
	struct stacksum *s = ctx;
	struct stacksum_entry e = {
		.group = w->group, .stack = w->stack, .chain = chain,
		.records = w->times, .count = w->value,
	};

	s->no_room += w->by.name && !chain;
	if (s->counts.nr >= MAX_CHAINED && chain && !stackcounts_has(&s->counts, &e)) {
		s->no_room++;
		do
			e.chain = chain_at(s->chains, e.chain)->shorter;
		while (e.chain && !stackcounts_has(&s->counts, &e));
	}
	return stacksum_rows_put(s, e);
}

static int add_one_wait(struct stacksum *s, const struct chainorder_wait *w)
{
	uint32_t chain = 0;

	if (s->order)
		return chainorder_add(s->order, w);
	if (!w->counts)
		return 0;
	if (w->by.name)
		chain = chain_link(s->chains, &w->by, 0);
	return stacksum_wakers_settle(s, w, chain);
}

/* Rows that were left out are seen, too: they are of threads that may have woken. */
int stacksum_wakers_add(struct stacksum *s, const struct stacksum_columns *c,
			const struct query_batch *b)
{
	struct chainorder_wait wait;
	struct wakers w;
	size_t passed = 0;
	int err = open_wakers(s, &w, b);

	for (size_t row = 0; row < b->batch->nr && !err; row++) {
		bool counts = passed < b->nr && (!b->rows || b->rows[passed] == row);
		uint32_t group = counts ? s->row_groups[passed++] : 0;

		if (!counts && !s->order)
			continue;
		if (!column_at(&w.duration, row) && !counts)
			continue;
		err = get_wait(s, c, &w, row, &wait);
		if (err)
			break;
		if (counts && !stacksum_rows_hide(s, c, row)) {
			wait.counts = true;
			wait.group = group;
			wait.stack = stacksum_rows_stack(c, row);
			wait.value = stacksum_rows_count(s, &c->rows, row, &wait.times);
		}
		err = add_one_wait(s, &wait);
	}
	if (!err && s->order)
		err = chainorder_until(s->order, b->batch->safe_ns);
	return err;
}
