/*
 * A profile as text for people, as JSON and as CSV.  All text of the trace is
 * made harmless on its way out; errors of the output stick in it.
 */
#ifndef REPORT_PROFILE_PRINT_H
#define REPORT_PROFILE_PRINT_H

#include "report/fieldtext.h"
#include "report/output.h"
#include "report/profile.h"

struct profile_print {
	struct profile *profile;
	struct query *query;
	const struct profile_keys *keys;
	bool children;			/* as given to profile_new() */
	bool samples;			/* text: a column with them */
	bool tree;			/* call trees under the rows */
	enum profile_direction direction;
	double percent_limit;		/* rows below it are left out */
	double tree_limit;		/* branches below it, in percent of all */
	uint64_t max_rows;		/* of a table; 0: all */
};

/* Of what a row has itself, for tables that are distributed. */
struct profile_print_numbers {
	double total, mean, p50, p99, most;
	bool any;			/* the row has values at all */
	bool has_most;
};

/* 0 or -ENOMEM. */
int profile_print_numbers(const struct profile_print *pp, const struct profile_row *row,
			  struct profile_print_numbers *out);

/* How many rows of the table are shown. */
size_t profile_print_nr_rows(const struct profile_print *pp, const struct profile_table *t);
/* The smallest weight of a branch that is shown. */
uint64_t profile_print_min_weight(const struct profile_print *pp,
				  const struct profile_table *t);

/* A number in the way of its field. */
void profile_print_field(const struct profile_print *pp, struct bytebuf *to,
			 struct profile_value v, enum fieldtext_style style);

/* Each returns 0, or -ENOMEM. */
int profile_text(const struct profile_print *pp, struct output *o);
int profile_json(const struct profile_print *pp, struct output *o);
int profile_csv(const struct profile_print *pp, struct output *o);

#endif
