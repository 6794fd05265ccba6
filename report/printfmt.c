#include "report/printfmt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/digits.h"
#include "report/escape.h"
#include "report/printfmt_private.h"

#define MAX_PARTS 256
/* Of a number with its width and precision. */
#define NUMBER_BYTES (2 * PRINTFMT_MAX_WIDTH + 64)

/* --- reading ------------------------------------------------------------------- */

/* The text of the print fmt and the arguments behind it. */
struct source {
	const char *at, *end;
	const struct printfmt_node *args[MAX_PARTS];
	bool unknown[MAX_PARTS];	/* the argument needs a number of the kernel */
	size_t nr_args, next_arg;
};

static int read_source(struct printfmt *p, const char *text, struct source *s)
{
	struct printfmt_parser x = {
		.fmt = p, .at = text, .end = text + strlen(text) };
	size_t len;

	if (!printfmt_take_text(&x, &s->at, &len) || x.failed)
		return -EINVAL;
	s->end = s->at + len;
	while (printfmt_take(&x, ",")) {
		if (s->nr_args == MAX_PARTS)
			return -EINVAL;
		s->args[s->nr_args] = printfmt_parse_expr(&x);
		if (x.failed)
			return -EINVAL;
		s->unknown[s->nr_args++] = x.nr_unknown;
		x.nr_unknown = 0;
	}
	printfmt_skip_space(&x);
	return x.at == x.end ? 0 : -EINVAL;
}

static const struct printfmt_node *next_arg(struct source *s)
{
	return s->next_arg < s->nr_args ? s->args[s->next_arg++] : NULL;
}

/* A width or precision; false: there is none. */
static bool read_count(struct source *s, uint32_t *number, const struct printfmt_node **arg)
{
	const char *from = s->at;

	if (s->at < s->end && *s->at == '*') {
		s->at++;
		*arg = next_arg(s);
		return true;
	}
	for (; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++)
		if (*number <= PRINTFMT_MAX_WIDTH)
			*number = *number * 10 + (uint32_t)(*s->at - '0');
	return s->at > from;
}

static void read_size(struct source *s, struct printfmt_part *part)
{
	part->size = 4;
	for (; s->at < s->end && strchr("hlLqjzt", *s->at); s->at++) {
		if (*s->at != 'h')
			part->size = 8;
		else
			part->size = part->size == 2 ? 1 : 2;
	}
}

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/*
 * What follows %p belongs to it as far as the kernel takes it: "%pISpc," ends
 * at the comma, but "%pSfoo" after the S.
 */
static void read_pointer(struct source *s, struct printfmt_part *part)
{
	static const struct {
		char kind;
		const char *more;
	} kinds[] = {
		{ 'I', "46Schpfsnbl" }, { 'i', "46Scpfshnbl" }, { 'M', "FR" }, { 'U', "bBlL" },
		{ 'h', "CDN" }, { 'b', "l" }, { 'S', "Rb" }, { 'B', "b" },
	};
	size_t nr = 0;

	if (s->at == s->end || !is_alnum(*s->at))
		return;
	if (!printfmt_knows_pointer((char[]) { *s->at, 0 })) {
		part->pointer[0] = '!';
		return;
	}
	part->pointer[nr++] = *s->at++;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		while (kinds[i].kind == part->pointer[0] && s->at < s->end &&
		       strchr(kinds[i].more, *s->at) && *s->at && nr + 1 < sizeof(part->pointer))
			part->pointer[nr++] = *s->at++;
}

/* The conversion at s->at, behind its '%'. */
static int read_conversion(struct source *s, struct printfmt_part *part)
{
	size_t nr_flags = 0;

	for (; s->at < s->end && strchr("-+ #0", *s->at); s->at++)
		if (nr_flags + 1 < sizeof(part->flags))
			part->flags[nr_flags++] = *s->at;
	if (read_count(s, &part->width, &part->width_arg) && s->at > s->end)
		return -EINVAL;
	if (s->at < s->end && *s->at == '.') {
		s->at++;
		part->has_precision = true;
		read_count(s, &part->precision, &part->precision_arg);
	}
	read_size(s, part);
	if (s->at == s->end || !strchr("diuxXocsp", *s->at))
		return -EINVAL;
	part->convert = *s->at++;
	if (part->convert == 'p')
		read_pointer(s, part);
	part->arg = next_arg(s);
	/* A pointer into a table of the kernel tells nothing outside of it anyhow. */
	if (part->arg && s->unknown[s->next_arg - 1] && part->convert != 'p')
		return -EINVAL;
	if (!part->arg || part->width > PRINTFMT_MAX_WIDTH ||
	    part->precision > PRINTFMT_MAX_WIDTH || part->pointer[0] == '!')
		return -EINVAL;
	return 0;
}

static void find_code(const struct printfmt *p, struct printfmt_part *part)
{
	const struct printfmt_field *f = printfmt_plain_field(part->arg);

	if (f && p->event->fields[f->column].type == FIELD_FRAME)
		part->code = f;
}

/* Text up to the next conversion, escaped once and for all. */
static int read_text(struct printfmt *p, struct source *s, struct printfmt_part *part)
{
	struct bytebuf *text = &p->scratch;

	bytebuf_clear(text);
	while (s->at < s->end) {
		const char *from = s->at;

		while (s->at < s->end && *s->at != '%')
			s->at++;
		escape_terminal(text, from, (size_t)(s->at - from));
		if (s->end - s->at < 2 || s->at[1] != '%')
			break;
		bytebuf_put(text, "%", 1);
		s->at += 2;
	}
	part->len = text->len;
	part->text = arena_text(&p->arena, text->len ? (const char *)text->data : "", text->len);
	return text->err || !part->text ? -ENOMEM : 0;
}

static int read_parts(struct printfmt *p, struct source *s)
{
	int err = 0;

	p->parts = arena_alloc(&p->arena, MAX_PARTS * sizeof(*p->parts));
	if (!p->parts)
		return -ENOMEM;
	while (!err && s->at < s->end) {
		struct printfmt_part *part = &p->parts[p->nr_parts++];

		*part = (struct printfmt_part) { .text = NULL };
		if (p->nr_parts == MAX_PARTS)
			return -EINVAL;
		err = read_text(p, s, part);
		if (err || s->at == s->end)
			break;
		s->at++;
		err = read_conversion(s, part);
		if (!err)
			find_code(p, part);
	}
	return err;
}

int printfmt_new(struct printfmt **out, const struct trace_event *e)
{
	struct source s = { .nr_args = 0 };
	struct printfmt *p;
	const char *print_fmt;
	int err;

	if (!e->format || strlen(e->format) > PRINTFMT_MAX_TEXT)
		return -EINVAL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	arena_init(&p->arena);
	bytebuf_init(&p->scratch);
	bytebuf_init(&p->inner);
	p->event = e;
	p->known = calloc(e->nr_fields + 1, sizeof(*p->known));
	err = p->known ? printfmt_parse_fields(p, e->format, &print_fmt) : -ENOMEM;
	if (!err)
		err = read_source(p, print_fmt, &s);
	if (!err)
		err = read_parts(p, &s);
	if (err)
		printfmt_free(p);
	else
		*out = p;
	return err;
}

void printfmt_free(struct printfmt *p)
{
	if (!p)
		return;
	arena_release(&p->arena);
	bytebuf_release(&p->scratch);
	bytebuf_release(&p->inner);
	free(p->known);
	free(p);
}

bool printfmt_has(const struct printfmt *p, uint32_t field)
{
	return p->known[field];
}

/* --- printing ------------------------------------------------------------------ */

/* The lowest bytes of the number, as C's varargs would take them. */
static uint64_t sized(const struct printfmt_part *part, uint64_t v)
{
	int unused = 64 - 8 * part->size;

	if (part->size == 8)
		return v;
	v <<= unused;
	if (part->convert == 'd' || part->convert == 'i')
		return (uint64_t)((int64_t)v >> unused);
	return v >> unused;
}

/* A count that a record gives, within bounds. */
static int count(struct printfmt *p, const struct printfmt_node *arg, uint32_t number,
		 const struct query_record *r)
{
	int64_t n = arg ? (int32_t)printfmt_number(p, arg, r) : (int64_t)number;

	if (n > PRINTFMT_MAX_WIDTH)
		n = PRINTFMT_MAX_WIDTH;
	return (int)(n < -PRINTFMT_MAX_WIDTH ? -PRINTFMT_MAX_WIDTH : n);
}

static void put_formatted(struct printfmt *p, const struct printfmt_part *part, uint64_t v,
			  const struct query_record *r, struct bytebuf *to)
{
	int width = count(p, part->width_arg, part->width, r);
	int precision = count(p, part->precision_arg, part->precision, r);
	char format[24], text[NUMBER_BYTES];
	int len;

	if (!part->has_precision)
		precision = -1;
	snprintf(format, sizeof(format), "%%%s*.*ll%c", part->flags, part->convert);
	len = snprintf(text, sizeof(text), format, width, precision, (unsigned long long)v);
	if (len > 0)
		bytebuf_put(to, text, (size_t)len);
}

static void put_number(struct printfmt *p, const struct printfmt_part *part,
		       const struct query_record *r, struct bytebuf *to)
{
	uint64_t v = sized(part, printfmt_number(p, part->arg, r));

	if (part->width || part->width_arg || part->has_precision || part->flags[0]) {
		put_formatted(p, part, v, r, to);
		return;
	}
	switch (part->convert) {
	case 'd':
	case 'i':
		digits_put_signed(to, (int64_t)v);
		break;
	case 'u':
		digits_put(to, v);
		break;
	case 'x':
		digits_put_hex(to, v, 0);
		break;
	default:
		put_formatted(p, part, v, r, to);
	}
}

static void put_spaces(struct bytebuf *to, size_t nr)
{
	while (nr-- > 0)
		bytebuf_put(to, " ", 1);
}

/* What lies in scratch, with its width. */
static void put_padded(struct printfmt *p, const struct printfmt_part *part,
		       const struct query_record *r, struct bytebuf *to)
{
	int width = count(p, part->width_arg, part->width, r);
	bool left = strchr(part->flags, '-') || width < 0;
	size_t room = (size_t)(width < 0 ? -width : width), len = p->scratch.len;

	if (part->has_precision) {
		int precision = count(p, part->precision_arg, part->precision, r);

		if (precision >= 0 && len > (size_t)precision)
			len = (size_t)precision;
	}
	if (!left && room > len)
		put_spaces(to, room - len);
	escape_terminal(to, (const char *)p->scratch.data, len);
	if (left && room > len)
		put_spaces(to, room - len);
}

static void put_part(struct printfmt *p, const struct fieldtext *ft,
		     const struct printfmt_part *part, const struct query_record *r,
		     struct bytebuf *to)
{
	char letter;

	bytebuf_put(to, part->text, part->len);
	if (!part->convert)
		return;
	if (!part->code && strchr("diuxXo", part->convert)) {
		put_number(p, part, r, to);
		return;
	}
	bytebuf_clear(&p->scratch);
	if (part->convert == 'p') {
		printfmt_pointer(p, ft, part, r, &p->scratch);
		escape_terminal(to, (const char *)p->scratch.data, p->scratch.len);
		return;
	}
	if (part->code) {
		printfmt_code(p, ft, part->code, r, true, &p->scratch);
	} else if (part->convert == 'c') {
		letter = (char)printfmt_number(p, part->arg, r);
		bytebuf_put(&p->scratch, &letter, 1);
	} else {
		printfmt_text(p, ft, part->arg, r, &p->scratch);
	}
	put_padded(p, part, r, to);
}

void printfmt_put(struct printfmt *p, const struct fieldtext *ft, const struct query_record *r,
		  struct bytebuf *to)
{
	p->trace = ft->trace;
	for (size_t i = 0; i < p->nr_parts; i++)
		put_part(p, ft, &p->parts[i], r, to);
	if (p->scratch.err || p->inner.err)
		to->err = -ENOMEM;
}
