/*
 * Log-linear buckets, as of HDR histograms: 64 steps in every power of two.  A value is
 * at most 0.79 % away from the middle of its bucket; values below 128 have one each.
 * Negative values have the buckets of their amounts, negative.
 */
#ifndef FORMAT_BUCKETS_H
#define FORMAT_BUCKETS_H

#include <stdint.h>

#define BUCKETS_STEP_BITS 6
#define BUCKETS_STEPS (1 << BUCKETS_STEP_BITS)
/* The largest index, of 2^63 and more. */
#define BUCKETS_LAST ((63 - BUCKETS_STEP_BITS) * BUCKETS_STEPS + 2 * BUCKETS_STEPS - 1)

/* Of unsigned values; 0 to BUCKETS_LAST. */
static inline uint32_t buckets_index(uint64_t v)
{
	unsigned int shift;

	if (v < 2 * BUCKETS_STEPS)
		return (uint32_t)v;
	shift = 63 - (unsigned int)__builtin_clzll(v) - BUCKETS_STEP_BITS;
	return shift * BUCKETS_STEPS + (uint32_t)(v >> shift);
}

/* The least and the greatest value of a bucket; an index beyond the last is the last. */
uint64_t buckets_low(uint32_t index);
uint64_t buckets_high(uint32_t index);
uint64_t buckets_middle(uint32_t index);

/* Of signed values: -BUCKETS_LAST to BUCKETS_LAST. */
int32_t buckets_signed_index(int64_t v);
int64_t buckets_signed_middle(int32_t index);

#endif
