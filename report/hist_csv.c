#include "report/hist_print.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/escape.h"

struct csv {
	const struct hist_print *p;
	const struct hist_table *table;
	struct output *o;
};

static void put_text(struct output *o, const char *text)
{
	escape_csv(output_buffer(o), text, strlen(text));
	output_text(o, ",");
}

/* What is the same in all rows of a cell, with a comma at the end. */
static void put_cell(struct csv *c, const struct hist_cell *cell)
{
	if (c->table->event)
		put_text(c->o, c->table->event);
	put_text(c->o, c->table->field);
	put_text(c->o, c->table->unit);
	if (c->p->every_ns)
		output_format(c->o, "%" PRIu64 ",%" PRIu64 ",", cell->interval * c->p->every_ns,
			      (cell->interval + 1) * c->p->every_ns);
	for (size_t k = 0; k < c->p->keys->nr; k++) {
		groups_put(hist_groups(c->p->hist), cell->group, k, output_buffer(c->o),
			   FIELDTEXT_CSV);
		output_text(c->o, ",");
	}
}

static int put_numbers(void *ctx, const struct hist_cell *cell)
{
	struct csv *c = ctx;
	struct bytebuf *to = output_buffer(c->o);
	struct hist_print_numbers n;

	if (hist_print_numbers(cell, &n))
		return -ENOMEM;
	put_cell(c, cell);
	output_format(c->o, "%" PRIu64 ",", cell->values.count);
	hist_print_double(to, cell->values.sum);
	output_text(c->o, ",");
	hist_print_double(to, n.mean);
	output_text(c->o, ",");
	if (cell->values.has_squares)
		hist_print_double(to, n.deviation);
	output_text(c->o, ",");
	if (cell->values.has_limits)
		hist_print_value(to, cell, cell->values.least);
	output_text(c->o, ",");
	for (size_t i = 0; i < HIST_PRINT_NR_PARTS; i++) {
		hist_print_double(to, n.parts[i]);
		output_text(c->o, ",");
	}
	if (cell->values.has_limits)
		hist_print_value(to, cell, cell->values.most);
	output_text(c->o, "\n");
	output_settle(c->o);
	return output_error(c->o) ? 1 : 0;
}

/* An end that is open is empty. */
static void put_bound(struct csv *c, double bound)
{
	if (isfinite(bound))
		hist_print_double(output_buffer(c->o), bound);
	output_text(c->o, ",");
}

static int put_rows(void *ctx, const struct hist_cell *cell)
{
	struct csv *c = ctx;
	size_t nr;
	struct slot *rows = hist_rows(c->table, cell, &nr);

	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++) {
		put_cell(c, cell);
		put_bound(c, histrows_low(&c->table->rows, rows[i].key));
		put_bound(c, histrows_high(&c->table->rows, rows[i].key));
		output_format(c->o, "%" PRIu64 "\n", rows[i].count);
		output_settle(c->o);
	}
	free(rows);
	return output_error(c->o) ? 1 : 0;
}

int hist_csv(const struct hist_print *p, struct output *o)
{
	struct csv c = { .p = p, .o = o };
	bool has_event = !hist_nr_tables(p->hist) || hist_table_at(p->hist, 0)->event;
	int err = 0;

	output_text(o, has_event ? "event,field,unit," : "field,unit,");
	if (p->every_ns)
		output_text(o, "from_ns,to_ns,");
	for (size_t k = 0; k < p->keys->nr; k++)
		put_text(o, p->keys->list[k]->name);
	if (p->summary) {
		output_text(o, "count,sum,mean,stddev,min,");
		for (size_t i = 0; i < HIST_PRINT_NR_PARTS; i++)
			put_text(o, hist_print_part_name(i));
		output_text(o, "max\n");
	} else {
		output_text(o, "low,high,count\n");
	}
	for (size_t i = 0; i < hist_nr_tables(p->hist) && err >= 0; i++) {
		size_t left_out;

		c.table = hist_table_at(p->hist, i);
		err = hist_print_each(p, c.table, p->summary ? put_numbers : put_rows, &c,
				      &left_out);
	}
	return err < 0 ? err : 0;
}
