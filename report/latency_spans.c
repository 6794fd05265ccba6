/*
 * Spans, each laid over the story of its thread.  Both are gone through in the order of
 * time.  What a thread did up to the end of a span is told by its next record, so a span
 * waits for that.
 */
#include "report/latency_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/latency_split.h"
#include "report/query_order.h"

#define MAX_PENDING (1u << 17)

/* Columns of the records that are put into order. */
enum { STORY_TIME, STORY_THREAD, STORY_RUNQ, STORY_BLOCKED, STORY_ON, STORY_IRQ, STORY_SKIPPED,
       STORY_STACK, STORY_WAKER_STACK, STORY_NR };
enum { SPAN_TIME, SPAN_THREAD, SPAN_DURATION, SPAN_NR };

struct pending {
	uint64_t start_ns, end_ns;
	uint32_t group, next;		/* next of its thread or of the free ones, + 1 */
};

struct spans {
	struct latency *l;
	struct query_order *order;
	struct trace_event story, span;	/* what is put into order */
	uint64_t *values;		/* of a batch, by column */
	size_t cap;
	struct latency_split *split;
	struct pending *pending;
	uint32_t nr_pending, free;
	uint64_t nr_spans;
};

/* --- the order of time --------------------------------------------------------------------- */

static int settle(struct spans *s, uint32_t thread)
{
	struct latency_thread *t = &s->l->threads[thread];
	int err = 0;

	while (t->pending && !err) {
		uint32_t at = t->pending;
		struct pending *p = &s->pending[at - 1];

		err = latency_split_span(s->split, thread, p->group, p->start_ns, p->end_ns);
		t->pending = p->next;
		p->next = s->free;
		s->free = at;
	}
	return err;
}

static int pass_story(struct spans *s, const uint64_t *v)
{
	uint32_t thread = (uint32_t)v[STORY_THREAD];
	struct latency_thread *t = &s->l->threads[thread];
	const struct latency_piece p = {
		.time_ns = v[STORY_TIME], .runq_ns = v[STORY_RUNQ],
		.blocked_ns = v[STORY_BLOCKED], .on_ns = v[STORY_ON], .irq_ns = v[STORY_IRQ],
		.skipped_ns = v[STORY_SKIPPED], .stack = (uint32_t)v[STORY_STACK],
		.waker = (uint32_t)(v[STORY_STACK] >> 32),
		.waker_stack = (uint32_t)v[STORY_WAKER_STACK],
		.reason = (uint8_t)(v[STORY_THREAD] >> 32),
		.context = (uint8_t)(v[STORY_THREAD] >> 40),
		.idle = v[STORY_THREAD] >> 48 & 1,
	};
	int err;

	if (!thread)
		return 0;
	t->last_ns = p.time_ns > t->last_ns ? p.time_ns : t->last_ns;
	err = latency_split_wait(s->split, thread, &p);
	return err ? err : settle(s, thread);
}

/* 0: there is no room. */
static uint32_t take_pending(struct spans *s)
{
	uint32_t at = s->free;

	if (at) {
		s->free = s->pending[at - 1].next;
		return at;
	}
	return s->nr_pending < MAX_PENDING ? ++s->nr_pending : 0;
}

/*
 * Too many spans in one slice: that the thread is on the CPU is certain enough, but not how
 * often it was interrupted.
 */
static int split_early(struct spans *s, uint32_t thread, struct pending *span)
{
	const struct latency_thread *t = &s->l->threads[thread];
	struct latency_row *row = &s->l->rows[span->group];
	uint64_t known_ns = t->last_ns > span->start_ns ? t->last_ns : span->start_ns;

	s->l->remarks.nr_early++;
	if (t->newest && latency_sums_wall(s->l, row, span->end_ns - known_ns)) {
		row->ns[LATENCY_ON_CPU] += span->end_ns - known_ns;
		span->end_ns = known_ns;
	}
	return latency_split_span(s->split, thread, span->group, span->start_ns, span->end_ns);
}

static int pass_span(struct spans *s, const uint64_t *v)
{
	uint32_t thread = (uint32_t)v[SPAN_THREAD], group = (uint32_t)(v[SPAN_THREAD] >> 32), at;
	struct pending span = {
		.start_ns = v[SPAN_TIME] - v[SPAN_DURATION], .end_ns = v[SPAN_TIME],
		.group = group,
	};
	struct latency_row *row;
	int err = latency_threads_meet(s->l, thread, group, 0);

	if (err)
		return err;
	row = &s->l->rows[group];
	s->nr_spans++;
	row->nr_spans++;
	err = latency_sums_value(s->l, &row->values[LATENCY_OF_SPANS], v[SPAN_DURATION]);
	if (err)
		return err;
	if (span.start_ns < s->l->first_ns) {
		span.start_ns = s->l->first_ns;
		s->l->remarks.nr_cut++;
	}
	s->l->remarks.nr_no_task += !thread;
	if (!thread || s->l->threads[thread].last_ns >= span.end_ns)
		return latency_split_span(s->split, thread, group, span.start_ns, span.end_ns);
	at = take_pending(s);
	if (!at)
		return split_early(s, thread, &span);
	span.next = s->l->threads[thread].pending;
	s->pending[at - 1] = span;
	s->l->threads[thread].pending = at;
	return 0;
}

static int pass(void *ctx, const struct query_record *r)
{
	struct spans *s = ctx;

	return r->event == &s->story ? pass_story(s, r->values) : pass_span(s, r->values);
}

/* --- batches ------------------------------------------------------------------------------- */

/* The field with the durations of an event of spans, or -1. */
static int duration_of(const struct trace_event *e)
{
	int field = e->by_role[ROLE_DURATION];

	if (latency_story_is(e) || field < 0 || e->by_role[ROLE_TIME] < 0 ||
	    strcmp(e->fields[field].unit, "ns") ||
	    (e->fields[field].type != FIELD_UNSIGNED && e->fields[field].type != FIELD_SIGNED))
		return -1;
	return field;
}

static int put_in_order(struct spans *s, const struct query_batch *b,
			const struct trace_event *as)
{
	const uint64_t *columns[STORY_NR];
	struct trace_batch batch = {
		.event = as, .nr = b->nr, .first_ns = b->batch->first_ns,
		.last_ns = b->batch->last_ns, .safe_ns = b->batch->safe_ns,
		.trace = b->batch->trace, .columns = columns,
	};
	struct query_batch made = { .batch = &batch, .event = as, .nr = b->nr };

	for (uint32_t i = 0; i < as->nr_fields; i++)
		columns[i] = s->values + i * s->cap;
	return query_order_add(s->order, &made);
}

static int put_story(struct spans *s, const struct latency_piece *p, uint64_t *to)
{
	uint32_t thread = latency_threads_of(s->l, p->task);

	if (thread == UINT32_MAX)
		return -ENOMEM;
	to[STORY_TIME * s->cap] = p->time_ns;
	to[STORY_THREAD * s->cap] = thread | (uint64_t)p->reason << 32 |
				    (uint64_t)p->context << 40 | (uint64_t)p->idle << 48;
	to[STORY_RUNQ * s->cap] = p->runq_ns;
	to[STORY_BLOCKED * s->cap] = p->blocked_ns;
	to[STORY_ON * s->cap] = p->on_ns;
	to[STORY_IRQ * s->cap] = p->irq_ns;
	to[STORY_SKIPPED * s->cap] = p->skipped_ns;
	to[STORY_STACK * s->cap] = p->stack | (uint64_t)p->waker << 32;
	to[STORY_WAKER_STACK * s->cap] = p->waker_stack;
	return 0;
}

static int add_stories(struct spans *s, const struct query_batch *b)
{
	uint64_t *to = s->values;
	size_t nr;

	for (size_t i = 0; i < b->nr; i += nr) {
		const struct latency_piece *p = latency_story_get(&s->l->story, &s->l->names, b,
								  i, &nr);

		for (size_t k = 0; k < nr; k++)
			if (put_story(s, &p[k], to++))
				return -ENOMEM;
	}
	s->l->nr_stories += b->nr;
	return put_in_order(s, b, &s->story);
}

static int add_spans(struct spans *s, struct query_batch *b)
{
	const struct trace_event *e = b->event;
	int task = e->by_role[ROLE_TASK];
	struct column times, tasks, durations;
	uint64_t *to = s->values;
	int err = latency_threads_groups(s->l, b);

	if (!err)
		err = column_open(&times, b, e->by_role[ROLE_TIME], 0);
	if (!err)
		err = column_open(&durations, b, duration_of(e), 0);
	if (!err)
		err = column_open(&tasks, b, task >= 0 && e->fields[task].type == FIELD_TASK ?
				  task : -1, 0);
	if (err)
		return err;
	for (size_t i = 0; i < b->nr; i++, to++) {
		size_t row = b->rows ? b->rows[i] : i;
		uint64_t time_ns = column_at(&times, row), ns = column_at(&durations, row);
		uint64_t id = column_at(&tasks, row);
		uint32_t thread = latency_threads_of(s->l, id <= UINT32_MAX ? (uint32_t)id : 0);

		if (thread == UINT32_MAX)
			return -ENOMEM;
		s->l->remarks.nr_impossible += ns > time_ns;
		to[SPAN_TIME * s->cap] = time_ns;
		to[SPAN_THREAD * s->cap] = thread | (uint64_t)s->l->group_of[i] << 32;
		to[SPAN_DURATION * s->cap] = ns < time_ns ? ns : time_ns;
	}
	return put_in_order(s, b, &s->span);
}

static int reserve(struct spans *s, size_t nr)
{
	uint64_t *grown;

	if (nr <= s->cap)
		return 0;
	grown = realloc(s->values, nr * STORY_NR * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	s->values = grown;
	s->cap = nr;
	return 0;
}

static int add_batch(void *ctx, struct query_batch *b)
{
	struct spans *s = ctx;
	bool is_story = latency_story_is(b->event);
	int err;

	if (!is_story && duration_of(b->event) < 0)
		return 0;
	/* On a pipe the time range is known from the first record on. */
	query_range(s->l->query, &s->l->first_ns, &s->l->last_ns);
	err = reserve(s, b->nr);
	if (!err && is_story)
		err = latency_story_open(&s->l->story, b);
	if (!err)
		err = is_story ? add_stories(s, b) : add_spans(s, b);
	if (err != -EBADMSG)
		return err;
	trace_damaged(b->batch);
	return 0;
}

/* --- life ---------------------------------------------------------------------------------- */

static const struct field_desc numbers[STORY_NR] = {
	{ .type = FIELD_UNSIGNED }, { .type = FIELD_UNSIGNED }, { .type = FIELD_UNSIGNED },
	{ .type = FIELD_UNSIGNED }, { .type = FIELD_UNSIGNED }, { .type = FIELD_UNSIGNED },
	{ .type = FIELD_UNSIGNED }, { .type = FIELD_UNSIGNED }, { .type = FIELD_UNSIGNED },
};

static void make_event(struct trace_event *e, uint32_t nr_fields)
{
	*e = (struct trace_event) { .name = "", .nr_fields = nr_fields, .fields = numbers };
	for (size_t i = 0; i < ROLE_MAX; i++)
		e->by_role[i] = -1;
	e->by_role[ROLE_TIME] = 0;
}

/* Whether there are events of spans at all, and those have what rows are of. */
static int check_events(const struct spans *s, struct diag *d)
{
	const struct latency *l = s->l;
	const struct trace_event *last = NULL;
	size_t nr = 0;

	for (size_t i = 0; i < trace_nr_events(l->trace); i++) {
		const struct trace_event *e = trace_event_at(l->trace, i);

		if (!query_wants_event(l->query, e) || latency_story_is(e))
			continue;
		last = e;
		nr += duration_of(e) >= 0;
		if (duration_of(e) >= 0 && !groups_has_keys(l->opts.keys, e))
			return diag_set(d, -EINVAL, "event '%.80s' has not all of the fields to "
					"group by", e->name);
	}
	if (nr)
		return 0;
	return diag_set(d, -EINVAL, "event '%.80s' has no durations: choose spans with -e, as "
			"syscall:read or A..B@KEY", last ? last->name : "");
}

static int read_spans(struct spans *s, struct diag *d)
{
	struct latency *l = s->l;
	bool is_stream = trace_is_stream(l->trace);
	int err = is_stream ? 0 : check_events(s, d);

	query_keep(l->query, latency_story_is);
	if (!err)
		err = query_each_batch(l->query, add_batch, s, d);
	if (!err)
		err = query_order_finish(s->order);
	for (uint32_t i = 1; i < l->nr_threads && !err; i++)
		err = settle(s, i);
	if (err == -ENOENT || (!err && is_stream))
		err = check_events(s, d);
	return err;
}

int latency_spans(struct latency *l, struct diag *d)
{
	struct spans *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	s->l = l;
	make_event(&s->story, STORY_NR);
	make_event(&s->span, SPAN_NR);
	s->pending = malloc(MAX_PENDING * sizeof(*s->pending));
	err = s->pending ? query_order_new(&s->order, pass, s) : -ENOMEM;
	if (!err)
		err = latency_split_new(&s->split, l);
	if (!err)
		err = read_spans(s, d);
	if (!err)
		err = latency_split_finish(s->split);
	query_order_free(s->order);
	latency_split_free(s->split);
	free(s->pending);
	free(s->values);
	free(s);
	return err;
}
