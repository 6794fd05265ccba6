/*
 * The time range of a query, from its text to nanoseconds.  Three kinds of
 * bounds: seconds on the trace clock ("5123.25"), seconds from the start of the
 * trace ("+1.5") and shares of its length ("10%").
 */
#ifndef REPORT_QUERY_TIME_H
#define REPORT_QUERY_TIME_H

#include "format/diag.h"

#include <stdbool.h>
#include <stdint.h>

enum query_time_kind {
	QUERY_TIME_OPEN,	/* no bound */
	QUERY_TIME_ABSOLUTE,
	QUERY_TIME_RELATIVE,
	QUERY_TIME_PERCENT,
};

struct query_time_bound {
	enum query_time_kind kind;
	/* ns; of a percentage, its billionth part */
	uint64_t value;
	/* How much more an upper bound covers: the rest of its last digit. */
	uint64_t slack_ns;
};

struct query_time {
	struct query_time_bound from, to;
};

/* NULL text: everything.  -EINVAL with d set when it cannot be understood. */
int query_time_parse(struct query_time *t, const char *text, struct diag *d);
/* Whether the bounds depend on the start, or on the length, of the trace. */
bool query_time_is_relative(const struct query_time *t);
bool query_time_is_percent(const struct query_time *t);
/*
 * The range, both ends inclusive; empty when *first_ns > *last_ns.  start_ns
 * and end_ns are the first and last time of the trace.  Percentages exclude
 * their upper end, so that "0%,50%" and "50%,100%" share no record.
 */
void query_time_resolve(const struct query_time *t, uint64_t start_ns, uint64_t end_ns,
			uint64_t *first_ns, uint64_t *last_ns);

#endif
