#include "report/query.h"

#include "report/query_filter.h"
#include "report/query_quality.h"
#include "report/query_spans.h"
#include "report/query_time.h"

#include <errno.h>
#include <stdlib.h>

struct query {
	struct trace *trace;
	struct query_filter *filter;
	struct query_spans *spans;	/* made of raw records; NULL: none */
	struct query_time time;
	bool started;			/* start_ns is known */
	uint64_t start_ns;
	uint64_t first_ns, last_ns;	/* asked for, inclusive */
	bool read;			/* record blocks were read before */
	bool reads_on;			/* past last_ns */
	query_event_fn keeps;		/* or NULL */
	uint64_t records, frames, unresolved, truncated_stacks;
};

static bool keeps(const struct query *q, const struct trace_event *e)
{
	return q->keeps && q->keeps(e);
}

/* Which blocks are read. */
static bool wants_block(void *ctx, const struct trace_event *e)
{
	struct query *q = ctx;

	if (q->spans && query_spans_makes(q->spans, e))
		return false;
	return query_filter_event(q->filter, e) || keeps(q, e) ||
	       (q->spans && query_spans_needs(q->spans, e));
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
	/* A span that ends in time may have started long before. */
	struct trace_want want = {
		.first_ns = q->spans || q->keeps ? 0 : q->first_ns,
		.last_ns = q->keeps ? UINT64_MAX : reads_until(q),
		.event = wants_block, .ctx = q,
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

/* One block through the filters to fn.  A block that fn finds damaged is not counted. */
static int give_batch(struct query *q, struct trace_batch *batch, query_batch_fn fn, void *ctx,
		      struct diag *d)
{
	struct query_span span = asked_for(q);
	struct query_batch b = { .batch = batch, .event = batch->event };
	struct query_rows rows;
	uint64_t damaged;
	int err;

	if (keeps(q, batch->event)) {
		b.nr = batch->nr;
		return fn(ctx, &b);
	}
	span.last_ns = reads_until(q);
	if (!query_filter_event(q->filter, batch->event) || batch->first_ns > span.last_ns ||
	    batch->last_ns < q->first_ns)
		return 0;
	err = query_filter_rows(q->filter, batch, &span, &rows);
	if (err == -EBADMSG) {
		trace_damaged(batch);
		return 0;
	}
	if (err)
		return diag_set(d, err, "out of memory");
	if (!rows.nr)
		return 0;
	b.rows = rows.rows;
	b.nr = rows.nr;
	damaged = nr_damaged(q);
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

static int give_spans(void *ctx, struct trace_batch *batch)
{
	struct pass *p = ctx;

	return give_batch(p->q, batch, p->fn, p->ctx, p->d);
}

/* Spans go first: what the block promises holds for them, too. */
static int add_to_spans(struct pass *p, struct trace_batch *batch)
{
	const struct query_span range = asked_for(p->q);
	bool is_wanted = query_filter_event(p->q->filter, batch->event) ||
			 keeps(p->q, batch->event);
	int err = 0;

	if (!p->q->spans)
		return 0;
	if (trace_is_stream(p->q->trace))
		err = query_spans_resolve(p->q->spans, p->q->trace, false, p->d);
	return err ? err : query_spans_add(p->q->spans, batch, &range, !is_wanted, p->d);
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
	if (q->spans && query_spans_begin(q->spans, give_spans, &pass))
		return diag_set(d, -ENOMEM, "out of memory");
	while (!err && (got = next_batch(q, &batch, d)) > 0) {
		err = add_to_spans(&pass, &batch);
		if (!err)
			err = give_batch(q, &batch, fn, ctx, d);
	}
	if (err || got < 0)
		return err ? err : got;
	return finish_pass(&pass);
}

void query_count_frames(struct query *q, uint64_t frames, uint64_t unresolved)
{
	q->frames += frames;
	q->unresolved += unresolved;
}

void query_count_truncated(struct query *q, uint64_t stacks)
{
	q->truncated_stacks += stacks;
}

static bool loss_counts(struct query *q, const struct trace_loss *l)
{
	const struct trace_event *e = trace_event_by_id(q->trace, l->event);

	if (l->last_ns < q->first_ns || l->first_ns > q->last_ns)
		return false;
	return query_filter_cpu(q->filter, l->cpu) && (!e || wants_block(q, e));
}

/* Whether all events that are asked for have a field with the role. */
static bool all_have(struct query *q, enum field_role role)
{
	for (size_t i = 0; i < trace_nr_events(q->trace); i++) {
		const struct trace_event *e = trace_event_at(q->trace, i);

		if (query_filter_event(q->filter, e) && e->by_role[role] < 0)
			return false;
	}
	return true;
}

/* Causes that are not known yet are losses. */
static uint64_t *counter(struct query_quality *out, uint32_t cause)
{
	switch (cause) {
	case LOSS_SIDEBAND:
		return &out->lost_notes;
	case LOSS_NO_START:
		return &out->no_start;
	case LOSS_NO_END:
		return &out->no_end;
	default:
		return &out->lost;
	}
}

static void count_spans(struct query *q, struct query_quality *out)
{
	struct query_spans_counts counts;

	query_spans_get_counts(q->spans, &counts);
	out->no_start = counts.no_start;
	out->no_end = counts.no_end;
	out->lost = counts.lost;
}

void query_get_quality(struct query *q, struct query_quality *out)
{
	const struct trace_loss *losses;
	size_t nr;

	*out = (struct query_quality) {
		.records = q->records,
		/* A span may have a weight, too: the time that is its own. */
		.is_sampled = all_have(q, ROLE_WEIGHT) &&
			      !(trace_nr_events(q->trace) && all_have(q, ROLE_DURATION)),
		.is_tallied = all_have(q, ROLE_COUNT) && trace_nr_events(q->trace),
		.frames = q->frames, .unresolved = q->unresolved,
		.truncated_stacks = q->truncated_stacks,
	};
	if (q->spans)
		count_spans(q, out);
	trace_get_health(q->trace, &out->health);
	losses = trace_losses(q->trace, &nr);
	for (size_t i = 0; i < nr; i++) {
		if (!loss_counts(q, &losses[i]))
			continue;
		*counter(out, losses[i].cause) += losses[i].count;
	}
}

bool query_quality_line(struct query *q, char *to, size_t size_bytes)
{
	struct query_quality quality;

	query_get_quality(q, &quality);
	return query_quality_print(&quality, to, size_bytes);
}
