/*
 * The records that took longest: those with a duration, of all events together.
 */
#ifndef REPORT_SCRIPT_SLOWEST_H
#define REPORT_SCRIPT_SLOWEST_H

#include "report/query.h"

#include <stdint.h>

#define SCRIPT_SLOWEST_MAX 1000000

/*
 * As query_each_record(), but only the `nr` longest, the longest first; of equal ones, the
 * earlier.  Keeps no more than these in memory.  -EINVAL with d set: no event has a
 * duration.
 */
int script_slowest_each(struct query *q, uint64_t nr, query_record_fn fn, void *ctx,
			struct diag *d);

#endif
