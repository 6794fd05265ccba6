#include "report/query_spanspec.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/bytebuf.h"
#include "format/expr.h"

#define MAX_TEXT_BYTES (64u << 10)
#define MAX_SPANS 64

static int no_memory(struct diag *d)
{
	return diag_set(d, -ENOMEM, "out of memory");
}

/* --- text --------------------------------------------------------------------------- */

static void trim(const char **from, const char **end)
{
	while (*from < *end && isspace((unsigned char)**from))
		++*from;
	while (*end > *from && isspace((unsigned char)(*end)[-1]))
		--*end;
}

static char *copy(const char *from, const char *end)
{
	trim(&from, &end);
	return strndup(from, (size_t)(end - from));
}

/* Of a condition that begins here, its '}', or the end. */
static const char *condition_end(const char *at, const char *end)
{
	const char *close = expr_braces_end(at, end);

	return close ? close : end;
}

/* The comma outside of brackets, or the end. */
static const char *part_end(const char *at, const char *end)
{
	int depth = 0;

	for (; at < end; at++) {
		depth += *at == '(';
		depth -= *at == ')' && depth;
		if (*at == '{' && !depth)
			at = condition_end(at, end);
		if (at == end)
			break;
		if (*at == ',' && !depth)
			break;
	}
	return at;
}

/* --- finding the parts ------------------------------------------------------------------ */

struct shape {
	const char *from, *end;
	const char *dots, *at, *as;	/* "..", '@', the blank before "as"; or NULL */
	const char *body_end;		/* of the two names */
};

/* Two dots between names, not those of a path. */
static bool is_separator(const struct shape *s, const char *p)
{
	const char *right = p + 2;

	if (p == s->from || strchr("/.:", p[-1]) || *p != '.' || right >= s->end || p[1] != '.')
		return false;
	while (right < s->end && isspace((unsigned char)*right))
		right++;
	return right < s->end && (isalpha((unsigned char)*right) || strchr("_*?[", *right));
}

/* "as NAME" ends the text; a path may hold blanks, a name does not. */
static bool is_as(const struct shape *s, const char *p)
{
	return s->end - p >= 4 && isspace((unsigned char)*p) && p[1] == 'a' && p[2] == 's' &&
	       isspace((unsigned char)p[3]) && !memchr(p + 3, '/', (size_t)(s->end - p - 3));
}

static void find_parts(struct shape *s)
{
	int depth = 0;

	s->dots = s->at = s->as = NULL;
	for (const char *p = s->from; p < s->end; p++) {
		depth += *p == '(';
		depth -= *p == ')' && depth;
		if (*p == '{' && !depth)
			p = condition_end(p, s->end);
		if (depth || p == s->end)
			continue;
		if (!s->dots && is_separator(s, p))
			s->dots = p;
		else if (s->dots && is_as(s, p))
			s->as = p;
		/* "f@@VERSION" is a symbol's. */
		else if (s->dots && *p == '@' && p[-1] != '@' &&
			 !(p + 1 < s->end && p[1] == '@'))
			s->at = p;
	}
	s->body_end = s->at ? s->at : s->as ? s->as : s->end;
}

/* Behind a key: one more, or the next event? */
static bool may_be_key(const char *from, const char *end)
{
	const char *word_end;

	trim(&from, &end);
	for (word_end = from; word_end < end && !isspace((unsigned char)*word_end); word_end++)
		if (strchr(":(*?", *word_end) || !strncmp(word_end, "..", 2))
			return false;
	return word_end > from;
}

/* The event that starts here, with all of its keys; `limit` is the end of the line. */
static void find_event(struct shape *s, const char *from, const char *limit)
{
	s->from = from;
	s->end = part_end(from, limit);
	find_parts(s);
	while (s->at && !s->as && s->end < limit) {
		const char *next = part_end(s->end + 1, limit);

		if (!may_be_key(s->end + 1, next))
			break;
		s->end = next;
		find_parts(s);
	}
}

/* --- taking a span apart ---------------------------------------------------------------- */

static int add_field(struct query_spanspec_side *side, const char *text, const char *from,
		     const char *end, struct diag *d)
{
	struct query_spanspec_field *f = &side->fields[side->nr_fields];
	const char *equals = memchr(from, '=', (size_t)(end - from));

	f->source = copy(equals ? equals + 1 : from, end);
	f->name = copy(from, equals ? equals : end);
	side->nr_fields++;
	if (!f->source || !f->name)
		return no_memory(d);
	if (!*f->source || !*f->name)
		return diag_set(d, -EINVAL, "span '%s': a field has no name", text);
	if (strchr(f->source, ':'))
		return diag_set(d, -EINVAL, "span '%s': '%s' asks for how to read a field, "
				"which is only possible when recording", text, f->source);
	return 0;
}

static int parse_fields(struct query_spanspec_side *side, const char *text, const char *from,
			const char *end, struct diag *d)
{
	size_t nr = 1;
	int err = 0;

	side->chooses = true;
	for (const char *p = from; p < end; p++)
		nr += *p == ',';
	side->fields = calloc(nr, sizeof(*side->fields));
	if (!side->fields)
		return no_memory(d);
	trim(&from, &end);
	while (from < end && !err) {
		const char *comma = memchr(from, ',', (size_t)(end - from));

		if (!comma)
			comma = end;
		err = add_field(side, text, from, comma, d);
		from = comma + 1;
	}
	return err;
}

/* "{CONDITION}" ends the side: where it begins, or the end. */
static int parse_condition(struct query_spanspec_side *side, const char *text, const char *from,
			   const char **end, struct diag *d)
{
	const char *open = from, *close;
	int depth = 0;

	for (; open < *end && (*open != '{' || depth); open++) {
		depth += *open == '(';
		depth -= *open == ')' && depth;
	}
	if (open == *end)
		return 0;
	close = condition_end(open, *end);
	if (close != *end - 1)
		return diag_set(d, -EINVAL, "span '%s': a condition ends in '}', and nothing "
				"follows it", text);
	side->condition = copy(open + 1, close);
	if (!side->condition)
		return no_memory(d);
	if (!*side->condition)
		return diag_set(d, -EINVAL, "span '%s': a condition is empty", text);
	*end = open;
	return 0;
}

static int parse_side(struct query_spanspec_side *side, const char *text, const char *from,
		      const char *end, struct diag *d)
{
	const char *open;
	int err;

	trim(&from, &end);
	err = parse_condition(side, text, from, &end, d);
	if (err)
		return err;
	trim(&from, &end);
	open = memchr(from, '(', (size_t)(end - from));
	if (open && end[-1] != ')')
		return diag_set(d, -EINVAL, "span '%s': a list of fields does not end in ')'",
				text);
	side->event = copy(from, open ? open : end);
	if (!side->event)
		return no_memory(d);
	if (!*side->event)
		return diag_set(d, -EINVAL, "span '%s' lacks one of its two events", text);
	return open ? parse_fields(side, text, open + 1, end - 1, d) : 0;
}

static int parse_keys(struct query_spanspec *s, const char *from, const char *end,
		      struct diag *d)
{
	bool lacks_name = true;

	for (; from < end && s->nr_keys < QUERY_SPANSPEC_MAX_KEYS; s->nr_keys++) {
		struct query_spanspec_key *key = &s->keys[s->nr_keys];
		const char *comma = part_end(from, end);
		const char *equals = memchr(from, '=', (size_t)(comma - from));

		key->start = copy(from, equals ? equals : comma);
		key->end = copy(equals ? equals + 1 : from, comma);
		if (!key->start || !key->end) {
			free(key->start);
			free(key->end);
			return no_memory(d);
		}
		lacks_name = !*key->start || !*key->end;
		from = comma + 1;
	}
	if (from < end)
		return diag_set(d, -EINVAL, "span '%s' has more than %d keys", s->text,
				QUERY_SPANSPEC_MAX_KEYS);
	if (lacks_name)
		return diag_set(d, -EINVAL, "span '%s' lacks the name of a key (without '@' it "
				"is the thread)", s->text);
	return 0;
}

static int parse_span(struct query_spanspec *s, const struct shape *shape, struct diag *d)
{
	int err;

	s->text = copy(shape->from, shape->end);
	if (!s->text)
		return no_memory(d);
	err = parse_side(&s->sides[QUERY_SPANSPEC_START], s->text, shape->from, shape->dots, d);
	if (!err)
		err = parse_side(&s->sides[QUERY_SPANSPEC_END], s->text, shape->dots + 2,
				 shape->body_end, d);
	if (!err && shape->at) {
		const char *from = shape->at + 1, *end = shape->as ? shape->as : shape->end;

		trim(&from, &end);
		err = parse_keys(s, from, end, d);
	}
	if (!err && shape->as) {
		s->name = copy(shape->as + 3, shape->end);
		if (!s->name)
			err = no_memory(d);
		else if (!*s->name)
			err = diag_set(d, -EINVAL, "span '%s': 'as' lacks a name", s->text);
	}
	return err;
}

/* --- the list ------------------------------------------------------------------------------ */

struct list {
	struct query_spanspecs *out;
	struct bytebuf names;
	bool has_names;
};

static int add_span(struct query_spanspecs *out, const struct shape *shape, struct diag *d)
{
	struct query_spanspec *grown;

	if (out->nr == MAX_SPANS)
		return diag_set(d, -EINVAL, "more than %d spans", MAX_SPANS);
	grown = realloc(out->list, (out->nr + 1) * sizeof(*grown));
	if (!grown)
		return no_memory(d);
	out->list = grown;
	memset(&grown[out->nr], 0, sizeof(*grown));
	return parse_span(&grown[out->nr++], shape, d);
}

/* An empty name is complained of where names are looked up. */
static void add_name(struct list *l, const char *from, const char *end)
{
	if (l->has_names)
		bytebuf_text(&l->names, ",");
	bytebuf_put(&l->names, from, (size_t)(end - from));
	l->has_names = true;
}

static int parse_line(struct list *l, const char *from, const char *end, struct diag *d)
{
	struct shape shape;
	int err = 0;

	for (;;) {
		find_event(&shape, from, end);
		if (shape.dots)
			err = add_span(l->out, &shape, d);
		else
			add_name(l, shape.from, shape.end);
		if (err || shape.end == end)
			return err;
		from = shape.end + 1;
	}
}

int query_spanspec_parse(struct query_spanspecs *out, const char *text, struct diag *d)
{
	struct list l = { .out = out };
	const char *end;
	int err;

	memset(out, 0, sizeof(*out));
	if (!text)
		return 0;
	if (strlen(text) > MAX_TEXT_BYTES)
		return diag_set(d, -EINVAL, "the list of events is too long");
	bytebuf_init(&l.names);
	do {
		end = text + strcspn(text, "\n");
		err = parse_line(&l, text, end, d);
		text = end + 1;
	} while (!err && *end);
	if (!err && l.has_names) {
		out->names = bytebuf_take_text(&l.names);
		if (!out->names)
			err = no_memory(d);
	}
	bytebuf_release(&l.names);
	if (err)
		query_spanspec_release(out);
	return err;
}

static void release_span(struct query_spanspec *s)
{
	for (size_t i = 0; i < 2; i++) {
		free(s->sides[i].event);
		for (size_t f = 0; f < s->sides[i].nr_fields; f++) {
			free(s->sides[i].fields[f].name);
			free(s->sides[i].fields[f].source);
		}
		free(s->sides[i].fields);
		free(s->sides[i].condition);
	}
	for (size_t i = 0; i < s->nr_keys; i++) {
		free(s->keys[i].start);
		free(s->keys[i].end);
	}
	free(s->text);
	free(s->name);
}

void query_spanspec_release(struct query_spanspecs *s)
{
	for (size_t i = 0; i < s->nr; i++)
		release_span(&s->list[i]);
	free(s->list);
	free(s->names);
	memset(s, 0, sizeof(*s));
}
