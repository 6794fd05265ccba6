#include "report/script.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/digits.h"
#include "report/escape.h"
#include "report/script_graph.h"
#include "report/script_private.h"
#include "report/script_slowest.h"

#define STACK_CACHE_BYTES (16u << 20)
#define FRAME_CACHE_BYTES (1u << 20)
#define COMM_CACHE_BYTES (256u << 10)
/* Ends query_each_record() when the limit is reached; no -errno. */
#define ENOUGH 1

/* --- text ------------------------------------------------------------------ */

static void put_fill(struct bytebuf *to, size_t from, int width, char fill)
{
	size_t len = to->len - from;
	size_t room = (size_t)(width < 0 ? -width : width);

	if (len >= room || bytebuf_reserve(to, room - len))
		return;
	if (width < 0) {
		memset(to->data + to->len, fill, room - len);
	} else {
		memmove(to->data + from + (room - len), to->data + from, len);
		memset(to->data + from, fill, room - len);
	}
	to->len += room - len;
}

static void put_plain(struct script *s, const struct script_value *v)
{
	switch (v->kind) {
	case SCRIPT_NUMBER:
		digits_put(s->to, v->number);
		break;
	case SCRIPT_SECONDS:
		digits_put_seconds(s->to, v->number, s->opts->ns ? 9 : 6, 0);
		break;
	case SCRIPT_STRING:
		escape_terminal(s->to, v->text, v->len_bytes);
		break;
	case SCRIPT_WRITTEN:
		bytebuf_put(s->to, v->text, v->len_bytes);
		break;
	default:
		break;
	}
}

/* An event whose fields follow in parentheses: nothing stands between. */
static bool is_call(const struct script *s, const struct script_event *e,
		    const struct script_column *c)
{
	return s->plan.event_last && s->plan.others && (e->nr_others || e->call) &&
	       !e->format && c == &s->plan.columns[s->plan.nr_columns - 1];
}

static bool shows_stack(const struct script *s, const struct script_event *e)
{
	return s->plan.stack && e->event->by_role[ROLE_STACK] >= 0;
}

static void put_field_text(struct script *s, const struct script_event *e, size_t i,
			   const struct query_record *r)
{
	const struct script_column *c = &s->plan.columns[i];

	if (e->fields[i] < 0)
		return;
	escape_terminal(s->to, c->name, strlen(c->name));
	bytebuf_text(s->to, "=");
	script_event_put_field(s, r, (uint32_t)e->fields[i]);
	bytebuf_text(s->to, c->suffix);
}

static void put_column_text(struct script *s, const struct script_event *e, size_t i,
			    const struct query_record *r)
{
	const struct script_column *c = &s->plan.columns[i];
	int width = c->alone_width && !shows_stack(s, e) ? c->alone_width : c->width;
	struct script_value v = { .kind = SCRIPT_NOTHING };
	size_t from;

	if (!c->value) {
		put_field_text(s, e, i, r);
		return;
	}
	c->value(s, r, &v);
	if (v.kind == SCRIPT_NOTHING)
		return;
	bytebuf_text(s->to, c->prefix);
	from = s->to->len;
	if (e->call && is_call(s, e, c))
		v = (struct script_value) { .kind = SCRIPT_STRING, .text = e->call,
					    .len_bytes = strlen(e->call) };
	put_plain(s, &v);
	if (width)
		put_fill(s->to, from, width, c->fill);
	bytebuf_text(s->to, is_call(s, e, c) ? "" : c->suffix);
}

static void put_columns_text(struct script *s, const struct script_event *e,
			     const struct query_record *r)
{
	const struct script_column *time = s->plan.time;
	size_t from = s->to->len, time_from = 0, time_end = 0;

	for (size_t i = 0; i < s->plan.nr_columns; i++) {
		const struct script_column *c = &s->plan.columns[i];

		if (c == time)
			time_from = s->to->len + strlen(c->prefix);
		put_column_text(s, e, i, r);
		if (c == time)
			time_end = s->to->len - strlen(c->suffix);
	}
	if (time)
		script_keep_head(s, r, from, time_from, time_end);
}

static void put_record_text(struct script *s, const struct script_event *e,
			    const struct query_record *r)
{
	if (!s->plan.time || !script_put_head(s, r))
		put_columns_text(s, e, r);
	if (s->plan.others)
		script_event_put_text(s, e, r);
	bytebuf_put(s->to, "\n", 1);
	if (shows_stack(s, e)) {
		script_put_stack(s, r->stack);
		bytebuf_put(s->to, "\n", 1);
	}
	if (e->waker_stack >= 0 && r->values[e->waker_stack])
		script_put_waker_stack(s, e, r);
}

/* --- JSON ------------------------------------------------------------------ */

static void put_json_string(struct bytebuf *to, const char *text, size_t len)
{
	bytebuf_put(to, "\"", 1);
	escape_json(to, text, len);
	bytebuf_put(to, "\"", 1);
}

static void put_json_value(struct script *s, const struct script_value *v)
{
	switch (v->kind) {
	case SCRIPT_NUMBER:
		digits_put(s->to, v->number);
		break;
	case SCRIPT_SECONDS:
		digits_put_seconds(s->to, v->number, 9, 0);
		break;
	case SCRIPT_STRING:
		put_json_string(s->to, v->text, v->len_bytes);
		break;
	case SCRIPT_WRITTEN:
		bytebuf_put(s->to, v->text, v->len_bytes);
		break;
	default:
		bytebuf_text(s->to, "null");
	}
}

static void put_comma(struct script *s, bool *first)
{
	if (!*first)
		bytebuf_text(s->to, ",");
	*first = false;
}

static void put_name_json(struct script *s, const char *name, bool *first)
{
	put_comma(s, first);
	put_json_string(s->to, name, strlen(name));
	bytebuf_text(s->to, ":");
}

static void put_column_json(struct script *s, const struct script_event *e, size_t i,
			    const struct query_record *r, bool *first)
{
	const struct script_column *c = &s->plan.columns[i];
	struct script_value v = { .kind = SCRIPT_NOTHING };

	if (c->value)
		c->value(s, r, &v);
	if (c->value ? v.kind == SCRIPT_NOTHING : e->fields[i] < 0)
		return;
	put_name_json(s, c->name, first);
	if (c->value)
		put_json_value(s, &v);
	else
		script_event_put_field(s, r, (uint32_t)e->fields[i]);
}

static void put_waker_stack_json(struct script *s, const struct script_event *e,
				 const struct query_record *r, bool first)
{
	uint64_t stack = r->values[e->waker_stack];

	put_name_json(s, e->event->fields[e->waker_stack].name, &first);
	script_put_stack(s, stack <= UINT32_MAX ? (uint32_t)stack : 0);
}

static void put_record_json(struct script *s, const struct script_event *e,
			    const struct query_record *r)
{
	bool first = true;

	bytebuf_text(s->to, "{");
	for (size_t i = 0; i < s->plan.nr_columns; i++)
		put_column_json(s, e, i, r, &first);
	if (s->plan.others && e->nr_others) {
		bytebuf_text(s->to, first ? "\"fields\":{" : ",\"fields\":{");
		for (size_t i = 0; i < e->nr_others; i++) {
			bytebuf_put(s->to, e->others[i].key, e->others[i].key_len);
			script_event_put_field(s, r, e->others[i].field);
		}
		bytebuf_text(s->to, "}");
		first = false;
	}
	if (shows_stack(s, e)) {
		bytebuf_text(s->to, first ? "\"stack\":" : ",\"stack\":");
		script_put_stack(s, r->stack);
		first = false;
	}
	if (e->waker_stack >= 0)
		put_waker_stack_json(s, e, r, first);
	bytebuf_text(s->to, "}\n");
}

/* --- CSV ------------------------------------------------------------------- */

static void put_csv_value(struct script *s, const struct script_value *v)
{
	if (v->kind == SCRIPT_SECONDS)
		digits_put_seconds(s->to, v->number, 9, 0);
	else if (v->kind == SCRIPT_STRING)
		escape_csv(s->to, v->text, v->len_bytes);
	else
		put_plain(s, v);
}

static void put_column_csv(struct script *s, const struct script_event *e, size_t i,
			   const struct query_record *r)
{
	const struct script_column *c = &s->plan.columns[i];
	struct script_value v = { .kind = SCRIPT_NOTHING };

	if (c->value) {
		c->value(s, r, &v);
		put_csv_value(s, &v);
	} else if (e->fields[i] >= 0) {
		script_event_put_field(s, r, (uint32_t)e->fields[i]);
	}
}

static void put_record_csv(struct script *s, const struct script_event *e,
			   const struct query_record *r)
{
	bool first = true;

	for (size_t i = 0; i < s->plan.nr_columns; i++) {
		put_comma(s, &first);
		put_column_csv(s, e, i, r);
	}
	for (size_t i = 0; i < s->nr_csv; i++) {
		put_comma(s, &first);
		if (e->cells[i] >= 0)
			script_event_put_field(s, r, (uint32_t)e->cells[i]);
	}
	if (s->plan.stack) {
		put_comma(s, &first);
		script_put_stack(s, r->stack);
	}
	bytebuf_put(s->to, "\n", 1);
}

static bool is_column(const struct script *s, const char *name)
{
	for (size_t i = 0; i < s->plan.nr_columns; i++)
		if (!strcmp(s->plan.columns[i].name, name))
			return true;
	return !strcmp(name, "stack");
}

/* On a pipe events come with the first record. */
static int put_csv_header(struct script *s)
{
	bool first = true;
	int err = s->plan.others ? script_event_make_csv(s) : 0;

	for (size_t i = 0; i < s->plan.nr_columns; i++) {
		put_comma(s, &first);
		escape_csv(s->to, s->plan.columns[i].name, strlen(s->plan.columns[i].name));
	}
	for (size_t i = 0; i < s->nr_csv; i++) {
		put_comma(s, &first);
		if (is_column(s, s->csv[i]))
			bytebuf_text(s->to, "fields.");
		escape_csv(s->to, s->csv[i], strlen(s->csv[i]));
	}
	if (s->plan.stack) {
		put_comma(s, &first);
		bytebuf_text(s->to, "stack");
	}
	bytebuf_put(s->to, "\n", 1);
	return err;
}

/* Calls with a depth are shown as a graph, unless the user wants certain fields. */
static bool is_graph(const struct script *s, const struct trace_event *e)
{
	return s->opts->format == SCRIPT_TEXT && !s->opts->fields && !s->opts->slowest &&
	       script_graph_takes(e);
}

static int put_record_graph(struct script *s, const struct query_record *r)
{
	int err = s->graph ? 0 : script_graph_new(&s->graph, s);

	return err ? err : script_graph_add(s->graph, r);
}

/* --- all records ------------------------------------------------------------ */

static int begin(struct script *s)
{
	if (s->opts->relative)
		s->start_ns = query_start_ns(s->query);
	return s->opts->format == SCRIPT_CSV ? put_csv_header(s) : 0;
}

static int put_record(void *ctx, const struct query_record *r)
{
	struct script *s = ctx;
	const struct script_event *e;
	int err = 0;

	if (s->opts->limit && s->nr_records == s->opts->limit)
		return ENOUGH;
	if (s->nr_records++ == 0)
		err = begin(s);
	e = err ? NULL : script_event_get(s, r->event, s->diag);
	if (!e)
		return s->diag->text[0] ? -EINVAL : -ENOMEM;
	if (s->opts->format == SCRIPT_JSON)
		put_record_json(s, e, r);
	else if (s->opts->format == SCRIPT_CSV)
		put_record_csv(s, e, r);
	else if (is_graph(s, r->event))
		err = put_record_graph(s, r);
	else
		put_record_text(s, e, r);
	if (err)
		return err;
	if (s->scratch.err || s->scratch_stack.err)
		return -ENOMEM;
	output_settle(s->output);
	return output_error(s->output);
}

static int script_init(struct script *s, struct diag *d)
{
	int err = script_plan_make(&s->plan, s->opts, s->trace, d);

	if (!err)
		err = names_new(&s->names, s->trace);
	if (!err)
		err = textcache_new(&s->stacks, STACK_CACHE_BYTES);
	if (!err)
		err = textcache_new(&s->frame_texts, FRAME_CACHE_BYTES);
	if (!err)
		err = textcache_new(&s->comms, COMM_CACHE_BYTES);
	if (!err)
		err = nametexts_new(&s->nametexts);
	if (err)
		return err;
	s->text = (struct fieldtext) {
		.trace = s->trace, .names = s->names, .nametexts = s->nametexts };
	s->style = s->opts->format == SCRIPT_JSON ? FIELDTEXT_JSON :
		   s->opts->format == SCRIPT_CSV ? FIELDTEXT_CSV : FIELDTEXT_TERMINAL;
	s->heads = calloc(1u << SCRIPT_HEAD_BITS, sizeof(*s->heads));
	return s->heads ? 0 : -ENOMEM;
}

int script_write(struct query *q, const struct script_opts *opts, struct output *o,
		 struct diag *d)
{
	struct script s = {
		.opts = opts, .query = q, .trace = query_trace(q), .output = o,
		.to = output_buffer(o), .diag = d,
	};
	int err;

	arena_init(&s.arena);
	bytebuf_init(&s.scratch);
	bytebuf_init(&s.scratch_stack);
	err = script_init(&s, d);
	if (!err)
		err = opts->slowest ? script_slowest_each(q, opts->slowest, put_record, &s, d) :
				      query_each_record(q, put_record, &s, d);
	if (err == ENOUGH)
		err = 0;
	if (!err && s.graph)
		err = script_graph_end(s.graph);
	if (!err && !s.nr_records)
		err = begin(&s);
	query_count_frames(q, s.frames, s.unresolved);
	/* A share of all records cannot be told from a few. */
	query_count_truncated(q, opts->slowest ? 0 : s.truncated);
	if (!err)
		err = names_error(s.names);
	if (!err && !s.opts->limit)
		err = script_plan_check(&s.plan, s.trace, d);
	bytebuf_release(&s.scratch);
	bytebuf_release(&s.scratch_stack);
	textcache_free(s.stacks);
	textcache_free(s.frame_texts);
	textcache_free(s.comms);
	nametexts_free(s.nametexts);
	free(s.heads);
	script_graph_free(s.graph);
	script_event_free_all(&s);
	arena_release(&s.arena);
	names_free(s.names);
	free(s.plan.names);
	/* output_close() has the better words for its errors. */
	if (!err || output_error(o) || d->text[0])
		return err;
	return diag_set(d, err, "cannot print the records: %s", strerror(-err));
}
