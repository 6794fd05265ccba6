#include "report/query_spans_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FIELDS 120

/* Fields of the span to be. */
struct draft {
	struct field_desc fields[MAX_FIELDS];
	struct span_copy copies[MAX_FIELDS];	/* by field; SPAN_NR_COMMON of them unused */
	enum query_spanspec_end side[MAX_FIELDS];
	uint32_t nr;
};

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
	int field = query_spankeys_find(e, wanted->source), other = find_in_draft(f, wanted->name);

	if (field < 0)
		return query_spankeys_complain(e, wanted->source, d);
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
	int field = query_spankeys_find(e, wanted->source);

	if ((!is_stack && strcmp(wanted->source, "task")) ||
	    strcmp(wanted->source, wanted->name) ||
	    (field >= 0 && !query_spankeys_is_common(&e->fields[field])))
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
		if (!query_spankeys_is_common(&e->fields[i]) && find_in_draft(f, e->fields[i].name) < 0)
			err = add(f, side, e, i, e->fields[i].name, d);
	for (size_t i = 0; i < spec->nr_fields && !err; i++)
		if (!take_word(s, side, &spec->fields[i], stack, task))
			err = add_chosen(s, f, side, &spec->fields[i], d);
	return err;
}

/* A side without stacks cannot give them, whatever is usual. */
static int choose_stack(struct span *s, const bool asked[2], struct diag *d)
{
	int usual = query_spankeys_by_thread(s) ? QUERY_SPANSPEC_END : QUERY_SPANSPEC_START;
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
	const struct event_desc desc = {
		.name = name, .nr_fields = f->nr, .fields = f->fields,
	};
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
		err = query_spankeys_bind(s, d);
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
