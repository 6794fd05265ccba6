/*
 * The rows of a shape for the values of one field.  They are numbered, and higher numbers
 * are higher values.
 */
#ifndef REPORT_HISTROWS_H
#define REPORT_HISTROWS_H

#include "report/histshape.h"

#include <stdbool.h>
#include <stdint.h>

struct histrows {
	struct histshape shape;
	uint64_t scale;		/* so many of the field's own are one that is shown */
	bool is_signed;
};

/* The row of a value. */
int64_t histrows_of(const struct histrows *r, uint64_t value);
/* The row of the middle of a bucket. */
int64_t histrows_of_bucket(const struct histrows *r, int32_t bucket);
/* Whether all values of a bucket are in one row. */
bool histrows_whole(const struct histrows *r, int32_t bucket);
/*
 * Where a row and the one after it begin, in the field's own numbers; the open ends of
 * linear rows are infinite.
 */
double histrows_low(const struct histrows *r, int64_t row);
double histrows_high(const struct histrows *r, int64_t row);

#endif
