#include "report/histrows.h"

#include <math.h>

#include "format/buckets.h"

/*
 * Powers of two as bcc counts them: 0 and 1 are one row, then 2 to 3, 4 to 7.  Those of
 * negative amounts are mirrored, -1 alone, for 0 is above it.
 */
static int64_t log2_row(uint64_t amount, bool negative)
{
	int64_t row = amount > 1 ? 63 - __builtin_clzll(amount) : 0;

	return negative && amount ? -row - 1 : row;
}

/* In the field's own numbers: tenths of what is shown would not be exact. */
static int64_t linear_row(const struct histrows *r, double value)
{
	const struct histshape *s = &r->shape;
	double scale = (double)r->scale, row;

	row = floor((value - s->min * scale) / (s->step * scale));
	if (s->has_ends && value < s->min * scale)
		return -1;
	if (s->has_ends && (value >= s->max * scale || row >= (double)s->nr))
		return (int64_t)s->nr;
	/* Beyond all numbers that can be told apart. */
	if (row >= 0x1p62)
		return INT64_C(1) << 62;
	return row <= -0x1p62 ? -(INT64_C(1) << 62) : (int64_t)row;
}

int64_t histrows_of(const struct histrows *r, uint64_t value)
{
	bool negative = r->is_signed && (int64_t)value < 0;
	uint64_t amount = negative ? -value : value;

	switch (r->shape.kind) {
	case HISTSHAPE_LOG2:
		return log2_row(amount / r->scale, negative);
	case HISTSHAPE_LOGLINEAR:
		return negative ? -(int64_t)buckets_index(amount) : (int64_t)buckets_index(amount);
	default:
		return linear_row(r, negative ? -(double)amount : (double)amount);
	}
}

int64_t histrows_of_bucket(const struct histrows *r, int32_t bucket)
{
	if (r->is_signed)
		return histrows_of(r, (uint64_t)buckets_signed_middle(bucket));
	return histrows_of(r, buckets_middle((uint32_t)bucket));
}

bool histrows_whole(const struct histrows *r, int32_t bucket)
{
	uint32_t index = bucket < 0 ? -(uint32_t)bucket : (uint32_t)bucket;
	uint64_t low = buckets_low(index), high = buckets_high(index);

	if (r->is_signed && high > INT64_MAX)
		high = INT64_MAX;
	if (r->is_signed && low > INT64_MAX)
		low = INT64_MAX;
	if (bucket < 0)
		return histrows_of(r, -low) == histrows_of(r, -high);
	return histrows_of(r, low) == histrows_of(r, high);
}

static double power_of_two(int64_t exponent)
{
	return ldexp(1, (int)exponent);
}

static double linear_bound(const struct histrows *r, int64_t row)
{
	double scale = (double)r->scale;

	return r->shape.min * scale + (double)row * (r->shape.step * scale);
}

/* Parts of what is shown are cut off towards 0, so its row reaches to both sides. */
double histrows_low(const struct histrows *r, int64_t row)
{
	double scale = (double)r->scale;

	switch (r->shape.kind) {
	case HISTSHAPE_LOG2:
		if (row < 0)
			return 1 - power_of_two(-row) * scale;
		if (!row)
			return r->is_signed ? 1 - scale : 0;
		return power_of_two(row) * scale;
	case HISTSHAPE_LOGLINEAR:
		return row < 0 ? -(double)buckets_high((uint32_t)-row)
			       : (double)buckets_low((uint32_t)row);
	default:
		return r->shape.has_ends && row < 0 ? -INFINITY : linear_bound(r, row);
	}
}

double histrows_high(const struct histrows *r, int64_t row)
{
	double scale = (double)r->scale;
	bool is_end = r->shape.has_ends && row >= (int64_t)r->shape.nr;

	switch (r->shape.kind) {
	case HISTSHAPE_LOG2:
		return row < 0 ? 1 - power_of_two(-row - 1) * scale : power_of_two(row + 1) * scale;
	case HISTSHAPE_LOGLINEAR:
		return row < 0 ? 1 - (double)buckets_low((uint32_t)-row)
			       : (double)buckets_high((uint32_t)row) + 1;
	default:
		return is_end ? INFINITY : linear_bound(r, row + 1);
	}
}
