#include "report/digits.h"

#include <string.h>

#define MAX_DIGITS 20
#define MAX_WIDTH 32

/* Writes backwards from `end`; returns the first digit. */
static char *backwards(char *end, uint64_t v)
{
	do {
		*--end = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	return end;
}

static char *fill_up(char *start, const char *end, unsigned int width, char fill)
{
	if (width > MAX_WIDTH)
		width = MAX_WIDTH;
	while (end - start < (long)width)
		*--start = fill;
	return start;
}

void digits_put(struct bytebuf *to, uint64_t v)
{
	char digits[MAX_DIGITS], *end = digits + sizeof(digits);
	char *start = backwards(end, v);

	bytebuf_put(to, start, (size_t)(end - start));
}

void digits_put_wide(struct bytebuf *to, uint64_t v, unsigned int width, char fill)
{
	char digits[MAX_WIDTH], *end = digits + sizeof(digits);
	char *start = fill_up(backwards(end, v), end, width, fill);

	bytebuf_put(to, start, (size_t)(end - start));
}

void digits_put_signed(struct bytebuf *to, int64_t v)
{
	if (v < 0)
		bytebuf_put(to, "-", 1);
	digits_put(to, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

void digits_put_hex(struct bytebuf *to, uint64_t v, unsigned int width)
{
	static const char hex[] = "0123456789abcdef";
	char digits[MAX_WIDTH], *end = digits + sizeof(digits), *start = end;

	do {
		*--start = hex[v & 15];
		v >>= 4;
	} while (v);
	start = fill_up(start, end, width, ' ');
	bytebuf_put(to, start, (size_t)(end - start));
}

void digits_put_seconds(struct bytebuf *to, uint64_t ns, unsigned int decimals,
			unsigned int width)
{
	char digits[MAX_WIDTH + 16], *end = digits + sizeof(digits), *start = end;
	uint64_t part = ns % 1000000000u;

	if (decimals == 6)
		part /= 1000;
	for (unsigned int i = 0; i < decimals; i++) {
		*--start = (char)('0' + part % 10);
		part /= 10;
	}
	*--start = '.';
	start = fill_up(backwards(start, ns / 1000000000u), end, width, ' ');
	bytebuf_put(to, start, (size_t)(end - start));
}
