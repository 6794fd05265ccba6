#include "report/profile_print.h"

#include "report/escape.h"
#include "report/number.h"

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

static void put_row(const struct profile_print *pp, struct output *o, const char *event,
		    const struct profile_table *t, const struct profile_row *row)
{
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
	output_text(o, "\n");
	output_settle(o);
}

int profile_csv(const struct profile_print *pp, struct output *o)
{
	bool event_key = false;

	for (size_t k = 0; k < pp->keys->nr; k++)
		event_key |= pp->keys->list[k]->of == PROFILE_OF_EVENT;
	if (!event_key)
		output_text(o, "event,");
	for (size_t k = 0; k < pp->keys->nr; k++) {
		escape_csv(output_buffer(o), pp->keys->list[k]->name,
			   strlen(pp->keys->list[k]->name));
		output_text(o, ",");
	}
	output_text(o, pp->children ? "samples,self,self_percent,children,children_percent\n"
				    : "samples,self,self_percent\n");
	for (size_t i = 0; i < profile_nr_tables(pp->profile); i++) {
		const struct profile_table *t = profile_table_at(pp->profile, i);
		size_t nr = profile_print_nr_rows(pp, t);

		for (size_t r = 0; r < nr && !output_error(o); r++)
			put_row(pp, o, event_key ? NULL : t->event, t, &t->rows[r]);
	}
	return 0;
}
