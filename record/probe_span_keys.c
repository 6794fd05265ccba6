/*
 * Keys of spans: values of both sides, as numbers of one size.
 */
#include "record/probe_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KEY_FRAME "frame"	/* what kind->frame() says */

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
