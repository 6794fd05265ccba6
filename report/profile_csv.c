#include "report/profile_print.h"

#include "report/escape.h"
#include "report/number.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static void put_value(const struct profile_print *pp, struct output *o, struct profile_value v)
{
	if (v.text)
		escape_csv(output_buffer(o), v.text, strlen(v.text));
	else if (v.field)
		profile_print_field(pp, output_buffer(o), v, FIELDTEXT_CSV);
	else
		output_format(o, "%" PRIu64, v.number);
}

/* Of what the row has itself; nothing where there are no values. */
static int put_numbers(const struct profile_print *pp, struct output *o,
		       const struct profile_row *row)
{
	struct profile_print_numbers n;

	if (profile_print_numbers(pp, row, &n))
		return -ENOMEM;
	if (!n.any)
		output_text(o, ",,,,");
	else
		output_format(o, ",%.15g,%.15g,%.15g,", n.mean, n.p50, n.p99);
	if (n.any && n.has_most)
		output_format(o, "%.15g", n.most);
	return 0;
}

static int put_row(const struct profile_print *pp, struct output *o, const char *event,
		   const struct profile_table *t, const struct profile_row *row,
		   bool has_numbers)
{
	int err = 0;

	if (event) {
		escape_csv(output_buffer(o), event, strlen(event));
		output_text(o, ",");
	}
	for (size_t k = 0; k < pp->keys->nr; k++) {
		put_value(pp, o, profile_value(pp->profile, row, pp->keys->list[k]));
		output_text(o, ",");
	}
	output_format(o, "%" PRIu64 ",%" PRIu64 ",%.4f", row->samples, row->self,
		      number_percent(row->self, t->weight));
	if (pp->children)
		output_format(o, ",%" PRIu64 ",%.4f", row->children,
			      number_percent(row->children, t->weight));
	if (has_numbers)
		err = put_numbers(pp, o, row);
	output_text(o, "\n");
	output_settle(o);
	return err;
}

int profile_csv(const struct profile_print *pp, struct output *o)
{
	bool event_key = false, has_numbers = false;
	int err = 0;

	for (size_t k = 0; k < pp->keys->nr; k++)
		event_key |= pp->keys->list[k]->of == PROFILE_OF_EVENT;
	for (size_t i = 0; i < profile_nr_tables(pp->profile); i++)
		has_numbers |= profile_table_at(pp->profile, i)->distributed;
	if (!event_key)
		output_text(o, "event,");
	for (size_t k = 0; k < pp->keys->nr; k++) {
		escape_csv(output_buffer(o), pp->keys->list[k]->name,
			   strlen(pp->keys->list[k]->name));
		output_text(o, ",");
	}
	output_text(o, pp->children ? "samples,self,self_percent,children,children_percent"
				    : "samples,self,self_percent");
	output_text(o, has_numbers ? ",mean,p50,p99,max\n" : "\n");
	for (size_t i = 0; i < profile_nr_tables(pp->profile); i++) {
		const struct profile_table *t = profile_table_at(pp->profile, i);
		size_t nr = profile_print_nr_rows(pp, t);

		for (size_t r = 0; r < nr && !err && !output_error(o); r++)
			err = put_row(pp, o, event_key ? NULL : t->event, t, &t->rows[r],
				      has_numbers);
	}
	return err;
}
