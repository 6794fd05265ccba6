/*
 * The rows that a distribution is shown in: powers of two, equal steps, or the buckets of
 * format/buckets.h as they are.  Rows are numbered, and higher numbers are higher values.
 */
#ifndef REPORT_HISTSHAPE_H
#define REPORT_HISTSHAPE_H

#include "format/buckets.h"
#include "format/diag.h"

#include <stdbool.h>
#include <stdint.h>

enum histshape_kind { HISTSHAPE_LOG2, HISTSHAPE_LINEAR, HISTSHAPE_LOGLINEAR };

/* Of time: how many ns one is, and what bcc calls it. */
struct histshape_unit {
	const char *name, *alias, *label;	/* "us", "usecs", "usecs" */
	uint64_t ns;
};

struct histshape {
	enum histshape_kind kind;
	double min, max;	/* linear: of what is shown; max is not in it */
	double step;
	bool has_ends;		/* linear: what is below min and from max on has a row each */
	uint64_t nr;		/* with ends: rows between them */
	/*
	 * The unit that was asked for, or NULL; numbers of step, min and max are in
	 * it, else in the field's own.
	 */
	const struct histshape_unit *unit;
};

/* "ns", "us", "ms", "s" or bcc's words; NULL if it is none. */
const struct histshape_unit *histshape_find_unit(const char *name);
/* "STEP" or "MIN,MAX,N"; numbers may end in a unit of time.  -EINVAL with d set. */
int histshape_parse_linear(struct histshape *s, const char *text, struct diag *d);

/* A shape for the values of one field, `scale` of which make one that is shown. */
struct histrows {
	struct histshape shape;
	uint64_t scale;
	bool is_signed;
};

/* The row of a value. */
int64_t histrows_of(const struct histrows *r, uint64_t value);
/* The row of the middle of a bucket. */
int64_t histrows_of_bucket(const struct histrows *r, int32_t bucket);
/* Whether all values of a bucket are in one row. */
bool histrows_whole(const struct histrows *r, int32_t bucket);
/* The first value of a row and the first after it, as shown; linear ends are infinite. */
double histrows_low(const struct histrows *r, int64_t row);
double histrows_high(const struct histrows *r, int64_t row);

#endif
