#include "report/groups.h"

#include "report/groups_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/column.h"

int groups_new(struct groups **out, const struct profile_keys *keys)
{
	struct groups *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	g->keys = keys;
	for (size_t i = 0; i < keys->nr; i++) {
		g->has_task_keys |= keys->list[i]->of == PROFILE_OF_TASK;
		g->has_other_keys |= keys->list[i]->of != PROFILE_OF_TASK;
	}
	intern_strings_init(&g->texts);
	intern_pairs_init(&g->folded);
	arena_init(&g->arena);
	*out = g;
	return 0;
}

static void forget_trace(struct groups *g)
{
	names_free(g->names);
	textids_free(g->task_texts);
	g->names = NULL;
	g->task_texts = NULL;
	free(g->strings.ids);
	free(g->tasks.ids);
	g->strings = g->tasks = (struct groups_cache) { 0 };
	for (size_t i = 0; i < PROFILE_MAX_KEYS; i++) {
		free(g->stacks[i].ids);
		g->stacks[i] = (struct groups_cache) { 0 };
	}
	g->event = NULL;
}

void groups_free(struct groups *g)
{
	if (!g)
		return;
	forget_trace(g);
	intern_strings_release(&g->texts);
	intern_pairs_release(&g->folded);
	arena_release(&g->arena);
	free(g->group_of);
	free(g->values);
	free(g->descs);
	free(g);
}

int groups_begin(struct groups *g, struct trace *t, struct diag *d)
{
	int err = 0;

	forget_trace(g);
	g->trace = t;
	for (size_t i = 0; i < g->keys->nr && trace_is_stream(t); i++)
		if (g->keys->list[i]->of == PROFILE_OF_FRAME)
			return diag_set(d, -EINVAL, "cannot group by '%s' from a pipe, where names of "
					"code come last: write it to a file first",
					g->keys->list[i]->name);
	if (!trace_is_stream(t))
		err = profile_keys_check(g->keys, t, d);
	if (!err)
		err = textids_new(&g->task_texts);
	if (!err)
		err = names_new(&g->names, t);
	return err == -ENOMEM ? diag_set(d, err, "out of memory") : err;
}

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

static int bind(struct groups *g, const struct trace_event *e)
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

static uint32_t *cached(struct groups_cache *c, uint64_t id, size_t nr_known)
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
		cached(&g->strings, id, trace_nr_strings(g->trace)) : NULL;
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
	uint32_t *kept = cached(&g->stacks[key], id, trace_nr_stacks(g->trace));
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

static void get_value(struct groups *g, size_t key, uint64_t raw, struct groups_value *v)
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

/* --- groups ------------------------------------------------------------------ */

static int keep_group(struct groups *g, uint32_t folded, const struct groups_value *values)
{
	size_t width = g->keys->nr;
	struct groups_value *grown;
	uint32_t *of, cap;

	if (folded >= g->group_of_cap) {
		cap = g->folded.cap;
		of = realloc(g->group_of, cap * sizeof(*of));
		if (!of)
			return -ENOMEM;
		memset(of + g->group_of_cap, 0, (cap - g->group_of_cap) * sizeof(*of));
		g->group_of = of;
		g->group_of_cap = cap;
	}
	if (g->group_of[folded])
		return 0;
	if (g->nr == g->cap) {
		cap = g->cap ? g->cap * 2 : 64;
		grown = realloc(g->values, cap * width * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		g->values = grown;
		g->cap = cap;
	}
	memcpy(g->values + g->nr * width, values, width * sizeof(*values));
	g->group_of[folded] = ++g->nr;
	return 0;
}

static bool is_of_task(const struct groups *g, size_t key)
{
	return g->keys->list[key]->of == PROFILE_OF_TASK;
}

/* Folds keys of tasks, or all others, into an id; 0 without memory. */
static uint32_t fold(struct groups *g, const uint64_t *raw, bool of_tasks, uint32_t id)
{
	struct groups_value v;

	for (size_t i = 0; i < g->keys->nr; i++) {
		if (is_of_task(g, i) != of_tasks)
			continue;
		get_value(g, i, raw[i], &v);
		if (v.class >= GROUPS_TEXT && !v.number)
			return 0;
		id = intern_pair(&g->folded, (uint64_t)(i << 3 | v.class) << 32 | id, v.number);
		if (!id)
			return 0;
	}
	return id;
}

/* What the keys say of a task is decided once. */
static uint32_t fold_task(struct groups *g, const uint64_t *raw, uint64_t task)
{
	uint32_t *kept = cached(&g->tasks, task, trace_nr_tasks(g->trace)), id;

	if (kept && *kept)
		return *kept;
	id = fold(g, raw, true, 0);
	/* On a pipe it may become known later. */
	if (kept && trace_task(g->trace, (uint32_t)task))
		*kept = id;
	return id;
}

/* The group of raw numbers, by key. */
static int find_group(struct groups *g, const uint64_t *raw, uint32_t *group)
{
	struct groups_value values[PROFILE_MAX_KEYS];
	uint32_t id = 0;

	if (g->task_key < g->keys->nr)
		id = fold_task(g, raw, raw[g->task_key]);
	else if (g->has_task_keys)
		id = fold(g, raw, true, 0);
	if (!id && g->has_task_keys)
		return -ENOMEM;
	if (g->has_other_keys)
		id = fold(g, raw, false, id);
	if (!id)
		return -ENOMEM;
	if (id >= g->group_of_cap || !g->group_of[id]) {
		for (size_t i = 0; i < g->keys->nr; i++)
			get_value(g, i, raw[i], &values[i]);
		if (keep_group(g, id, values))
			return -ENOMEM;
	}
	*group = g->group_of[id] - 1;
	return 0;
}

/* Whether the group follows from the task alone, and so is decided once. */
static bool is_of_tasks(const struct groups *g)
{
	for (size_t i = 0; i < g->keys->nr; i++)
		if (g->sources[i].kind != GROUPS_OF_TASK)
			return false;
	return true;
}

/* Group + 1 of a task that had one before, else 0. */
static uint32_t known_group(const struct groups *g, uint64_t task)
{
	uint32_t id = task < g->tasks.cap ? g->tasks.ids[task] : 0;

	return id && id < g->group_of_cap ? g->group_of[id] : 0;
}

static int groups_of_tasks(struct groups *g, const struct column *tasks,
			   const struct query_batch *b, uint32_t *to)
{
	uint64_t raw[PROFILE_MAX_KEYS];

	for (size_t i = 0; i < b->nr; i++) {
		uint64_t task = column_at(tasks, b->rows ? b->rows[i] : i);
		uint32_t group = known_group(g, task);

		if (group) {
			to[i] = group - 1;
			continue;
		}
		for (size_t k = 0; k < g->keys->nr; k++)
			raw[k] = task;
		if (find_group(g, raw, &to[i]))
			return -ENOMEM;
	}
	return 0;
}

static int groups_of_rows(struct groups *g, const struct column *columns,
			  const struct query_batch *b, uint32_t *to)
{
	uint64_t raw[PROFILE_MAX_KEYS], last[PROFILE_MAX_KEYS] = { 0 };
	size_t nr = g->keys->nr;
	uint32_t group = 0;

	for (size_t i = 0; i < b->nr; i++) {
		size_t row = b->rows ? b->rows[i] : i;
		bool same = i > 0;

		for (size_t k = 0; k < nr; k++) {
			raw[k] = column_at(&columns[k], row);
			same = same && raw[k] == last[k];
		}
		if (!same && find_group(g, raw, &group))
			return -ENOMEM;
		memcpy(last, raw, nr * sizeof(*raw));
		to[i] = group;
	}
	return 0;
}

int groups_of(struct groups *g, struct query_batch *b, uint32_t *to)
{
	struct column columns[PROFILE_MAX_KEYS];
	int err;

	if (!g->keys->nr) {
		memset(to, 0, b->nr * sizeof(*to));
		return 0;
	}
	err = bind(g, b->event);
	for (size_t i = 0; i < g->keys->nr && !err; i++)
		err = column_open(&columns[i], b, g->sources[i].kind == GROUPS_OF_EVENT ? -1 :
				  g->sources[i].field, 0);
	if (err)
		return err;
	return is_of_tasks(g) ? groups_of_tasks(g, &columns[0], b, to) :
	       groups_of_rows(g, columns, b, to);
}

size_t groups_nr(const struct groups *g)
{
	return g->keys->nr ? g->nr : 1;
}
