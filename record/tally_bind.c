#include "record/tally.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "record/probespec.h"

#define COMM_BYTES 16

static const struct probe *side_of(const struct probe *p, bool start)
{
	return start ? p->span->start : p;
}

static const struct probe_field *field_of(const struct probe *p, const struct tally_field *f)
{
	return &side_of(p, f->of_start)->fields[f->index];
}

static int find_field(const struct probe *p, const char *name, struct tally_field *out)
{
	for (int start = 0; start <= (p->span != NULL); start++) {
		const struct probe *side = side_of(p, start);

		for (size_t i = 0; i < side->nr_fields; i++) {
			if (strcmp(side->fields[i].name, name))
				continue;
			*out = (struct tally_field){ .of_start = start, .index = (uint32_t)i };
			return 0;
		}
	}
	return -ENOENT;
}

/* --- the key ---------------------------------------------------------------------------- */

/* What it takes in a key, or 0: it cannot be in one. */
static uint32_t key_bytes_of(const struct probe_field *f)
{
	uint32_t bytes = f->max_bytes;

	switch (f->result) {
	case RESULT_NUMBER:
		return sizeof(uint64_t);
	case RESULT_COMM:
		return COMM_BYTES;
	case RESULT_STRING:
		/* The default of records is more than most keys need. */
		if (bytes == PROBE_STRING_BYTES)
			bytes = TALLY_STRING_BYTES;
		break;
	case RESULT_BYTES:
		break;
	default:
		return 0;
	}
	return (bytes + 7) & ~7u;
}

/* Names of the columns of every tally: a key of that name could not be asked for. */
static bool is_taken(const char *name)
{
	static const char *const columns[] = {
		"time", "interval", "hits", "sum", "min", "max", "first",
	};

	for (size_t i = 0; i < sizeof(columns) / sizeof(*columns); i++)
		if (!strcmp(columns[i], name))
			return true;
	return false;
}

static bool has_key(const struct tally *t, const struct tally_field *f)
{
	for (size_t i = 0; i < t->nr_by; i++)
		if (t->by[i].of_start == f->of_start && t->by[i].index == f->index)
			return true;
	return false;
}

static int add_to_key(const struct probe *p, struct tally *t, struct tally_field f,
		      struct diag *d)
{
	const struct probe_field *field = field_of(p, &f);

	if (has_key(t, &f))
		return 0;
	if (is_taken(field->name))
		return diag_set(d, -EINVAL, "tally of '%s': a tally has a column '%s' of its own: "
				"call the key differently (by=other=%s)", p->name, field->name,
				field->source);
	if (t->nr_by == TALLY_MAX_FIELDS)
		return diag_set(d, -EINVAL, "tally of '%s': a key has at most %d fields", p->name,
				TALLY_MAX_FIELDS);
	f.key_offset = t->key_bytes;
	f.key_bytes = key_bytes_of(field);
	if (!f.key_bytes)
		return diag_set(d, -EINVAL, "tally of '%s': field '%s' is bytes of no fixed length, "
				"which cannot be a key", p->name, field->name);
	t->key_bytes += f.key_bytes;
	if (t->key_bytes > TALLY_MAX_KEY_BYTES)
		return diag_set(d, -EINVAL, "tally of '%s': with field '%s' a key has %u bytes, "
				"which is more than %d (take fewer fields, or limit texts: %s:str(16))",
				p->name, field->name, t->key_bytes, TALLY_MAX_KEY_BYTES,
				field->name);
	t->by[t->nr_by++] = f;
	return 0;
}

/* `stack`: all there are, wherever they were taken.  -ENOENT: none. */
static int add_stacks(const struct probe *p, struct tally *t, struct diag *d)
{
	int err = -ENOENT;

	for (int start = p->span != NULL; start >= 0; start--) {
		const struct probe *side = side_of(p, start);

		for (size_t i = 0; i < side->nr_fields; i++) {
			struct tally_field f = { .of_start = start, .index = (uint32_t)i };

			if (!side->fields[i].is_stack)
				continue;
			err = add_to_key(p, t, f, d);
			if (err)
				return err;
		}
	}
	return err;
}

static int bind_key(const struct probe *p, struct tally *t, const char *by, struct diag *d)
{
	struct probespec_field *names = NULL;
	size_t nr = 0;
	int err = probespec_fields(&names, &nr, by, d);

	for (size_t i = 0; i < nr && !err; i++) {
		struct tally_field f;

		if (!find_field(p, names[i].name, &f))
			err = add_to_key(p, t, f, d);
		else
			err = strcmp(names[i].name, "stack") ? -ENOENT : add_stacks(p, t, d);
		if (err == -ENOENT)
			err = diag_set(d, -EINVAL, "tally of '%s': it has no field '%s'", p->name,
				       names[i].name);
	}
	probespec_free_fields(names, nr);
	return err;
}

/* --- the value ---------------------------------------------------------------------------- */

static int bind_field(const struct probe *p, struct tally *t, const char *text, struct diag *d)
{
	struct probespec_field *name = NULL;
	const struct probe_field *field;
	size_t nr = 0;
	int err = probespec_fields(&name, &nr, text, d);

	if (!err && nr != 1)
		err = diag_set(d, -EINVAL, "tally of '%s': '%s' is not one field (one value is "
			       "measured; keys are by=...)", p->name, text);
	if (err)
		goto out;
	err = find_field(p, name->name, &t->value);
	if (err && p->span && !strcmp(name->name, "duration")) {
		t->measure = TALLY_DURATION;
		err = 0;
		goto named;
	}
	if (err) {
		err = diag_set(d, -EINVAL, !strcmp(name->name, "duration") ?
			       "tally of '%s': it has no duration (spans have one: A..B, func:NAME, "
			       "syscall:NAME; else name a number: hist=FIELD)" :
			       "tally of '%s': it has no field '%s'", p->name, name->name);
		goto out;
	}
	field = field_of(p, &t->value);
	if (field->result != RESULT_NUMBER || field->is_stack) {
		err = diag_set(d, -EINVAL, "tally of '%s': field '%s' is not a number (it can be a "
			       "key: by=%s)", p->name, name->name, name->name);
		goto out;
	}
	t->measure = TALLY_FIELD;
	t->is_signed = field->is_signed;
named:
	t->value_name = strdup(name->name);
	if (!t->value_name)
		err = diag_set(d, -ENOMEM, "out of memory");
out:
	probespec_free_fields(name, nr);
	return err;
}

int tally_bind(struct probe *p, const struct tally_spec *s, struct diag *d)
{
	const char *value = s->hist ? s->hist : s->sum;
	struct tally *t = calloc(1, sizeof(*t));
	uint32_t buckets;
	int err;

	if (!t)
		return diag_set(d, -ENOMEM, "out of memory");
	t->every_ns = s->every_ns;
	t->histogram = s->hist != NULL;
	err = bind_key(p, t, s->by, d);
	if (!err && value)
		err = bind_field(p, t, value, d);
	if (err) {
		tally_free(t);
		return err;
	}
	t->max_keys = t->nr_by ? s->max_keys : 1;
	buckets = t->max_keys * TALLY_BUCKETS_OF_KEY;
	if (buckets < TALLY_LEAST_BUCKETS)
		buckets = TALLY_LEAST_BUCKETS;
	t->max_stacks = t->max_keys > TALLY_LEAST_STACKS ? t->max_keys : TALLY_LEAST_STACKS;
	t->max_buckets = buckets < TALLY_MOST_BUCKETS ? buckets : TALLY_MOST_BUCKETS;
	p->tally = t;
	return 0;
}
