#include "report/profile_print.h"

#include "report/escape.h"
#include "report/number.h"

#include <errno.h>
#include <string.h>

#define MAX_COLUMN 48		/* longer texts push what follows to the right */
#define TREE_INDENT 12
#define NUMBER_HEADINGS "       Count       Total        Mean         p50         p99         Max"
#define NUMBER_DOTS "  ..........  ..........  ..........  ..........  ..........  .........."

struct text {
	const struct profile_print *pp;
	const struct profile_table *table;
	struct output *o;
	size_t widths[PROFILE_MAX_KEYS];
	struct bytebuf cell;
	/* Trees: how many branches are still to come at each depth. */
	bool has_tree;
	size_t left[PROFILE_MAX_DEPTH + 2];
	uint64_t above[PROFILE_MAX_DEPTH + 2];	/* weight of the branch above a depth */
	bool indent[PROFILE_MAX_DEPTH + 2];
};

static size_t columns_of(const struct bytebuf *b)
{
	size_t nr = 0;

	for (size_t i = 0; i < b->len; i++)
		nr += (b->data[i] & 0xc0) != 0x80;
	return nr;
}

static void put_cell_text(struct bytebuf *to, const char *text)
{
	escape_terminal(to, text, strlen(text));
}

static void put_symbol(struct bytebuf *to, const struct frame_name *f)
{
	bool kernel = f->kind == MODULE_KERNEL || f->kind == MODULE_KERNEL_MODULE ||
		      f->kind == MODULE_BPF;

	bytebuf_put(to, kernel ? "[k] " : "[.] ", 4);
	put_cell_text(to, f->symbol);
}

/* The last part of a path; a table has no room for more. */
static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

/* The text of a cell in t->cell, until the next one. */
static void make_cell(struct text *t, const struct profile_row *row,
		      const struct profile_key *key)
{
	struct profile_value v = profile_value(t->pp->profile, row, key);
	char number[NUMBER_BYTES];

	bytebuf_clear(&t->cell);
	if (!v.text && v.field) {
		profile_print_field(t->pp, &t->cell, v, FIELDTEXT_TERMINAL);
	} else if (!v.text) {
		put_cell_text(&t->cell, number_plain(number, v.number));
	} else if (v.frame && key->kind == PROFILE_SYMBOL) {
		put_symbol(&t->cell, v.frame);
	} else if (key->kind == PROFILE_MODULE) {
		put_cell_text(&t->cell, base_name(v.text));
	} else {
		put_cell_text(&t->cell, v.text);
	}
}

/* Many rows have few different texts: those seen lately are not measured again. */
static size_t measure_column(struct text *t, const struct profile_key *key, size_t nr_rows)
{
	const char *seen[256] = { NULL };
	size_t widest = strlen(key->header), width;

	for (size_t i = 0; i < nr_rows; i++) {
		struct profile_value v = profile_value(t->pp->profile, &t->table->rows[i], key);
		const char **slot = &seen[(uintptr_t)v.text / 8 % 256];

		if (v.text && *slot == v.text)
			continue;
		*slot = v.text;
		make_cell(t, &t->table->rows[i], key);
		width = columns_of(&t->cell);
		if (width > widest)
			widest = width < MAX_COLUMN ? width : MAX_COLUMN;
	}
	return widest;
}

static void measure(struct text *t, size_t nr_rows)
{
	const struct profile_keys *keys = t->pp->keys;

	/* Nothing follows the last column, so nobody cares how wide it is. */
	for (size_t k = 0; k + 1 < keys->nr; k++)
		t->widths[k] = measure_column(t, keys->list[k], nr_rows);
	t->widths[keys->nr - 1] = strlen(keys->list[keys->nr - 1]->header);
}

static void pad(struct output *o, char c, size_t nr)
{
	struct bytebuf *b = output_buffer(o);

	if (bytebuf_reserve(b, nr))
		return;
	memset(b->data + b->len, c, nr);
	b->len += nr;
}

static bool is_number(const struct text *t, const struct profile_key *key)
{
	if (key->kind != PROFILE_FIELD || !t->table->nr_rows)
		return key->kind == PROFILE_NUMBER || key->kind == PROFILE_USER;
	return !profile_value(t->pp->profile, &t->table->rows[0], key).text;
}

static void put_aligned(struct output *o, const void *text, size_t bytes, size_t columns,
			size_t width, bool right, bool last)
{
	size_t space = columns < width ? width - columns : 0;

	output_bytes(o, "  ", 2);
	if (right)
		pad(o, ' ', space);
	bytebuf_put(output_buffer(o), text, bytes);
	if (!right && !last)
		pad(o, ' ', space);
}

static const struct {
	const char *many, *one;
} words[] = {
	[PROFILE_SAMPLES] = { "Samples", "sample" }, [PROFILE_SPANS] = { "Spans", "span" },
	[PROFILE_HITS] = { "Hits", "hit" }, [PROFILE_RECORDS] = { "Records", "record" },
};

static void put_heading(struct text *t)
{
	const struct profile_print *pp = t->pp;

	output_text(t->o, pp->children ? "# Children      Self" : "#     Self");
	if (t->table->distributed)
		output_text(t->o, NUMBER_HEADINGS);
	else if (pp->samples)
		output_format(t->o, "%12s", words[t->table->word].many);
	for (size_t k = 0; k < pp->keys->nr; k++) {
		const char *header = pp->keys->list[k]->header;

		put_aligned(t->o, header, strlen(header), strlen(header), t->widths[k],
			    is_number(t, pp->keys->list[k]), k + 1 == pp->keys->nr);
	}
	output_text(t->o, pp->children ? "\n# ........  ........" : "\n# ........");
	if (t->table->distributed)
		output_text(t->o, NUMBER_DOTS);
	else if (pp->samples)
		output_text(t->o, "  ..........");
	for (size_t k = 0; k < pp->keys->nr; k++) {
		output_text(t->o, "  ");
		pad(t->o, '.', t->widths[k]);
	}
	output_text(t->o, "\n#\n");
}

static void put_padded(struct output *o, const char *text, size_t width)
{
	size_t len = strlen(text);

	pad(o, ' ', len < width ? width - len : 0);
	bytebuf_put(output_buffer(o), text, len);
}

/* Ten columns wide: "    12.34%". */
static void put_percent(struct output *o, const struct profile_table *table, uint64_t weight)
{
	char number[NUMBER_BYTES];

	put_padded(o, number_hundredths(number, weight, table->weight), 9);
	bytebuf_u8(output_buffer(o), '%');
}

/* Twelve columns wide; nothing is what a row has not. */
static void put_number(struct text *t, double v, bool known)
{
	char text[NUMBER_BYTES];

	number_value(text, v, t->table->unit);
	output_bytes(t->o, "  ", 2);
	put_padded(t->o, known ? text : "", 10);
}

/* For spans and other values: not only their sum, but how they are distributed. */
static int put_numbers(struct text *t, const struct profile_row *row)
{
	struct profile_print_numbers n;
	char number[NUMBER_BYTES];

	if (profile_print_numbers(t->pp, row, &n))
		return -ENOMEM;
	put_padded(t->o, number_grouped(number, row->samples), 12);
	put_number(t, n.total, n.any);
	put_number(t, n.mean, n.any);
	put_number(t, n.p50, n.any);
	put_number(t, n.p99, n.any);
	put_number(t, n.most, n.any && n.has_most);
	return 0;
}

static int put_row(struct text *t, const struct profile_row *row)
{
	const struct profile_print *pp = t->pp;
	char number[NUMBER_BYTES];
	int err = 0;

	if (pp->children)
		put_percent(t->o, t->table, row->children);
	put_percent(t->o, t->table, row->self);
	if (t->table->distributed)
		err = put_numbers(t, row);
	else if (pp->samples)
		put_padded(t->o, number_plain(number, row->samples), 12);
	for (size_t k = 0; k < pp->keys->nr; k++) {
		make_cell(t, row, pp->keys->list[k]);
		put_aligned(t->o, t->cell.data, t->cell.len, columns_of(&t->cell), t->widths[k],
			    is_number(t, pp->keys->list[k]), k + 1 == pp->keys->nr);
	}
	output_text(t->o, "\n");
	output_settle(t->o);
	return err;
}

/* --- trees ------------------------------------------------------------------- */

/* The bars of the branches above that are not finished. */
static void put_bars(struct text *t, unsigned int depth)
{
	pad(t->o, ' ', TREE_INDENT);
	for (unsigned int i = 0; i < depth; i++)
		if (t->indent[i])
			output_bytes(t->o, t->left[i] ? "|  " : "   ", 3);
}

/*
 * A branch that is all of the one above stands right below it, without a
 * percentage and no further to the right: long chains stay readable.
 */
static void put_branch(struct text *t, const struct profile_branch *b)
{
	bool alone = t->left[b->depth] == 1 && b->weight == t->above[b->depth];
	char number[NUMBER_BYTES];

	t->left[b->depth]--;
	t->indent[b->depth] = !alone;
	put_bars(t, b->depth);
	if (!alone) {
		output_text(t->o, t->left[b->depth] ? "|--" : "'--");
		output_text(t->o, number_hundredths(number, b->weight, t->table->weight));
		output_text(t->o, "%-- ");
	}
	put_cell_text(output_buffer(t->o), b->frame->symbol);
	output_text(t->o, "\n");
	output_settle(t->o);
}

static int visit_branch(void *ctx, const struct profile_branch *b)
{
	struct text *t = ctx;

	if (b->depth)
		put_branch(t, b);
	else
		t->has_tree = b->nr_below;
	t->left[b->depth + 1] = b->nr_below;
	t->above[b->depth + 1] = b->weight;
	return 0;
}

static int put_tree(struct text *t, const struct profile_row *row)
{
	const struct profile_print *pp = t->pp;
	int err = profile_tree(pp->profile, row, pp->direction, !pp->children,
			       profile_print_min_weight(pp, t->table), visit_branch, t);

	if (t->has_tree)
		output_text(t->o, "\n");
	return err;
}

/* --- tables ------------------------------------------------------------------ */

/* What does not add up. */
static void put_remarks(struct text *t)
{
	char number[NUMBER_BYTES];

	if (t->table->negative)
		output_format(t->o, "# %s values are negative and have no share\n",
			      number_grouped(number, t->table->negative));
	if (t->table->overflow)
		output_text(t->o, "# The sum is larger than 64 bits: shares are not right\n");
}

static void put_summary(struct text *t)
{
	const struct profile_table *table = t->table;
	char samples[NUMBER_BYTES], weight[NUMBER_BYTES];

	output_format(t->o, "# %s: %s", words[table->word].many,
		      number_grouped(samples, table->samples));
	if (table->event) {
		output_text(t->o, " of event '");
		put_cell_text(output_buffer(t->o), table->event);
		output_text(t->o, "'");
	}
	output_text(t->o, "\n# Weight:  ");
	if (table->counted) {
		output_format(t->o, "each %s counts 1\n", words[table->word].one);
		return;
	}
	output_text(t->o, number_unit(weight, table->weight, table->unit));
	if (table->distributed) {
		output_text(t->o, " of ");
		put_cell_text(output_buffer(t->o), table->field);
	}
	output_text(t->o, "\n");
	put_remarks(t);
}

static int put_table(struct text *t)
{
	size_t nr = profile_print_nr_rows(t->pp, t->table);
	char number[NUMBER_BYTES];
	int err = 0;

	put_summary(t);
	output_text(t->o, "#\n");
	measure(t, nr);
	put_heading(t);
	for (size_t i = 0; i < nr && !err && !output_error(t->o); i++) {
		err = put_row(t, &t->table->rows[i]);
		if (t->pp->tree && !err)
			err = put_tree(t, &t->table->rows[i]);
	}
	if (nr < t->table->nr_rows)
		output_format(t->o, "# %s more not shown\n",
			      number_grouped(number, t->table->nr_rows - nr));
	return err ? err : t->cell.err;
}

int profile_text(const struct profile_print *pp, struct output *o)
{
	struct text t = { .pp = pp, .o = o };
	char line[512];
	int err = 0;

	bytebuf_init(&t.cell);
	query_quality_line(pp->query, line, sizeof(line));
	output_format(o, "# %s\n", line);
	for (size_t i = 0; i < profile_nr_tables(pp->profile) && !err; i++) {
		output_text(o, i ? "\n\n" : "#\n");
		t.table = profile_table_at(pp->profile, i);
		err = put_table(&t);
	}
	bytebuf_release(&t.cell);
	return err;
}
