#include "report/query_spans.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "report/query_complain.h"
#include "report/query_order.h"
#include "report/query_parts.h"
#include "report/query_spans_private.h"

#define MAX_VALUES 256

/* --- the list --------------------------------------------------------------------------- */

int query_spans_new(struct query_spans **out, struct query_spanspecs *specs,
		    struct query_filter *f, struct diag *d)
{
	struct query_spans *s = calloc(1, sizeof(*s));

	if (!s) {
		query_spanspec_release(specs);
		return diag_set(d, -ENOMEM, "out of memory");
	}
	s->specs = *specs;
	memset(specs, 0, sizeof(*specs));
	s->filter = f;
	s->nr = s->specs.nr;
	bytebuf_init(&s->scratch);
	s->list = calloc(s->nr + 1, sizeof(*s->list));
	s->values = calloc(MAX_VALUES, sizeof(*s->values));
	s->columns = calloc(MAX_VALUES, sizeof(*s->columns));
	if (!s->list || !s->values || !s->columns) {
		query_spans_free(s);
		return diag_set(d, -ENOMEM, "out of memory");
	}
	for (size_t i = 0; i < s->nr; i++) {
		s->list[i].spans = s;
		s->list[i].spec = &s->specs.list[i];
	}
	*out = s;
	return 0;
}

void query_spans_free(struct query_spans *s)
{
	if (!s)
		return;
	for (size_t i = 0; s->list && i < s->nr; i++) {
		query_spanrows_release(&s->list[i]);
		query_spanbind_release(&s->list[i]);
		query_pair_free(s->list[i].pair);
	}
	query_order_free(s->order);
	query_spanspec_release(&s->specs);
	bytebuf_release(&s->scratch);
	free(s->texts.hashes);
	free(s->rows);
	free(s->columns);
	free(s->values);
	free(s->list);
	free(s);
}

bool query_spans_needs(const struct query_spans *s, const struct trace_event *e)
{
	for (size_t i = 0; i < s->nr; i++)
		for (size_t side = 0; side < 2; side++)
			if (s->list[i].event && s->list[i].sides[side].event == e)
				return true;
	return false;
}

bool query_spans_makes(const struct query_spans *s, const struct trace_event *e)
{
	for (size_t i = 0; i < s->nr; i++)
		if (s->list[i].event == e)
			return true;
	return false;
}

/* --- finding events ----------------------------------------------------------------------- */

/* kymo record takes "tracepoint:a:b" for "a:b". */
static const char *without_kind(const char *name)
{
	static const char *const words[] = { "tracepoint:", "t:" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t len = strlen(words[i]);

		if (!strncmp(name, words[i], len) && strchr(name + len, ':'))
			return name + len;
	}
	return NULL;
}

/* How many events there are of the name, and one of them. */
static size_t find_named(const struct query_spans *s, const char *name,
			 const struct trace_event **out)
{
	size_t nr = 0;

	for (size_t i = 0; i < trace_nr_events(s->trace); i++) {
		const struct trace_event *e = trace_event_at(s->trace, i);

		if (query_spans_makes(s, e))
			continue;
		if (!strcmp(name, e->name)) {
			*out = e;
			return 1;
		}
		if (fnmatch(name, e->name, 0))
			continue;
		*out = e;
		nr++;
	}
	return nr;
}

/* 0 and NULL: not there, or not yet. */
static int find_side(const struct query_spans *s, const struct span *span, size_t side,
		     const struct trace_event **out, struct diag *d)
{
	const char *name = span->spec->sides[side].event;
	size_t nr;

	*out = NULL;
	nr = find_named(s, name, out);
	if (!nr && without_kind(name))
		nr = find_named(s, without_kind(name), out);
	if (nr > 1)
		return diag_set(d, -EINVAL, "span '%s': '%s' are %zu events of the trace, and a "
				"span has one %s", span->spec->text, name, nr,
				side ? "end" : "start");
	return 0;
}

/*
 * A word behind the keys that is none of them is the next event of the list, and so is
 * all that follows.
 */
static int split_keys(struct query_spans *s, struct span *span,
		      const struct trace_event *const sides[2], struct diag *d)
{
	struct query_spanspec *spec = span->spec;
	const struct trace_event *e;
	size_t from = 1;

	while (from < spec->nr_keys &&
	       ((query_spankeys_has(sides[0], spec->keys[from].start) &&
		 query_spankeys_has(sides[1], spec->keys[from].end)) ||
		strcmp(spec->keys[from].start, spec->keys[from].end) ||
		!find_named(s, spec->keys[from].start, &e)))
		from++;
	while (spec->nr_keys > from) {
		struct query_spanspec_key *k = &spec->keys[--spec->nr_keys];
		int err = 0;

		if (find_named(s, k->start, &e))
			err = query_filter_add_event(s->filter, e);
		free(k->start);
		free(k->end);
		if (err)
			return diag_set(d, err, "out of memory");
	}
	return 0;
}

static void tell_unended(void *ctx, const struct query_pair_start *start)
{
	struct query_spans *s = ctx;

	s->counts.no_end += start->time_ns >= s->range.first_ns &&
			    start->time_ns <= s->range.last_ns &&
			    query_filter_cpu(s->filter, start->cpu);
}

static int resolve(struct query_spans *s, struct span *span, bool last, struct diag *d)
{
	const struct trace_event *sides[2], *same;
	int err = 0;

	/* A span that was recorded as one may be called like this. */
	if (find_named(s, span->spec->text, &same)) {
		span->is_name = true;
		err = query_filter_add_event(s->filter, same);
		return err ? diag_set(d, err, "out of memory") : 0;
	}
	for (size_t side = 0; side < 2 && !err; side++)
		err = find_side(s, span, side, &sides[side], d);
	if (err)
		return err;
	if (!sides[0] || !sides[1]) {
		if (!last)
			return 0;
		return query_complain_event(span->spec->sides[sides[0] != NULL].event,
					    s->trace, d);
	}
	err = split_keys(s, span, sides, d);
	if (!err)
		err = query_spanbind_sides(span, s->trace, sides[0], sides[1], d);
	if (!err)
		err = query_filter_add_event(s->filter, span->event);
	if (!err)
		err = query_pair_new(&span->pair, span->nr_keys, span->sides[0].nr_copies,
				     QUERY_SPANS_WAITING_BYTES, tell_unended, s);
	return err ? diag_set(d, err, "out of memory") : 0;
}

int query_spans_resolve(struct query_spans *s, struct trace *t, bool last, struct diag *d)
{
	int err = 0;

	s->trace = t;
	if (!last && s->nr_events == trace_nr_events(t))
		return 0;
	for (size_t i = 0; i < s->nr && !err; i++)
		if (!s->list[i].event && !s->list[i].is_name)
			err = resolve(s, &s->list[i], last, d);
	s->nr_events = trace_nr_events(t);
	return err;
}

/* --- records ------------------------------------------------------------------------------ */

static int add_record(void *ctx, const struct query_record *r)
{
	struct query_spans *s = ctx;
	int err = 0;

	/* Or the answer would depend on where blocks end. */
	if (r->time_ns > s->range.last_ns)
		return 0;
	for (size_t i = 0; i < s->nr && !err; i++) {
		struct span *span = &s->list[i];

		if (!span->event)
			continue;
		/* What is both ends the one before and starts the next. */
		if (span->sides[QUERY_SPANSPEC_END].event == r->event)
			err = query_spanrows_end(span, r);
		if (!err && span->sides[QUERY_SPANSPEC_START].event == r->event)
			err = query_spanrows_start(span, r);
	}
	return err;
}

int query_spans_begin(struct query_spans *s, query_spans_emit_fn emit, void *ctx)
{
	s->emit = emit;
	s->ctx = ctx;
	for (size_t i = 0; i < s->nr; i++) {
		s->list[i].rows.nr = 0;
		if (s->list[i].pair)
			query_pair_finish(s->list[i].pair, false);
	}
	s->counts = (struct query_spans_counts){ 0 };
	query_order_free(s->order);
	s->order = NULL;
	return query_order_new(&s->order, add_record, s);
}

/* The promise goes with the last rows. */
static int flush(struct query_spans *s, uint64_t safe_ns)
{
	size_t last = s->nr;
	int err = 0;

	for (size_t i = 0; i < s->nr; i++)
		if (s->list[i].rows.nr)
			last = i;
	for (size_t i = 0; i < s->nr && !err; i++)
		err = query_spanrows_flush(&s->list[i], i == last ? safe_ns : 0);
	return err;
}

/* On a pipe: records of a side whose partner is still unknown. */
static const struct span *find_early(const struct query_spans *s, const struct trace_event *e)
{
	for (size_t i = 0; i < s->nr; i++)
		for (size_t side = 0; side < 2; side++)
			if (!s->list[i].event && !s->list[i].is_name &&
			    !fnmatch(s->list[i].spec->sides[side].event, e->name, 0))
				return &s->list[i];
	return NULL;
}

/* Only some records of a whole have the part. */
static int choose_rows(struct query_spans *s, struct query_batch *raw)
{
	int64_t nr;

	if (!raw->batch->whole)
		return 0;
	if (raw->nr > s->rows_cap) {
		uint32_t *rows = realloc(s->rows, raw->nr * sizeof(*rows));

		if (!rows)
			return -ENOMEM;
		s->rows = rows;
		s->rows_cap = raw->nr;
	}
	nr = query_parts_rows(raw->batch, s->rows);
	if (nr < 0)
		trace_damaged(raw->batch);
	raw->nr = nr < 0 ? 0 : (size_t)nr;
	raw->rows = s->rows;
	return 0;
}

int query_spans_add(struct query_spans *s, struct trace_batch *b,
		    const struct query_span *range, bool promises, struct diag *d)
{
	struct query_batch raw = { .batch = b, .event = b->event, .nr = b->nr };
	const struct span *early = find_early(s, b->event);
	uint64_t safe_ns = b->safe_ns;
	int err;

	if (early)
		return diag_set(d, -EINVAL, "span '%s': the pipe has records of '%s' before it tells "
				"of the other event: write it to a file first", early->spec->text,
				b->event->name);
	s->range = *range;
	if (query_spans_needs(s, b->event)) {
		err = choose_rows(s, &raw);
		if (!err)
			err = query_order_add(s->order, &raw);
	} else {
		err = query_order_advance(s->order, safe_ns);
	}
	if (!err)
		err = flush(s, promises ? safe_ns : 0);
	return err < 0 ? diag_set(d, err, "out of memory") : err;
}

int query_spans_finish(struct query_spans *s, const struct query_span *range, struct diag *d)
{
	uint64_t first_ns, last_ns;
	int err;

	s->range = *range;
	err = query_order_finish(s->order);
	if (!err)
		err = flush(s, 0);
	if (err)
		return err < 0 ? diag_set(d, err, "out of memory") : err;
	/* What ends after the range has an end. */
	trace_time_range(s->trace, &first_ns, &last_ns);
	for (size_t i = 0; i < s->nr; i++)
		if (s->list[i].pair)
			query_pair_finish(s->list[i].pair, range->last_ns >= last_ns);
	return 0;
}

void query_spans_get_counts(const struct query_spans *s, struct query_spans_counts *out)
{
	*out = s->counts;
}
