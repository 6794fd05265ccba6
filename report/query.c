#include "report/query.h"

#include "report/query_parts.h"
#include "report/query_private.h"
#include "report/query_sieve.h"

#include <errno.h>
#include <stdlib.h>

static bool keeps(const struct query *q, const struct trace_event *e)
{
	return q->keeps && !e->part_of && q->keeps(e);
}

/* Whether records of the event are handed out, or become part of a span. */
static bool wants_records(void *ctx, const struct trace_event *e)
{
	struct query *q = ctx;

	return query_filter_event(q->filter, e) || keeps(q, e) ||
	       (q->spans && query_spans_needs(q->spans, e));
}

bool query_makes_event(struct query *q, const struct trace_event *e)
{
	return q->spans && query_spans_makes(q->spans, e);
}

bool query_wants_block(void *ctx, const struct trace_event *e)
{
	struct query *q = ctx;

	if (query_makes_event(q, e))
		return false;
	return wants_records(q, e) || query_parts_needs(q->trace, e, wants_records, q);
}

/*
 * The trace starts with its first record block.  A pipe knows no more than that
 * when it has to decide on the first record, and both must choose the same.
 */
static void start_at(struct query *q, const struct trace_batch *first)
{
	uint64_t whole_first, whole_last;

	trace_time_range(q->trace, &whole_first, &whole_last);
	q->started = true;
	q->start_ns = first->first_ns;
	query_time_resolve(&q->time, q->start_ns, whole_last, &q->first_ns, &q->last_ns);
}

static int find_start(struct query *q, struct diag *d)
{
	const struct trace_want want = { .last_ns = UINT64_MAX };
	struct trace_batch batch;
	int got;

	if (trace_is_stream(q->trace)) {
		if (query_time_is_percent(&q->time))
			return diag_set(d, -EINVAL, "a pipe has no known length: "
					"give the time range in seconds");
		return 0;
	}
	got = trace_next(q->trace, &want, &batch, d);
	if (got < 0)
		return got;
	if (got)
		start_at(q, &batch);
	return trace_rewind(q->trace);
}

static int open_trace(struct query *q, const char *path, struct diag *d)
{
	struct diag why = { "" };
	int err = trace_open(&q->trace, path, &why);

	if (err == -ENOENT)
		return diag_set(d, err, "cannot open '%s': no such file or directory "
				"(record one with: kymo record -- command)", path);
	return err ? diag_set(d, err, "%s", why.text) : 0;
}

/* Spans in the list of events are known before the trace is. */
static int open_filter(struct query *q, const struct query_opts *opts, struct diag *d)
{
	struct query_spanspecs specs;
	struct query_opts plain = *opts;
	int err = query_spanspec_parse(&specs, opts->events, d);

	if (err)
		return err;
	plain.events = specs.names;
	err = query_filter_new(&q->filter, &plain, d);
	if (!err && specs.nr) {
		query_filter_want_added(q->filter);
		err = query_spans_new(&q->spans, &specs, q->filter, d);
	}
	query_spanspec_release(&specs);
	return err;
}

/* What the words of the user mean in this trace; of a pipe, when it has been read. */
static int check_events(struct query *q, struct diag *d)
{
	int err = q->spans ? query_spans_resolve(q->spans, q->trace, true, d) : 0;

	return err ? err : query_filter_check_events(q->filter, q->trace, d);
}

int query_open(struct query **out, const struct query_opts *opts, struct diag *d)
{
	struct query *q = calloc(1, sizeof(*q));
	int err;

	if (!q)
		return diag_set(d, -ENOMEM, "out of memory");
	q->asked = *opts;
	q->last_ns = UINT64_MAX;
	err = query_time_parse(&q->time, opts->time, d);
	if (!err)
		err = open_filter(q, opts, d);
	if (!err)
		err = open_trace(q, opts->input ? opts->input : "trace.kymo", d);
	if (!err)
		err = find_start(q, d);
	if (!err && !trace_is_stream(q->trace))
		err = check_events(q, d);
	if (err) {
		query_close(q);
		return err;
	}
	*out = q;
	return 0;
}

void query_close(struct query *q)
{
	if (!q)
		return;
	query_spans_free(q->spans);
	query_filter_free(q->filter);
	trace_close(q->trace);
	free(q);
}

struct trace *query_trace(struct query *q)
{
	return q->trace;
}

bool query_wants_event(struct query *q, const struct trace_event *e)
{
	return query_filter_event(q->filter, e);
}

uint64_t query_start_ns(struct query *q)
{
	return q->start_ns;
}

void query_range(const struct query *q, uint64_t *first_ns, uint64_t *last_ns)
{
	*first_ns = q->first_ns;
	*last_ns = q->last_ns;
}

void query_read_on(struct query *q)
{
	q->reads_on = true;
}

void query_give_all(struct query *q)
{
	q->gives_all = true;
}

void query_keep(struct query *q, query_event_fn is_kept)
{
	q->keeps = is_kept;
}

/* The last time of records that may pass. */
static uint64_t reads_until(const struct query *q)
{
	return q->reads_on ? UINT64_MAX : q->last_ns;
}

static int next_batch(struct query *q, struct trace_batch *batch, struct diag *d)
{
	unsigned int reach = query_parts_reach(q->trace, wants_records, q);
	/* A span that ends in time may have started long before. */
	struct trace_want want = {
		.first_ns = q->spans || q->keeps || reach & QUERY_PARTS_LATER ? 0 : q->first_ns,
		/*
		 * A part that is before the rest of its record, as the slice before a wait,
		 * may be in any later block: the wait has no limit, and the last record of
		 * a thread is written when recording ends.  So all that follows is read,
		 * but of most blocks only the columns that tell the part's time.
		 */
		.last_ns = q->keeps || reach & QUERY_PARTS_EARLIER ? UINT64_MAX : reads_until(q),
		.event = query_wants_block, .ctx = q,
	};
	int got;

	if (q->started)
		return trace_next(q->trace, &want, batch, d);
	want = (struct trace_want) { .last_ns = UINT64_MAX };
	got = trace_next(q->trace, &want, batch, d);
	if (got > 0)
		start_at(q, batch);
	return got;
}

static struct query_span asked_for(const struct query *q)
{
	return (struct query_span){ q->start_ns, q->first_ns, q->last_ns };
}

static uint64_t nr_damaged(const struct query *q)
{
	struct trace_health health;

	trace_get_health(q->trace, &health);
	return health.damaged_blocks;
}

/* Of a tally, a record counts for many. */
static uint64_t count_rows(struct query_batch *b)
{
	int field = b->event->by_role[ROLE_COUNT];
	const uint64_t *counts;
	uint64_t nr = 0;

	if (field < 0)
		return b->nr;
	counts = trace_column(b->batch, (uint32_t)field);
	for (size_t i = 0; counts && i < b->nr; i++)
		nr += counts[b->rows ? b->rows[i] : i];
	return nr;
}

/* Of those that are kept, what lies in the range that was asked for: losses do, too. */
static uint64_t count_kept(struct query *q, struct query_batch *b)
{
	const struct trace_batch *batch = b->batch;
	struct query_span span = asked_for(q);
	const uint64_t *times;
	uint64_t nr = 0;

	if (batch->first_ns >= span.first_ns && batch->last_ns <= span.last_ns)
		return count_rows(b);
	if (batch->first_ns > span.last_ns || batch->last_ns < span.first_ns)
		return 0;
	times = trace_column(b->batch, (uint32_t)b->event->by_role[ROLE_TIME]);
	for (size_t i = 0; times && i < b->nr; i++)
		nr += times[i] >= span.first_ns && times[i] <= span.last_ns;
	return nr;
}

/* One block through the filters to fn.  A block that fn finds damaged is not counted. */
static int give_batch(struct query *q, struct trace_batch *batch, query_batch_fn fn, void *ctx,
		      struct diag *d)
{
	struct query_span span = asked_for(q);
	struct query_batch b = { .batch = batch, .event = batch->event, .query = q };
	struct query_rows rows;
	uint64_t damaged;
	int err;

	damaged = nr_damaged(q);
	if (keeps(q, batch->event)) {
		b.nr = batch->nr;
		err = fn(ctx, &b);
		if (nr_damaged(q) == damaged)
			q->records += count_kept(q, &b);
		return err;
	}
	span.last_ns = reads_until(q);
	if (!query_filter_event(q->filter, batch->event) || batch->first_ns > span.last_ns ||
	    batch->last_ns < q->first_ns)
		return 0;
	err = query_sieve_rows(q->filter, batch, &span, &rows);
	if (err == -EBADMSG) {
		trace_damaged(batch);
		return 0;
	}
	if (err)
		return diag_set(d, err, "out of memory");
	if (!rows.nr && !q->gives_all)
		return 0;
	b.rows = rows.rows;
	b.nr = rows.nr;
	err = fn(ctx, &b);
	if (nr_damaged(q) == damaged)
		q->records += count_rows(&b);
	return err;
}

/* Who gets the records, while they are gone through. */
struct pass {
	struct query *q;
	query_batch_fn fn;
	void *ctx;
	struct diag *d;
};

/* Spans that were made, or a part. */
static int give_other(void *ctx, struct trace_batch *batch)
{
	struct pass *p = ctx;

	return give_batch(p->q, batch, p->fn, p->ctx, p->d);
}

static bool gives_records(void *ctx, const struct trace_event *e)
{
	struct query *q = ctx;

	return query_filter_event(q->filter, e) || keeps(q, e);
}

static bool spans_need(void *ctx, const struct trace_event *e)
{
	struct query *q = ctx;

	return query_spans_needs(q->spans, e);
}

static int add_part_to_spans(void *ctx, struct trace_batch *part)
{
	const struct pass *p = ctx;
	const struct query_span range = asked_for(p->q);

	return query_spans_add(p->q->spans, part, &range, false, p->d);
}

/* What the block promises is true after its parts only. */
static int add_to_spans(struct pass *p, struct trace_batch *batch, bool promises)
{
	const struct query_span range = asked_for(p->q);
	int err = 0;

	if (!p->q->spans)
		return 0;
	if (trace_is_stream(p->q->trace))
		err = query_spans_resolve(p->q->spans, p->q->trace, false, p->d);
	if (!err)
		err = query_parts_each(batch, spans_need, p->q, false, add_part_to_spans, p);
	return err ? err : query_spans_add(p->q->spans, batch, &range, promises, p->d);
}

/*
 * A block, and what there is in it.  Spans go first, parts last: the last of them tells
 * what the block promises, which holds for all.
 */
static int give_all(struct pass *p, struct trace_batch *batch)
{
	uint64_t safe_ns = batch->safe_ns;
	bool has_parts = query_parts_needs(p->q->trace, batch->event, gives_records, p->q);
	int err = add_to_spans(p, batch, !has_parts && !gives_records(p->q, batch->event));

	if (err || !has_parts)
		return err ? err : give_batch(p->q, batch, p->fn, p->ctx, p->d);
	batch->safe_ns = 0;
	err = give_batch(p->q, batch, p->fn, p->ctx, p->d);
	batch->safe_ns = safe_ns;
	return err ? err : query_parts_each(batch, gives_records, p->q, true, give_other, p);
}

static int finish_pass(struct pass *p)
{
	const struct query_span range = asked_for(p->q);
	int err = 0;

	if (trace_is_stream(p->q->trace))
		err = check_events(p->q, p->d);
	if (!err && p->q->spans)
		err = query_spans_finish(p->q->spans, &range, p->d);
	return err;
}

int query_each_batch(struct query *q, query_batch_fn fn, void *ctx, struct diag *d)
{
	struct pass pass = { q, fn, ctx, d };
	struct trace_batch batch;
	int got = 0, err = 0;

	if (q->read) {
		got = trace_rewind(q->trace);
		if (got)
			return diag_set(d, got, "cannot read a pipe twice");
	}
	q->read = true;
	q->records = 0;
	q->cut_spans = q->cut_ns = 0;
	q->negative_before = trace_part_negative(q->trace);
	if (q->spans && query_spans_begin(q->spans, give_other, &pass))
		return diag_set(d, -ENOMEM, "out of memory");
	while (!err && (got = next_batch(q, &batch, d)) > 0)
		err = give_all(&pass, &batch);
	if (err || got < 0)
		return err ? err : got;
	return finish_pass(&pass);
}
