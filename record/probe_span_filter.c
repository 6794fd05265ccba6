/*
 * Conditions of spans: what the start can answer is asked there, the rest at the end.
 */
#define _GNU_SOURCE
#include "record/probe_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct probe_field *find_field(const struct probe *p, const char *name)
{
	for (size_t i = 0; i < p->nr_fields; i++)
		if (!strcmp(p->fields[i].name, name))
			return &p->fields[i];
	return NULL;
}

int probe_span_filter_variable(const struct probe *p, const char *name,
			       struct probe_value *out, struct diag *d)
{
	const struct probe_field *f = find_field(p->span->start, name);

	memset(out, 0, sizeof(*out));
	out->result = RESULT_NUMBER;
	out->nr_steps = 1;
	if (!strcmp(name, "duration")) {
		out->size = sizeof(uint64_t);
		out->steps[0] = (struct fetch_step){ .op = FETCH_DURATION };
		return 0;
	}
	if (!f)
		return -ENOENT;
	if (f->result != RESULT_NUMBER)
		return diag_set(d, -EINVAL, "filter: '%s' is text of the start of '%s', which can "
				"only be asked for at the start: in a condition of its own, joined "
				"by &&", name, p->span->name);
	out->size = f->size;
	out->is_signed = f->is_signed;
	out->steps[0] = (struct fetch_step){
		.op = FETCH_START, .size = f->size, .is_signed = f->is_signed,
		.value = f->offset,
	};
	return 0;
}

/* Whether the start can answer for a name, and nobody means the end's. */
static bool start_has(const struct probe *p, const char *name)
{
	const struct probe *start = p->span->start;
	struct diag ignored = { "" };
	struct probe_value value;

	if (!strcmp(name, "duration"))
		return false;
	if (find_field(start, name))
		return true;
	if (find_field(p, name))
		return false;
	return !probe_lookup(start, &start->variants[0], name, &value, &ignored);
}

static bool wants_start(void *ctx, const struct expr *condition)
{
	for (uint32_t i = 0; i < expr_nr_vars(condition); i++)
		if (!start_has(ctx, expr_var_name(condition, i)))
			return false;
	return expr_nr_vars(condition) > 0;
}

/* Conditions of both sides, while they are collected; freed by whoever has the struct. */
struct conditions {
	char *start, *end;
};

/* Takes over `more`, or is NULL. */
static int join_condition(char **to, char *more)
{
	char *text;

	if (!*to || !more) {
		*to = more ? more : *to;
		return 0;
	}
	if (asprintf(&text, "%s && (%s)", *to, more) < 0)
		text = NULL;
	free(*to);
	free(more);
	*to = text;
	return text ? 0 : -ENOMEM;
}

static int split_condition(struct probe *p, struct conditions *c, const char *text,
			   struct diag *d)
{
	char *start, *end;
	int err = expr_split(text, wants_start, p, &start, &end, d);

	if (err)
		return err;
	err = join_condition(&c->start, start);
	return join_condition(&c->end, end) ? -ENOMEM : err;
}

int probe_span_filter_set(struct probe *p, const struct probe_spec *spec, struct diag *d)
{
	struct conditions c = { NULL, NULL };
	int err = 0;

	if (spec->filter)
		err = split_condition(p, &c, spec->filter, d);
	if (!err && !spec->start && spec->condition)
		err = split_condition(p, &c, spec->condition, d);
	p->span->starts_are_chosen = c.start != NULL;
	/* In braces stands what a start or an end is, not which of them are wanted. */
	if (!err && spec->start && spec->start->condition)
		err = probe_fields_condition(p->span->start, spec->start->condition, d);
	if (!err && spec->start && spec->condition)
		err = probe_fields_condition(p, spec->condition, d);
	if (!err && c.start)
		err = probe_fields_filter(p->span->start, c.start, d);
	if (!err && c.end)
		err = probe_fields_filter(p, c.end, d);
	free(c.start);
	free(c.end);
	return err;
}
