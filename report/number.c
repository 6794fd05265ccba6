#include "report/number.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

const char *number_plain(char to[NUMBER_BYTES], uint64_t v)
{
	char *at = to + NUMBER_BYTES - 1;

	*at = 0;
	do {
		*--at = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	return at;
}

const char *number_grouped(char to[NUMBER_BYTES], uint64_t v)
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, v);
	char *at = to;

	for (int i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			*at++ = ',';
		*at++ = digits[i];
	}
	*at = 0;
	return to;
}

/* Three digits of a value that is below 1000, more of a larger one. */
static void scaled(char to[NUMBER_BYTES], double v, const char *unit)
{
	int decimals = v < 9.995 ? 2 : v < 99.95 ? 1 : 0;

	snprintf(to, NUMBER_BYTES, "%.*f %s", decimals, v, unit);
}

const char *number_ns(char to[NUMBER_BYTES], uint64_t ns)
{
	if (ns < 1000)
		snprintf(to, NUMBER_BYTES, "%" PRIu64 " ns", ns);
	else if (ns < 1000000)
		scaled(to, (double)ns / 1e3, "us");
	else if (ns < 1000000000)
		scaled(to, (double)ns / 1e6, "ms");
	else
		scaled(to, (double)ns / 1e9, "s");
	return to;
}

const char *number_bytes(char to[NUMBER_BYTES], uint64_t bytes)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double v = (double)bytes / 1024;
	size_t i = 0;

	if (bytes < 1024) {
		snprintf(to, NUMBER_BYTES, "%" PRIu64 " B", bytes);
		return to;
	}
	for (; v >= 1024 && i + 1 < sizeof(units) / sizeof(units[0]); i++)
		v /= 1024;
	scaled(to, v, units[i]);
	return to;
}

const char *number_unit(char to[NUMBER_BYTES], uint64_t v, const char *unit)
{
	size_t len;

	if (!strcmp(unit, "ns"))
		return number_ns(to, v);
	if (!strcmp(unit, "B"))
		return number_bytes(to, v);
	number_grouped(to, v);
	len = strlen(to);
	if (*unit)
		snprintf(to + len, NUMBER_BYTES - len, " %.16s", unit);
	return to;
}

const char *number_value(char to[NUMBER_BYTES], double v, const char *unit)
{
	double amount = fabs(v);
	bool fraction = amount < 1000 && amount > floor(amount) && strcmp(unit, "ns") &&
			strcmp(unit, "B");
	char text[NUMBER_BYTES];

	if (!(amount < 0x1p63)) {
		snprintf(to, NUMBER_BYTES, "%.4g%s%.16s", v, *unit ? " " : "", unit);
		return to;
	}
	/* Of what has no scale of units, small numbers keep their fractions. */
	if (fraction)
		snprintf(text, sizeof(text), "%.2f%s%.16s", amount, *unit ? " " : "", unit);
	else
		number_unit(text, (uint64_t)llround(amount), unit);
	snprintf(to, NUMBER_BYTES, "%s%.46s", v < 0 && (fraction || amount >= 0.5) ? "-" : "", text);
	return to;
}

const char *number_hundredths(char to[NUMBER_BYTES], uint64_t part, uint64_t whole)
{
	char *at = to + NUMBER_BYTES - 1;
	uint64_t v = 0;

	/* Both are halved until the product fits; that is far below what is shown. */
	while (part > UINT64_MAX / 20001) {
		part >>= 1;
		whole >>= 1;
	}
	if (whole)
		v = (part * 20000 / whole + 1) / 2;
	*at = 0;
	for (int digits = 0; v || digits < 3; v /= 10, digits++) {
		if (digits == 2)
			*--at = '.';
		*--at = (char)('0' + v % 10);
	}
	return at;
}

double number_percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}
