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

/* The value of a field in one variant. */
static int find_value(const struct probe *p, const struct probe_variant *v,
		      const struct probespec_field *f, struct probe_value *out, struct diag *d)
{
	int err = probe_lookup(p, v, f->source, out, d);

	if (err == -ENOENT)
		return complain_unknown(p, f->source, d);
	if (err)
		return err;
	if (f->hint)
		return probe_hint(out, f->source, f->hint, f->hint_arg, d);
	if (out->result == RESULT_NUMBER && out->is_char_pointer)
		return probe_hint(out, f->source, "str", 0, d);
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

		err = find_value(p, v, spec, value, d);
		if (!err)
			err = merge(f, value, i == 0, d);
	}
	return err;
}

struct name_list {
	struct probespec_field *list;
	size_t nr, cap;
};

static int collect_name(void *ctx, const char *name)
{
	struct name_list *l = ctx;

	if (l->nr == l->cap)
		return -E2BIG;
	l->list[l->nr].source = strdup(name);
	l->list[l->nr].name = strdup(name);
	return l->list[l->nr++].name ? 0 : -ENOMEM;
}

static int usual_fields(struct probe *p, struct probespec_field **out, size_t *nr,
			struct diag *d)
{
	struct name_list l = { .cap = MAX_FIELDS };
	int err;

	l.list = calloc(MAX_FIELDS, sizeof(*l.list));
	err = l.list ? p->kind->names(p, true, collect_name, &l) : -ENOMEM;
	if (err && err != -E2BIG) {
		probespec_free_fields(l.list, l.nr);
		return diag_set(d, err, "cannot list the fields of '%s': %s", p->name,
				strerror(-err));
	}
	*out = l.list;
	*nr = l.nr;
	return 0;
}

/* Else nobody could say which of them is meant. */
static int check_names(const struct probe *p, const struct probespec_field *specs, size_t nr,
		       struct diag *d)
{
	for (size_t i = 0; i < nr; i++)
		for (size_t k = 0; k < i; k++)
			if (!strcmp(specs[i].name, specs[k].name))
				return diag_set(d, -EINVAL, "'%s' has two fields '%s': call one "
						"of them differently (other=%s)", p->name,
						specs[i].name, specs[i].source);
	return 0;
}

int probe_fields_set(struct probe *p, const char *text, struct diag *d)
{
	struct probespec_field *specs;
	size_t nr;
	int err;

	err = text ? probespec_fields(&specs, &nr, text, d) : usual_fields(p, &specs, &nr, d);
	if (err)
		return err;
	if (nr > MAX_FIELDS)
		err = diag_set(d, -EINVAL, "more than %d fields of '%s'", MAX_FIELDS, p->name);
	if (!err)
		err = check_names(p, specs, nr, d);
	p->fields = calloc(nr + 1, sizeof(*p->fields));
	if (!p->fields)
		err = -ENOMEM;
	for (size_t i = 0; i < p->nr_variants && !err; i++) {
		p->variants[i].values = calloc(nr + 1, sizeof(*p->variants[i].values));
		if (!p->variants[i].values)
			err = -ENOMEM;
	}
	for (size_t i = 0; i < nr && !err; i++) {
		struct probe_value own;

		/* Of no use twice, unless the event has a field of that name itself. */
		if (!strcmp(specs[i].name, specs[i].source) && !specs[i].hint &&
		    probe_builtin_is_free(specs[i].source) &&
		    p->kind->find(p, &p->variants[0], specs[i].source, &own, d) == -ENOENT)
			continue;
		err = add_field(p, &specs[i], d);
	}
	probespec_free_fields(specs, nr);
	return err ? diag_set(d, err, "out of memory") : 0;
}

/* --- layout ----------------------------------------------------------------------------- */

static uint32_t align(uint32_t offset, uint32_t size_bytes)
{
	return (offset + size_bytes - 1) & ~(size_bytes - 1);
}

void probe_fields_layout(struct probe *p)
{
	uint32_t at = 0;

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
}

/* --- filter ------------------------------------------------------------------------------- */

struct binding {
	const struct probe *p;
	struct probe_variant *v;
	struct diag *d;
};

/* A field that is recorded means in the filter what it will mean in the file. */
static int find_variable(const struct binding *b, const char *name, struct probe_value *out)
{
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
	struct probe_value *value = &b->v->filter_values[var];
	int err = find_variable(b, name, value);

	if (err)
		return err;
	if (value->result == RESULT_NUMBER && value->is_char_pointer)
		probe_hint(value, name, "str", 0, b->d);
	if (value->result == RESULT_STRING || value->result == RESULT_COMM)
		*type = EXPR_STRING;
	else if (value->result == RESULT_NUMBER)
		*type = value->is_signed ? EXPR_SIGNED : EXPR_UNSIGNED;
	else
		return diag_set(b->d, -EINVAL, "filter: '%s' is neither a number nor text", name);
	return 0;
}

int probe_fields_filter(struct probe *p, const char *text, struct diag *d)
{
	char known[320];
	int err;

	err = expr_parse(&p->filter, text, d);
	if (err)
		return err;
	probe_join_names(p, known, sizeof(known));
	for (size_t i = 0; i < p->nr_variants && !err; i++) {
		struct binding b = { p, &p->variants[i], d };

		b.v->filter_values = calloc(expr_nr_vars(p->filter) + 1,
					    sizeof(*b.v->filter_values));
		if (!b.v->filter_values)
			return diag_set(d, -ENOMEM, "out of memory");
		err = expr_bind(p->filter, resolve_variable, &b, known, d);
	}
	return err;
}
