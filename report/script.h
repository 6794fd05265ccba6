/*
 * The records of a query one by one, in time order: as text that reads like
 * that of `perf script`, as JSON Lines, or as CSV.
 */
#ifndef REPORT_SCRIPT_H
#define REPORT_SCRIPT_H

#include "report/output.h"
#include "report/query.h"

#include <stdbool.h>
#include <stdint.h>

enum script_format { SCRIPT_TEXT, SCRIPT_JSON, SCRIPT_CSV };

struct script_opts {
	enum script_format format;
	const char *fields;	/* "a,b" or "+a,-b"; NULL: the usual ones */
	bool no_stack;
	bool ns;		/* nanoseconds in text, not microseconds */
	bool relative;		/* times from the start of the trace */
	uint64_t limit;		/* records; 0: all */
	uint64_t slowest;	/* so many, the longest first; 0: all, as time goes by */
};

/* -EINVAL, with d set, when a field is unknown. */
int script_write(struct query *q, const struct script_opts *opts, struct output *o,
		 struct diag *d);

#endif
