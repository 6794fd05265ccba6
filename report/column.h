/*
 * A column of a batch for loops over its rows: an array, or one number that stands for
 * all rows.
 */
#ifndef REPORT_COLUMN_H
#define REPORT_COLUMN_H

#include "report/query.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

/* Not to be copied: a constant lies inside. */
struct column {
	const uint64_t *values;
	uint64_t constant;
	size_t mask;		/* of the row: 0 when it is one number */
};

static inline void column_set(struct column *c, uint64_t constant)
{
	c->constant = constant;
	c->mask = 0;
	c->values = &c->constant;
}

/* `missing` is the value of all rows if field is negative.  0 or -EBADMSG. */
static inline int column_open(struct column *c, const struct query_batch *b, int field,
			      uint64_t missing)
{
	column_set(c, missing);
	if (field < 0 || trace_column_constant(b->batch, (uint32_t)field, &c->constant))
		return 0;
	c->mask = SIZE_MAX;
	c->values = trace_column(b->batch, (uint32_t)field);
	return c->values ? 0 : -EBADMSG;
}

static inline uint64_t column_at(const struct column *c, size_t row)
{
	return c->values[row & c->mask];
}

#endif
