#include "format/table_buckets.h"

#include <string.h>

#define MAX_WIDTH 64
#define MAX_QUICK 56	/* bits that are in eight bytes wherever they begin */

static unsigned int bit_length(uint64_t v)
{
	return v ? 64 - (unsigned int)__builtin_clzll(v) : 0;
}

/*
 * The symbol, and the number of bits besides.  Whether a number is its own symbol is
 * anybody's guess, so there is no branch for it: no bits are left of such a one.
 */
static inline unsigned int symbol_of(uint64_t v, unsigned int sub, unsigned int *nr_bits)
{
	unsigned int n = 63 - (unsigned int)__builtin_clzll(v | UINT64_C(1) << sub) - sub;
	unsigned int symbol = (n << sub) + (unsigned int)(v >> n);

	*nr_bits = n;
	if (symbol < TABLE_BUCKETS_ESCAPE)
		return symbol;
	*nr_bits = MAX_WIDTH;
	return TABLE_BUCKETS_ESCAPE;
}

/* --- choosing -------------------------------------------------------------------------- */

/* log2(n) * 256, of n that is not 0. */
static uint32_t log2_256(uint32_t n)
{
	unsigned int whole = bit_length(n) - 1;

	return whole * 256 + (((n << (31 - whole)) >> 23) & 0xff);
}

/* What nr symbols with these counts take, in bits. */
static size_t entropy_bits(const uint32_t *counts, uint32_t nr)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < 256; i++)
		if (counts[i])
			sum += (uint64_t)counts[i] * (log2_256(nr) - log2_256(counts[i]));
	return (size_t)(sum / 256);
}

static size_t sample_bits(const uint64_t *sample, uint32_t n, unsigned int sub)
{
	uint32_t counts[256] = { 0 };
	size_t bits = 0;

	for (uint32_t i = 0; i < n; i++) {
		unsigned int nr_bits;

		counts[symbol_of(sample[i], sub, &nr_bits)]++;
		bits += nr_bits;
	}
	return bits + entropy_bits(counts, n);
}

unsigned int table_buckets_choose(const uint64_t *sample, size_t n, size_t nr,
				  size_t *bucket_bytes, size_t *plane_bytes)
{
	uint64_t all = 0;
	unsigned int best = 0;
	size_t bits, planes = 0, least = SIZE_MAX;

	for (size_t i = 0; i < n; i++)
		all |= sample[i];
	for (unsigned int shift = 0; shift < 64 && all >> shift; shift += 8) {
		uint32_t counts[256] = { 0 };

		for (size_t i = 0; i < n; i++)
			counts[sample[i] >> shift & 0xff]++;
		planes += entropy_bits(counts, (uint32_t)n);
	}
	for (unsigned int sub = 2; sub <= 4; sub++) {
		bits = sample_bits(sample, (uint32_t)n, sub);
		if (bits < least) {
			least = bits;
			best = sub;
		}
	}
	*bucket_bytes = n ? least * nr / n / 8 : 0;
	*plane_bytes = n ? planes * nr / n / 8 : 0;
	return best;
}

/* --- both ways ---------------------------------------------------------------------------- */

/* Bits that were put and do not make a byte yet. */
struct held {
	uint64_t bits;
	unsigned int nr;
};

/* Up to 56 bits more; writes 8 bytes, of which those behind the returned place do not count. */
static inline uint8_t *put_bits(uint8_t *to, struct held *h, uint64_t bits, unsigned int nr)
{
	uint64_t v = h->bits |= bits << h->nr;
	unsigned int total = h->nr + nr;

	to[0] = (uint8_t)v;
	to[1] = (uint8_t)(v >> 8);
	to[2] = (uint8_t)(v >> 16);
	to[3] = (uint8_t)(v >> 24);
	to[4] = (uint8_t)(v >> 32);
	to[5] = (uint8_t)(v >> 40);
	to[6] = (uint8_t)(v >> 48);
	to[7] = (uint8_t)(v >> 56);
	h->bits >>= total & ~7u;
	h->nr = total & 7;
	return to + (total >> 3);
}

size_t table_buckets_split(const uint64_t *v, size_t nr, unsigned int sub, uint8_t *symbols,
			   uint8_t *bits)
{
	struct held held = { 0, 0 };
	uint8_t *to = bits;

	for (size_t i = 0; i < nr; i++) {
		uint64_t low = v[i];
		unsigned int n;

		symbols[i] = (uint8_t)symbol_of(low, sub, &n);
		if (n > MAX_QUICK) {
			to = put_bits(to, &held, low & UINT32_MAX, 32);
			low >>= 32;
			n -= 32;
		}
		to = put_bits(to, &held, low & ((UINT64_C(1) << n) - 1), n);
	}
	if (held.nr)
		*to++ = (uint8_t)held.bits;
	return (size_t)(to - bits);
}

/* What a symbol stands for: its least number, and the bits to add, or NO_BUCKET. */
struct bucket {
	uint64_t least;
	uint8_t nr_bits;
};

#define NO_BUCKET 255

static void make_buckets(struct bucket *b, unsigned int sub)
{
	for (unsigned int s = 0; s < TABLE_BUCKETS_ESCAPE; s++) {
		unsigned int high = s >> sub, n = high ? high - 1 : 0;

		if (n + sub + 1 > MAX_WIDTH) {
			b[s] = (struct bucket){ 0, NO_BUCKET };
			continue;
		}
		b[s].least = high ? (uint64_t)((1u << sub) + (s & ((1u << sub) - 1))) << n : s;
		b[s].nr_bits = (uint8_t)n;
	}
	b[TABLE_BUCKETS_ESCAPE] = (struct bucket){ 0, MAX_WIDTH };
}

static uint64_t get_u64(const uint8_t *at)
{
	return (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 |
	       (uint64_t)at[3] << 24 | (uint64_t)at[4] << 32 | (uint64_t)at[5] << 40 |
	       (uint64_t)at[6] << 48 | (uint64_t)at[7] << 56;
}

/* Bits from place `at` on; what is behind the end is 0. */
static uint64_t bits_at(const uint8_t *bits, size_t size_bytes, size_t at)
{
	uint8_t tail[16] = { 0 };
	size_t byte = at / 8, left = byte < size_bytes ? size_bytes - byte : 0;
	unsigned int shift = at % 8;

	if (left < 9) {
		memcpy(tail, bits + size_bytes - left, left);
		bits = tail;
		byte = 0;
	}
	return get_u64(bits + byte) >> shift |
	       (shift ? (uint64_t)bits[byte + 8] << (64 - shift) : 0);
}

bool table_buckets_join(uint64_t *v, size_t nr, unsigned int sub, const uint8_t *symbols,
			const uint8_t *bits, size_t size_bytes)
{
	struct bucket buckets[256];
	size_t at = 0;

	make_buckets(buckets, sub);
	for (size_t i = 0; i < nr; i++) {
		const struct bucket *b = &buckets[symbols[i]];
		uint64_t low;

		if (b->nr_bits <= MAX_QUICK && at / 8 + 8 <= size_bytes) {
			low = get_u64(bits + at / 8) >> at % 8;
			v[i] = b->least + (low & ((UINT64_C(1) << b->nr_bits) - 1));
			at += b->nr_bits;
			continue;
		}
		low = bits_at(bits, size_bytes, at);
		if (b->nr_bits == NO_BUCKET)
			return false;
		v[i] = b->nr_bits < MAX_WIDTH ?
		       b->least + (low & ((UINT64_C(1) << b->nr_bits) - 1)) : low;
		at += b->nr_bits;
	}
	return (at + 7) / 8 == size_bytes;
}
