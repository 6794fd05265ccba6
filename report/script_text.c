#include "report/script_private.h"

#include <string.h>

#include "report/escape.h"

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

/* An event whose fields follow in parentheses: nothing stands between. */
static bool is_call(const struct script *s, const struct script_event *e,
		    const struct script_column *c)
{
	return s->plan.event_last && s->plan.others && (e->nr_others || e->call) &&
	       !e->format && c == &s->plan.columns[s->plan.nr_columns - 1];
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

static void put_column(struct script *s, const struct script_event *e, size_t i,
		       const struct query_record *r)
{
	const struct script_column *c = &s->plan.columns[i];
	int width = c->alone_width && !script_shows_stack(s, e) ? c->alone_width : c->width;
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
	script_put_value(s, &v);
	if (width)
		put_fill(s->to, from, width, c->fill);
	bytebuf_text(s->to, is_call(s, e, c) ? "" : c->suffix);
}

static void put_columns(struct script *s, const struct script_event *e,
			const struct query_record *r)
{
	const struct script_column *time = s->plan.time;
	size_t from = s->to->len, time_from = 0, time_end = 0;

	for (size_t i = 0; i < s->plan.nr_columns; i++) {
		const struct script_column *c = &s->plan.columns[i];

		if (c == time)
			time_from = s->to->len + strlen(c->prefix);
		put_column(s, e, i, r);
		if (c == time)
			time_end = s->to->len - strlen(c->suffix);
	}
	if (time)
		script_keep_head(s, r, from, time_from, time_end);
}

void script_text_put(struct script *s, const struct script_event *e,
		     const struct query_record *r)
{
	if (!s->plan.time || !script_put_head(s, r))
		put_columns(s, e, r);
	if (s->plan.others)
		script_event_put_text(s, e, r);
	bytebuf_put(s->to, "\n", 1);
	if (script_shows_stack(s, e)) {
		script_put_stack(s, r->stack);
		bytebuf_put(s->to, "\n", 1);
	}
	if (e->waker_stack >= 0 && r->values[e->waker_stack])
		script_put_waker_stack(s, e, r);
}
