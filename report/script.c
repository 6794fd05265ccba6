#include "report/script.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/digits.h"
#include "report/escape.h"
#include "report/script_private.h"

#define STACK_CACHE_BYTES (16u << 20)
#define FRAME_CACHE_BYTES (1u << 20)
#define COMM_CACHE_BYTES (256u << 10)
/* Ends query_each_record() when the limit is reached; no -errno. */
#define ENOUGH 1

static void put_text(struct bytebuf *to, const char *text)
{
	bytebuf_put(to, text, strlen(text));
}

static int field_by_name(const struct trace_event *e, const char *name)
{
	for (uint32_t i = 0; i < e->nr_fields; i++)
		if (!strcmp(e->fields[i].name, name))
			return (int)i;
	return -1;
}

static void get_value(struct script *s, const struct script_column *c,
		      const struct query_record *r, struct script_value *v)
{
	int field;

	*v = (struct script_value) { .kind = SCRIPT_NOTHING };
	if (c->value) {
		c->value(s, r, v);
		return;
	}
	field = field_by_name(r->event, c->name);
	if (field >= 0)
		script_field_value(s, r, (uint32_t)field, v);
}

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

static void put_column_text(struct script *s, const struct script_column *c,
			    const struct query_record *r)
{
	struct script_value v;
	size_t from;

	get_value(s, c, r, &v);
	if (v.kind == SCRIPT_NOTHING)
		return;
	if (!c->value) {
		put_text(s->to, c->name);
		put_text(s->to, "=");
	}
	put_text(s->to, c->prefix);
	from = s->to->len;
	put_plain(s, &v);
	if (c->width)
		put_fill(s->to, from, c->width, c->fill);
	put_text(s->to, c->suffix);
}

static bool has_column(const struct script *s, const char *name)
{
	for (size_t i = 0; i < s->plan.nr_columns; i++)
		if (!s->plan.columns[i].value && !strcmp(s->plan.columns[i].name, name))
			return true;
	return false;
}

/* The fields that have no column of their own; `each` is told of every one. */
static void each_other(struct script *s, const struct query_record *r,
		       void (*each)(struct script *s, const char *name,
				    const struct script_value *v, bool first))
{
	bool first = true;

	for (uint32_t i = 0; i < r->event->nr_fields; i++) {
		const struct field_desc *f = &r->event->fields[i];
		struct script_value v = { .kind = SCRIPT_NOTHING };

		if (script_is_common(f) || has_column(s, f->name))
			continue;
		script_field_value(s, r, i, &v);
		each(s, f->name, &v, first);
		first = false;
	}
}

static bool has_others(const struct script *s, const struct trace_event *e)
{
	for (uint32_t i = 0; i < e->nr_fields; i++)
		if (!script_is_common(&e->fields[i]) && !has_column(s, e->fields[i].name))
			return true;
	return false;
}

static void put_other_text(struct script *s, const char *name, const struct script_value *v,
			   bool first)
{
	if (!first)
		put_text(s->to, " ");
	escape_terminal(s->to, name, strlen(name));
	put_text(s->to, "=");
	put_plain(s, v);
}

static void put_line_text(struct script *s, const struct query_record *r)
{
	const struct script_column *time = s->plan.time;
	size_t from = s->to->len, time_from = 0, time_end = 0;

	for (size_t i = 0; i < s->plan.nr_columns; i++) {
		const struct script_column *c = &s->plan.columns[i];

		if (c == time)
			time_from = s->to->len + strlen(c->prefix);
		put_column_text(s, c, r);
		if (c == time)
			time_end = s->to->len - strlen(c->suffix);
	}
	if (s->plan.others)
		each_other(s, r, put_other_text);
	bytebuf_put(s->to, "\n", 1);
	if (time && !(s->plan.others && has_others(s, r->event)))
		script_keep_head(s, r, from, time_from, time_end);
}

static void put_record_text(struct script *s, const struct query_record *r)
{
	if (!s->plan.time || !script_put_head(s, r))
		put_line_text(s, r);
	if (!s->plan.stack)
		return;
	script_put_stack(s, r->stack);
	bytebuf_put(s->to, "\n", 1);
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
		put_text(s->to, "null");
	}
}

static void put_member(struct script *s, const char *name, const struct script_value *v,
		       bool first)
{
	if (!first)
		put_text(s->to, ",");
	put_json_string(s->to, name, strlen(name));
	put_text(s->to, ":");
	put_json_value(s, v);
}

static void put_record_json(struct script *s, const struct query_record *r)
{
	bool first = true;

	put_text(s->to, "{");
	for (size_t i = 0; i < s->plan.nr_columns; i++) {
		struct script_value v;

		get_value(s, &s->plan.columns[i], r, &v);
		if (v.kind == SCRIPT_NOTHING)
			continue;
		put_member(s, s->plan.columns[i].name, &v, first);
		first = false;
	}
	if (s->plan.others && has_others(s, r->event)) {
		put_text(s->to, first ? "\"fields\":{" : ",\"fields\":{");
		each_other(s, r, put_member);
		put_text(s->to, "}");
		first = false;
	}
	if (s->plan.stack) {
		put_text(s->to, first ? "\"stack\":" : ",\"stack\":");
		script_put_stack(s, r->stack);
	}
	put_text(s->to, "}\n");
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

static void gather_other(struct script *s, const char *name, const struct script_value *v,
			 bool first)
{
	struct bytebuf *to = s->to;

	s->to = &s->scratch_stack;
	put_other_text(s, name, v, first);
	s->to = to;
}

static void put_csv_comma(struct script *s, bool *first)
{
	if (!*first)
		put_text(s->to, ",");
	*first = false;
}

static void put_record_csv(struct script *s, const struct query_record *r)
{
	bool first = true;

	for (size_t i = 0; i < s->plan.nr_columns; i++) {
		struct script_value v;

		put_csv_comma(s, &first);
		get_value(s, &s->plan.columns[i], r, &v);
		put_csv_value(s, &v);
	}
	if (s->plan.others) {
		put_csv_comma(s, &first);
		bytebuf_clear(&s->scratch_stack);
		each_other(s, r, gather_other);
		if (s->scratch_stack.len)
			escape_csv(s->to, (const char *)s->scratch_stack.data,
				   s->scratch_stack.len);
	}
	if (s->plan.stack) {
		put_csv_comma(s, &first);
		script_put_stack(s, r->stack);
	}
	bytebuf_put(s->to, "\n", 1);
}

static void put_csv_header(struct script *s)
{
	bool first = true;

	for (size_t i = 0; i < s->plan.nr_columns; i++) {
		put_csv_comma(s, &first);
		escape_csv(s->to, s->plan.columns[i].name, strlen(s->plan.columns[i].name));
	}
	if (s->plan.others) {
		put_csv_comma(s, &first);
		put_text(s->to, "fields");
	}
	if (s->plan.stack) {
		put_csv_comma(s, &first);
		put_text(s->to, "stack");
	}
	bytebuf_put(s->to, "\n", 1);
}

/* --- all records ------------------------------------------------------------ */

static int put_record(void *ctx, const struct query_record *r)
{
	struct script *s = ctx;

	if (s->opts->limit && s->nr_records == s->opts->limit)
		return ENOUGH;
	if (s->nr_records++ == 0 && s->opts->relative)
		s->start_ns = query_start_ns(s->query);
	if (s->opts->format == SCRIPT_JSON)
		put_record_json(s, r);
	else if (s->opts->format == SCRIPT_CSV)
		put_record_csv(s, r);
	else
		put_record_text(s, r);
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
	if (err)
		return err;
	s->heads = calloc(1u << SCRIPT_HEAD_BITS, sizeof(*s->heads));
	return s->heads ? 0 : -ENOMEM;
}

int script_write(struct query *q, const struct script_opts *opts, struct output *o,
		 struct diag *d)
{
	struct script s = {
		.opts = opts, .query = q, .trace = query_trace(q), .output = o,
		.to = output_buffer(o),
	};
	int err;

	bytebuf_init(&s.scratch);
	bytebuf_init(&s.scratch_stack);
	err = script_init(&s, d);
	if (!err && opts->format == SCRIPT_CSV)
		put_csv_header(&s);
	if (!err)
		err = query_each_record(q, put_record, &s, d);
	if (err == ENOUGH)
		err = 0;
	query_count_frames(q, s.frames, s.unresolved);
	query_count_truncated(q, s.truncated);
	if (!err)
		err = names_error(s.names);
	if (!err && !s.opts->limit)
		err = script_plan_check(&s.plan, s.trace, d);
	bytebuf_release(&s.scratch);
	bytebuf_release(&s.scratch_stack);
	textcache_free(s.stacks);
	textcache_free(s.frame_texts);
	textcache_free(s.comms);
	free(s.heads);
	names_free(s.names);
	free(s.plan.names);
	/* output_close() has the better words for its errors. */
	if (!err || output_error(o))
		return err;
	return diag_set(d, err, "cannot print the records: %s", strerror(-err));
}
