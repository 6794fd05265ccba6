#include "report/script_private.h"

#include <string.h>

static void put_name(struct script *s, const char *name, bool *first)
{
	script_put_comma(s, first);
	script_put_string(s, name, strlen(name));
	bytebuf_text(s->to, ":");
}

static void put_column(struct script *s, const struct script_event *e, size_t i,
		       const struct query_record *r, bool *first)
{
	const struct script_column *c = &s->plan.columns[i];
	struct script_value v = { .kind = SCRIPT_NOTHING };

	if (c->value)
		c->value(s, r, &v);
	if (c->value ? v.kind == SCRIPT_NOTHING : e->fields[i] < 0)
		return;
	put_name(s, c->name, first);
	if (c->value)
		script_put_value(s, &v);
	else
		script_event_put_field(s, r, (uint32_t)e->fields[i]);
}

static void put_waker_stack(struct script *s, const struct script_event *e,
			    const struct query_record *r, bool first)
{
	uint64_t stack = r->values[e->waker_stack];

	put_name(s, e->event->fields[e->waker_stack].name, &first);
	script_put_stack(s, stack <= UINT32_MAX ? (uint32_t)stack : 0);
}

void script_json_put(struct script *s, const struct script_event *e,
		     const struct query_record *r)
{
	bool first = true;

	bytebuf_text(s->to, "{");
	for (size_t i = 0; i < s->plan.nr_columns; i++)
		put_column(s, e, i, r, &first);
	if (s->plan.others && e->nr_others) {
		bytebuf_text(s->to, first ? "\"fields\":{" : ",\"fields\":{");
		for (size_t i = 0; i < e->nr_others; i++) {
			bytebuf_put(s->to, e->others[i].key, e->others[i].key_len);
			script_event_put_field(s, r, e->others[i].field);
		}
		bytebuf_text(s->to, "}");
		first = false;
	}
	if (script_shows_stack(s, e)) {
		bytebuf_text(s->to, first ? "\"stack\":" : ",\"stack\":");
		script_put_stack(s, r->stack);
		first = false;
	}
	if (e->waker_stack >= 0)
		put_waker_stack(s, e, r, first);
	bytebuf_text(s->to, "}\n");
}
