#include "report/query_parts.h"

/* The next part that is wanted, from the i-th event on; NULL: there is none. */
static const struct trace_event *next_part(const struct trace *t, size_t *i,
					   const struct trace_event *whole,
					   query_parts_wants_fn wants, void *ctx)
{
	while (*i < trace_nr_events(t)) {
		const struct trace_event *e = trace_event_at(t, (*i)++);

		if (e->part_of && (!whole || e->part_of == whole->id) && wants(ctx, e))
			return e;
	}
	return NULL;
}

bool query_parts_needs(const struct trace *t, const struct trace_event *whole,
		       query_parts_wants_fn wants, void *ctx)
{
	size_t i = 0;

	return !whole->part_of && next_part(t, &i, whole, wants, ctx);
}

static unsigned int reach_of(const struct trace *t, const struct trace_event *e)
{
	const struct trace_event *whole = trace_part_whole(t, e);
	int field = e->by_role[ROLE_TIME];
	struct trace_part_source time;

	if (!whole || trace_part_source(whole, e->part_from[field], e->fields[field].type, &time))
		return QUERY_PARTS_NONE;
	if ((int)time.field != whole->by_role[ROLE_TIME])
		return QUERY_PARTS_EARLIER | QUERY_PARTS_LATER;
	return time.minus == TRACE_PART_PLAIN ? QUERY_PARTS_NONE : QUERY_PARTS_EARLIER;
}

unsigned int query_parts_reach(const struct trace *t, query_parts_wants_fn wants, void *ctx)
{
	const struct trace_event *e;
	unsigned int reach = QUERY_PARTS_NONE;

	for (size_t i = 0; (e = next_part(t, &i, NULL, wants, ctx));)
		reach |= reach_of(t, e);
	return reach;
}

int64_t query_parts_rows(struct trace_batch *b, uint32_t *rows)
{
	const uint64_t *values;
	int err = trace_part_condition(b, &values);
	size_t nr = 0;

	if (err)
		return err;
	for (size_t i = 0; i < b->nr; i++) {
		rows[nr] = (uint32_t)i;
		nr += !values || values[i];
	}
	return (int64_t)nr;
}

int query_parts_each(struct trace_batch *whole, query_parts_wants_fn wants, void *wants_ctx,
		     bool promises, query_parts_fn fn, void *ctx)
{
	const struct trace_event *e, *next;
	struct trace_batch b;
	size_t i = 0;
	int err = 0;

	if (whole->event->part_of)
		return 0;
	for (e = next_part(whole->trace, &i, whole->event, wants, wants_ctx); e && !err; e = next) {
		next = next_part(whole->trace, &i, whole->event, wants, wants_ctx);
		if (trace_part_batch(whole, e, &b))
			continue;
		b.safe_ns = next || !promises ? 0 : whole->safe_ns;
		err = fn(ctx, &b);
	}
	return err;
}
