#include "report/histogram.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "format/buckets.h"

#define NR_VALUES 20000

static const double parts[] = { 0, 0.001, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 0.9999, 1 };
#define NR_PARTS (sizeof(parts) / sizeof(parts[0]))

static uint64_t random_state = 88172645463325252u;

static uint64_t random_number(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* Of every size alike, up to 2^bits. */
static uint64_t random_size(unsigned int bits)
{
	return random_number() >> (64 - bits + random_number() % bits);
}

static int compare_signed(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int compare_unsigned(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static double number(uint64_t v, bool is_signed)
{
	return is_signed ? (double)(int64_t)v : (double)v;
}

static size_t rank_of(double part, size_t nr)
{
	size_t rank = (size_t)ceil(part * (double)nr);

	return rank ? rank : 1;
}

/* What the histogram says against the values themselves, which get sorted. */
static void check(const struct histogram *h, uint64_t *values, size_t nr)
{
	double sum = 0, mean, squares = 0, got[NR_PARTS];

	qsort(values, nr, sizeof(*values), h->is_signed ? compare_signed : compare_unsigned);
	for (size_t i = 0; i < nr; i++)
		sum += number(values[i], h->is_signed);
	mean = sum / (double)nr;
	for (size_t i = 0; i < nr; i++)
		squares += pow(number(values[i], h->is_signed) - mean, 2);
	assert_true(h->has_limits && h->has_squares);
	assert_int_equal(h->count, nr);
	assert_int_equal(h->least, values[0]);
	assert_int_equal(h->most, values[nr - 1]);
	assert_true(fabs(histogram_mean(h) - mean) <= fabs(mean) * 1e-9);
	assert_true(fabs(histogram_deviation(h) - sqrt(squares / (double)nr)) <=
		    sqrt(squares / (double)nr) * 1e-6);
	assert_int_equal(histogram_percentiles(h, parts, NR_PARTS, got), 0);
	for (size_t i = 0; i < NR_PARTS; i++) {
		double exact = number(values[rank_of(parts[i], nr) - 1], h->is_signed);

		if (fabs(got[i] - exact) > fabs(exact) * 0.008)
			fail_msg("p%g is %.17g, not %.17g", parts[i] * 100, got[i], exact);
		assert_true(got[i] >= histogram_percentile(h, parts[i]));
		assert_true(got[i] <= histogram_percentile(h, parts[i]));
	}
	assert_true(got[0] <= number(values[0], h->is_signed));
	assert_true(got[NR_PARTS - 1] >= number(values[nr - 1], h->is_signed));
}

static void try_values(bool is_signed, unsigned int bits)
{
	static uint64_t values[NR_VALUES];
	static const size_t sizes[] = { 1, 2, 3, 10, 100, 999, NR_VALUES };

	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		struct histogram h;

		histogram_init(&h, is_signed);
		for (size_t i = 0; i < sizes[s]; i++) {
			values[i] = random_size(bits);
			if (is_signed && random_number() % 2)
				values[i] = -values[i];
			assert_int_equal(histogram_add(&h, values[i]), 0);
		}
		check(&h, values, sizes[s]);
		histogram_release(&h);
	}
}

static void percentiles_are_those_of_the_values(void **state)
{
	static const unsigned int bits[] = { 3, 7, 12, 30, 52 };

	(void)state;
	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		try_values(false, bits[i]);
		try_values(true, bits[i]);
	}
}

static void takes_the_ends_of_all_numbers(void **state)
{
	struct histogram h;

	(void)state;
	histogram_init(&h, false);
	assert_true(histogram_percentile(&h, 0.5) <= 0 && histogram_mean(&h) <= 0);
	histogram_add(&h, UINT64_MAX);
	histogram_add(&h, UINT64_MAX);
	histogram_add(&h, 0);
	assert_true(histogram_percentile(&h, 0.5) >= 1.8e19);
	assert_true(h.sum > 3.6e19);
	assert_true(histogram_percentile(&h, 0) <= 0);
	histogram_release(&h);
	histogram_init(&h, true);
	histogram_add(&h, (uint64_t)INT64_MIN);
	histogram_add(&h, (uint64_t)INT64_MAX);
	assert_true(histogram_percentile(&h, 0.5) <= -9.2e18);
	assert_true(histogram_percentile(&h, 1) >= 9.2e18);
	assert_true(fabs(histogram_mean(&h)) < 1);
	histogram_release(&h);
}

/* Close together and far from 0: the squares of the values would say nothing. */
static void deviation_of_large_numbers(void **state)
{
	struct histogram h;

	(void)state;
	histogram_init(&h, false);
	for (unsigned int i = 0; i < 1000; i++)
		histogram_add(&h, (UINT64_C(1) << 50) + i % 2 * 6);
	assert_true(fabs(histogram_deviation(&h) - 3) < 1e-3);
	histogram_release(&h);
}

static void merged_parts_are_the_whole(void **state)
{
	static uint64_t values[NR_VALUES];
	struct histogram h[7], all;

	(void)state;
	histogram_init(&all, true);
	for (size_t i = 0; i < 7; i++)
		histogram_init(&h[i], true);
	/* The last one stays empty. */
	for (size_t i = 0; i < NR_VALUES; i++) {
		values[i] = random_size(40) - (1 << 20);
		assert_int_equal(histogram_add(&h[i * 6 / NR_VALUES], values[i]), 0);
	}
	for (size_t i = 0; i < 7; i++) {
		assert_int_equal(histogram_merge(&all, &h[6 - i]), 0);
		histogram_release(&h[6 - i]);
	}
	check(&all, values, NR_VALUES);
	histogram_release(&all);
}

/* What a tally has of the values is enough for the same answers, save the deviation. */
static void tallies_say_the_same(void **state)
{
	struct histogram raw, tally;
	uint64_t sum = 0;

	(void)state;
	histogram_init(&raw, false);
	histogram_init(&tally, false);
	for (size_t i = 0; i < NR_VALUES; i++) {
		uint64_t v = random_size(36);

		sum += v;
		histogram_add(&raw, v);
		histogram_add_bucket(&tally, (int32_t)buckets_index(v), 1);
	}
	assert_false(tally.has_limits);
	histogram_add_sums(&tally, sum, raw.least, raw.most);
	assert_int_equal(tally.count, raw.count);
	assert_true(fabs(histogram_mean(&tally) - histogram_mean(&raw)) < 1e-6);
	for (size_t i = 0; i < NR_PARTS; i++)
		assert_true(fabs(histogram_percentile(&tally, parts[i]) -
				 histogram_percentile(&raw, parts[i])) < 1e-6);
	assert_true(histogram_deviation(&tally) <= 0);
	/* No such buckets: a damaged file. */
	histogram_add_bucket(&tally, INT32_MAX, 1);
	histogram_add_bucket(&tally, INT32_MIN, 1);
	assert_int_equal(tally.count, NR_VALUES + 2);
	histogram_release(&raw);
	histogram_release(&tally);
}

struct walk {
	uint64_t count;
	int32_t last;
	bool any;
};

static int walk_bucket(void *ctx, int32_t bucket, uint64_t count)
{
	struct walk *w = ctx;

	assert_true(!w->any || bucket > w->last);
	w->any = true;
	w->last = bucket;
	w->count += count;
	return w->count > 1000 ? 7 : 0;
}

static void walks_buckets_in_order(void **state)
{
	struct histogram h;
	struct walk w = { 0 };

	(void)state;
	histogram_init(&h, true);
	for (int i = 0; i < 1000; i++)
		histogram_add(&h, random_size(30) - 500000000);
	assert_int_equal(histogram_each(&h, walk_bucket, &w), 0);
	assert_int_equal(w.count, 1000);
	histogram_add(&h, 5);
	w = (struct walk) { 0 };
	assert_int_equal(histogram_each(&h, walk_bucket, &w), 7);
	histogram_release(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(percentiles_are_those_of_the_values),
		cmocka_unit_test(takes_the_ends_of_all_numbers),
		cmocka_unit_test(deviation_of_large_numbers),
		cmocka_unit_test(merged_parts_are_the_whole),
		cmocka_unit_test(tallies_say_the_same),
		cmocka_unit_test(walks_buckets_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
