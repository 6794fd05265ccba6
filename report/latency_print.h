/*
 * A latency breakdown as text, JSON and CSV.  Text of the trace is made harmless on its way
 * out; errors of the output stick in it.
 */
#ifndef REPORT_LATENCY_PRINT_H
#define REPORT_LATENCY_PRINT_H

#include "report/latency.h"
#include "report/latency_lines.h"
#include "report/output.h"

struct latency_print {
	struct latency *latency;
	struct query *query;
	uint64_t max_rows;		/* 0: all, and of text, parts of the first ones */
	uint64_t max_frames;		/* 0: as usual */
	double percent_limit;		/* rows with less of the whole are left out */
	bool has_limit;
};

/* Each returns 0, or -ENOMEM. */
int latency_text(const struct latency_print *p, struct output *o);
int latency_json(const struct latency_print *p, struct output *o);
int latency_csv(const struct latency_print *p, struct output *o);

/* --- for these three ------------------------------------------------------------------ */

#define LATENCY_PRINT_PARTS 3

struct latency_print_numbers {
	uint64_t parts[LATENCY_PRINT_PARTS], count, most;
};

/* "p50" */
const char *latency_print_part_name(size_t i);
/* False: there are no values. */
bool latency_print_numbers(const struct latency_values *v, struct latency_print_numbers *out);
/* Name of a column in JSON and CSV. */
const char *latency_print_column(enum latency_column column);
/* "1 span", "2,000 spans" */
void latency_print_count(struct output *o, uint64_t nr, const char *noun);
/* What text begins with. */
void latency_head(const struct latency_print *p, struct output *o);
/* How many rows are shown. */
size_t latency_print_nr_rows(const struct latency_print *p);
/* The row's key, as groups_put(). */
void latency_print_key(const struct latency_print *p, const struct latency_row *row, size_t key,
		       struct bytebuf *to, enum fieldtext_style style);
/* Of processes: its name, raw. */
const char *latency_print_comm(const struct latency_print *p, const struct latency_row *row);

#endif
