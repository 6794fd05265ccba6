#include <string.h>

#include "report/printfmt_private.h"

void printfmt_skip_space(struct printfmt_parser *x)
{
	while (x->at < x->end && (*x->at == ' ' || *x->at == '\t' || *x->at == '\n'))
		x->at++;
}

bool printfmt_take(struct printfmt_parser *x, const char *punctuation)
{
	size_t len = strlen(punctuation);

	printfmt_skip_space(x);
	if ((size_t)(x->end - x->at) < len || memcmp(x->at, punctuation, len))
		return false;
	x->at += len;
	return true;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool printfmt_is_word(char c)
{
	return is_letter(c) || is_digit(c);
}

bool printfmt_take_name(struct printfmt_parser *x, const char **name, size_t *len)
{
	const char *at;

	printfmt_skip_space(x);
	at = x->at;
	if (at == x->end || !is_letter(*at))
		return false;
	while (at < x->end && printfmt_is_word(*at))
		at++;
	*name = x->at;
	*len = (size_t)(at - x->at);
	x->at = at;
	return true;
}

static int digit(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
}

bool printfmt_take_number(struct printfmt_parser *x, uint64_t *to, bool *is_unsigned)
{
	int base = 10;

	*is_unsigned = false;
	printfmt_skip_space(x);
	if (x->at == x->end || !is_digit(*x->at))
		return false;
	if (*x->at == '0' && x->end - x->at > 2 && (x->at[1] | 32) == 'x') {
		base = 16;
		x->at += 2;
	} else if (*x->at == '0') {
		base = 8;
	}
	for (*to = 0; x->at < x->end && digit(*x->at) < base; x->at++)
		*to = *to * (uint64_t)base + (uint64_t)digit(*x->at);
	for (; x->at < x->end && ((*x->at | 32) == 'u' || (*x->at | 32) == 'l'); x->at++)
		*is_unsigned |= (*x->at | 32) == 'u';
	return true;
}

/* A record is one line: what would end it is a space. */
static char one_line(char c)
{
	return c == '\n' || c == '\t' || c == '\r' ? ' ' : c;
}

/* What follows a backslash: of the characters that formats use. */
static char unescape(char c)
{
	return c == 'n' || c == 't' || c == 'r' ? ' ' : c;
}

static bool take_literal(struct printfmt_parser *x, struct bytebuf *to)
{
	if (!printfmt_take(x, "\""))
		return false;
	for (; x->at < x->end && *x->at != '"'; x->at++) {
		char c = *x->at;

		if (c == '\\' && x->at + 1 < x->end)
			c = unescape(*++x->at);
		c = one_line(c);
		bytebuf_put(to, &c, 1);
	}
	if (!printfmt_take(x, "\""))
		x->failed = true;
	return true;
}

bool printfmt_take_text(struct printfmt_parser *x, const char **text, size_t *len)
{
	struct bytebuf made;
	bool any = false;

	bytebuf_init(&made);
	while (!x->failed && take_literal(x, &made))
		any = true;
	*text = arena_text(&x->fmt->arena, made.len ? (const char *)made.data : "", made.len);
	*len = made.len;
	if (made.err || !*text)
		x->failed = true;
	bytebuf_release(&made);
	return any;
}
