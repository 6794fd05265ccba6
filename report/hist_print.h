/*
 * Distributions as text in the layout of bcc's tools, as JSON and as CSV; all of a
 * distribution, or a row of numbers for each.  Text of the trace is made harmless on its
 * way out; errors of the output stick in it.
 */
#ifndef REPORT_HIST_PRINT_H
#define REPORT_HIST_PRINT_H

#include "report/hist.h"
#include "report/output.h"

struct hist_print {
	struct hist *hist;
	const struct profile_keys *keys;
	bool summary;			/* a row of numbers instead of a picture */
	uint64_t every_ns;
	uint64_t max_rows;		/* groups of an interval; 0: all */
	const struct histshape_unit *unit;	/* that was asked for, or NULL */
	struct query *const *queries;	/* JSON: what was read, and its names */
	const char *const *inputs;
	size_t nr_queries;
};

/* Each returns 0, or -ENOMEM. */
int hist_text(const struct hist_print *p, struct output *o);
int hist_json(const struct hist_print *p, struct output *o);
int hist_csv(const struct hist_print *p, struct output *o);

/* --- for these three --------------------------------------------------------- */

#define HIST_PRINT_NR_PARTS 5

/* What there is to tell of a cell besides count, sum, least and most. */
struct hist_print_numbers {
	double mean, deviation;
	double parts[HIST_PRINT_NR_PARTS];
};

/* "p99.9" */
const char *hist_print_part_name(size_t i);
/* 0 or -ENOMEM. */
int hist_print_numbers(const struct hist_cell *c, struct hist_print_numbers *out);
/* As few digits as tell it from other numbers. */
void hist_print_double(struct bytebuf *to, double v);
/* The least or greatest value, a whole number. */
void hist_print_value(struct bytebuf *to, const struct hist_cell *c, uint64_t value);
/*
 * The cells that are shown, in order.  fn returns 0 to go on, else its value is returned.
 * *left_out is how many are beyond max_rows.
 */
typedef int (*hist_print_fn)(void *ctx, const struct hist_cell *c);
int hist_print_each(const struct hist_print *p, const struct hist_table *t, hist_print_fn fn,
		    void *ctx, size_t *left_out);

#endif
