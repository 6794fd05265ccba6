#include "report/histshape.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ROWS 10000

static const struct histshape_unit units[] = {
	{ "ns", "nsecs", "nsecs", 1 },
	{ "us", "usecs", "usecs", 1000 },
	{ "ms", "msecs", "msecs", 1000000 },
	{ "s", "secs", "secs", 1000000000 },
};

const struct histshape_unit *histshape_find_unit(const char *name)
{
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (!strcmp(units[i].name, name) || !strcmp(units[i].alias, name))
			return &units[i];
	return NULL;
}

/* A number up to a comma or the end; its unit, if any, must be that of those before. */
static const char *parse_number(struct histshape *s, const char *at, double *to)
{
	const struct histshape_unit *unit;
	char word[8] = "", *end;
	size_t len;

	*to = strtod(at, &end);
	if (end == at || !isfinite(*to))
		return NULL;
	len = strcspn(end, ",");
	if (len >= sizeof(word))
		return NULL;
	memcpy(word, end, len);
	if (len) {
		unit = histshape_find_unit(word);
		if (!unit || (s->unit && s->unit != unit))
			return NULL;
		s->unit = unit;
	}
	return end + len;
}

int histshape_parse_linear(struct histshape *s, const char *text, struct diag *d)
{
	double numbers[3] = { 0 };
	const char *at = text;
	size_t nr = 0;

	*s = (struct histshape) { .kind = HISTSHAPE_LINEAR };
	while (at && nr < 3) {
		at = parse_number(s, at, &numbers[nr++]);
		if (!at || !*at)
			break;
		at++;
	}
	if (at && !*at && nr == 1 && numbers[0] > 0) {
		s->step = numbers[0];
		return 0;
	}
	if (!at || *at || nr != 3 || numbers[0] >= numbers[1] || numbers[2] < 1 ||
	    numbers[2] > MAX_ROWS || numbers[2] > floor(numbers[2]))
		return diag_set(d, -EINVAL, "bad rows '%.40s': give a STEP, or MIN,MAX,N for N equal "
				"steps (100us, or 0,5ms,50)", text);
	s->min = numbers[0];
	s->max = numbers[1];
	s->nr = (uint64_t)numbers[2];
	s->step = (s->max - s->min) / numbers[2];
	s->has_ends = true;
	return 0;
}
