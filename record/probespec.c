#include "record/probespec.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/expr.h"
#include "record/probespec_private.h"
#include "record/sampled.h"
#include "record/spans.h"

#define MAX_SPEC_BYTES (64u << 10)

/* --- text -------------------------------------------------------------------------- */

bool probespec_is_open(char c)
{
	return c == '(' || c == '[';
}

bool probespec_is_close(char c)
{
	return c == ')' || c == ']';
}

/* The last character of a condition that begins here. */
static const char *skip_condition(const char *at)
{
	const char *last = at + strlen(at) - 1, *end = expr_braces_end(at, last + 1);

	return end ? end : last;
}

const char *probespec_part_end(const char *at)
{
	int depth = 0;

	for (; *at; at++) {
		if (probespec_is_open(*at))
			depth++;
		else if (probespec_is_close(*at) && depth)
			depth--;
		else if (*at == '{' && !depth)
			at = skip_condition(at);
		else if (*at == ',' && !depth)
			break;
	}
	return at;
}

size_t probespec_count_parts(const char *text)
{
	size_t nr = 1;

	for (const char *end = probespec_part_end(text); *end; end = probespec_part_end(end + 1))
		nr++;
	return nr;
}

char *probespec_copy(const char *from, const char *end)
{
	while (from < end && isspace((unsigned char)*from))
		from++;
	while (end > from && isspace((unsigned char)end[-1]))
		end--;
	return strndup(from, (size_t)(end - from));
}

static bool is_word_char(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* --- the parts of a span -------------------------------------------------------------- */

/* What is found of an event in a list; NULL: there is none. */
struct shape {
	const char *from, *end;		/* all of it */
	const char *separator, *second;	/* ".." */
	const char *at;			/* the '@' of the keys */
	const char *as;			/* the blank before "as" */
	const char *body_end;		/* where names, keys excluded, end */
};

/* Kinds that name a file, in which two dots may stand. */
static bool names_file(const char *from, const char *end)
{
	const char *colon = memchr(from, ':', (size_t)(end - from));
	const struct probe_kind *k;

	if (!colon || memchr(colon + 1, ':', (size_t)(end - colon - 1)))
		return false;
	k = probe_find_kind(from, (size_t)(colon - from));
	return k && (!strcmp(k->name, "uprobe") || !strcmp(k->name, "uretprobe") ||
		     !strcmp(k->name, "usdt"));
}

/* Two dots between two events, and not within the path or the name of a file. */
static bool is_separator(const struct shape *s, const char *dots)
{
	const char *left = s->separator ? s->separator + 2 : s->from, *right = dots + 2, *word;

	if (dots == left || dots[-1] == '/' || dots[-1] == '.' || dots[-1] == ':')
		return false;
	while (right < s->end && isspace((unsigned char)*right))
		right++;
	if (right == s->end || !(isalpha((unsigned char)*right) || *right == '_'))
		return false;
	if (!names_file(left, dots))
		return true;
	for (word = right; word < s->end && is_word_char(*word);)
		word++;
	return word < s->end && *word == ':' && probe_find_kind(right, (size_t)(word - right));
}

/* "as NAME" at the end; a path may hold blanks, a name does not. */
static bool is_as(const struct shape *s, const char *at)
{
	const char *word = at + 3;

	if (s->end - at < 3 || !isspace((unsigned char)*at) || strncmp(at + 1, "as", 2) ||
	    (word < s->end && !isspace((unsigned char)*word)))
		return false;
	return !memchr(word, '/', (size_t)(s->end - word));
}

static void find_parts(struct shape *s)
{
	int depth = 0;

	s->separator = s->second = s->at = s->as = NULL;
	for (const char *p = s->from; p < s->end; p++) {
		if (probespec_is_open(*p))
			depth++;
		else if (probespec_is_close(*p) && depth)
			depth--;
		else if (*p == '{' && !depth)
			p = skip_condition(p);
		if (depth)
			continue;
		if (is_as(s, p))
			s->as = p;
		else if (!strncmp(p, "..", 2) && p + 2 < s->end && is_separator(s, p))
			*(s->separator ? &s->second : &s->separator) = p;
		/* "f@@VERSION" is a symbol's. */
		else if (*p == '@' && s->separator && p[-1] != '@' && p[1] != '@')
			s->at = p;
	}
	if (s->at && s->as && s->as < s->at)
		s->as = NULL;
	s->body_end = s->at ? s->at : s->as ? s->as : s->end;
}

/* After the keys of a span: one more of them, not the next event. */
static bool is_key(const char *from, const char *end)
{
	const char *last;
	char *word;
	bool is;

	while (from < end && isspace((unsigned char)*from))
		from++;
	for (last = from; last < end && !isspace((unsigned char)*last);)
		last++;
	word = strndup(from, (size_t)(last - from));
	is = word && *word && !strpbrk(word, ":(") && !strstr(word, "..") &&
	     !sampled_is_name(word) && !spans_find(word, strlen(word));
	free(word);
	return is;
}

/* The event that starts here, with all of its keys. */
static void find_event(struct shape *s, const char *from)
{
	s->from = from;
	s->end = probespec_part_end(from);
	find_parts(s);
	while (s->at && !s->as && *s->end) {
		const char *next = probespec_part_end(s->end + 1);

		if (!is_key(s->end + 1, next))
			break;
		s->end = next;
		find_parts(s);
	}
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

	if (spans_find(event, strlen(event))) {
		kind = "span";
	} else if (!colon || sampled_is_name(event)) {
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

/* "NAME(FIELDS)" */
static int parse_fields(struct probe_spec *s, char *event, struct diag *d)
{
	char *open = strchr(event, '('), *last = event + strlen(event) - 1;

	if (!open)
		return 0;
	if (*last != ')')
		return diag_set(d, -EINVAL, "event '%s': the list of fields does not end in ')'",
				s->text);
	s->fields = probespec_copy(open + 1, last);
	do
		*open = '\0';
	while (open > event && isspace((unsigned char)*--open));
	return s->fields ? 0 : diag_set(d, -ENOMEM, "out of memory");
}

/* "NAME(FIELDS){CONDITION}": cuts the condition off. */
static int parse_condition(struct probe_spec *s, char *event, struct diag *d)
{
	char *open, *last = event + strlen(event);
	int depth = 0;

	for (open = event; *open && (*open != '{' || depth); open++)
		depth += probespec_is_open(*open) ? 1 : probespec_is_close(*open) ? -1 : 0;
	if (!*open)
		return 0;
	if (last[-1] != '}' || expr_braces_end(open, last) != last - 1)
		return diag_set(d, -EINVAL, "event '%s': a condition ends in '}', and nothing "
				"follows it", s->text);
	s->condition = probespec_copy(open + 1, last - 1);
	do
		*open = '\0';
	while (open > event && isspace((unsigned char)*--open));
	if (s->condition && !*s->condition)
		return diag_set(d, -EINVAL, "event '%s': the condition is empty", s->text);
	return s->condition ? 0 : diag_set(d, -ENOMEM, "out of memory");
}

static int parse_body(struct probe_spec *s, const char *from, const char *end, struct diag *d)
{
	char *event = probespec_copy(from, end);
	int err;

	if (!event)
		return diag_set(d, -ENOMEM, "out of memory");
	err = *event ? parse_condition(s, event, d) : 0;
	if (!err && *event)
		err = parse_fields(s, event, d);
	if (!err)
		err = *event ? set_kind(s, event, d) :
			       diag_set(d, -EINVAL, "no event is named");
	free(event);
	return err;
}

static int check_side(const struct probe_spec *side, struct diag *d)
{
	static const char *const spans[] = { "span", "func", "syscall" };

	if (!strcmp(side->kind, "sample"))
		return diag_set(d, -EINVAL, "'%s' is no start or end of a span: it is sampled",
				side->text);
	for (size_t i = 0; i < sizeof(spans) / sizeof(*spans); i++)
		if (!strcmp(side->kind, spans[i]))
			return diag_set(d, -EINVAL, "'%s' is no start or end of a span: it is a "
					"span itself", side->text);
	return 0;
}

static int parse_start(struct probe_spec *s, const struct shape *shape, struct diag *d)
{
	int err;

	s->start = calloc(1, sizeof(*s->start));
	if (s->start)
		s->start->text = probespec_copy(shape->from, shape->separator);
	if (!s->start || !s->start->text)
		return diag_set(d, -ENOMEM, "out of memory");
	err = parse_body(s->start, shape->from, shape->separator, d);
	return err ? err : check_side(s->start, d);
}

static int parse_keys(struct probe_spec *s, const struct shape *shape, struct diag *d)
{
	struct probespec_key *keys;
	size_t nr;
	int err;

	s->keys = probespec_copy(shape->at + 1, shape->as ? shape->as : shape->end);
	if (!s->keys)
		return diag_set(d, -ENOMEM, "out of memory");
	err = probespec_keys(&keys, &nr, s->keys, d);
	if (!err)
		probespec_free_keys(keys, nr);
	return err;
}

static int parse_name(struct probe_spec *s, const struct shape *shape, struct diag *d)
{
	s->name = probespec_copy(shape->as + 3, shape->end);
	if (!s->name)
		return diag_set(d, -ENOMEM, "out of memory");
	if (!*s->name)
		return diag_set(d, -EINVAL, "event '%s': no name follows 'as'", s->text);
	for (const char *c = s->name; *c; c++)
		if (!is_word_char(*c) && !strchr(":.-", *c))
			return diag_set(d, -EINVAL, "event '%s': '%s' is no name (letters, "
					"digits and _ : . -)", s->text, s->name);
	return 0;
}

static int parse_event(struct probe_spec *s, const struct shape *shape, struct diag *d)
{
	const char *from = shape->separator ? shape->separator + 2 : shape->from;
	int err = 0;

	s->text = probespec_copy(shape->from, shape->end);
	if (!s->text)
		return diag_set(d, -ENOMEM, "out of memory");
	if (shape->second)
		err = diag_set(d, -EINVAL, "'%s': a span has one start and one end", s->text);
	if (!err && shape->as)
		err = parse_name(s, shape, d);
	if (!err && shape->separator)
		err = parse_start(s, shape, d);
	if (!err)
		err = parse_body(s, from, shape->body_end, d);
	if (!err && shape->separator)
		err = check_side(s, d);
	if (!err && shape->at)
		err = parse_keys(s, shape, d);
	if (!err && s->name && !strcmp(s->kind, "sample"))
		err = diag_set(d, -EINVAL, "event '%s': what is sampled keeps its name", s->text);
	if (!err && s->condition && !strcmp(s->kind, "sample"))
		err = diag_set(d, -EINVAL, "event '%s': conditions of what is sampled are "
			       "written as --filter", s->text);
	return err;
}

int probespec_parse(struct probe_spec **out, size_t *nr, const char *text, struct diag *d)
{
	struct probe_spec *specs;
	bool more = true;
	size_t n = 0;
	int err = 0;

	if (strlen(text) > MAX_SPEC_BYTES)
		return diag_set(d, -EINVAL, "list of events is too long");
	specs = calloc(probespec_count_parts(text), sizeof(*specs));
	if (!specs)
		return diag_set(d, -ENOMEM, "out of memory");
	while (more && !err) {
		struct shape shape;

		find_event(&shape, text);
		err = parse_event(&specs[n++], &shape, d);
		more = *shape.end != '\0';
		text = shape.end + 1;
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
		if (specs[i].start)
			probespec_free(specs[i].start, 1);
		free(specs[i].text);
		free(specs[i].kind);
		free(specs[i].what);
		free(specs[i].fields);
		free(specs[i].name);
		free(specs[i].keys);
		free(specs[i].condition);
	}
	free(specs);
}
