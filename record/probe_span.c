/*
 * Spans: two probes, paired.  The start is a probe that stands in no list; the end
 * stands for both.
 */
#define _GNU_SOURCE
#include "record/probe_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_FRAME "frame"	/* what kind->frame() says */

/* --- pairing -------------------------------------------------------------------------- */

void probe_span_free(struct probe_span *s)
{
	if (!s)
		return;
	probe_free(s->start);
	for (size_t i = 0; s->key_names && i < s->nr_keys; i++)
		free(s->key_names[i]);
	free(s->key_names);
	free(s->name);
	free(s);
}

static int set_key_names(struct probe_span *s, const char *keys)
{
	struct probespec_key *list;
	size_t nr;

	if (probespec_keys(&list, &nr, keys, NULL))
		return -ENOMEM;
	s->key_names = calloc(nr, sizeof(*s->key_names));
	for (size_t i = 0; s->key_names && i < nr; i++) {
		s->key_names[s->nr_keys++] = list[i].start;
		list[i].start = NULL;
	}
	probespec_free_keys(list, nr);
	return s->key_names ? 0 : -ENOMEM;
}

int probe_span_join(struct probe *p, struct probe *start, const char *name, const char *keys)
{
	struct probe_span *s = calloc(1, sizeof(*s));

	if (!s) {
		probe_free(start);
		return -ENOMEM;
	}
	p->span = s;
	s->start = start;
	s->name = strdup(name);
	return s->name ? set_key_names(s, keys) : -ENOMEM;
}

int probe_span_side(struct probes *set, const struct probe_spec *whole,
		    const struct probe_spec *side, struct probe **out, struct diag *d)
{
	const struct probe_kind *k = probe_find_kind(side->kind, strlen(side->kind));
	struct probe_spec spec = *side;
	struct probes scratch = *set;
	int err;

	if (!k)
		return diag_set(d, -EINVAL, "unknown kind of event '%s'", side->kind);
	spec.is_side = true;
	spec.filter = whole->filter;
	spec.tally = whole->tally;
	scratch.list = NULL;
	scratch.nr = scratch.cap = 0;
	err = k->expand(&scratch, &spec, d);
	memcpy(set->note, scratch.note, sizeof(set->note));
	if (!err && scratch.nr != 1)
		err = diag_set(d, -EINVAL, "'%s' are %zu events: a span has one start and one end",
			       side->text ? side->text : side->what, scratch.nr);
	if (err) {
		probe_release_all(&scratch);
		return err;
	}
	*out = scratch.list[0];
	free(scratch.list);
	return 0;
}

static int add_pair(struct probes *set, struct probe *end, struct probe *start,
		    const char *name, const char *keys, struct diag *d)
{
	int err = probe_append(set, end);

	if (err) {
		probe_free(start);
		probe_free(end);
	} else {
		err = probe_span_join(end, start, name, keys);
	}
	return err ? diag_set(d, err, "out of memory") : 0;
}

int probe_span_pair(struct probes *set, const struct probe_spec *whole,
		    const struct probe_spec *start, const struct probe_spec *end,
		    const char *name, const char *keys, struct diag *d)
{
	struct probe *from, *to;
	int err = probe_span_side(set, whole, start, &from, d);

	if (err)
		return err;
	err = probe_span_side(set, whole, end, &to, d);
	if (err) {
		probe_free(from);
		return err;
	}
	return add_pair(set, to, from, name, keys, d);
}

/* The keys of one side, for those who look what it needs. */
static char *side_keys(const struct probespec_key *keys, size_t nr, bool of_start)
{
	size_t bytes = 1;
	char *text;

	for (size_t i = 0; i < nr; i++)
		bytes += strlen(of_start ? keys[i].start : keys[i].end) + 1;
	text = calloc(1, bytes);
	for (size_t i = 0; text && i < nr; i++) {
		strcat(text, i ? "," : "");
		strcat(text, of_start ? keys[i].start : keys[i].end);
	}
	return text;
}

static int expand_sides(struct probes *set, const struct probe_spec *spec, const char *keys,
			struct probe_spec *start, struct probe_spec *end, struct diag *d)
{
	struct probe *from, *to;
	char name[4096];
	int err = probe_span_side(set, spec, start, &from, d);

	if (err)
		return err;
	err = probe_span_side(set, spec, end, &to, d);
	if (err) {
		probe_free(from);
		return err;
	}
	snprintf(name, sizeof(name), "%s..%s%s%s", from->name, to->name, spec->keys ? "@" : "",
		 spec->keys ? spec->keys : "");
	return add_pair(set, to, from, name, keys, d);
}

int probe_span_expand(struct probes *set, const struct probe_spec *spec, struct diag *d)
{
	const char *keys = spec->keys ? spec->keys : "tid";
	struct probe_spec start = *spec->start, end = *spec;
	struct probespec_key *list;
	size_t nr;
	int err = probespec_keys(&list, &nr, keys, d);

	if (err)
		return err;
	/* What depends on who asks for stacks is the same on both sides. */
	start.kernel_stack = spec->kernel_stack;
	end.start = NULL;
	start.keys = side_keys(list, nr, true);
	end.keys = side_keys(list, nr, false);
	err = start.keys && end.keys ? expand_sides(set, spec, keys, &start, &end, d) :
				       diag_set(d, -ENOMEM, "out of memory");
	free(start.keys);
	free(end.keys);
	probespec_free_keys(list, nr);
	return err;
}

/* --- keys ------------------------------------------------------------------------------- */

static int find_frame(const struct probe *p, const struct probe_variant *v,
		      struct probe_value *out, struct diag *d)
{
	memset(out, 0, sizeof(*out));
	if (p->kind->frame && !p->kind->frame(p, v, out))
		return 0;
	return diag_set(d, -EINVAL, "'%s' has no frame of a call that could be a key: only entry "
			"and return of a function have", p->name);
}

static int find_key(const struct probe_list *l, const struct probe_variant *v, const char *name,
		    struct probe_value *out, struct diag *d)
{
	const struct probespec_field *f = probe_lists_find(l, name);
	struct diag why = { "" };
	char known[320];
	int err;

	if (f && (f->hint || strcmp(f->source, f->name))) {
		err = probe_fields_value(l->p, v, f, out, d);
	} else {
		err = probe_lookup(l->p, v, name, out, &why);
		if (err && !strcmp(name, KEY_FRAME))
			return find_frame(l->p, v, out, d);
	}
	if (err == -ENOENT) {
		probe_join_names(l->p, known, sizeof(known));
		return diag_set(d, -EINVAL, "'%s' has no '%s' that could be a key of the span (it "
				"has: %s)", l->p->name, name, known);
	}
	if (err)
		return diag_set(d, err, "key of a span: %.400s", why.text);
	if (out->result != RESULT_NUMBER)
		return diag_set(d, -EINVAL, "'%s' of '%s' cannot be a key of a span: it is %s, and "
				"keys are numbers", name, l->p->name,
				out->result == RESULT_BYTES ? "memory" : "text");
	return 0;
}

static int find_keys(struct probe_list *l, const char *name, size_t key, size_t nr_keys,
		     struct diag *d)
{
	int err = 0;

	for (size_t i = 0; i < l->p->nr_variants && !err; i++) {
		struct probe_variant *v = &l->p->variants[i];

		if (!v->keys)
			v->keys = calloc(nr_keys, sizeof(*v->keys));
		err = v->keys ? find_key(l, v, name, &v->keys[key], d) :
				diag_set(d, -ENOMEM, "out of memory");
	}
	return err;
}

/* Smallest size of a key on a side, and whether all say the same of it. */
static bool is_alike(const struct probe *p, const struct probe_value *as, size_t key,
		     uint8_t *size)
{
	bool alike = true;

	for (size_t i = 0; i < p->nr_variants; i++) {
		const struct probe_value *v = &p->variants[i].keys[key];

		alike &= v->size == as->size && v->is_signed == as->is_signed;
		if (v->size < *size)
			*size = v->size;
	}
	return alike;
}

static int cut_key(struct probe *p, size_t key, uint8_t size, struct diag *d)
{
	for (size_t i = 0; i < p->nr_variants; i++) {
		struct probe_value *v = &p->variants[i].keys[key];

		if (v->nr_steps == FETCH_MAX_STEPS)
			return diag_set(d, -EINVAL, "a key of '%s' takes too many steps", p->name);
		v->steps[v->nr_steps++] = (struct fetch_step){
			.op = FETCH_BITS, .size = (uint8_t)(size * 8),
		};
	}
	return 0;
}

/* -1 and 0xffffffff are the same number if only one side has a sign, or more bits. */
static int match_sizes(struct probe *start, struct probe *end, size_t key, struct diag *d)
{
	const struct probe_value *as = &start->variants[0].keys[key];
	uint8_t size = as->size;
	bool alike = is_alike(start, as, key, &size);
	int err;

	alike &= is_alike(end, as, key, &size);
	if (alike)
		return 0;
	err = cut_key(start, key, size, d);
	return err ? err : cut_key(end, key, size, d);
}

static bool is_thread(const struct probe *p, size_t key)
{
	for (size_t i = 0; i < p->nr_variants; i++) {
		const struct probe_value *v = &p->variants[i].keys[key];

		if (v->nr_steps != 1 || v->steps[0].op != FETCH_TID)
			return false;
	}
	return true;
}

/* What the trampoline calls a frame is not what registers do. */
static int check_frame(const struct probe *start, const struct probe *end, size_t key,
		       struct diag *d)
{
	if (start->variants[0].keys[key].steps[0].op == end->variants[0].keys[key].steps[0].op)
		return 0;
	return diag_set(d, -EINVAL, "'%s' and '%s' are attached in different ways, so that a frame "
			"is no key of both", start->name, end->name);
}

static int set_key(struct probe *p, struct probe_lists *l, const struct probespec_key *k,
		   size_t key, struct diag *d)
{
	struct probe_span *s = p->span;
	int err = find_keys(&l->start, k->start, key, s->nr_keys, d);

	if (!err)
		err = find_keys(&l->end, k->end, key, s->nr_keys, d);
	if (!err && !strcmp(k->start, KEY_FRAME) && !strcmp(k->end, KEY_FRAME)) {
		s->by_frame = true;
		err = check_frame(s->start, p, key, d);
	}
	if (!err)
		err = match_sizes(s->start, p, key, d);
	if (!err)
		s->by_thread |= is_thread(s->start, key) && is_thread(p, key);
	return err;
}

int probe_span_keys(struct probe *p, const struct probe_spec *spec, struct probe_lists *l,
		    struct diag *d)
{
	struct probe_span *s = p->span;
	struct probespec_key *keys = NULL;
	size_t nr = s->nr_keys;
	int err = 0;

	if (spec->start && spec->keys)
		err = probespec_keys(&keys, &nr, spec->keys, d);
	for (size_t i = 0; i < s->nr_keys && !err; i++) {
		struct probespec_key same = { s->key_names[i], s->key_names[i] };

		err = set_key(p, l, keys ? &keys[i] : &same, i, d);
	}
	probespec_free_keys(keys, nr);
	if (!err && s->by_frame && !s->by_thread)
		err = diag_set(d, -EINVAL, "'%s': a frame is one thread's: write @tid,frame",
			       spec->text);
	return err;
}

/* --- stacks ----------------------------------------------------------------------------- */

static void set_stacks(struct probe *p, const struct probe_spec *spec,
		       const struct probe_lists *l)
{
	const struct probe_list *start = &l->start, *end = &l->end;
	bool said = start->kernel_stack || start->user_stack || end->kernel_stack ||
		    end->user_stack;
	struct probe *usual = p->span->by_thread ? p : p->span->start;

	start->p->kernel_stack = start->kernel_stack;
	start->p->user_stack = start->user_stack;
	end->p->kernel_stack = end->kernel_stack;
	end->p->user_stack = end->user_stack;
	if (said)
		return;
	said = l->kernel_stack || l->user_stack;
	usual->kernel_stack = said ? l->kernel_stack : spec->kernel_stack;
	usual->user_stack = said ? l->user_stack : spec->user_stack;
}

static int check_words(const struct probe *p, const struct probe_lists *l, struct diag *d)
{
	bool start = l->start.kernel_stack || l->start.user_stack;
	bool end = l->end.kernel_stack || l->end.user_stack;

	if (start && end)
		return diag_set(d, -EINVAL, "'%s': a record holds one stack: ask for that of the "
				"start or that of the end", p->span->name);
	if (l->start.task && l->end.task)
		return diag_set(d, -EINVAL, "'%s': a record is about one task: that of the start "
				"or that of the end", p->span->name);
	return 0;
}

/* --- filter ----------------------------------------------------------------------------- */

static const struct probe_field *find_field(const struct probe *p, const char *name)
{
	for (size_t i = 0; i < p->nr_fields; i++)
		if (!strcmp(p->fields[i].name, name))
			return &p->fields[i];
	return NULL;
}

int probe_span_variable(const struct probe *p, const char *name, struct probe_value *out,
			struct diag *d)
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

static int set_filters(struct probe *p, const struct probe_spec *spec, struct diag *d)
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

/* --- all of it -------------------------------------------------------------------------- */

/* What a function returns; of the kernel's, most say an errno like that. */
static void mark_result(struct probe *p)
{
	for (size_t i = 0; i < p->nr_fields; i++) {
		struct probe_field *f = &p->fields[i];

		if (strcmp(f->source, "retval") || !p->kind->frame)
			continue;
		f->role = ROLE_RESULT;
		if (f->result == RESULT_NUMBER && f->is_signed && f->hint == HINT_DECIMAL &&
		    f->space != SPACE_USER)
			f->hint = HINT_ERRNO;
		return;
	}
}

static void set_layout(struct probe *p)
{
	const uint32_t from = PROBE_DURATION_OFFSET + sizeof(uint64_t);
	uint32_t end = probe_fields_layout(p->span->start, from);

	p->span->image_bytes = end - from;
	probe_fields_layout(p, end);
}

int probe_span_finish(struct probe *p, const struct probe_spec *spec,
		      const struct probe_lists *l, struct diag *d)
{
	struct probe_span *s = p->span;
	int err = check_words(p, l, d);

	if (err)
		return err;
	if (spec->max_ns && spec->min_ns > spec->max_ns)
		return diag_set(d, -EINVAL, "'%s': no span is longer than --min and shorter than "
				"--max", s->name);
	s->min_ns = spec->min_ns;
	s->max_ns = spec->max_ns;
	s->task_of_end = l->end.task;
	s->end_is_anyones = !s->by_thread && !s->task_of_end;
	s->start_is_anyones = !s->by_thread && s->task_of_end;
	if (!spec->tally)
		set_stacks(p, spec, l);
	mark_result(p);
	set_layout(p);
	return set_filters(p, spec, d);
}
