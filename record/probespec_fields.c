/* Lists of fields and of keys. */
#include "record/probespec_private.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ":str(64)": the colon of a hint is the last one outside of brackets. */
static const char *find_hint(const char *from, const char *end)
{
	const char *colon = NULL;
	int depth = 0;

	for (; from < end; from++) {
		if (probespec_is_open(*from))
			depth++;
		else if (probespec_is_close(*from))
			depth--;
		else if (*from == ':' && !depth)
			colon = from;
	}
	return colon;
}

static int parse_hint(struct probespec_field *f, const char *from, const char *end,
		      struct diag *d)
{
	const char *open = memchr(from, '(', (size_t)(end - from));
	char *rest;

	f->hint = probespec_copy(from, open ? open : end);
	if (!f->hint)
		return diag_set(d, -ENOMEM, "out of memory");
	if (!open)
		return 0;
	if (!strcmp(f->hint, "values") && end[-1] == ')') {
		f->hint_text = probespec_copy(open + 1, end - 1);
		return f->hint_text ? 0 : diag_set(d, -ENOMEM, "out of memory");
	}
	errno = 0;
	f->hint_arg = strtoull(open + 1, &rest, 0);
	if (errno || rest == open + 1 || rest + 1 != end || *rest != ')' || !f->hint_arg)
		return diag_set(d, -EINVAL, "field '%s': '%.*s' is no number of bytes",
				f->source, (int)(end - open), open);
	return 0;
}

static int parse_field(struct probespec_field *f, const char *from, const char *end,
		       struct diag *d)
{
	const char *equals = memchr(from, '=', (size_t)(end - from)), *hint, *width;
	int err = 0;

	/* Those behind an opening bracket are of names of values. */
	if (equals && !memchr(from, '(', (size_t)(equals - from))) {
		f->name = probespec_copy(from, equals);
		from = equals + 1;
	}
	while (end > from && isspace((unsigned char)end[-1]))
		end--;
	hint = find_hint(from, end);
	width = hint ? find_hint(from, hint) : NULL;
	f->source = probespec_copy(from, width ? width : hint ? hint : end);
	if (width) {
		f->width = probespec_copy(width + 1, hint);
		if (!f->width)
			return diag_set(d, -ENOMEM, "out of memory");
	}
	if (f->source && !f->name)
		f->name = strdup(f->source);
	if (!f->source || !f->name)
		return diag_set(d, -ENOMEM, "out of memory");
	if (hint)
		err = parse_hint(f, hint + 1, end, d);
	if (!err && (!*f->source || !*f->name || (hint && !*f->hint)))
		err = diag_set(d, -EINVAL, "a field has no name (write: name, or name:hint, "
			       "or new_name=name)");
	return err;
}

int probespec_fields(struct probespec_field **out, size_t *nr, const char *text,
		     struct diag *d)
{
	size_t n = *text ? probespec_count_parts(text) : 0;
	struct probespec_field *fields = calloc(n + 1, sizeof(*fields));
	int err = 0;

	if (!fields)
		return diag_set(d, -ENOMEM, "out of memory");
	for (size_t i = 0; i < n && !err; i++) {
		const char *end = probespec_part_end(text);

		err = parse_field(&fields[i], text, end, d);
		text = end + (*end != '\0');
	}
	if (err) {
		probespec_free_fields(fields, n);
		return err;
	}
	*out = fields;
	*nr = n;
	return 0;
}

void probespec_free_fields(struct probespec_field *fields, size_t nr)
{
	for (size_t i = 0; fields && i < nr; i++) {
		free(fields[i].source);
		free(fields[i].name);
		free(fields[i].hint);
		free(fields[i].hint_text);
		free(fields[i].width);
	}
	free(fields);
}

/* --- keys --------------------------------------------------------------------------- */

static int parse_key(struct probespec_key *k, const char *from, const char *end,
		     struct diag *d)
{
	const char *equals = memchr(from, '=', (size_t)(end - from));

	k->start = probespec_copy(from, equals ? equals : end);
	k->end = probespec_copy(equals ? equals + 1 : from, end);
	if (!k->start || !k->end)
		return diag_set(d, -ENOMEM, "out of memory");
	if (!*k->start || !*k->end)
		return diag_set(d, -EINVAL, "a key of a span has no name (write: A..B@key, or "
				"A..B@key_of_A=key_of_B)");
	return 0;
}

int probespec_keys(struct probespec_key **out, size_t *nr, const char *text, struct diag *d)
{
	size_t n = probespec_count_parts(text);
	struct probespec_key *keys;
	int err = 0;

	if (n > PROBE_SPAN_MAX_KEYS)
		return diag_set(d, -EINVAL, "'@%s': at most %d keys", text, PROBE_SPAN_MAX_KEYS);
	keys = calloc(n, sizeof(*keys));
	if (!keys)
		return diag_set(d, -ENOMEM, "out of memory");
	for (size_t i = 0; i < n && !err; i++) {
		const char *end = probespec_part_end(text);

		err = parse_key(&keys[i], text, end, d);
		text = end + (*end != '\0');
	}
	if (err) {
		probespec_free_keys(keys, n);
		return err;
	}
	*out = keys;
	*nr = n;
	return 0;
}

void probespec_free_keys(struct probespec_key *keys, size_t nr)
{
	for (size_t i = 0; keys && i < nr; i++) {
		free(keys[i].start);
		free(keys[i].end);
	}
	free(keys);
}
