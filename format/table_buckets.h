/*
 * LAYOUT_BUCKETS: numbers with noise, such as durations, as a symbol that says about how
 * large they are, which compresses, and the bits below, which do not and stay as they are.
 *
 * With s sub-bits (2 to 6) a number below 2^s is its own symbol.  Another one, of n bits,
 * has the symbol ((n - s) << s) + (the s bits below its highest one), and n - s - 1 bits
 * more; where that is not below 255, the symbol is 255 and 64 bits follow.
 */
#ifndef FORMAT_TABLE_BUCKETS_H
#define FORMAT_TABLE_BUCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TABLE_BUCKETS_MIN_SUB 2
#define TABLE_BUCKETS_MAX_SUB 6
#define TABLE_BUCKETS_ESCAPE 255

#define TABLE_BUCKETS_SAMPLE 1024

/*
 * By a sample of n of nr numbers, TABLE_BUCKETS_SAMPLE at the most: the best number of
 * sub-bits, and what they would take in bytes, compared with byte planes.
 */
unsigned int table_buckets_choose(const uint64_t *sample, size_t n, size_t nr,
				  size_t *bucket_bytes, size_t *plane_bytes);
/* Whether buckets are worth it then: they are slower than planes. */
static inline bool table_buckets_win(size_t bucket_bytes, size_t plane_bytes)
{
	return bucket_bytes + bucket_bytes / 32 < plane_bytes;
}

/* Writes nr symbols, and the bits to `bits` (8 * nr + 8 bytes); returns bytes of these. */
size_t table_buckets_split(const uint64_t *v, size_t nr, unsigned int sub, uint8_t *symbols,
			   uint8_t *bits);
/* The opposite.  False: a symbol that no number has, or not just as many bytes as needed. */
bool table_buckets_join(uint64_t *v, size_t nr, unsigned int sub, const uint8_t *symbols,
			const uint8_t *bits, size_t size_bytes);

#endif
