#include "report/valuenames.h"

#include <errno.h>
#include <stdio.h>
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

/* What is between two blanks; false: nothing more.  No entry has no name. */
static bool next_entry(struct valuenames *n, struct entry *e)
{
	const char *from = n->at, *end;

	if (from >= n->end)
		return false;
	end = memchr(from, ' ', (size_t)(n->end - from));
	if (!end)
		end = n->end;
	n->at = end < n->end ? end + 1 : end;
	if (!take_entry(e, from, end))
		e->name = NULL;
	return true;
}

bool valuenames_next(struct valuenames *n, const char **name, size_t *len_bytes)
{
	struct entry e;

	while (next_entry(n, &e)) {
		if (!e.name || !names_value(n, &e))
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

/* --- the other way round ---------------------------------------------------------- */

static int find_one(const char *values, const char *name, size_t len_bytes, uint64_t *mask,
		    uint64_t *bits)
{
	struct valuenames n;
	struct entry e;

	valuenames_begin(&n, values, 0);
	while (next_entry(&n, &e)) {
		if (!e.name || e.len_bytes != len_bytes || memcmp(e.name, name, len_bytes))
			continue;
		/* A flag that is 0 names the number 0 only. */
		if (n.is_flags && !e.has_mask && e.value)
			e.mask = e.value;
		*mask = e.mask;
		*bits = e.value;
		return 0;
	}
	return -ENOENT;
}

int valuenames_find(const char *values, const char *name, size_t len_bytes, uint64_t *mask,
		    uint64_t *bits)
{
	const char *end = name + len_bytes, *bar;
	uint64_t more_mask, more_bits;
	int err;

	if (!values || (*values != '=' && *values != '|'))
		return -EINVAL;
	if (!find_one(values, name, len_bytes, mask, bits))
		return 0;
	if (*values != '|')
		return -ENOENT;
	*mask = *bits = 0;
	for (; name <= end; name = bar + 1) {
		bar = name < end ? memchr(name, '|', (size_t)(end - name)) : NULL;
		if (!bar)
			bar = end;
		err = find_one(values, name, (size_t)(bar - name), &more_mask, &more_bits);
		if (err)
			return err;
		/* What contradicts itself is never true: a bit outside of the mask. */
		if ((*bits ^ more_bits) & *mask & more_mask) {
			*mask = 0;
			*bits = 1;
			return 0;
		}
		*mask |= more_mask;
		*bits |= more_bits;
	}
	return 0;
}

void valuenames_list(const char *values, char *to, size_t size_bytes)
{
	struct valuenames n;
	struct entry e;
	size_t len = 0;

	*to = '\0';
	valuenames_begin(&n, values, 0);
	while (next_entry(&n, &e)) {
		if (!e.name)
			continue;
		if (len + e.len_bytes + 8 > size_bytes) {
			snprintf(to + len, size_bytes - len, "%s...", len ? ", " : "");
			return;
		}
		len += (size_t)snprintf(to + len, size_bytes - len, "%s%.*s", len ? ", " : "",
					(int)e.len_bytes, e.name);
	}
}
