#include "format/table_choose.h"

#define MEDIAN_SAMPLE 512
#define NOISE_SAMPLE 4096
#define LAYOUT_SAMPLE 2048

/*
 * Bytes as good as random, such as the low bytes of time differences, are not
 * worth trying.  The squared counts of random bytes sum up to about
 * n * n / 256 + n; a distribution that saves two percent has more.  Some
 * thousand bytes tell; two arrays of counts, because equal neighbours would
 * wait for each other.
 */
bool table_choose_noise(const uint8_t *bytes, size_t nr)
{
	/* An odd step, which meets both of values that take turns. */
	size_t step = (nr / NOISE_SAMPLE) | 1, n = nr / step;
	uint32_t even[256] = { 0 }, odd[256] = { 0 };
	uint64_t squares = 0;

	for (size_t i = 0; i + 1 < n; i += 2) {
		even[bytes[i * step]]++;
		odd[bytes[(i + 1) * step]]++;
	}
	n &= ~(size_t)1;
	for (size_t i = 0; i < 256; i++)
		squares += (uint64_t)(even[i] + odd[i]) * (even[i] + odd[i]);
	return squares < (uint64_t)n * n / 256 * 21 / 20 + n;
}

/* What would be s[at] if s were sorted (Hoare's selection). */
static uint64_t select_u64(uint64_t *s, ptrdiff_t n, ptrdiff_t at)
{
	for (ptrdiff_t first = 0, last = n - 1; first < last;) {
		ptrdiff_t i = first, j = last;
		uint64_t pivot = s[at], swap;

		while (i <= j) {
			for (; s[i] < pivot; i++)
				;
			for (; s[j] > pivot; j--)
				;
			if (i > j)
				break;
			swap = s[i];
			s[i++] = s[j];
			s[j--] = swap;
		}
		first = j < at ? i : first;
		last = i > at ? j : last;
	}
	return s[at];
}

uint64_t table_choose_step(const uint64_t *x, size_t nr)
{
	uint64_t sample[MEDIAN_SAMPLE] = { 0 };
	size_t nr_deltas = nr - 1, n = nr_deltas < MEDIAN_SAMPLE ? nr_deltas : MEDIAN_SAMPLE;
	const uint64_t sign = UINT64_C(1) << 63;

	for (size_t i = 0; i < n; i++) {
		size_t at = i * nr_deltas / n;

		sample[i] = (x[at + 1] - x[at]) ^ sign;
	}
	return select_u64(sample, (ptrdiff_t)n, (ptrdiff_t)n / 2) ^ sign;
}

/* Seven bits a byte, without a loop: right for all 64 lengths. */
static unsigned int varint_bytes(uint64_t v)
{
	unsigned int bits = 64 - (unsigned int)__builtin_clzll(v | 1);

	return (bits * 9 + 64) / 64;
}

/*
 * The base that leaves the smallest numbers: the least number, taken as
 * unsigned, or as signed where that spans less.  Counts the runs on the way.
 */
static uint64_t choose_base(const uint64_t *x, size_t nr, uint64_t *range, size_t *nr_runs)
{
	const uint64_t sign = UINT64_C(1) << 63;
	uint64_t min = x[0], max = x[0], smin = UINT64_MAX, smax = 0;
	size_t runs = 1;

	for (size_t i = 1; i < nr; i++) {
		/* Many a column hardly ever changes. */
		while (i + 4 < nr && table_choose_same(x + i))
			i += 4;
		min = x[i] < min ? x[i] : min;
		max = x[i] > max ? x[i] : max;
		runs += x[i] != x[i - 1];
	}
	*nr_runs = runs;
	*range = max - min;
	if (max < sign || min >= sign)
		return min;
	for (size_t i = 0; i < nr; i++) {
		smin = (x[i] ^ sign) < smin ? x[i] ^ sign : smin;
		smax = (x[i] ^ sign) > smax ? x[i] ^ sign : smax;
	}
	if (smax - smin >= *range)
		return min;
	*range = smax - smin;
	return smin ^ sign;
}

size_t table_choose_count_runs(const uint64_t *x, size_t nr)
{
	size_t runs = nr > 0;

	for (size_t i = 1; i < nr; i++) {
		while (i + 4 < nr && table_choose_same(x + i))
			i += 4;
		runs += x[i] != x[i - 1];
	}
	return runs;
}

void table_choose_base(struct table_choice *c, const uint64_t *x, size_t nr)
{
	c->base = choose_base(x, nr, &c->range, &c->nr_runs);
}

#define RUN_GAIN 4		/* that runs must have at least, before compression */

/* What the numbers take in bytes, and if only the first of each run is counted, by a sample. */
static void count_bytes(const struct table_choice *c, const uint64_t *x, size_t nr,
			size_t *varint, size_t *runs)
{
	size_t step = nr / LAYOUT_SAMPLE | 1;

	*varint = 0;
	*runs = varint_bytes(x[0] - c->base) + 1;
	for (size_t i = 1; i < nr; i += step) {
		unsigned int bytes = varint_bytes(x[i] - c->base);

		*varint += bytes;
		*runs += x[i] != x[i - 1] ? bytes + 1 : 0;
	}
	*varint *= step;
	*runs *= step;
}

bool table_choose_few_runs(const struct table_choice *c, size_t nr)
{
	return c->nr_runs * (varint_bytes(c->range) + 1) * RUN_GAIN < nr;
}

bool table_choose_runs(const struct table_choice *c, const uint64_t *x, size_t nr)
{
	size_t varint, runs;

	if (table_choose_few_runs(c, nr))
		return true;
	if (c->range < 0x80 || c->nr_runs * 2 * RUN_GAIN >= nr * varint_bytes(c->range))
		return false;
	count_bytes(c, x, nr, &varint, &runs);
	return runs * RUN_GAIN < varint;
}

/*
 * Bytes before compression decide: runs must win clearly, because zstd finds
 * repeats by itself, and planes beat varints as soon as most numbers need more
 * than one byte.
 */
void table_choose_layout(struct table_choice *c, const uint64_t *x, size_t nr,
			 enum table_hint hint)
{
	size_t varint = 0, runs;

	if (table_choose_runs(c, x, nr)) {
		c->layout = LAYOUT_RUNS;
		return;
	}
	if (hint != TABLE_IDS && c->range >= 0x80)
		count_bytes(c, x, nr, &varint, &runs);
	c->layout = hint == TABLE_IDS || varint > nr + nr / 2 ? LAYOUT_PLANES : LAYOUT_VARINT;
}
