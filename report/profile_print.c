#include "report/profile_print.h"

#include "report/number.h"

#include <errno.h>
#include <math.h>

size_t profile_print_nr_rows(const struct profile_print *pp, const struct profile_table *t)
{
	size_t nr = 0;

	while (nr < t->nr_rows && (!pp->max_rows || nr < pp->max_rows)) {
		const struct profile_row *row = &t->rows[nr];

		if (number_percent(pp->children ? row->children : row->self, t->weight) <
		    pp->percent_limit)
			break;
		nr++;
	}
	return nr;
}

uint64_t profile_print_min_weight(const struct profile_print *pp,
				  const struct profile_table *t)
{
	double least = ceil(pp->tree_limit / 100 * (double)t->weight);

	return least < 1 ? 1 : (uint64_t)least;
}

int profile_print_numbers(const struct profile_print *pp, const struct profile_row *row,
			  struct profile_print_numbers *out)
{
	static const double parts[2] = { 0.5, 0.99 };
	const struct histogram *h = profile_values(pp->profile, row);
	double got[2];

	*out = (struct profile_print_numbers) { .any = h && h->count };
	if (!out->any)
		return 0;
	if (histogram_percentiles(h, parts, 2, got))
		return -ENOMEM;
	/* What a time range cuts off is in the distribution, but not in the sum. */
	out->total = profile_is_cut(pp->profile, row) ? (double)row->self : h->sum;
	out->mean = histogram_mean(h);
	out->p50 = got[0];
	out->p99 = got[1];
	out->has_most = h->has_limits;
	out->most = histogram_number(h, h->most);
	return 0;
}

void profile_print_field(const struct profile_print *pp, struct bytebuf *to,
			 struct profile_value v, enum fieldtext_style style)
{
	const struct fieldtext ft = { .trace = query_trace(pp->query) };
	const struct fieldtext_value value = { .number = v.number };

	fieldtext_put(&ft, to, v.field, &value, style);
}
