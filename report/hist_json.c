#include "report/hist_print.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "report/query_json.h"

struct json {
	const struct hist_print *p;
	const struct hist_table *table;
	struct output *o;
	bool any;		/* a cell of this table */
};

static void put_inputs(const struct hist_print *p, struct output *o)
{
	output_text(o, "\"inputs\": [");
	for (size_t i = 0; i < p->nr_queries; i++) {
		uint64_t first_ns, last_ns;

		trace_time_range(query_trace(p->queries[i]), &first_ns, &last_ns);
		output_text(o, i ? ",\n  {\"name\": " : "\n  {\"name\": ");
		query_json_text(o, p->inputs[i] ? p->inputs[i] : "trace.kymo");
		output_format(o, ", \"first_ns\": %" PRIu64 ", \"last_ns\": %" PRIu64 ", ",
			      first_ns, last_ns);
		query_json_quality(p->queries[i], o);
		output_text(o, "}");
	}
	output_text(o, "\n]");
}

static void put_double(struct json *j, const char *name, double v, bool known)
{
	output_format(j->o, ", \"%s\": ", name);
	if (known)
		hist_print_double(output_buffer(j->o), v);
	else
		output_text(j->o, "null");
}

static void put_value(struct json *j, const char *name, const struct hist_cell *c, uint64_t v)
{
	output_format(j->o, ", \"%s\": ", name);
	if (c->values.has_limits)
		hist_print_value(output_buffer(j->o), c, v);
	else
		output_text(j->o, "null");
}

/* An open end is null. */
static void put_bound(struct json *j, double bound)
{
	if (isfinite(bound))
		hist_print_double(output_buffer(j->o), bound);
	else
		output_text(j->o, "null");
	output_text(j->o, ", ");
}

static int put_rows(struct json *j, const struct hist_cell *c)
{
	size_t nr;
	struct slot *rows = hist_rows(j->table, c, &nr);

	if (!rows)
		return -ENOMEM;
	output_text(j->o, ", \"rows\": [");
	for (size_t i = 0; i < nr; i++) {
		output_text(j->o, i ? ", [" : "[");
		put_bound(j, histrows_low(&j->table->rows, rows[i].key));
		put_bound(j, histrows_high(&j->table->rows, rows[i].key));
		output_format(j->o, "%" PRIu64 "]", rows[i].count);
		output_settle(j->o);
	}
	output_text(j->o, "]");
	free(rows);
	return 0;
}

static void put_keys(struct json *j, const struct hist_cell *c)
{
	output_text(j->o, "{\"keys\": {");
	for (size_t k = 0; k < j->p->keys->nr; k++) {
		output_text(j->o, k ? ", " : "");
		query_json_text(j->o, j->p->keys->list[k]->name);
		output_text(j->o, ": ");
		groups_put(hist_groups(j->p->hist), c->group, k, output_buffer(j->o),
			   FIELDTEXT_JSON);
	}
	output_text(j->o, "}");
	if (j->p->every_ns)
		output_format(j->o, ", \"from_ns\": %" PRIu64 ", \"to_ns\": %" PRIu64,
			      c->interval * j->p->every_ns, (c->interval + 1) * j->p->every_ns);
}

static int put_cell(void *ctx, const struct hist_cell *c)
{
	struct json *j = ctx;
	struct hist_print_numbers n;
	int err = 0;

	if (hist_print_numbers(c, &n))
		return -ENOMEM;
	output_text(j->o, j->any ? ",\n    " : "\n    ");
	j->any = true;
	put_keys(j, c);
	output_format(j->o, ", \"count\": %" PRIu64, c->values.count);
	put_double(j, "sum", c->values.sum, true);
	put_double(j, "mean", n.mean, true);
	put_double(j, "stddev", n.deviation, c->values.has_squares);
	put_value(j, "min", c, c->values.least);
	for (size_t i = 0; i < HIST_PRINT_NR_PARTS; i++)
		put_double(j, hist_print_part_name(i), n.parts[i], true);
	put_value(j, "max", c, c->values.most);
	if (!j->p->summary)
		err = put_rows(j, c);
	output_text(j->o, "}");
	output_settle(j->o);
	return err ? err : output_error(j->o) ? 1 : 0;
}

int hist_json(const struct hist_print *p, struct output *o)
{
	struct json j = { .p = p, .o = o };
	int err = 0;

	output_text(o, "{");
	put_inputs(p, o);
	output_text(o, ",\n\"tables\": [");
	for (size_t i = 0; i < hist_nr_tables(p->hist) && err >= 0; i++) {
		size_t left_out;

		j.table = hist_table_at(p->hist, i);
		j.any = false;
		output_text(o, i ? ",\n  {\"event\": " : "\n  {\"event\": ");
		if (j.table->event)
			query_json_text(o, j.table->event);
		else
			output_text(o, "null");
		output_text(o, ", \"field\": ");
		query_json_text(o, j.table->field);
		output_text(o, ", \"unit\": ");
		query_json_text(o, j.table->unit);
		output_text(o, ", \"groups\": [");
		err = hist_print_each(p, j.table, put_cell, &j, &left_out);
		output_text(o, j.any ? "\n  ]}" : "]}");
	}
	output_text(o, "\n]}\n");
	return err < 0 ? err : 0;
}
