#include "report/hist_print.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "report/digits.h"

static const struct {
	const char *name;
	double part;
} parts[HIST_PRINT_NR_PARTS] = {
	{ "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 }, { "p99.9", 0.999 }, { "p99.99", 0.9999 },
};

const char *hist_print_part_name(size_t i)
{
	return parts[i].name;
}

int hist_print_numbers(const struct hist_cell *c, struct hist_print_numbers *out)
{
	double asked[HIST_PRINT_NR_PARTS];

	for (size_t i = 0; i < HIST_PRINT_NR_PARTS; i++)
		asked[i] = parts[i].part;
	out->mean = histogram_mean(&c->values);
	out->deviation = histogram_deviation(&c->values);
	return histogram_percentiles(&c->values, asked, HIST_PRINT_NR_PARTS, out->parts);
}

void hist_print_double(struct bytebuf *to, double v)
{
	char text[40];

	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, v);
		if (strtod(text, NULL) >= v && strtod(text, NULL) <= v)
			break;
	}
	bytebuf_text(to, text);
}

void hist_print_value(struct bytebuf *to, const struct hist_cell *c, uint64_t value)
{
	if (c->values.is_signed)
		digits_put_signed(to, (int64_t)value);
	else
		digits_put(to, value);
}

int hist_print_each(const struct hist_print *p, const struct hist_table *t, hist_print_fn fn,
		    void *ctx, size_t *left_out)
{
	uint64_t nr = 0;
	int ret = 0;

	*left_out = 0;
	for (size_t i = 0; i < t->nr_cells && !ret; i++) {
		if (i && t->cells[i].interval != t->cells[i - 1].interval)
			nr = 0;
		if (p->max_rows && nr++ >= p->max_rows)
			++*left_out;
		else
			ret = fn(ctx, &t->cells[i]);
	}
	return ret;
}
