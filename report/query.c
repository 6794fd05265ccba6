#include "report/query.h"

#include "report/query_filter.h"
#include "report/query_quality.h"
#include "report/query_time.h"

#include <errno.h>
#include <stdlib.h>

struct query {
	struct trace *trace;
	struct query_filter *filter;
	struct query_time time;
	bool started;			/* start_ns is known */
	uint64_t start_ns;
	uint64_t first_ns, last_ns;	/* asked for, inclusive */
	bool read;			/* record blocks were read before */
	uint64_t records, frames, unresolved, truncated_stacks;
};

static bool wants_event(void *ctx, const struct trace_event *e)
{
	struct query *q = ctx;

	return query_filter_event(q->filter, e);
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

int query_open(struct query **out, const struct query_opts *opts, struct diag *d)
{
	struct query *q = calloc(1, sizeof(*q));
	int err;

	if (!q)
		return diag_set(d, -ENOMEM, "out of memory");
	q->last_ns = UINT64_MAX;
	err = query_time_parse(&q->time, opts->time, d);
	if (!err)
		err = query_filter_new(&q->filter, opts, d);
	if (!err)
		err = open_trace(q, opts->input ? opts->input : "trace.kymo", d);
	if (!err)
		err = find_start(q, d);
	if (!err && !trace_is_stream(q->trace))
		err = query_filter_check_events(q->filter, q->trace, d);
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

static int next_batch(struct query *q, struct trace_batch *batch, struct diag *d)
{
	struct trace_want want = {
		.first_ns = q->first_ns, .last_ns = q->last_ns,
		.event = wants_event, .ctx = q,
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

static uint64_t nr_damaged(const struct query *q)
{
	struct trace_health health;

	trace_get_health(q->trace, &health);
	return health.damaged_blocks;
}

/* One block through the filters to fn.  A block that fn finds damaged is not counted. */
static int give_batch(struct query *q, struct trace_batch *batch, query_batch_fn fn, void *ctx,
		      struct diag *d)
{
	const struct query_span span = { q->start_ns, q->first_ns, q->last_ns };
	struct query_batch b = { .batch = batch, .event = batch->event };
	struct query_rows rows;
	uint64_t damaged;
	int err;

	if (!wants_event(q, batch->event) || batch->first_ns > q->last_ns ||
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
		q->records += rows.nr;
	return err;
}

int query_each_batch(struct query *q, query_batch_fn fn, void *ctx, struct diag *d)
{
	struct trace_batch batch;
	int got = 0, err = 0;

	if (q->read) {
		got = trace_rewind(q->trace);
		if (got)
			return diag_set(d, got, "cannot read a pipe twice");
	}
	q->read = true;
	q->records = 0;
	while (!err && (got = next_batch(q, &batch, d)) > 0)
		err = give_batch(q, &batch, fn, ctx, d);
	if (err || got < 0)
		return err ? err : got;
	if (trace_is_stream(q->trace))
		return query_filter_check_events(q->filter, q->trace, d);
	return 0;
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
	return query_filter_cpu(q->filter, l->cpu) && (!e || wants_event(q, e));
}

/* Whether all events that are asked for have a weight. */
static bool is_sampled(struct query *q)
{
	for (size_t i = 0; i < trace_nr_events(q->trace); i++) {
		const struct trace_event *e = trace_event_at(q->trace, i);

		if (wants_event(q, e) && e->by_role[ROLE_WEIGHT] < 0)
			return false;
	}
	return true;
}

void query_get_quality(struct query *q, struct query_quality *out)
{
	const struct trace_loss *losses;
	size_t nr;

	*out = (struct query_quality) {
		.records = q->records, .is_sampled = is_sampled(q), .frames = q->frames, .unresolved = q->unresolved,
		.truncated_stacks = q->truncated_stacks,
	};
	trace_get_health(q->trace, &out->health);
	losses = trace_losses(q->trace, &nr);
	for (size_t i = 0; i < nr; i++) {
		if (!loss_counts(q, &losses[i]))
			continue;
		if (losses[i].cause == LOSS_SIDEBAND)
			out->lost_notes += losses[i].count;
		else
			out->lost += losses[i].count;
	}
}

bool query_quality_line(struct query *q, char *to, size_t size_bytes)
{
	struct query_quality quality;

	query_get_quality(q, &quality);
	return query_quality_print(&quality, to, size_bytes);
}
