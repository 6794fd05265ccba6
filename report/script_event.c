#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/escape.h"
#include "report/script_private.h"

static bool has_column(const struct script *s, const char *name)
{
	for (size_t i = 0; i < s->plan.nr_columns; i++)
		if (!s->plan.columns[i].value && !strcmp(s->plan.columns[i].field, name))
			return true;
	return false;
}

/* The event's own field of the name, else one that every event has. */
static int field_by_name(const struct trace_event *e, const char *name)
{
	int common = -1;

	for (uint32_t i = 0; i < e->nr_fields; i++) {
		if (strcmp(e->fields[i].name, name))
			continue;
		if (!script_is_common(&e->fields[i]))
			return (int)i;
		common = (int)i;
	}
	return common < 0 && !strcmp(name, "duration") ? e->by_role[ROLE_DURATION] : common;
}

/* The field of a waker's stack, if it is to be shown frame by frame; else -1. */
static int find_waker_stack(const struct script *s, const struct trace_event *e)
{
	int field = e->by_role[ROLE_WAKER_STACK];

	if (field < 0 || e->fields[field].type != FIELD_STACK || s->opts->format == SCRIPT_CSV)
		return -1;
	return (s->plan.others && s->plan.stack) || has_column(s, e->fields[field].name) ?
	       field : -1;
}

/* --- the fields behind the columns --------------------------------------------- */

static int make_key(struct script *s, struct script_other *o, const char *name, bool first,
		    const char *sign)
{
	struct bytebuf *to = &s->scratch;

	bytebuf_clear(to);
	if (s->opts->format == SCRIPT_JSON) {
		bytebuf_put(to, first ? "\"" : ",\"", first ? 1 : 2);
		escape_json(to, name, strlen(name));
		bytebuf_put(to, "\":", 2);
	} else {
		escape_terminal(to, name, strlen(name));
		bytebuf_text(to, sign);
	}
	o->key_len = to->len;
	o->key = to->err ? NULL : arena_text(&s->arena, to->data, to->len);
	return o->key ? 0 : -ENOMEM;
}

/* Whether the field is shown behind the columns; without stacks, no stack is. */
static bool has_place(const struct script *s, const struct field_desc *f)
{
	return !script_is_common(f) && !has_column(s, f->name) &&
	       (s->plan.stack || f->type != FIELD_STACK);
}

static bool is_other(const struct script *s, const struct script_event *e, uint32_t i)
{
	return has_place(s, &e->event->fields[i]) && (int)i != e->waker_stack &&
	       !(e->format && printfmt_has(e->format, i)) &&
	       !(e->call && (i == e->result || i == e->duration));
}

static int add_other(struct script *s, struct script_event *e, uint32_t i, const char *sign)
{
	struct script_other *o = &e->others[e->nr_others];

	o->field = i;
	return make_key(s, o, e->event->fields[i].name, e->nr_others++ == 0, sign);
}

static int make_others(struct script *s, struct script_event *e)
{
	const struct trace_event *event = e->event;
	int err = 0;

	e->others = arena_alloc(&s->arena, (event->nr_fields + 1) * sizeof(*e->others));
	if (!e->others)
		return -ENOMEM;
	for (uint32_t i = 0; i < event->nr_fields && !err && e->call; i++)
		if (!event->fields[i].role && is_other(s, e, i))
			err = add_other(s, e, i, ": ");
	e->nr_arguments = e->nr_others;
	for (uint32_t i = 0; i < event->nr_fields && !err; i++)
		if (!(e->call && !event->fields[i].role) && is_other(s, e, i))
			err = add_other(s, e, i, "=");
	return err;
}

/* --- the columns of CSV ---------------------------------------------------------- */

static int csv_index(const struct script *s, const char *name)
{
	for (size_t i = 0; i < s->nr_csv; i++)
		if (!strcmp(s->csv[i], name))
			return (int)i;
	return -1;
}

static int add_csv(struct script *s, const char *name)
{
	const char **grown;

	if (csv_index(s, name) >= 0)
		return 0;
	if (!(s->nr_csv & (s->nr_csv + 1))) {
		grown = realloc(s->csv, (2 * s->nr_csv + 2) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		s->csv = grown;
	}
	s->csv[s->nr_csv++] = name;
	return 0;
}

int script_event_make_csv(struct script *s)
{
	int err = 0;

	for (size_t i = 0; i < trace_nr_events(s->trace); i++) {
		const struct trace_event *e = trace_event_at(s->trace, i);

		if (!query_wants_event(s->query, e))
			continue;
		for (uint32_t k = 0; k < e->nr_fields && !err; k++)
			if (has_place(s, &e->fields[k]))
				err = add_csv(s, e->fields[k].name);
	}
	return err;
}

static int make_cells(struct script *s, struct script_event *e, struct diag *d)
{
	e->cells = arena_alloc(&s->arena, (s->nr_csv + 1) * sizeof(*e->cells));
	if (!e->cells)
		return -ENOMEM;
	for (size_t i = 0; i < s->nr_csv; i++)
		e->cells[i] = -1;
	for (size_t i = 0; i < e->nr_others && s->plan.others; i++) {
		const char *name = e->event->fields[e->others[i].field].name;
		int cell = csv_index(s, name);

		if (cell < 0)
			return diag_set(d, -EINVAL, "no column for '%s' of '%s': the event came "
					"on the pipe when the header was printed already "
					"(print from a file, or name fields: -F)",
					name, e->event->name);
		e->cells[cell] = (int)e->others[i].field;
	}
	return 0;
}

/* --- events ----------------------------------------------------------------------- */

static int make_event(struct script *s, struct script_event *e, struct diag *d)
{
	int err = 0;

	e->waker_stack = find_waker_stack(s, e->event);
	for (size_t i = 0; i < s->plan.nr_columns; i++) {
		e->fields[i] = s->plan.columns[i].value ? -1 :
			       field_by_name(e->event, s->plan.columns[i].field);
		if (e->fields[i] == e->waker_stack)
			e->fields[i] = -1;
	}
	/* A format that cannot be used leaves the fields to be shown one by one. */
	if (s->opts->format == SCRIPT_TEXT && s->plan.others)
		err = printfmt_new(&e->format, e->event);
	if (err == -EINVAL)
		err = 0;
	if (s->opts->format == SCRIPT_TEXT && s->plan.others && !e->format)
		script_call_make(e);
	if (e->call && (has_column(s, e->event->fields[e->result].name) ||
			has_column(s, e->event->fields[e->duration].name)))
		e->call = NULL;
	if (!err)
		err = make_others(s, e);
	if (!err && s->opts->format == SCRIPT_CSV)
		err = make_cells(s, e, d);
	return err;
}

static int grow(struct script *s, size_t nr)
{
	struct script_event **events = realloc(s->events, nr * sizeof(struct script_event *));

	if (!events)
		return -ENOMEM;
	memset(events + s->nr_events, 0, (nr - s->nr_events) * sizeof(struct script_event *));
	s->events = events;
	s->nr_events = nr;
	return 0;
}

struct script_event *script_event_get(struct script *s, const struct trace_event *e,
				      struct diag *d)
{
	struct script_event *made = e->id < s->nr_events ? s->events[e->id] : NULL;

	if (made && made->event == e)
		return made;
	if (e->id >= s->nr_events && grow(s, e->id + 16))
		return NULL;
	/* On a pipe an event may be described anew. */
	if (made)
		printfmt_free(made->format);
	s->events[e->id] = NULL;
	made = arena_alloc(&s->arena, sizeof(*made));
	if (!made)
		return NULL;
	*made = (struct script_event) { .event = e };
	if (make_event(s, made, d)) {
		printfmt_free(made->format);
		return NULL;
	}
	s->events[e->id] = made;
	return made;
}

void script_event_free_all(struct script *s)
{
	for (size_t i = 0; i < s->nr_events; i++)
		if (s->events[i])
			printfmt_free(s->events[i]->format);
	free(s->events);
	free(s->csv);
}

/* --- printing ---------------------------------------------------------------------- */

void script_event_put_field(struct script *s, const struct query_record *r, uint32_t field)
{
	const struct field_desc *f = &r->event->fields[field];
	uint64_t value = r->values[field];
	struct fieldtext_value v = { .number = value };

	if (f->type == FIELD_BYTES)
		v = (struct fieldtext_value) {
			.bytes = r->bytes + (value >> 32), .len_bytes = (uint32_t)value };
	fieldtext_put(&s->text, s->to, f, &v, s->style);
}

static void put_others(struct script *s, const struct script_event *e,
		       const struct query_record *r, const char *between)
{
	for (size_t i = 0; i < e->nr_others; i++) {
		if (i)
			bytebuf_text(s->to, between);
		bytebuf_put(s->to, e->others[i].key, e->others[i].key_len);
		script_event_put_field(s, r, e->others[i].field);
	}
}

void script_event_put_text(struct script *s, const struct script_event *e,
			   const struct query_record *r)
{
	if (e->call) {
		script_call_put(s, e, r);
	} else if (e->format) {
		printfmt_put(e->format, &s->text, r, s->to);
		if (e->nr_others)
			bytebuf_put(s->to, " ", 1);
		put_others(s, e, r, " ");
	} else if (e->nr_others) {
		bytebuf_put(s->to, "(", 1);
		put_others(s, e, r, ", ");
		bytebuf_put(s->to, ")", 1);
	}
}
