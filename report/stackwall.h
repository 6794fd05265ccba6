/*
 * The time that a record of a thread's story tells of (ROLE_SLICE of format/schema.h), in
 * parts, within a range of time.
 */
#ifndef REPORT_STACKWALL_H
#define REPORT_STACKWALL_H

#include "report/column.h"
#include "report/stacksum.h"

#include <stdint.h>

struct stackwall_columns {
	struct column time, duration, runnable, slice, skipped;
};

struct stackwall_row {
	uint64_t ns[STACKSUM_NR_PARTS];
};

/* 0 or -EBADMSG. */
int stackwall_open(struct stackwall_columns *c, const struct query_batch *b);
void stackwall_get(const struct stackwall_columns *c, size_t row, uint64_t first_ns,
		   uint64_t last_ns, struct stackwall_row *out);

#endif
