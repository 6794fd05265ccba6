#include "report/latency_print.h"

#include <stdio.h>
#include <string.h>

#include "report/escape.h"
#include "report/number.h"

#define USUAL_ROWS 40		/* that are shown, unless said otherwise */
#define USUAL_DETAILS 10	/* and those of which the parts are */
#define MOST_LINES 3		/* stacks of a wait */
#define MOST_WAKERS 2
#define LINE_PERCENT 1.0	/* stacks and wakers with less of their wait are left out */
#define LINE_WIDTH 100
#define MAX_COLUMNS (PROFILE_MAX_KEYS + 1)

/* A column of the table with shares: of time in `ns`, or what is blocked, idle or not. */
enum share { SHARE_BLOCKED = LATENCY_NR_COLUMNS, SHARE_IDLE, NR_SHARES };

struct text {
	const struct latency_print *p;
	struct latency *l;
	struct output *o;
	struct bytebuf cell;
	const struct latency_row *rows;
	size_t nr_rows, shown;
	struct latency_lines lines;
	size_t widths[MAX_COLUMNS];
	bool has_share[NR_SHARES];
	int err;
};

static const struct {
	enum share share;
	const char *head;
} shares[NR_SHARES] = {
	{ (enum share)LATENCY_ON_USER, "User" }, { (enum share)LATENCY_ON_KERNEL, "Kernel" },
	{ (enum share)LATENCY_ON_CPU, "On CPU" }, { (enum share)LATENCY_INTERRUPTED, "Irq" },
	{ (enum share)LATENCY_RUNQ, "Runq" }, { SHARE_BLOCKED, "Blocked" },
	{ SHARE_IDLE, "Idle" }, { (enum share)LATENCY_OFF_SKIPPED, "Skipped" },
	{ (enum share)LATENCY_UNEXPLAINED, "Unknown" },
};

/* Columns in which every row would have 0.00 % are left out: their parts say it all. */
#define LEAST_SHARE 0.005

static uint64_t share_ns(const struct latency_row *row, enum share share)
{
	if (share == SHARE_BLOCKED)
		return row->blocked_ns - row->idle_ns;
	return share == SHARE_IDLE ? row->idle_ns : row->ns[share];
}

/* --- pieces --------------------------------------------------------------------------------- */

static size_t columns_of(const struct bytebuf *b)
{
	size_t nr = 0;

	for (size_t i = 0; i < b->len; i++)
		nr += (b->data[i] & 0xc0) != 0x80;
	return nr;
}

static void put_cell(struct text *t)
{
	output_bytes(t->o, t->cell.data, t->cell.len);
}

/* Nothing is what is not there at all; a little is not nothing. */
static void put_share(struct output *o, uint64_t part, uint64_t whole, int width)
{
	char number[NUMBER_BYTES];

	output_format(o, "%*s%%", width - 1, number_hundredths(number, part, whole));
}

/* Columns of keys; of processes the name is one of its own, before them. */
static size_t nr_keys(const struct text *t)
{
	return latency_keys(t->l)->nr + latency_is_of_processes(t->l);
}

static void make_key(struct text *t, const struct latency_row *row, size_t k)
{
	bytebuf_clear(&t->cell);
	if (latency_is_of_processes(t->l) && !k--) {
		const char *comm = latency_print_comm(t->p, row);

		escape_terminal(&t->cell, comm, strlen(comm));
		return;
	}
	latency_print_key(t->p, row, k, &t->cell, FIELDTEXT_TERMINAL);
}

static const char *key_head(const struct text *t, size_t k)
{
	if (latency_is_of_processes(t->l) && !k--)
		return "Command";
	return latency_keys(t->l)->list[k]->header;
}

/* --- the table ------------------------------------------------------------------------------ */

static void measure(struct text *t)
{
	for (size_t k = 0; k < nr_keys(t); k++) {
		t->widths[k] = strlen(key_head(t, k));
		for (size_t i = 0; i < t->shown; i++) {
			size_t width;

			make_key(t, &t->rows[i], k);
			width = columns_of(&t->cell);
			t->widths[k] = width > t->widths[k] ? width : t->widths[k];
		}
	}
}

static bool is_of_spans(const struct text *t)
{
	return latency_total(t->l)->nr_spans > 0;
}

static void choose_shares(struct text *t)
{
	for (size_t i = 0; i < t->shown; i++)
		for (size_t k = 0; k < NR_SHARES; k++)
			t->has_share[k] |= number_percent(share_ns(&t->rows[i], shares[k].share),
							  t->rows[i].wall_ns) >= LEAST_SHARE;
}

/* Of spans there may be many. */
static int count_width(const struct text *t)
{
	return is_of_spans(t) ? 10 : 7;
}

static void put_heading(struct text *t)
{
	static const char dots[] = "........................................................";

	output_format(t->o, "# %*s %8s", count_width(t), is_of_spans(t) ? "Spans" : "Threads",
		      "Wall");
	for (size_t i = 0; i < NR_SHARES; i++)
		if (t->has_share[i])
			output_format(t->o, " %7s", shares[i].head);
	for (size_t k = 0; k < nr_keys(t); k++) {
		bytebuf_clear(&t->cell);
		escape_terminal(&t->cell, key_head(t, k), strlen(key_head(t, k)));
		output_text(t->o, "  ");
		put_cell(t);
		output_format(t->o, "%*s", k + 1 < nr_keys(t) ?
			      (int)(t->widths[k] - columns_of(&t->cell)) : 0, "");
	}
	output_format(t->o, "\n# %.*s %.8s", count_width(t), dots, dots);
	for (size_t i = 0; i < NR_SHARES; i++)
		if (t->has_share[i])
			output_format(t->o, " %.7s", dots);
	for (size_t k = 0; k < nr_keys(t); k++)
		output_format(t->o, "  %.*s", (int)t->widths[k], dots);
	output_text(t->o, "\n#\n");
}

static void put_table_row(struct text *t, const struct latency_row *row)
{
	char number[NUMBER_BYTES];

	output_format(t->o, "  %*s", count_width(t), number_grouped(number, is_of_spans(t) ?
								    row->nr_spans :
								    row->nr_threads));
	output_format(t->o, " %8s", number_ns(number, row->wall_ns));
	for (size_t i = 0; i < NR_SHARES; i++) {
		if (!t->has_share[i])
			continue;
		output_text(t->o, " ");
		put_share(t->o, share_ns(row, shares[i].share), row->wall_ns, 7);
	}
	for (size_t k = 0; k < nr_keys(t); k++) {
		output_text(t->o, "  ");
		make_key(t, row, k);
		put_cell(t);
		if (k + 1 < nr_keys(t))
			output_format(t->o, "%*s", (int)(t->widths[k] - columns_of(&t->cell)), "");
	}
	output_text(t->o, "\n");
	output_settle(t->o);
}

static void put_table(struct text *t)
{
	char number[NUMBER_BYTES];

	measure(t);
	choose_shares(t);
	put_heading(t);
	for (size_t i = 0; i < t->shown && !output_error(t->o); i++)
		put_table_row(t, &t->rows[i]);
	if (t->shown < t->nr_rows)
		output_format(t->o, "# %s more not shown (--max-rows)\n",
			      number_grouped(number, t->nr_rows - t->shown));
}

/* --- stacks and wakers ------------------------------------------------------------------------ */

/* Cut to what is left of a line. */
static void put_line_text(struct text *t, uint32_t text, size_t column)
{
	const struct intern_string *s = latency_lines_text(&t->lines, text);
	size_t left = LINE_WIDTH - column, nr = 0, at = 0;

	bytebuf_clear(&t->cell);
	escape_terminal(&t->cell, s->text, s->len_bytes);
	if (columns_of(&t->cell) <= left) {
		put_cell(t);
	} else {
		for (; at < t->cell.len && nr + 3 < left; nr++)
			for (at++; at < t->cell.len && (t->cell.data[at] & 0xc0) == 0x80; at++)
				;
		output_bytes(t->o, t->cell.data, at);
		output_text(t->o, "...");
	}
	output_text(t->o, "\n");
}

static void put_wakers(struct text *t, const struct latency_line *line)
{
	for (size_t i = 0; i < line->nr_wakers && i < MOST_WAKERS; i++) {
		const struct latency_waker *w = &t->lines.wakers[line->first_waker + i];

		if (number_percent(w->ns, line->ns) < LINE_PERCENT)
			break;
		output_format(t->o, "%13s", "");
		put_share(t->o, w->ns, line->ns, 8);
		output_text(t->o, "  woken by ");
		put_line_text(t, w->text, 32);
		output_settle(t->o);
	}
}

static void put_stacks(struct text *t, const struct latency_wait *w)
{
	t->err = latency_lines_make(&t->lines, latency_tops(t->l), w);
	for (size_t i = 0; i < t->lines.nr && i < MOST_LINES && !t->err; i++) {
		const struct latency_line *line = &t->lines.lines[i];

		if (number_percent(line->ns, w->ns) < LINE_PERCENT)
			break;
		output_format(t->o, "%9s", "");
		put_share(t->o, line->ns, w->ns, 8);
		output_text(t->o, "  ");
		put_line_text(t, line->text, 19);
		put_wakers(t, line);
	}
}

/* --- the parts of a row ----------------------------------------------------------------------- */

static void put_part(struct text *t, const struct latency_row *row, uint64_t ns,
		     const struct latency_values *v, const char *name, const char *more)
{
	struct latency_print_numbers n;
	char number[NUMBER_BYTES];

	put_share(t->o, ns, row->wall_ns, 9);
	output_format(t->o, " %10s", number_ns(number, ns));
	if (latency_print_numbers(v, &n)) {
		output_format(t->o, " %10s", number_grouped(number, n.count));
		for (size_t i = 0; i < LATENCY_PRINT_PARTS; i++)
			output_format(t->o, " %8s", number_ns(number, n.parts[i]));
		output_format(t->o, " %8s", number_ns(number, n.most));
	} else {
		output_format(t->o, " %10s %8s %8s %8s %8s", "", "", "", "", "");
	}
	bytebuf_clear(&t->cell);
	escape_terminal(&t->cell, name, strlen(name));
	output_text(t->o, "  ");
	put_cell(t);
	output_format(t->o, "%s\n", more);
	output_settle(t->o);
}

static void put_column(struct text *t, const struct latency_row *row, enum latency_column column,
		       const struct latency_values *v, const char *name)
{
	if (row->ns[column])
		put_part(t, row, row->ns[column], v, name, "");
}

/* Slices are of all that is on a CPU, so that their numbers stand beside the sum. */
static void put_on_cpu(struct text *t, const struct latency_row *row)
{
	const struct latency_values *slices = row->values[LATENCY_OF_ON_CPU];
	uint64_t split_ns = row->ns[LATENCY_ON_USER] + row->ns[LATENCY_ON_KERNEL];

	if (split_ns) {
		put_part(t, row, split_ns, slices, "on CPU", "");
		put_column(t, row, LATENCY_ON_USER, NULL, "  user");
		put_column(t, row, LATENCY_ON_KERNEL, NULL, "  kernel");
		slices = NULL;
	}
	put_column(t, row, LATENCY_ON_CPU, slices, is_of_spans(t) ? "on CPU" :
		   "on CPU, user or kernel");
	put_column(t, row, LATENCY_INTERRUPTED, row->values[LATENCY_OF_INTERRUPTED],
		   "interrupted");
	put_column(t, row, LATENCY_RUNQ, row->values[LATENCY_OF_RUNQ], "waiting for a CPU");
}

static void put_blocked(struct text *t, const struct latency_row *row)
{
	char name[LATENCY_STORY_NAME_BYTES + 16];

	for (size_t i = 0; i < row->nr_waits && !t->err && !output_error(t->o); i++) {
		const struct latency_wait *w = row->waits[i];

		snprintf(name, sizeof(name), "blocked: %s", latency_reason(t->l, w->reason));
		put_part(t, row, w->ns, w->values, name, w->idle ? ", idle" : "");
		put_stacks(t, w);
	}
}

static void put_title(struct text *t, const struct latency_row *row)
{
	char number[NUMBER_BYTES];

	output_text(t->o, "\n");
	for (size_t k = 0; k < nr_keys(t); k++) {
		make_key(t, row, k);
		put_cell(t);
		output_text(t->o, k + 1 < nr_keys(t) ? " " : ": ");
	}
	if (row->nr_spans) {
		latency_print_count(t->o, row->nr_spans, "span");
		output_text(t->o, " of ");
	}
	latency_print_count(t->o, row->nr_threads, "thread");
	output_format(t->o, ", %s\n\n", number_ns(number, row->wall_ns));
	output_format(t->o, "%9s %10s %10s", "Share", "Total", "Count");
	for (size_t i = 0; i < LATENCY_PRINT_PARTS; i++)
		output_format(t->o, " %8s", latency_print_part_name(i));
	output_format(t->o, " %8s\n", "Max");
}

static void put_details(struct text *t, const struct latency_row *row)
{
	put_title(t, row);
	if (row->nr_spans)
		put_part(t, row, row->wall_ns, row->values[LATENCY_OF_SPANS], "all", "");
	put_on_cpu(t, row);
	put_blocked(t, row);
	put_column(t, row, LATENCY_OFF_SKIPPED, NULL, "waits without a record");
	put_column(t, row, LATENCY_UNEXPLAINED, NULL, "unexplained");
}

/* --- all of it ------------------------------------------------------------------------------- */

int latency_text(const struct latency_print *p, struct output *o)
{
	struct text t = { .p = p, .l = p->latency, .o = o, .shown = latency_print_nr_rows(p) };
	char number[NUMBER_BYTES];
	size_t nr;

	bytebuf_init(&t.cell);
	t.rows = latency_rows(p->latency, &t.nr_rows);
	if (!p->max_rows && !p->has_limit && t.shown > USUAL_ROWS)
		t.shown = USUAL_ROWS;
	t.err = latency_lines_init(&t.lines, query_trace(p->query), p->max_frames);
	latency_head(p, o);
	put_table(&t);
	nr = !p->max_rows && t.shown > USUAL_DETAILS ? USUAL_DETAILS : t.shown;
	for (size_t i = 0; i < nr && !t.err && !output_error(o); i++)
		put_details(&t, &t.rows[i]);
	if (nr < t.shown)
		output_format(o, "\n# %s more without details (--max-rows)\n",
			      number_grouped(number, t.shown - nr));
	if (!t.err)
		t.err = t.cell.err;
	bytebuf_release(&t.cell);
	latency_lines_release(&t.lines);
	return t.err;
}
