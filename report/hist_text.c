#include "report/hist_print.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/escape.h"
#include "report/number.h"

#define STARS 40
#define NARROW_ROW 32		/* of powers of two: rows beyond it get wider columns */
#define FEW_ROWS 100		/* linear: so many are shown without gaps */
#define CELL_BYTES 64

struct text {
	const struct hist_print *p;
	const struct hist_table *table;
	struct output *o;
	struct bytebuf cell;
	bool any;		/* something stands above */
	/* Of the summary: how wide the columns of keys are. */
	size_t widths[PROFILE_MAX_KEYS];
};

/* --- numbers ----------------------------------------------------------------- */

/* A value of the field for people, in the unit asked for. */
static const char *text_of(const struct text *t, char to[CELL_BYTES], double v)
{
	const struct histshape_unit *unit = t->p->unit;

	if (t->table->is_time && unit && unit->ns > 1)
		snprintf(to, CELL_BYTES, "%.*f %s", unit->ns > 1000000 ? 6 : 3, v / (double)unit->ns,
			 unit->name);
	else if (t->table->is_time && unit)
		snprintf(to, CELL_BYTES, "%.0f ns", v);
	else
		number_value(to, v, t->table->unit);
	return to;
}

static const char *text_of_limit(const struct text *t, char to[CELL_BYTES],
				 const struct hist_cell *c, uint64_t value)
{
	if (!c->values.has_limits)
		return "?";
	return text_of(t, to, histogram_number(&c->values, value));
}

/* --- rows -------------------------------------------------------------------- */

/* What the numbers of the rows are, as bcc calls it. */
static void put_label(struct text *t, int width)
{
	const struct hist_table *table = t->table;
	const char *label = *table->unit ? table->unit : table->field;
	size_t at;

	if (table->rows.shape.unit)
		label = table->rows.shape.unit->label;
	else if (!strcmp(table->unit, "B"))
		label = "bytes";
	bytebuf_clear(&t->cell);
	escape_terminal(&t->cell, label, strlen(label));
	at = t->cell.len;
	output_bytes(t->o, t->cell.data, at);
	for (; at < (size_t)width; at++)
		output_bytes(t->o, " ", 1);
}

static unsigned int stars_of(uint64_t count, uint64_t most, unsigned int width)
{
	if (count > UINT64_MAX / width)
		return (unsigned int)((double)count / (double)most * width);
	return (unsigned int)(count * width / most);
}

static void put_count(struct text *t, uint64_t count, uint64_t most, unsigned int width)
{
	static const char bar[] = "****************************************"
				  "                                        ";
	const char *from = bar + STARS - stars_of(count, most, width);

	output_format(t->o, " : %-8" PRIu64 " |%.*s|\n", count, (int)width, from);
	output_settle(t->o);
}

static uint64_t most_of(const struct slot *rows, size_t nr)
{
	uint64_t most = 1;

	for (size_t i = 0; i < nr; i++)
		most = rows[i].count > most ? rows[i].count : most;
	return most;
}

/* The numbers of a power of two, both inclusive; all of 64 bits are told apart. */
static void put_power(struct text *t, int64_t row, int width)
{
	uint64_t power = UINT64_C(1) << (row < 0 ? -row - 1 : row);
	char low[24], high[24];

	if (row < 0) {
		snprintf(low, sizeof(low), "-%" PRIu64, power + (power - 1));
		snprintf(high, sizeof(high), "-%" PRIu64, power);
	} else {
		snprintf(low, sizeof(low), "%" PRIu64, row ? power : 0);
		snprintf(high, sizeof(high), "%" PRIu64, power + (power - 1));
	}
	output_format(t->o, "%*s -> %-*s", width, low, width, high);
}

static void put_heading(struct text *t, bool narrow)
{
	output_format(t->o, "%*s", narrow ? 5 : 15, "");
	put_label(t, narrow ? 19 : 29);
	output_text(t->o, " : count    distribution\n");
}

/* From 0 on, with all rows in between, as bcc has it. */
static void put_log2(struct text *t, const struct slot *rows, size_t nr)
{
	int64_t row = rows[0].key < 0 ? rows[0].key : 0;
	bool narrow = rows[nr - 1].key <= NARROW_ROW && row >= -NARROW_ROW;
	uint64_t most = most_of(rows, nr);
	size_t at = 0;

	put_heading(t, narrow);
	for (; row <= rows[nr - 1].key; row++) {
		put_power(t, row, narrow ? 10 : 20);
		put_count(t, row == rows[at].key ? rows[at].count : 0, most,
			  narrow ? STARS : STARS / 2);
		at += row == rows[at].key;
	}
}

static const char *linear_text(const struct hist_table *t, int64_t row, char to[CELL_BYTES])
{
	const struct histshape *s = &t->rows.shape;

	if (s->has_ends && row < 0)
		snprintf(to, CELL_BYTES, "< %.10g", s->min);
	else if (s->has_ends && row >= (int64_t)s->nr)
		snprintf(to, CELL_BYTES, ">= %.10g", s->max);
	else
		snprintf(to, CELL_BYTES, "%.10g",
			 histrows_low(&t->rows, row) / (double)t->rows.scale);
	return to;
}

static void put_linear(struct text *t, const struct slot *rows, size_t nr)
{
	bool all = rows[nr - 1].key - rows[0].key < FEW_ROWS;
	uint64_t most = most_of(rows, nr);
	char text[CELL_BYTES];

	output_text(t->o, "     ");
	put_label(t, 13);
	output_text(t->o, " : count     distribution\n");
	for (size_t i = 0; i < nr; i++) {
		for (int64_t row = rows[i ? i - 1 : i].key + 1; all && row < rows[i].key; row++) {
			output_format(t->o, "        %-10s", linear_text(t->table, row, text));
			put_count(t, 0, most, STARS);
		}
		output_format(t->o, "        %-10s", linear_text(t->table, rows[i].key, text));
		put_count(t, rows[i].count, most, STARS);
	}
}

/* Buckets in use: there may be hundreds of empty ones between two. */
static void put_loglinear(struct text *t, const struct slot *rows, size_t nr)
{
	const struct histrows *r = &t->table->rows;
	double scale = (double)r->scale;
	int decimals = r->scale == 1 ? 0 : (int)lround(log10(scale));
	bool narrow = histrows_high(r, rows[nr - 1].key) < 1e9 &&
		      histrows_low(r, rows[0].key) > -1e8;
	uint64_t most = most_of(rows, nr);
	int width = narrow ? 10 : 20;
	char low[CELL_BYTES], high[CELL_BYTES];

	put_heading(t, narrow);
	for (size_t i = 0; i < nr; i++) {
		snprintf(low, sizeof(low), "%.*f", decimals, histrows_low(r, rows[i].key) / scale);
		snprintf(high, sizeof(high), "%.*f", decimals,
			 (histrows_high(r, rows[i].key) - 1) / scale);
		output_format(t->o, "%*s -> %-*s", width, low, width, high);
		put_count(t, rows[i].count, most, narrow ? STARS : STARS / 2);
	}
}

/* --- distributions ----------------------------------------------------------- */

static void put_title(struct text *t)
{
	bytebuf_clear(&t->cell);
	escape_terminal(&t->cell, t->table->field, strlen(t->table->field));
	if (t->table->event) {
		bytebuf_text(&t->cell, " of ");
		escape_terminal(&t->cell, t->table->event, strlen(t->table->event));
	}
}

/* "+1.000 to +2.000 s": the words of --time. */
static void put_interval(struct text *t, const struct hist_cell *c)
{
	uint64_t every_ns = t->p->every_ns;
	int decimals = every_ns % 1000000 == 0 ? 3 : every_ns % 1000 == 0 ? 6 : 9;
	char text[CELL_BYTES];

	snprintf(text, sizeof(text), "+%.*f to +%.*f s", decimals,
		 (double)c->interval * (double)every_ns / 1e9, decimals,
		 (double)(c->interval + 1) * (double)every_ns / 1e9);
	bytebuf_text(&t->cell, text);
}

static void put_cell_title(struct text *t, const struct hist_cell *c)
{
	if (t->any)
		output_text(t->o, "\n");
	t->any = true;
	put_title(t);
	if (t->p->every_ns) {
		bytebuf_text(&t->cell, ", ");
		put_interval(t, c);
	}
	if (t->p->keys->nr)
		bytebuf_text(&t->cell, ", ");
	groups_put_all(hist_groups(t->p->hist), c->group, &t->cell, FIELDTEXT_TERMINAL);
	output_bytes(t->o, t->cell.data, t->cell.len);
	output_text(t->o, "\n");
}

static int put_summary_line(struct text *t, const struct hist_cell *c)
{
	struct hist_print_numbers n;
	char text[CELL_BYTES], count[NUMBER_BYTES];

	if (hist_print_numbers(c, &n))
		return -ENOMEM;
	output_format(t->o, "count %s", number_grouped(count, c->values.count));
	output_format(t->o, ", mean %s", text_of(t, text, n.mean));
	output_format(t->o, ", min %s", text_of_limit(t, text, c, c->values.least));
	output_format(t->o, ", max %s", text_of_limit(t, text, c, c->values.most));
	for (size_t i = 0; i < HIST_PRINT_NR_PARTS; i++)
		output_format(t->o, ", %s %s", hist_print_part_name(i),
			      text_of(t, text, n.parts[i]));
	output_text(t->o, "\n");
	return 0;
}

static int put_cell(void *ctx, const struct hist_cell *c)
{
	struct text *t = ctx;
	size_t nr;
	struct slot *rows = hist_rows(t->table, c, &nr);
	int err;

	if (!rows)
		return -ENOMEM;
	put_cell_title(t, c);
	if (nr && t->table->rows.shape.kind == HISTSHAPE_LOG2)
		put_log2(t, rows, nr);
	else if (nr && t->table->rows.shape.kind == HISTSHAPE_LINEAR)
		put_linear(t, rows, nr);
	else if (nr)
		put_loglinear(t, rows, nr);
	free(rows);
	err = put_summary_line(t, c);
	return err ? err : output_error(t->o) ? 1 : 0;
}

/* --- one row each ------------------------------------------------------------ */

static size_t columns_of(const struct bytebuf *b)
{
	size_t nr = 0;

	for (size_t i = 0; i < b->len; i++)
		nr += (b->data[i] & 0xc0) != 0x80;
	return nr;
}

static void put_padded(struct text *t, size_t width, bool right)
{
	size_t columns = columns_of(&t->cell);

	if (right)
		output_format(t->o, "%*s", columns < width ? (int)(width - columns) : 0, "");
	output_bytes(t->o, t->cell.data, t->cell.len);
	if (!right)
		output_format(t->o, "%*s", columns < width ? (int)(width - columns) : 0, "");
	output_text(t->o, "  ");
}

static void make_key(struct text *t, uint32_t group, size_t key)
{
	bytebuf_clear(&t->cell);
	groups_put(hist_groups(t->p->hist), group, key, &t->cell, FIELDTEXT_TERMINAL);
}

static int widen(void *ctx, const struct hist_cell *c)
{
	struct text *t = ctx;

	for (size_t k = 0; k < t->p->keys->nr; k++) {
		size_t width;

		make_key(t, c->group, k);
		width = columns_of(&t->cell);
		if (width > t->widths[k])
			t->widths[k] = width;
	}
	return 0;
}

static void put_summary_heading(struct text *t)
{
	if (t->any)
		output_text(t->o, "\n");
	t->any = true;
	put_title(t);
	output_bytes(t->o, t->cell.data, t->cell.len);
	output_text(t->o, "\n");
	if (t->p->every_ns)
		output_format(t->o, "%-24s  ", "time");
	for (size_t k = 0; k < t->p->keys->nr; k++) {
		bytebuf_clear(&t->cell);
		escape_terminal(&t->cell, t->p->keys->list[k]->name,
				strlen(t->p->keys->list[k]->name));
		put_padded(t, t->widths[k], false);
	}
	output_format(t->o, "%12s %11s %11s %11s", "count", "total", "mean", "min");
	for (size_t i = 0; i < HIST_PRINT_NR_PARTS; i++)
		output_format(t->o, " %11s", hist_print_part_name(i));
	output_format(t->o, " %11s\n", "max");
}

static int put_summary_row(void *ctx, const struct hist_cell *c)
{
	struct text *t = ctx;
	struct hist_print_numbers n;
	char text[CELL_BYTES], count[NUMBER_BYTES];

	if (hist_print_numbers(c, &n))
		return -ENOMEM;
	if (t->p->every_ns) {
		bytebuf_clear(&t->cell);
		put_interval(t, c);
		put_padded(t, 24, false);
	}
	for (size_t k = 0; k < t->p->keys->nr; k++) {
		make_key(t, c->group, k);
		put_padded(t, t->widths[k], false);
	}
	output_format(t->o, "%12s", number_grouped(count, c->values.count));
	output_format(t->o, " %11s", text_of(t, text, c->values.sum));
	output_format(t->o, " %11s", text_of(t, text, n.mean));
	output_format(t->o, " %11s", text_of_limit(t, text, c, c->values.least));
	for (size_t i = 0; i < HIST_PRINT_NR_PARTS; i++)
		output_format(t->o, " %11s", text_of(t, text, n.parts[i]));
	output_format(t->o, " %11s\n", text_of_limit(t, text, c, c->values.most));
	output_settle(t->o);
	return output_error(t->o) ? 1 : 0;
}

static int put_summary(struct text *t, size_t *left_out)
{
	int err;

	for (size_t k = 0; k < t->p->keys->nr; k++)
		t->widths[k] = strlen(t->p->keys->list[k]->name);
	err = hist_print_each(t->p, t->table, widen, t, left_out);
	if (err)
		return err;
	put_summary_heading(t);
	return hist_print_each(t->p, t->table, put_summary_row, t, left_out);
}

int hist_text(const struct hist_print *p, struct output *o)
{
	struct text t = { .p = p, .o = o };
	char number[NUMBER_BYTES];
	int err = 0;

	bytebuf_init(&t.cell);
	for (size_t i = 0; i < hist_nr_tables(p->hist) && err >= 0; i++) {
		size_t left_out = 0;

		t.table = hist_table_at(p->hist, i);
		if (!t.table->count) {
			put_title(&t);
			output_format(o, "%s%.*s: no values\n", t.any ? "\n" : "",
				      (int)t.cell.len, (const char *)t.cell.data);
			t.any = true;
			continue;
		}
		err = p->summary ? put_summary(&t, &left_out)
				 : hist_print_each(p, t.table, put_cell, &t, &left_out);
		if (left_out)
			output_format(o, "%s more not shown\n", number_grouped(number, left_out));
	}
	if (t.cell.err)
		err = t.cell.err;
	bytebuf_release(&t.cell);
	return err < 0 ? err : 0;
}
