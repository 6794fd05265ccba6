#include "record/probe_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "record/probespec.h"

#define MAX_FIELDS 60

/* --- values --------------------------------------------------------------------------- */

static int complain_unknown(const struct probe *p, const char *name, struct diag *d)
{
	char known[320];

	probe_join_names(p, known, sizeof(known));
	return diag_set(d, -EINVAL, "'%s' has no field '%s' (it has: %s)", p->name, name, known);
}

/* "kstack", "ustack": numbers that only a tally has a meaning for. */
static bool stack_number(const struct probespec_field *f, struct probe_value *out)
{
	bool kernel = !strcmp(f->source, "kstack");

	if (!f->is_stack)
		return false;
	memset(out, 0, sizeof(*out));
	out->result = RESULT_NUMBER;
	out->size = sizeof(int64_t);
	out->is_signed = true;
	out->is_stack = true;
	out->steps[0].op = kernel ? FETCH_KERNEL_STACK : FETCH_USER_STACK;
	out->nr_steps = 1;
	return true;
}

int probe_fields_value(const struct probe *p, const struct probe_variant *v,
		       const struct probespec_field *f, struct probe_value *out, struct diag *d)
{
	int err;

	if (stack_number(f, out))
		return 0;
	if (f->is_builtin)
		return probe_builtin(f->source, out);
	err = probe_lookup(p, v, f->source, out, d);
	if (err == -ENOENT)
		return complain_unknown(p, f->source, d);
	if (err)
		return err;
	if (f->hint)
		return probe_hint(out, f, d);
	if (out->result == RESULT_NUMBER && out->is_char_pointer)
		probe_hint_text(out);
	return 0;
}

/* What the file says of the field must hold for all variants. */
static int merge(struct probe_field *f, const struct probe_value *v, bool first, struct diag *d)
{
	if (first) {
		f->result = v->result;
		f->is_code = v->is_code;
		f->space = v->space;
		f->hint = v->hint;
		f->class = v->class;
		f->unit = v->unit;
		f->role = v->role;
		f->is_stack = v->is_stack;
		f->values = v->values;
	}
	if (f->result != v->result)
		return diag_set(d, -EINVAL, "field '%s' is text in some places of the event and a "
				"number in others", f->source);
	if (v->size > f->size)
		f->size = v->size;
	if (v->max_bytes > f->max_bytes)
		f->max_bytes = v->max_bytes;
	f->is_signed |= v->is_signed;
	return 0;
}

static int add_field(struct probe *p, const struct probespec_field *spec, struct diag *d)
{
	struct probe_field *f = &p->fields[p->nr_fields];
	int err = 0;

	f->name = strdup(spec->name);
	f->source = strdup(spec->source);
	p->nr_fields++;
	if (!f->name || !f->source)
		return diag_set(d, -ENOMEM, "out of memory");
	for (size_t i = 0; i < p->nr_variants && !err; i++) {
		struct probe_variant *v = &p->variants[i];
		struct probe_value *value = &v->values[p->nr_fields - 1];

		err = probe_fields_value(p, v, spec, value, d);
		if (!err)
			err = merge(f, value, i == 0, d);
	}
	/* An age that is called like that is one: the record is a span that ends here. */
	if (!strcmp(f->name, "duration") && spec->hint && !strcmp(spec->hint, "age"))
		f->role = ROLE_DURATION;
	if (!err && spec->hint_text) {
		f->own_values = strdup(spec->hint_text);
		f->values = f->own_values;
		if (!f->own_values)
			err = diag_set(d, -ENOMEM, "out of memory");
	}
	return err;
}

/* Of no use twice, unless the event has a field of that name itself. */
static bool is_needless(const struct probe *p, const struct probespec_field *f)
{
	struct diag ignored = { "" };
	struct probe_value own;

	return !strcmp(f->name, f->source) && !f->hint && probe_builtin_is_free(f->source) &&
	       p->kind->find(p, &p->variants[0], f->source, &own, &ignored) == -ENOENT;
}

int probe_fields_set(const struct probe_list *l, struct diag *d)
{
	struct probe *p = l->p;
	int err = 0;

	if (l->nr > MAX_FIELDS)
		return diag_set(d, -EINVAL, "more than %d fields of '%s'", MAX_FIELDS, p->name);
	p->fields = calloc(l->nr + 1, sizeof(*p->fields));
	if (!p->fields)
		return diag_set(d, -ENOMEM, "out of memory");
	for (size_t i = 0; i < p->nr_variants; i++) {
		p->variants[i].values = calloc(l->nr + 1, sizeof(*p->variants[i].values));
		if (!p->variants[i].values)
			return diag_set(d, -ENOMEM, "out of memory");
	}
	for (size_t i = 0; i < l->nr && !err; i++)
		if (l->keep_all || !is_needless(p, &l->list[i]))
			err = add_field(p, &l->list[i], d);
	return err ? diag_set(d, err, "cannot record field '%s'",
			      p->nr_fields ? p->fields[p->nr_fields - 1].name : "") : 0;
}

/* --- layout ----------------------------------------------------------------------------- */

static uint32_t align(uint32_t offset, uint32_t size_bytes)
{
	return (offset + size_bytes - 1) & ~(size_bytes - 1);
}

uint32_t probe_fields_layout(struct probe *p, uint32_t from)
{
	uint32_t at = from;

	for (size_t i = 0; i < p->nr_fields; i++) {
		struct probe_field *f = &p->fields[i];
		uint32_t size = f->result == RESULT_NUMBER ? f->size : sizeof(int32_t);

		f->offset = align(at, size);
		at = f->offset + size;
	}
	if (p->kernel_stack) {
		p->kernel_count_offset = align(at, sizeof(int32_t));
		at = p->kernel_count_offset + sizeof(int32_t);
	}
	if (p->user_stack) {
		p->user_count_offset = align(at, sizeof(int32_t));
		at = p->user_count_offset + sizeof(int32_t);
	}
	p->fixed_bytes = align(at, 8);
	return p->fixed_bytes;
}

/* --- filter ------------------------------------------------------------------------------- */

struct binding {
	const struct probe *p;
	struct probe_variant *v;
	struct probe_value *values;
	bool alone;			/* without what the start of a span has */
	struct diag *d;
};

/* A field that is recorded means in the filter what it will mean in the file. */
static int find_variable(const struct binding *b, const char *name, struct probe_value *out)
{
	int err = b->p->span && !b->alone ? probe_span_filter_variable(b->p, name, out, b->d) : -ENOENT;

	if (err != -ENOENT)
		return err;
	for (size_t i = 0; i < b->p->nr_fields; i++) {
		if (strcmp(b->p->fields[i].name, name))
			continue;
		*out = b->v->values[i];
		return 0;
	}
	return probe_lookup(b->p, b->v, name, out, b->d);
}

static int resolve_variable(void *ctx, const char *name, uint32_t var, enum expr_type *type)
{
	struct binding *b = ctx;
	struct probe_value *value = &b->values[var];
	int err = find_variable(b, name, value);

	if (err)
		return err;
	if (value->result == RESULT_NUMBER && value->is_char_pointer)
		probe_hint_text(value);
	if (value->result == RESULT_STRING || value->result == RESULT_COMM)
		*type = EXPR_STRING;
	else if (value->result == RESULT_NUMBER)
		*type = value->is_signed ? EXPR_SIGNED : EXPR_UNSIGNED;
	else
		return diag_set(b->d, -EINVAL, "filter: '%s' is neither a number nor text", name);
	return 0;
}

/* *e is the probe's, and so are the values of each variant. */
static int bind_all(struct probe *p, struct expr **e, const char *text, bool is_condition,
		    struct diag *d)
{
	char known[320];
	int err;

	err = expr_parse(e, text, d);
	if (err)
		return err;
	probe_join_names(p, known, sizeof(known));
	for (size_t i = 0; i < p->nr_variants && !err; i++) {
		struct probe_variant *v = &p->variants[i];
		struct binding b = { .p = p, .v = v, .alone = is_condition, .d = d };

		b.values = calloc(expr_nr_vars(*e) + 1, sizeof(*b.values));
		if (!b.values)
			return diag_set(d, -ENOMEM, "out of memory");
		*(is_condition ? &v->condition_values : &v->filter_values) = b.values;
		err = expr_bind(*e, resolve_variable, &b, known, d);
	}
	return err;
}

int probe_fields_filter(struct probe *p, const char *text, struct diag *d)
{
	return bind_all(p, &p->filter, text, false, d);
}

int probe_fields_condition(struct probe *p, const char *text, struct diag *d)
{
	return bind_all(p, &p->condition, text, true, d);
}
