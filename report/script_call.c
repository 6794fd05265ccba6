#include <string.h>

#include "report/digits.h"
#include "report/errnotext.h"
#include "report/script_private.h"

static bool is_number(const struct field_desc *f)
{
	return f->type == FIELD_UNSIGNED || f->type == FIELD_SIGNED;
}

void script_call_make(struct script_event *e)
{
	const struct trace_event *event = e->event;
	int result = event->by_role[ROLE_RESULT], duration = event->by_role[ROLE_DURATION];
	const char *colon = strrchr(event->name, ':');

	if (result < 0 || duration < 0 || !is_number(&event->fields[result]) ||
	    !is_number(&event->fields[duration]))
		return;
	e->call = colon && colon[1] ? colon + 1 : event->name;
	e->result = (uint32_t)result;
	e->duration = (uint32_t)duration;
}

static void put_result(struct script *s, const struct query_record *r, uint32_t field)
{
	uint64_t number = -r->values[field];
	const char *name = errnotext_name(number);

	if (!errnotext_is(r->values[field]) || !name) {
		script_event_put_field(s, r, field);
		return;
	}
	bytebuf_text(s->to, errnotext_is_restart(number) ? "? " : "-1 ");
	bytebuf_text(s->to, name);
	bytebuf_text(s->to, " (");
	bytebuf_text(s->to, errnotext_message(number));
	bytebuf_text(s->to, ")");
}

static void put_duration(struct script *s, const struct query_record *r, uint32_t field)
{
	const struct field_desc *f = &r->event->fields[field];
	uint64_t ns = r->values[field];

	if (!f->unit || strcmp(f->unit, "ns") || ns > INT64_MAX) {
		script_event_put_field(s, r, field);
		return;
	}
	if (!s->opts->ns)
		ns += 500;
	digits_put(s->to, ns / 1000000);
	bytebuf_put(s->to, ".", 1);
	if (s->opts->ns)
		digits_put_wide(s->to, ns % 1000000, 6, '0');
	else
		digits_put_wide(s->to, ns % 1000000 / 1000, 3, '0');
	bytebuf_text(s->to, " ms");
}

/* The mode of a file, where none is to be made. */
static bool is_left_out(const struct query_record *r, uint32_t field)
{
	const struct field_desc *f = &r->event->fields[field];

	return f->hint == HINT_OCTAL && is_number(f) && !r->values[field];
}

void script_call_put(struct script *s, const struct script_event *e,
		     const struct query_record *r)
{
	bool first = true;

	bytebuf_put(s->to, "(", 1);
	for (size_t i = 0; i < e->nr_arguments; i++) {
		if (is_left_out(r, e->others[i].field))
			continue;
		if (!first)
			bytebuf_put(s->to, ", ", 2);
		first = false;
		bytebuf_put(s->to, e->others[i].key, e->others[i].key_len);
		script_event_put_field(s, r, e->others[i].field);
	}
	bytebuf_text(s->to, ") = ");
	put_result(s, r, e->result);
	bytebuf_text(s->to, " (");
	put_duration(s, r, e->duration);
	bytebuf_put(s->to, ")", 1);
	for (size_t i = e->nr_arguments; i < e->nr_others; i++) {
		bytebuf_put(s->to, " ", 1);
		bytebuf_put(s->to, e->others[i].key, e->others[i].key_len);
		script_event_put_field(s, r, e->others[i].field);
	}
}
