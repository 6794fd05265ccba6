#include "record/probespec.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "record/sampled.h"

#define MAX_SPEC_BYTES (64u << 10)

static bool is_open(char c)
{
	return c == '(' || c == '[';
}

static bool is_close(char c)
{
	return c == ')' || c == ']';
}

/* The end of the part that starts here: a comma outside of brackets, or the end. */
static const char *part_end(const char *at)
{
	int depth = 0;

	for (; *at; at++) {
		if (is_open(*at))
			depth++;
		else if (is_close(*at) && depth)
			depth--;
		else if (*at == ',' && !depth)
			break;
	}
	return at;
}

static char *copy_trimmed(const char *from, const char *end)
{
	while (from < end && isspace((unsigned char)*from))
		from++;
	while (end > from && isspace((unsigned char)end[-1]))
		end--;
	return strndup(from, (size_t)(end - from));
}

static size_t count_parts(const char *text)
{
	size_t nr = 1;

	for (const char *end = part_end(text); *end; end = part_end(end + 1))
		nr++;
	return nr;
}

/* --- events ------------------------------------------------------------------------ */

/* bpftrace's words for what the sampler does. */
static bool is_sampler_word(const char *word, size_t len)
{
	static const char *const words[] = { "software", "hardware", "s", "h" };

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strlen(words[i]) == len && !strncmp(words[i], word, len))
			return true;
	return false;
}

static int set_kind(struct probe_spec *s, const char *event, struct diag *d)
{
	const char *colon = strchr(event, ':'), *kind = "tracepoint", *what = event;
	const struct probe_kind *k;

	if (!colon || sampled_is_name(event)) {
		kind = "sample";
	} else if (is_sampler_word(event, (size_t)(colon - event))) {
		kind = "sample";
		what = colon + 1;
	} else {
		k = probe_find_kind(event, (size_t)(colon - event));
		if (k) {
			kind = k->name;
			what = colon + 1;
		}
	}
	if (!*what)
		return diag_set(d, -EINVAL, "event '%s' has no name after the colon", s->text);
	s->kind = strdup(kind);
	s->what = strdup(what);
	return s->kind && s->what ? 0 : diag_set(d, -ENOMEM, "out of memory");
}

static int parse_event(struct probe_spec *s, const char *from, const char *end, struct diag *d)
{
	char *open, *event;
	size_t len;
	int err;

	s->text = copy_trimmed(from, end);
	event = s->text ? strdup(s->text) : NULL;
	if (!event)
		return diag_set(d, -ENOMEM, "out of memory");
	len = strlen(event);
	open = strchr(event, '(');
	if (open && event[len - 1] != ')') {
		err = diag_set(d, -EINVAL, "event '%s': the list of fields does not end in ')'",
			       s->text);
		goto out;
	}
	if (open) {
		s->fields = copy_trimmed(open + 1, event + len - 1);
		do
			*open = '\0';
		while (open > event && isspace((unsigned char)*--open));
	}
	if (!*event) {
		err = diag_set(d, -EINVAL, "no event is named");
		goto out;
	}
	err = open && !s->fields ? diag_set(d, -ENOMEM, "out of memory") :
				   set_kind(s, event, d);
out:
	free(event);
	return err;
}

int probespec_parse(struct probe_spec **out, size_t *nr, const char *text, struct diag *d)
{
	struct probe_spec *specs;
	size_t n;
	int err = 0;

	if (strlen(text) > MAX_SPEC_BYTES)
		return diag_set(d, -EINVAL, "list of events is too long");
	n = count_parts(text);
	specs = calloc(n, sizeof(*specs));
	if (!specs)
		return diag_set(d, -ENOMEM, "out of memory");
	for (size_t i = 0; i < n && !err; i++) {
		const char *end = part_end(text);

		err = parse_event(&specs[i], text, end, d);
		text = end + (*end != '\0');
	}
	if (err) {
		probespec_free(specs, n);
		return err;
	}
	*out = specs;
	*nr = n;
	return 0;
}

void probespec_free(struct probe_spec *specs, size_t nr)
{
	for (size_t i = 0; specs && i < nr; i++) {
		free(specs[i].text);
		free(specs[i].kind);
		free(specs[i].what);
		free(specs[i].fields);
	}
	free(specs);
}

/* --- fields ------------------------------------------------------------------------- */

/* ":str(64)": the colon of a hint is the last one outside of brackets. */
static const char *find_hint(const char *from, const char *end)
{
	const char *colon = NULL;
	int depth = 0;

	for (; from < end; from++) {
		if (is_open(*from))
			depth++;
		else if (is_close(*from))
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

	f->hint = copy_trimmed(from, open ? open : end);
	if (!f->hint)
		return diag_set(d, -ENOMEM, "out of memory");
	if (!open)
		return 0;
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
	const char *equals = memchr(from, '=', (size_t)(end - from)), *hint;
	int err = 0;

	if (equals) {
		f->name = copy_trimmed(from, equals);
		from = equals + 1;
	}
	while (end > from && isspace((unsigned char)end[-1]))
		end--;
	hint = find_hint(from, end);
	f->source = copy_trimmed(from, hint ? hint : end);
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
	size_t n = *text ? count_parts(text) : 0;
	struct probespec_field *fields = calloc(n + 1, sizeof(*fields));
	int err = 0;

	if (!fields)
		return diag_set(d, -ENOMEM, "out of memory");
	for (size_t i = 0; i < n && !err; i++) {
		const char *end = part_end(text);

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
	}
	free(fields);
}
