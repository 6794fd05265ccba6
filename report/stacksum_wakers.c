#include "report/stacksum_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Of stacks with chains so many different ones are told apart: 4 MB. */
#define MAX_CHAINED ((size_t)98304)

/* Most wakeups come from where others came from before: a power of two. */
#define NR_KNOWN 1024

struct known_waker {
	uint64_t context;
	uint32_t task, stack;
	uint64_t thread;	/* 0: none that may have waited itself */
	uint32_t hop;		/* the chain of this waker alone; 0: there was no room */
	bool is_set;
};

struct known_thread {
	uint64_t task, thread;
};

struct stacksum_wakers {
	const struct field_desc *context;	/* of the event: the same values */
	struct known_waker wakers[NR_KNOWN];
	struct known_thread threads[NR_KNOWN];
};

int stacksum_wakers_new(struct stacksum_wakers **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

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

static uint64_t thread_of(struct stacksum *s, uint64_t task)
{
	struct known_thread *known = &s->wakers->threads[task & (NR_KNOWN - 1)];
	const struct trace_task *t;

	if (known->task != task || !known->thread) {
		t = task <= UINT32_MAX ? trace_task(s->trace, (uint32_t)task) : NULL;
		*known = (struct known_thread) {
			task, t ? (uint64_t)t->pid << 32 | t->tid : 0 };
	}
	return known->thread;
}

/* Who is said to have ended a wait, or NULL: memory ran out. */
static const struct known_waker *get_waker(struct stacksum *s, const struct wakers *w,
					   uint32_t task, uint32_t stack, uint64_t context)
{
	uint64_t hash = ((uint64_t)stack << 32 | task) * 0x9e3779b97f4a7c15u ^ context << 54;
	struct known_waker *known = &s->wakers->wakers[hash >> 54 & (NR_KNOWN - 1)];
	struct chain_waker by;

	if (known->is_set && known->task == task && known->stack == stack &&
	    known->context == context)
		return known;
	if (chain_waker(s->chains, task, stack, w->context_field, context, &by))
		return NULL;
	*known = (struct known_waker) {
		.context = context, .task = task, .stack = stack, .is_set = true,
		.thread = by.is_thread ? thread_of(s, task) : 0,
		.hop = chain_link(s->chains, &by, 0),
	};
	return known;
}

/* Who ended the wait of a row; *woken: it was seen.  -ENOMEM, or 0. */
static int find_waker(struct stacksum *s, const struct stacksum_columns *c, const struct wakers *w,
		      size_t row, struct chainorder_wait *out)
{
	uint64_t waker = column_at(&w->waker, row), context = column_at(&w->context, row);
	uint64_t stack = column_at(&w->waker_stack, row);
	const struct known_waker *known;

	if (!waker && !context)
		return 0;
	known = get_waker(s, w, waker <= UINT32_MAX ? (uint32_t)waker : 0,
			  stack < c->nr_stacks ? (uint32_t)stack : 0, context);
	if (!known)
		return -ENOMEM;
	out->woken = true;
	out->hop = known->hop;
	out->waker = known->thread;
	return 0;
}

/* When it was, of which thread. */
static void place_wait(struct stacksum *s, const struct wakers *w, size_t row,
		       struct chainorder_wait *out)
{
	uint64_t time_ns = column_at(&w->time, row), duration = column_at(&w->duration, row);

	out->thread = thread_of(s, column_at(&w->task, row));
	out->until_ns = less(time_ns, w->starts_woken ? duration : column_at(&w->runnable, row));
	out->from_ns = w->starts_woken ? 0 : less(time_ns, duration);
}

/* When there are too many different chains, new ones count for shorter ones. */
int stacksum_wakers_settle(void *ctx, const struct chainorder_wait *w, uint32_t chain)
{
	struct stacksum *s = ctx;
	struct stacksum_entry key = { .group = w->group, .stack = w->stack, .chain = chain };
	uint32_t entry;

	s->no_room += w->woken && !chain;
	if (!w->value) {
		s->records += w->times;
		return 0;
	}
	if (s->counts.nr >= MAX_CHAINED && chain &&
	    stackcounts_find(&s->counts, &key) == STACKCOUNTS_NONE) {
		s->no_room++;
		do
			key.chain = chain_at(s->chains, key.chain)->shorter;
		while (key.chain && stackcounts_find(&s->counts, &key) == STACKCOUNTS_NONE);
	}
	entry = stackcounts_get(&s->counts, &key, 1);
	if (entry == STACKCOUNTS_NONE)
		return -ENOMEM;
	stacksum_rows_raise(s, entry, w->times, w->value);
	return 0;
}

/* What was known of another event's wakers may mean something else. */
static void begin_event(struct stacksum *s, const struct wakers *w)
{
	if (s->wakers->context != w->context_field)
		memset(s->wakers->wakers, 0, sizeof(s->wakers->wakers));
	s->wakers->context = w->context_field;
}

/* Rows that were left out are seen, too: they are of threads that may have woken. */
static int add_in_order(struct stacksum *s, const struct stacksum_columns *c,
			const struct wakers *w, const struct query_batch *b)
{
	size_t passed = 0;
	int err = 0;

	for (size_t row = 0; row < b->batch->nr && !err; row++) {
		bool counts = passed < b->nr && (!b->rows || b->rows[passed] == row), hidden;
		struct chainorder_wait wait = {
			.group = counts ? s->row_groups[passed++] : 0 };

		if (!counts && !column_at(&w->duration, row))
			continue;
		if (counts) {
			wait.value = stacksum_rows_count(s, c, row, &wait.times, &hidden);
			wait.counts = !hidden;
			wait.stack = stacksum_rows_stack(c, row);
		}
		err = find_waker(s, c, w, row, &wait);
		place_wait(s, w, row, &wait);
		if (!err)
			err = chainorder_add(s->order, w->order[row], &wait);
	}
	return err ? err : chainorder_until(s->order, b->batch->safe_ns);
}

int stacksum_wakers_add(struct stacksum *s, const struct stacksum_columns *c,
			const struct query_batch *b)
{
	struct wakers w;
	int err = open_wakers(s, &w, b);

	if (err)
		return err;
	begin_event(s, &w);
	if (s->order)
		return add_in_order(s, c, &w, b);
	for (size_t i = 0; i < b->nr && !err; i++) {
		size_t row = b->rows ? b->rows[i] : i;
		struct chainorder_wait wait = {
			.group = s->row_groups[i], .stack = stacksum_rows_stack(c, row) };
		bool hidden;

		wait.value = stacksum_rows_count(s, c, row, &wait.times, &hidden);
		if (hidden)
			continue;
		err = find_waker(s, c, &w, row, &wait);
		if (!err)
			err = stacksum_wakers_settle(s, &wait, wait.hop);
	}
	return err;
}
