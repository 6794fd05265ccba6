#include "report/query_time.h"

#include <errno.h>
#include <string.h>

#define NS_PER_S 1000000000u
#define PERCENT_ONE 1000000000u		/* value of 1 % */

static int complain(struct diag *d, const char *text)
{
	return diag_set(d, -EINVAL, "bad time range '%s': give A,B in seconds (5123.25,5124), "
			"from the start (+1.5,+2) or in percent (10%%,20%%); "
			"either side may be empty", text);
}

/*
 * Reads a decimal fraction with nine places kept, exactly: a double would lose
 * nanoseconds of a clock that has run for weeks.
 */
static const char *parse_decimal(const char *at, const char *end, uint64_t *value, int *places)
{
	uint64_t whole = 0, part = 0;
	const char *from = at;

	*places = 0;
	for (; at < end && *at >= '0' && *at <= '9'; at++) {
		whole = whole * 10 + (uint64_t)(*at - '0');
		if (whole >= UINT64_MAX / NS_PER_S)
			return NULL;
	}
	if (at < end && *at == '.') {
		for (at++; at < end && *at >= '0' && *at <= '9'; at++) {
			if (*places == 9)
				continue;
			part = part * 10 + (uint64_t)(*at - '0');
			++*places;
		}
		if (at == from + 1)
			return NULL;
	}
	if (at == from)
		return NULL;
	for (int i = *places; i < 9; i++)
		part *= 10;
	*value = whole * NS_PER_S + part;
	return at;
}

static int parse_bound(struct query_time_bound *b, const char *at, const char *end)
{
	int places;

	memset(b, 0, sizeof(*b));
	if (at == end)
		return 0;
	b->kind = QUERY_TIME_ABSOLUTE;
	if (*at == '+') {
		b->kind = QUERY_TIME_RELATIVE;
		at++;
	}
	at = parse_decimal(at, end, &b->value, &places);
	if (!at)
		return -EINVAL;
	if (at < end && *at == '%' && b->kind == QUERY_TIME_ABSOLUTE) {
		b->kind = QUERY_TIME_PERCENT;
		if (b->value > 100ull * PERCENT_ONE)
			return -EINVAL;
		at++;
	}
	/*
	 * Views print microseconds.  A time copied from them is cut short, and
	 * the record it was copied from belongs to the range.
	 */
	if (places >= 6) {
		b->slack_ns = 1;
		for (int i = places; i < 9; i++)
			b->slack_ns *= 10;
		b->slack_ns--;
	}
	return at == end ? 0 : -EINVAL;
}

int query_time_parse(struct query_time *t, const char *text, struct diag *d)
{
	const char *end, *comma;

	memset(t, 0, sizeof(*t));
	if (!text)
		return 0;
	end = text + strlen(text);
	comma = strchr(text, ',');
	if (!comma && strchr(text, '%'))
		comma = strchr(text, '-');
	if (!comma)
		return complain(d, text);
	if (parse_bound(&t->from, text, comma) || parse_bound(&t->to, comma + 1, end))
		return complain(d, text);
	if (t->from.kind == t->to.kind && t->from.value > t->to.value)
		return diag_set(d, -EINVAL, "bad time range '%s': it ends before it starts", text);
	return 0;
}

bool query_time_is_relative(const struct query_time *t)
{
	return t->from.kind == QUERY_TIME_RELATIVE || t->to.kind == QUERY_TIME_RELATIVE;
}

bool query_time_is_percent(const struct query_time *t)
{
	return t->from.kind == QUERY_TIME_PERCENT || t->to.kind == QUERY_TIME_PERCENT;
}

static uint64_t add(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t share(uint64_t length, uint64_t percent)
{
	return (uint64_t)((long double)length * (long double)percent /
			  (100.0L * PERCENT_ONE));
}

void query_time_resolve(const struct query_time *t, uint64_t start_ns, uint64_t end_ns,
			uint64_t *first_ns, uint64_t *last_ns)
{
	uint64_t length = end_ns > start_ns ? end_ns - start_ns : 0;
	uint64_t offset;

	*first_ns = 0;
	if (t->from.kind == QUERY_TIME_ABSOLUTE)
		*first_ns = t->from.value;
	else if (t->from.kind == QUERY_TIME_RELATIVE)
		*first_ns = add(start_ns, t->from.value);
	else if (t->from.kind == QUERY_TIME_PERCENT)
		*first_ns = add(start_ns, share(length, t->from.value));

	*last_ns = UINT64_MAX;
	if (t->to.kind == QUERY_TIME_ABSOLUTE) {
		*last_ns = add(t->to.value, t->to.slack_ns);
	} else if (t->to.kind == QUERY_TIME_RELATIVE) {
		*last_ns = add(add(start_ns, t->to.value), t->to.slack_ns);
	} else if (t->to.kind == QUERY_TIME_PERCENT && t->to.value < 100ull * PERCENT_ONE) {
		offset = add(start_ns, share(length, t->to.value));
		*last_ns = offset ? offset - 1 : 0;
	}
}
