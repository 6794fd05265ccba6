#include "format/buckets.h"

static unsigned int shift_of(uint32_t *index)
{
	if (*index > BUCKETS_LAST)
		*index = BUCKETS_LAST;
	return *index < 2 * BUCKETS_STEPS ? 0 : *index / BUCKETS_STEPS - 1;
}

uint64_t buckets_low(uint32_t index)
{
	unsigned int shift = shift_of(&index);

	return (uint64_t)(index - shift * BUCKETS_STEPS) << shift;
}

uint64_t buckets_high(uint32_t index)
{
	unsigned int shift = shift_of(&index);

	return buckets_low(index) + ((UINT64_C(1) << shift) - 1);
}

uint64_t buckets_middle(uint32_t index)
{
	uint64_t low = buckets_low(index);

	return low + (buckets_high(index) - low) / 2;
}

int32_t buckets_signed_index(int64_t v)
{
	return v < 0 ? -(int32_t)buckets_index(-(uint64_t)v) : (int32_t)buckets_index((uint64_t)v);
}

int64_t buckets_signed_middle(int32_t index)
{
	uint64_t middle = buckets_middle(index < 0 ? -(uint32_t)index : (uint32_t)index);

	/* The amount of the least of all numbers is in the bucket of 2^63. */
	if (middle > INT64_MAX)
		middle = INT64_MAX;
	return index < 0 ? -(int64_t)middle : (int64_t)middle;
}
