/*
 * How a distribution is shown: in powers of two, in equal steps, or in the buckets of
 * format/buckets.h as they are.
 */
#ifndef REPORT_HISTSHAPE_H
#define REPORT_HISTSHAPE_H

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

#endif
