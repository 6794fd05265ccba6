#include "report/valuenames.h"

#include <string.h>

struct entry {
	uint64_t mask, value;
	bool has_mask;
	const char *name;
	size_t len_bytes;
};

void valuenames_begin(struct valuenames *n, const char *values, uint64_t value)
{
	size_t len = values ? strnlen(values, VALUENAMES_MAX_BYTES) : 0;

	*n = (struct valuenames) { .value = value, .rest = value, .at = "", .end = "" };
	if (!len || (*values != '=' && *values != '|'))
		return;
	n->is_flags = *values == '|';
	n->at = values + 1;
	n->end = values + len;
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 16;
}

/* Moves *at behind the number; false: there is none, or it is too long. */
static bool take_number(const char **at, const char *end, uint64_t *to)
{
	bool negative = *at < end && **at == '-';
	const char *c = *at + negative, *from;
	int base = 10;
	uint64_t v = 0;

	if (end - c > 2 && c[0] == '0' && c[1] == 'x' && !negative) {
		base = 16;
		c += 2;
	}
	for (from = c; c < end && digit_of(*c) < base; c++)
		if (__builtin_mul_overflow(v, (uint64_t)base, &v) ||
		    __builtin_add_overflow(v, (uint64_t)digit_of(*c), &v))
			return false;
	*at = c;
	*to = negative ? -v : v;
	return c > from;
}

static bool take_entry(struct entry *e, const char *at, const char *end)
{
	*e = (struct entry) { .mask = UINT64_MAX };
	if (!take_number(&at, end, &e->value))
		return false;
	if (at < end && *at == '/') {
		e->has_mask = true;
		e->mask = e->value;
		at++;
		if (!take_number(&at, end, &e->value))
			return false;
	}
	if (end - at < 2 || *at != '=')
		return false;
	e->name = at + 1;
	e->len_bytes = (size_t)(end - e->name);
	return true;
}

static bool names_value(const struct valuenames *n, struct entry *e)
{
	if (!n->is_flags)
		return (n->value & e->mask) == e->value;
	if (!e->has_mask)
		e->mask = e->value;
	if (!e->mask)
		return !n->value && !e->value && !e->has_mask;
	return (n->value & e->mask) == e->value && e->mask & ~n->named;
}

bool valuenames_next(struct valuenames *n, const char **name, size_t *len_bytes)
{
	struct entry e;

	while (n->at < n->end) {
		const char *from = n->at, *end = memchr(from, ' ', (size_t)(n->end - from));

		if (!end)
			end = n->end;
		n->at = end < n->end ? end + 1 : end;
		if (!take_entry(&e, from, end) || !names_value(n, &e))
			continue;
		*name = e.name;
		*len_bytes = e.len_bytes;
		n->named |= e.mask;
		n->rest = n->value & ~n->named;
		if (!n->is_flags)
			n->at = n->end;
		return true;
	}
	return false;
}
