#include "report/escape.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static const char hex_digits[] = "0123456789abcdef";

/*
 * The length of the well-formed UTF-8 sequence at p and its code point, or 0:
 * overlong forms, surrogates and values past U+10FFFF are not well-formed.
 */
static size_t utf8_at(const uint8_t *p, size_t left, uint32_t *code)
{
	uint32_t c = p[0], min;
	size_t n;

	if (c < 0x80) {
		*code = c;
		return 1;
	}
	if (c >= 0xc2 && c <= 0xdf) {
		n = 2, min = 0x80, c &= 0x1f;
	} else if (c >= 0xe0 && c <= 0xef) {
		n = 3, min = 0x800, c &= 0x0f;
	} else if (c >= 0xf0 && c <= 0xf4) {
		n = 4, min = 0x10000, c &= 0x07;
	} else {
		return 0;
	}
	if (left < n)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < min || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*code = c;
	return n;
}

/*
 * Characters that act instead of being seen: controls, line and paragraph
 * separators, the marks that reorder or hide text, and noncharacters, which
 * XML forbids.
 */
static bool acts(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c ||
	       (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||
	       (c >= 0xfff9 && c <= 0xfffb) || (c & 0xfffe) == 0xfffe;
}

static void put_bytes_as_hex(struct bytebuf *to, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char out[4] = { '\\', 'x', hex_digits[p[i] >> 4],
				hex_digits[p[i] & 15] };

		bytebuf_put(to, out, sizeof(out));
	}
}

static void put_u_escape(struct bytebuf *to, uint32_t c)
{
	char out[6] = { '\\', 'u', hex_digits[c >> 12 & 15],
			hex_digits[c >> 8 & 15], hex_digits[c >> 4 & 15],
			hex_digits[c & 15] };

	bytebuf_put(to, out, sizeof(out));
}

/*
 * The walk all kinds of output share.  `special` returns what replaces an
 * ASCII character, or NULL for one that stands for itself.
 */
static void escape_with(struct bytebuf *to, const char *text, size_t len,
			const char *(*special)(uint8_t c))
{
	const uint8_t *p = (const uint8_t *)text;
	size_t start = 0, i = 0;

	while (i < len) {
		const char *instead = NULL;
		uint32_t code = 0;
		size_t n = utf8_at(p + i, len - i, &code);

		if (n == 1 && code >= 0x20 && code < 0x7f) {
			instead = special(p[i]);
			if (!instead) {
				i++;
				continue;
			}
		} else if (n > 0 && !acts(code)) {
			i += n;
			continue;
		}
		bytebuf_put(to, text + start, i - start);
		n = n > 0 ? n : 1;
		if (instead)
			bytebuf_text(to, instead);
		else
			put_bytes_as_hex(to, p + i, n);
		i += n;
		start = i;
	}
	bytebuf_put(to, text + start, len - start);
}

static const char *special_terminal(uint8_t c)
{
	(void)c;
	return NULL;
}

void escape_terminal(struct bytebuf *to, const char *text, size_t len)
{
	escape_with(to, text, len, special_terminal);
}

static const char *special_xml(uint8_t c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

void escape_xml(struct bytebuf *to, const char *text, size_t len)
{
	escape_with(to, text, len, special_xml);
}

static const char *special_folded(uint8_t c)
{
	return c == ';' ? ":" : NULL;
}

void escape_folded(struct bytebuf *to, const char *text, size_t len)
{
	escape_with(to, text, len, special_folded);
}

static void put_json_code(struct bytebuf *to, uint32_t code)
{
	switch (code) {
	case '"':
		bytebuf_put(to, "\\\"", 2);
		break;
	case '\\':
		bytebuf_put(to, "\\\\", 2);
		break;
	case '/':
		bytebuf_put(to, "\\/", 2);
		break;
	case '\n':
		bytebuf_put(to, "\\n", 2);
		break;
	case '\t':
		bytebuf_put(to, "\\t", 2);
		break;
	case '\r':
		bytebuf_put(to, "\\r", 2);
		break;
	default:
		if (code >= 0x10000) {
			put_u_escape(to, 0xd800 + ((code - 0x10000) >> 10));
			put_u_escape(to, 0xdc00 + (code & 0x3ff));
		} else {
			put_u_escape(to, code);
		}
	}
}

/*
 * Bytes that are not UTF-8 become U+FFFD, as JSON has no way to hold them.
 * "</" and "<!" are broken up, so that JSON pasted into a script element
 * cannot end it.
 */
void escape_json(struct bytebuf *to, const char *text, size_t len)
{
	const uint8_t *p = (const uint8_t *)text;
	size_t start = 0, i = 0;

	while (i < len) {
		uint32_t code = 0xfffd;
		size_t n = utf8_at(p + i, len - i, &code);
		bool after_lt = i > 0 && p[i - 1] == '<';

		if (n > 0 && !acts(code) && code != '"' && code != '\\' &&
		    !(after_lt && (code == '/' || code == '!'))) {
			i += n;
			continue;
		}
		bytebuf_put(to, text + start, i - start);
		put_json_code(to, code);
		i += n > 0 ? n : 1;
		start = i;
	}
	bytebuf_put(to, text + start, len - start);
}

static const char *special_csv(uint8_t c)
{
	return c == '"' ? "\"\"" : NULL;
}

void escape_csv(struct bytebuf *to, const char *text, size_t len)
{
	bool formula = len > 0 && memchr("=+-@", text[0], 4);
	bool quoted = formula;

	/* Some spreadsheets take a semicolon for a separator. */
	for (size_t i = 0; i < len && !quoted; i++)
		quoted = memchr(",;\"'", text[i], 4) != NULL;
	if (len > 0 && (text[0] == ' ' || text[len - 1] == ' '))
		quoted = true;
	if (quoted)
		bytebuf_put(to, "\"", 1);
	if (formula)
		bytebuf_put(to, "'", 1);
	escape_with(to, text, len, special_csv);
	if (quoted)
		bytebuf_put(to, "\"", 1);
}
