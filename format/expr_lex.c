#include "format/expr_private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_name_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$';
}

static bool is_name(char c)
{
	return is_name_start(c) || is_digit(c);
}

static int digit_of(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 16;
}

uint32_t expr_column(const struct expr *e, const char *at)
{
	uint32_t column = 1;

	/* Bytes 10xxxxxx continue a character of UTF-8. */
	for (const char *p = e->source; p < at; p++)
		column += ((unsigned char)*p & 0xc0) != 0x80;
	return column;
}

int expr_complain(struct diag *d, uint32_t column, const char *fmt, ...)
{
	char text[440];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return diag_set(d, -EINVAL, "filter, column %u: %s", column, text);
}

/* --- numbers ------------------------------------------------------------------------ */

static const struct suffix {
	const char *name;
	uint64_t factor;
} suffixes[] = {
	{ "ns", 1 }, { "us", 1000 }, { "ms", 1000000 }, { "s", 1000000000 },
	{ "K", 1u << 10 }, { "M", 1u << 20 }, { "G", 1u << 30 }, { "T", (uint64_t)1 << 40 },
};

static const struct suffix *find_suffix(const char *at, size_t len)
{
	static const struct suffix none = { "", 1 };

	if (!len)
		return &none;
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
		if (strlen(suffixes[i].name) == len && !memcmp(suffixes[i].name, at, len))
			return &suffixes[i];
	return NULL;
}

/* The digits at *at, which moves on; false when they do not fit. */
static bool read_digits(const char **at, int base, uint64_t *number)
{
	for (; digit_of(**at) < base; (*at)++) {
		if (__builtin_mul_overflow(*number, (uint64_t)base, number) ||
		    __builtin_add_overflow(*number, (uint64_t)digit_of(**at), number))
			return false;
	}
	return true;
}

/* "5" of "1.5ms": the part after the point, which must give a whole number. */
static bool read_fraction(const char **at, uint64_t factor_of_rest, uint64_t *more)
{
	uint64_t scale = 1, digits = 0;

	for (; is_digit(**at); (*at)++) {
		if (scale > UINT64_MAX / 100 / 10)
			return false;
		scale *= 10;
		digits = digits * 10 + (uint64_t)(**at - '0');
	}
	if (__builtin_mul_overflow(digits, factor_of_rest, more) || *more % scale)
		return false;
	*more /= scale;
	return true;
}

static int base_of(const char **at)
{
	if (**at != '0')
		return 10;
	if ((*at)[1] == 'x' || (*at)[1] == 'X') {
		*at += 2;
		return 16;
	}
	if ((*at)[1] == 'b' || (*at)[1] == 'B') {
		*at += 2;
		return 2;
	}
	return is_digit((*at)[1]) ? 8 : 10;
}

static int lex_number(struct expr *e, struct expr_token *t, struct diag *d)
{
	const char *at = t->at, *digits, *point = NULL, *end;
	const struct suffix *suffix;
	uint64_t more = 0;
	int base = base_of(&at);
	bool fits;

	digits = at;
	fits = read_digits(&at, base, &t->number);
	while (digit_of(*at) < base)
		at++;
	if (at == digits)
		return expr_complain(d, expr_column(e, t->at), "expected digits after '%.2s'",
				     t->at);
	if (base == 10 && *at == '.' && is_digit(at[1])) {
		point = ++at;
		at += strspn(at, "0123456789");
	}
	for (end = at; is_name(*end);)
		end++;
	t->len_bytes = (size_t)(end - t->at);
	suffix = find_suffix(at, (size_t)(end - at));
	if (!suffix)
		return expr_complain(d, expr_column(e, t->at),
				     "'%.*s' is no number (units: ns us ms s K M G T)",
				     (int)(t->len_bytes < 60 ? t->len_bytes : 60), t->at);
	if (point && !read_fraction(&point, suffix->factor, &more))
		return expr_complain(d, expr_column(e, t->at),
				     "'%.*s' is no whole number",
				     (int)(t->len_bytes < 60 ? t->len_bytes : 60), t->at);
	if (!fits || __builtin_mul_overflow(t->number, suffix->factor, &t->number) ||
	    __builtin_add_overflow(t->number, more, &t->number))
		return expr_complain(d, expr_column(e, t->at),
				     "'%.*s' does not fit into 64 bits",
				     (int)(t->len_bytes < 60 ? t->len_bytes : 60), t->at);
	t->kind = TOKEN_NUMBER;
	return 0;
}

/* --- texts and names --------------------------------------------------------------------- */

/* The character that a backslash and what follows at *at mean; -1: none. */
static int escape_at(const char **at)
{
	static const char names[] = "\\\"'ntr", chars[] = "\\\"'\n\t\r";
	const char *name;
	int value;

	if (**at == 'x') {
		if (digit_of((*at)[1]) > 15 || digit_of((*at)[2]) > 15)
			return -1;
		value = digit_of((*at)[1]) * 16 + digit_of((*at)[2]);
		*at += 3;
		return value ? value : -1;
	}
	name = **at ? strchr(names, **at) : NULL;
	if (!name)
		return -1;
	(*at)++;
	return (unsigned char)chars[name - names];
}

static int lex_text(struct expr *e, struct expr_token *t, struct diag *d)
{
	char quote = *t->at, *copy = arena_text(&e->arena, t->at, strlen(t->at));
	const char *at = t->at + 1;
	size_t len = 0;

	if (!copy)
		return diag_set(d, -ENOMEM, "out of memory");
	while (*at && *at != quote) {
		int c = (unsigned char)*at++;

		if (c == '\\') {
			const char *escape = at - 1;

			c = escape_at(&at);
			if (c < 0)
				return expr_complain(d, expr_column(e, escape), "unknown escape "
						     "(there are \\\\ \\\" \\' \\n \\t \\r \\xHH)");
		}
		copy[len++] = (char)c;
	}
	if (!*at)
		return expr_complain(d, expr_column(e, t->at), "text without a closing %c", quote);
	copy[len] = '\0';
	t->kind = TOKEN_TEXT;
	t->text = copy;
	t->text_bytes = len;
	t->len_bytes = (size_t)(at + 1 - t->at);
	return 0;
}

/* "a.b", "a->b" and "a[3]" are one name. */
static void lex_name(struct expr_token *t)
{
	const char *at = t->at;

	for (;;) {
		while (is_name(*at))
			at++;
		if (*at == '.' && is_name_start(at[1])) {
			at++;
		} else if (*at == '-' && at[1] == '>' && is_name_start(at[2])) {
			at += 2;
		} else if (*at == '[' && is_digit(at[1])) {
			size_t nr = strspn(at + 1, "0123456789");

			if (at[1 + nr] != ']')
				break;
			at += nr + 2;
		} else {
			break;
		}
	}
	t->kind = TOKEN_NAME;
	t->len_bytes = (size_t)(at - t->at);
}

int expr_lex(struct expr *e, const char *at, struct expr_token *t, struct diag *d)
{
	*t = (struct expr_token) { .at = at + strspn(at, " \t\r\n") };
	if (!*t->at) {
		t->kind = TOKEN_END;
		return 0;
	}
	if (is_digit(*t->at))
		return lex_number(e, t, d);
	if (*t->at == '"' || *t->at == '\'')
		return lex_text(e, t, d);
	if (is_name_start(*t->at)) {
		lex_name(t);
		return 0;
	}
	t->kind = TOKEN_SIGN;
	t->len_bytes = 1;
	return 0;
}
