#include "report/query_spans_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define KNOWN_BYTES 320

/* --- fields of events -------------------------------------------------------------------- */

bool query_spankeys_is_common(const struct field_desc *f)
{
	return f->role == ROLE_TIME || f->role == ROLE_CPU || f->role == ROLE_TASK ||
	       f->role == ROLE_STACK;
}

/* -1: there is none. */
int query_spankeys_find(const struct trace_event *e, const char *name)
{
	for (uint32_t i = 0; i < e->nr_fields; i++)
		if (!strcmp(e->fields[i].name, name))
			return (int)i;
	return -1;
}

struct known {
	char text[KNOWN_BYTES];
	size_t len;
};

/* What finds no room is left out. */
static void add_known(struct known *k, const char *name)
{
	size_t room = sizeof(k->text) - k->len;
	int n = snprintf(k->text + k->len, room, "%s%s", k->len ? ", " : "", name);

	if (n > 0 && (size_t)n < room)
		k->len += (size_t)n;
	else
		k->text[k->len] = '\0';
}

int query_spankeys_complain(const struct trace_event *e, const char *name, struct diag *d)
{
	struct known known = { "nothing else", 0 };

	for (uint32_t i = 0; i < e->nr_fields; i++)
		add_known(&known, e->fields[i].name);
	return diag_set(d, -EINVAL, "event '%s' has no field '%s' in the trace (it has: %s)",
			e->name, name, known.text);
}

/* --- keys ------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	enum span_key_kind kind;
} builtins[] = {
	{ "pid", KEY_PID }, { "tid", KEY_TID }, { "uid", KEY_UID }, { "comm", KEY_COMM },
	{ "cgroup", KEY_CGROUP }, { "cpu", KEY_CPU },
};

#define NR_BUILTINS (sizeof(builtins) / sizeof(builtins[0]))

static bool is_text(const struct span_key *k)
{
	return k->kind == KEY_TEXT || k->kind == KEY_COMM || k->kind == KEY_CGROUP;
}

static bool has_builtin(const struct trace_event *e, size_t i)
{
	return e->by_role[builtins[i].kind == KEY_CPU ? ROLE_CPU : ROLE_TASK] >= 0;
}

static bool can_be_key(const struct field_desc *f)
{
	return !query_spankeys_is_common(f) && f->type != FIELD_BYTES && f->type != FIELD_STACK &&
	       f->type != FIELD_FLOAT;
}

static int complain_key(const struct trace_event *e, const char *name, struct diag *d)
{
	struct known known = { "none", 0 };

	for (size_t i = 0; i < NR_BUILTINS; i++) {
		int field = query_spankeys_find(e, builtins[i].name);

		if (has_builtin(e, i) &&
		    (field < 0 || query_spankeys_is_common(&e->fields[field])))
			add_known(&known, builtins[i].name);
	}
	for (uint32_t i = 0; i < e->nr_fields; i++)
		if (can_be_key(&e->fields[i]))
			add_known(&known, e->fields[i].name);
	return diag_set(d, -EINVAL, "'%s' of event '%s' cannot be a key of a span (these can: %s)",
			name, e->name, known.text);
}

static const char *word_for(uint8_t type)
{
	return type == FIELD_BYTES ? "bytes" : type == FIELD_STACK ? "a stack" : "a fraction";
}

static int find_builtin(const struct trace_event *e, const char *name, struct span_key *k)
{
	for (size_t i = 0; i < NR_BUILTINS; i++) {
		if (strcmp(builtins[i].name, name) || !has_builtin(e, i))
			continue;
		k->kind = builtins[i].kind;
		return 0;
	}
	return -ENOENT;
}

static int find_key(const struct trace_event *e, const char *name, struct span_key *k,
		    struct diag *d)
{
	int field = query_spankeys_find(e, name);

	if (field < 0 || query_spankeys_is_common(&e->fields[field])) {
		if (!find_builtin(e, name, k))
			return 0;
		return complain_key(e, name, d);
	}
	k->field = (uint32_t)field;
	switch (e->fields[field].type) {
	case FIELD_UNSIGNED:
	case FIELD_SIGNED:
	case FIELD_FRAME:
		k->kind = KEY_NUMBER;
		return 0;
	case FIELD_STRING:
		k->kind = KEY_TEXT;
		return 0;
	case FIELD_TASK:
		k->kind = KEY_TASK_TID;
		return 0;
	default:
		return diag_set(d, -EINVAL, "'%s' of '%s' cannot be a key of a span: it is %s, and "
				"keys are numbers or names", name, e->name,
				word_for(e->fields[field].type));
	}
}

bool query_spankeys_has(const struct trace_event *e, const char *name)
{
	struct diag ignored = { "" };
	struct span_key k;

	return !find_key(e, name, &k, &ignored);
}

static uint8_t type_of(const struct span_side *side, const struct span_key *k)
{
	return k->kind == KEY_NUMBER ? side->event->fields[k->field].type : FIELD_UNSIGNED;
}

/* A number never equals a text, nor an address of code a number. */
static int match_key(struct span *s, size_t i, const struct query_spanspec_key *names,
		     struct diag *d)
{
	struct span_side *start = &s->sides[QUERY_SPANSPEC_START];
	struct span_side *end = &s->sides[QUERY_SPANSPEC_END];
	struct span_key *a = &start->keys[i], *b = &end->keys[i];
	uint8_t from = type_of(start, a), to = type_of(end, b);

	if (is_text(a) != is_text(b))
		return diag_set(d, -EINVAL, "'%s' of '%s' and '%s' of '%s' cannot be a key: one is "
				"text, the other a number", names->start, start->event->name,
				names->end, end->event->name);
	if (is_text(a))
		return 0;
	if ((from == FIELD_FRAME) != (to == FIELD_FRAME))
		return diag_set(d, -EINVAL, "'%s' of '%s' and '%s' of '%s' cannot be a key: one is "
				"code, the other a number", names->start, start->event->name,
				names->end, end->event->name);
	a->cut = b->cut = from != to;
	return 0;
}

/* A key may have the new name of a field. */
static const char *source_of(const struct query_spanspec_side *side, const char *name)
{
	for (size_t i = 0; i < side->nr_fields; i++)
		if (!strcmp(side->fields[i].name, name))
			return side->fields[i].source;
	return name;
}

static void mark_thread(struct span *s, size_t key)
{
	struct span_key *a = &s->sides[0].keys[key], *b = &s->sides[1].keys[key];

	if (a->kind == KEY_TID && b->kind == KEY_TID)
		a->kind = b->kind = KEY_THREAD;
}

int query_spankeys_bind(struct span *s, struct diag *d)
{
	static char tid[] = "tid";
	static const struct query_spanspec_key thread = { tid, tid };
	const struct query_spanspec_key *keys = s->spec->nr_keys ? s->spec->keys : &thread;
	int err = 0;

	s->nr_keys = s->spec->nr_keys ? s->spec->nr_keys : 1;
	for (size_t i = 0; i < s->nr_keys && !err; i++) {
		for (size_t side = 0; side < 2 && !err; side++)
			err = find_key(s->sides[side].event,
				       source_of(&s->spec->sides[side],
						 side ? keys[i].end : keys[i].start),
				       &s->sides[side].keys[i], d);
		if (!err)
			err = match_key(s, i, &keys[i], d);
		if (!err)
			mark_thread(s, i);
	}
	return err;
}

bool query_spankeys_by_thread(const struct span *s)
{
	for (size_t i = 0; i < s->nr_keys; i++)
		if (s->sides[0].keys[i].kind == KEY_THREAD)
			return true;
	return false;
}
