#include "report/query_spans_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FIELDS 120
#define KNOWN_BYTES 320

/* Fields of the span to be. */
struct draft {
	struct field_desc fields[MAX_FIELDS];
	struct span_copy copies[MAX_FIELDS];	/* by field; SPAN_NR_COMMON of them unused */
	enum query_spanspec_end side[MAX_FIELDS];
	uint32_t nr;
};

static bool is_common(const struct field_desc *f)
{
	return f->role == ROLE_TIME || f->role == ROLE_CPU || f->role == ROLE_TASK ||
	       f->role == ROLE_STACK;
}

/* -1: there is none. */
static int find_field(const struct trace_event *e, const char *name)
{
	for (uint32_t i = 0; i < e->nr_fields; i++)
		if (!strcmp(e->fields[i].name, name))
			return (int)i;
	return -1;
}

static int complain_unknown(const struct trace_event *e, const char *name, const char *what,
			    struct diag *d)
{
	char known[KNOWN_BYTES] = "nothing else";
	size_t len = 0;

	for (uint32_t i = 0; i < e->nr_fields; i++) {
		int n = snprintf(known + len, sizeof(known) - len, "%s%s", len ? ", " : "",
				 e->fields[i].name);

		if (n < 0 || (size_t)n >= sizeof(known) - len)
			break;
		len += (size_t)n;
	}
	known[len] = '\0';
	return diag_set(d, -EINVAL, "event '%s' has no field '%s'%s in the trace (it has: %s)",
			e->name, name, what, known);
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

static const char *word_for(uint8_t type)
{
	return type == FIELD_BYTES ? "bytes" : type == FIELD_STACK ? "a stack" : "a fraction";
}

static int find_builtin(const struct trace_event *e, const char *name, struct span_key *k)
{
	for (size_t i = 0; i < NR_BUILTINS; i++) {
		int role = builtins[i].kind == KEY_CPU ? ROLE_CPU : ROLE_TASK;

		if (strcmp(builtins[i].name, name) || e->by_role[role] < 0)
			continue;
		k->kind = builtins[i].kind;
		return 0;
	}
	return -ENOENT;
}

static int find_key(const struct trace_event *e, const char *name, struct span_key *k,
		    struct diag *d)
{
	int field = find_field(e, name);

	if (field < 0 || is_common(&e->fields[field])) {
		if (!find_builtin(e, name, k))
			return 0;
		return complain_unknown(e, name, " that could be a key of the span", d);
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

bool query_spanbind_has_key(const struct trace_event *e, const char *name)
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

static int bind_keys(struct span *s, struct diag *d)
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

static bool is_by_thread(const struct span *s)
{
	for (size_t i = 0; i < s->nr_keys; i++)
		if (s->sides[0].keys[i].kind == KEY_THREAD)
			return true;
	return false;
}

/* --- conditions ---------------------------------------------------------------------------- */

static bool is_event(void *ctx, const struct trace_event *e)
{
	return ctx == e;
}

static int bind_condition(struct span_side *side, const char *text, struct trace *t,
			  struct diag *d)
{
	int err = text ? query_expr_new(&side->condition, text, d) : 0;

	if (!err && text)
		err = query_expr_check(side->condition, t, is_event, (void *)(uintptr_t)side->event,
				       d);
	return err;
}

/* --- fields ------------------------------------------------------------------------------- */

static int find_in_draft(const struct draft *f, const char *name)
{
	for (uint32_t i = 0; i < f->nr; i++)
		if (!strcmp(f->fields[i].name, name))
			return (int)i;
	return -1;
}

static int add(struct draft *f, enum query_spanspec_end side, const struct trace_event *e,
	       uint32_t field, const char *name, struct diag *d)
{
	if (f->nr == MAX_FIELDS)
		return diag_set(d, -EINVAL, "a span of '%s' would have more than %d fields",
				e->name, MAX_FIELDS);
	f->fields[f->nr] = e->fields[field];
	f->fields[f->nr].name = name;
	/* The duration is what the record is about. */
	if (e->fields[field].role != ROLE_RESULT && e->fields[field].role != ROLE_TARGET)
		f->fields[f->nr].role = ROLE_NONE;
	f->side[f->nr] = side;
	f->copies[f->nr] = (struct span_copy){
		.from = field, .is_bytes = e->fields[field].type == FIELD_BYTES,
	};
	f->nr++;
	return 0;
}

static void remove_field(struct draft *f, uint32_t i)
{
	size_t left = --f->nr - i;

	memmove(&f->fields[i], &f->fields[i + 1], left * sizeof(*f->fields));
	memmove(&f->copies[i], &f->copies[i + 1], left * sizeof(*f->copies));
	memmove(&f->side[i], &f->side[i + 1], left * sizeof(*f->side));
}

/* A name may stand for one field only: what was asked for goes before what is usual. */
static int add_chosen(struct span *s, struct draft *f, enum query_spanspec_end side,
		      const struct query_spanspec_field *wanted, struct diag *d)
{
	const struct trace_event *e = s->sides[side].event;
	int field = find_field(e, wanted->source), other = find_in_draft(f, wanted->name);

	if (field < 0)
		return complain_unknown(e, wanted->source, "", d);
	if (other >= 0 && other < SPAN_NR_COMMON)
		return diag_set(d, -EINVAL, "span '%s' has a %s of its own: call the field "
				"differently (other=%s)", s->spec->text, wanted->name,
				wanted->source);
	if (other >= 0 && (f->side[other] == side ||
			   s->spec->sides[QUERY_SPANSPEC_START].chooses))
		return diag_set(d, -EINVAL, "span '%s' has two fields '%s': call one of them "
				"differently (other=%s)", s->spec->text, wanted->name,
				wanted->source);
	if (other >= 0)
		remove_field(f, (uint32_t)other);
	return add(f, side, e, (uint32_t)field, wanted->name, d);
}

/* Words say what to take of a side, unless the event has a field of that name. */
static bool take_word(struct span *s, enum query_spanspec_end side,
		      const struct query_spanspec_field *wanted, bool *stack, bool *task)
{
	const struct trace_event *e = s->sides[side].event;
	bool is_stack = !strcmp(wanted->source, "stack") || !strcmp(wanted->source, "kstack") ||
			!strcmp(wanted->source, "ustack");
	int field = find_field(e, wanted->source);

	if ((!is_stack && strcmp(wanted->source, "task")) ||
	    strcmp(wanted->source, wanted->name) ||
	    (field >= 0 && !is_common(&e->fields[field])))
		return false;
	*(is_stack ? stack : task) = true;
	return true;
}

static int add_side(struct span *s, struct draft *f, enum query_spanspec_end side,
		    bool *stack, bool *task, struct diag *d)
{
	const struct query_spanspec_side *spec = &s->spec->sides[side];
	const struct trace_event *e = s->sides[side].event;
	int err = 0;

	for (uint32_t i = 0; i < e->nr_fields && !spec->chooses && !err; i++)
		if (!is_common(&e->fields[i]) && find_in_draft(f, e->fields[i].name) < 0)
			err = add(f, side, e, i, e->fields[i].name, d);
	for (size_t i = 0; i < spec->nr_fields && !err; i++)
		if (!take_word(s, side, &spec->fields[i], stack, task))
			err = add_chosen(s, f, side, &spec->fields[i], d);
	return err;
}

/* A side without stacks cannot give them, whatever is usual. */
static int choose_stack(struct span *s, const bool asked[2], struct diag *d)
{
	int usual = is_by_thread(s) ? QUERY_SPANSPEC_END : QUERY_SPANSPEC_START;
	int side = asked[0] ? 0 : asked[1] ? 1 : usual;

	if (asked[0] && asked[1])
		return diag_set(d, -EINVAL, "span '%s': a record holds one stack: ask for that of "
				"the start or that of the end", s->spec->text);
	if (s->sides[side].event->by_role[ROLE_STACK] < 0) {
		if (asked[side])
			return diag_set(d, -EINVAL, "span '%s': event '%s' has no stacks in the "
					"trace", s->spec->text, s->sides[side].event->name);
		side = !side;
	}
	s->stack_side = s->sides[side].event->by_role[ROLE_STACK] < 0 ? -1 : side;
	return 0;
}

static int choose_task(struct span *s, const bool asked[2], struct diag *d)
{
	if (asked[0] && asked[1])
		return diag_set(d, -EINVAL, "span '%s': a record is about one task: that of the "
				"start or that of the end", s->spec->text);
	s->task_side = asked[1] ? QUERY_SPANSPEC_END : QUERY_SPANSPEC_START;
	return 0;
}

static int bind_fields(struct span *s, struct draft *f, struct diag *d)
{
	static const struct field_desc common[SPAN_NR_COMMON] = {
		[SPAN_TIME] = { "time", FIELD_UNSIGNED, ROLE_TIME, 0, 0, "ns", NULL },
		[SPAN_CPU] = { "cpu", FIELD_UNSIGNED, ROLE_CPU, 0, 0, "", NULL },
		[SPAN_TASK] = { "task", FIELD_TASK, ROLE_TASK, 0, 0, "", NULL },
		[SPAN_DURATION] = { "duration", FIELD_UNSIGNED, ROLE_DURATION, 0, 0, "ns", NULL },
		[SPAN_STACK] = { "stack", FIELD_STACK, ROLE_STACK, 0, 0, "", NULL },
	};
	bool stack[2] = { false, false }, task[2] = { false, false };
	int err;

	memcpy(f->fields, common, sizeof(common));
	f->nr = SPAN_NR_COMMON;
	err = add_side(s, f, QUERY_SPANSPEC_START, &stack[0], &task[0], d);
	if (!err)
		err = add_side(s, f, QUERY_SPANSPEC_END, &stack[1], &task[1], d);
	if (!err)
		err = choose_stack(s, stack, d);
	if (!err)
		err = choose_task(s, task, d);
	if (!err && s->stack_side < 0)
		remove_field(f, SPAN_STACK);
	return err;
}

static int keep_copies(struct span *s, const struct draft *f)
{
	uint32_t first = s->stack_side < 0 ? SPAN_STACK : SPAN_NR_COMMON;

	for (size_t side = 0; side < 2; side++) {
		s->sides[side].copies = calloc(f->nr + 1, sizeof(*s->sides[side].copies));
		if (!s->sides[side].copies)
			return -ENOMEM;
	}
	for (uint32_t i = first; i < f->nr; i++) {
		struct span_side *side = &s->sides[f->side[i]];

		side->copies[side->nr_copies] = f->copies[i];
		side->copies[side->nr_copies++].to = i;
	}
	return 0;
}

/* --- the event ------------------------------------------------------------------------------ */

/* As it would be called when recorded. */
static char *make_name(const struct span *s)
{
	struct bytebuf b;

	bytebuf_init(&b);
	bytebuf_text(&b, s->sides[0].event->name);
	bytebuf_text(&b, "..");
	bytebuf_text(&b, s->sides[1].event->name);
	for (size_t i = 0; i < s->spec->nr_keys; i++) {
		const struct query_spanspec_key *k = &s->spec->keys[i];

		bytebuf_text(&b, i ? "," : "@");
		bytebuf_text(&b, k->start);
		if (!strcmp(k->start, k->end))
			continue;
		bytebuf_text(&b, "=");
		bytebuf_text(&b, k->end);
	}
	return bytebuf_take_text(&b);
}

static int add_event(struct span *s, struct trace *t, const struct draft *f, struct diag *d)
{
	char *name = s->spec->name ? strdup(s->spec->name) : make_name(s);
	const struct event_desc desc = { name, f->nr, f->fields, NULL };
	int err = name ? trace_add_event(t, &desc, &s->event) : -ENOMEM;

	free(name);
	if (err == -ENOSPC)
		return diag_set(d, err, "span '%s': the trace has too many events", s->spec->text);
	return err ? diag_set(d, err, "out of memory") : 0;
}

static int check_side(const struct span *s, const struct trace_event *e, struct diag *d)
{
	if (e->by_role[ROLE_BUCKET] < 0 && e->by_role[ROLE_FIRST] < 0)
		return 0;
	return diag_set(d, -EINVAL, "span '%s': '%s' is a tally, which tells nothing of single "
			"records", s->spec->text, e->name);
}

int query_spanbind_sides(struct span *s, struct trace *t, const struct trace_event *start,
			 const struct trace_event *end, struct diag *d)
{
	struct draft *f = calloc(1, sizeof(*f));
	int err = f ? 0 : diag_set(d, -ENOMEM, "out of memory");

	s->sides[QUERY_SPANSPEC_START].event = start;
	s->sides[QUERY_SPANSPEC_END].event = end;
	if (!err)
		err = check_side(s, start, d);
	if (!err)
		err = check_side(s, end, d);
	for (size_t i = 0; i < 2 && !err; i++)
		err = bind_condition(&s->sides[i], s->spec->sides[i].condition, t, d);
	if (!err)
		err = bind_keys(s, d);
	if (!err)
		err = bind_fields(s, f, d);
	if (!err && keep_copies(s, f))
		err = diag_set(d, -ENOMEM, "out of memory");
	if (!err)
		err = add_event(s, t, f, d);
	free(f);
	return err;
}

void query_spanbind_release(struct span *s)
{
	for (size_t i = 0; i < 2; i++) {
		free(s->sides[i].copies);
		query_expr_free(s->sides[i].condition);
	}
}
