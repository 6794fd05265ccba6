/*
 * The values of keys in the records of an event.
 */
#include "report/groups_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- keys of an event -------------------------------------------------------- */

static bool find_source(struct groups_source *s, const struct profile_key *key,
			const struct trace_event *e)
{
	*s = (struct groups_source) { .field = profile_keys_field(key, e) };
	switch (key->of) {
	case PROFILE_OF_EVENT:
		s->kind = GROUPS_OF_EVENT;
		return true;
	case PROFILE_OF_FRAME:
		s->kind = GROUPS_OF_FRAME;
		s->field = e->by_role[ROLE_STACK];
		break;
	case PROFILE_OF_TASK:
		s->kind = s->field < 0 ? GROUPS_OF_TASK : GROUPS_OF_FIELD;
		if (s->field < 0)
			s->field = e->by_role[ROLE_TASK];
		break;
	default:
		s->kind = GROUPS_OF_FIELD;
	}
	if (s->field < 0)
		return false;
	s->is_text = profile_keys_is_text(&e->fields[s->field]);
	s->is_signed = e->fields[s->field].type == FIELD_SIGNED;
	s->is_float = e->fields[s->field].type == FIELD_FLOAT;
	return s->kind != GROUPS_OF_FIELD || (e->fields[s->field].type != FIELD_BYTES &&
					   e->fields[s->field].type != FIELD_STACK);
}

bool groups_has_keys(const struct profile_keys *keys, const struct trace_event *e)
{
	struct groups_source s;

	for (size_t i = 0; i < keys->nr; i++)
		if (!find_source(&s, keys->list[i], e))
			return false;
	return true;
}

static const char *copy_text(struct groups *g, const char *text)
{
	const char *copy = text ? arena_text(&g->arena, text, strlen(text)) : NULL;

	return copy ? copy : "";
}

static bool same_text(const char *a, const char *b)
{
	return !strcmp(a ? a : "", b ? b : "");
}

/* One desc for all fields that print alike. */
static int keep_desc(struct groups *g, const struct field_desc *f, uint32_t *out)
{
	struct field_desc *grown;

	for (*out = 0; *out < g->nr_descs; ++*out) {
		const struct field_desc *d = &g->descs[*out];

		if (d->type == f->type && d->hint == f->hint && d->role == f->role &&
		    same_text(d->unit, f->unit) && same_text(d->values, f->values))
			return 0;
	}
	grown = realloc(g->descs, (g->nr_descs + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	g->descs = grown;
	grown += g->nr_descs++;
	*grown = *f;
	grown->name = copy_text(g, f->name);
	grown->unit = copy_text(g, f->unit);
	if (f->values)
		grown->values = copy_text(g, f->values);
	return 0;
}

int groups_values_bind(struct groups *g, const struct trace_event *e)
{
	static const struct field_desc plain = { .name = "", .type = FIELD_UNSIGNED };
	static const struct field_desc letter = {
		.name = "", .type = FIELD_UNSIGNED, .hint = HINT_CHAR,
	};

	if (g->event == e)
		return 0;
	g->event = NULL;
	g->task_key = g->keys->nr;
	for (size_t i = 0; i < g->keys->nr; i++) {
		const struct profile_key *key = g->keys->list[i];
		struct groups_source *s = &g->sources[i];
		const struct field_desc *f = &plain;

		if (!find_source(s, key, e))
			return -ENOENT;
		if (s->kind == GROUPS_OF_TASK && g->task_key == g->keys->nr)
			g->task_key = i;
		if (key->kind == PROFILE_LETTER)
			f = &letter;
		else if (s->kind == GROUPS_OF_FIELD)
			f = &e->fields[s->field];
		if (keep_desc(g, f, &s->desc))
			return -ENOMEM;
	}
	g->event = e;
	return 0;
}

/* --- values ------------------------------------------------------------------ */

uint32_t *groups_values_cached(struct groups_cache *c, uint64_t id, size_t nr_known)
{
	uint32_t *grown;

	if (id >= nr_known)
		return NULL;
	if (id >= c->cap) {
		grown = realloc(c->ids, nr_known * sizeof(*grown));
		if (!grown)
			return NULL;
		memset(grown + c->cap, 0, (nr_known - c->cap) * sizeof(*grown));
		c->ids = grown;
		c->cap = nr_known;
	}
	return &c->ids[id];
}

/* 0 without memory. */
static uint32_t put_text(struct groups *g, const char *text, uint32_t len, bool is_read)
{
	return intern_string(&g->texts, !is_read, text, len);
}

static uint32_t field_text(struct groups *g, const struct groups_source *s, uint64_t id)
{
	const struct field_desc *f = &g->event->fields[s->field];
	uint32_t *kept = f->type == FIELD_STRING ?
		groups_values_cached(&g->strings, id, trace_nr_strings(g->trace)) : NULL;
	struct trace_string text;
	bool is_read;
	uint32_t to;

	if (kept && *kept)
		return *kept;
	is_read = profile_keys_text(g->trace, g->names, f, id <= UINT32_MAX ? (uint32_t)id : 0,
				    &text);
	to = put_text(g, text.text, text.len_bytes, is_read);
	if (kept)
		*kept = to;
	return to;
}

static uint32_t frame_text(struct groups *g, size_t key, uint64_t id)
{
	uint32_t *kept = groups_values_cached(&g->stacks[key], id, trace_nr_stacks(g->trace));
	const struct trace_stack *stack;
	const char *text = "[unknown]";
	uint32_t to;

	if (kept && *kept)
		return *kept;
	stack = trace_stack(g->trace, id <= UINT32_MAX ? (uint32_t)id : 0);
	if (stack && g->keys->list[key]->kind == PROFILE_SYMBOL)
		text = names_frame(g->names, stack->frame)->symbol;
	else if (stack)
		text = names_frame(g->names, stack->frame)->module;
	to = put_text(g, text, (uint32_t)strlen(text), true);
	if (kept)
		*kept = to;
	return to;
}

static void set_text(struct groups *g, struct groups_value *v, uint32_t id)
{
	v->number = id;
	v->class = g->texts.by_id && g->texts.by_id[id].class ? GROUPS_UNREAD : GROUPS_TEXT;
}

static void task_value(struct groups *g, size_t key, uint64_t task, struct groups_value *v)
{
	const struct profile_key *k = g->keys->list[key];
	const char *text;

	v->number = k->of_task(g->trace,
			       trace_task(g->trace, task <= UINT32_MAX ? (uint32_t)task : 0),
			       g->task_texts);
	v->class = GROUPS_NUMBER;
	if (k->kind == PROFILE_USER && v->number == TASK_UID_UNKNOWN)
		set_text(g, v, put_text(g, "[unknown]", 9, true));
	if (k->kind != PROFILE_TEXT)
		return;
	text = textids_text(g->task_texts, (uint32_t)v->number);
	set_text(g, v, put_text(g, text, (uint32_t)strlen(text), true));
}

void groups_values_get(struct groups *g, size_t key, uint64_t raw, struct groups_value *v)
{
	const struct groups_source *s = &g->sources[key];

	*v = (struct groups_value) { .number = raw, .class = GROUPS_NUMBER, .desc = s->desc };
	if (s->kind == GROUPS_OF_TASK)
		task_value(g, key, raw, v);
	else if (s->kind == GROUPS_OF_FRAME)
		set_text(g, v, frame_text(g, key, raw));
	else if (s->kind == GROUPS_OF_EVENT)
		set_text(g, v, put_text(g, g->event->name, (uint32_t)strlen(g->event->name), true));
	else if (s->is_text)
		set_text(g, v, field_text(g, s, raw));
	else if (s->is_float)
		v->class = GROUPS_FLOAT;
	else if (s->is_signed && (int64_t)raw < 0)
		v->class = GROUPS_NEGATIVE;
}
