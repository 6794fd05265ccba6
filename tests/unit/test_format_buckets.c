#include "format/buckets.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define ALL (BUCKETS_LAST + 1)

/* Without gaps and without overlaps, from 0 to the largest number. */
static void buckets_follow_each_other(void **state)
{
	(void)state;
	assert_int_equal(buckets_low(0), 0);
	for (uint32_t i = 0; i < ALL; i++) {
		assert_true(buckets_low(i) <= buckets_high(i));
		if (i)
			assert_true(buckets_low(i) == buckets_high(i - 1) + 1);
	}
	assert_true(buckets_high(BUCKETS_LAST) == UINT64_MAX);
}

static void ends_are_in_their_buckets(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < ALL; i++) {
		assert_int_equal(buckets_index(buckets_low(i)), i);
		assert_int_equal(buckets_index(buckets_high(i)), i);
		assert_int_equal(buckets_index(buckets_middle(i)), i);
	}
}

static void small_values_are_exact(void **state)
{
	(void)state;
	for (uint64_t v = 0; v < 2 * BUCKETS_STEPS; v++) {
		assert_int_equal(buckets_index(v), v);
		assert_int_equal(buckets_middle((uint32_t)v), v);
	}
}

static void middles_are_near(void **state)
{
	double worst = 0;

	(void)state;
	for (uint32_t i = 1; i < ALL; i++) {
		const uint64_t ends[] = { buckets_low(i), buckets_high(i) };
		double middle = (double)buckets_middle(i);

		for (int k = 0; k < 2; k++) {
			double off = fabs((double)ends[k] - middle) / (double)ends[k];

			worst = off > worst ? off : worst;
		}
	}
	assert_true(worst < 0.0079);
	assert_true(worst > 0.007);
}

static void signs_are_kept(void **state)
{
	const uint64_t amounts[] = { 0, 1, 127, 128, 129, 1000, 1u << 31, INT64_MAX };

	(void)state;
	for (size_t i = 0; i < sizeof(amounts) / sizeof(*amounts); i++) {
		int64_t v = (int64_t)amounts[i];
		int32_t index = (int32_t)buckets_index(amounts[i]);

		assert_int_equal(buckets_signed_index(v), index);
		assert_int_equal(buckets_signed_index(-v), -index);
		assert_int_equal(buckets_signed_middle(-index), -buckets_signed_middle(index));
		assert_int_equal(buckets_signed_index(buckets_signed_middle(-index)), -index);
	}
	assert_int_equal(buckets_signed_index(INT64_MIN),
			 -(int32_t)buckets_index(UINT64_C(1) << 63));
	assert_true(buckets_signed_middle(-BUCKETS_LAST) == -INT64_MAX);
	assert_true(buckets_signed_middle(BUCKETS_LAST) == INT64_MAX);
}

static void indexes_beyond_the_last(void **state)
{
	(void)state;
	assert_true(buckets_high(BUCKETS_LAST + 1) == UINT64_MAX);
	assert_true(buckets_low(UINT32_MAX) == buckets_low(BUCKETS_LAST));
	assert_true(buckets_middle(UINT32_MAX) == buckets_middle(BUCKETS_LAST));
	assert_true(buckets_signed_middle(INT32_MIN) == -INT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buckets_follow_each_other),
		cmocka_unit_test(ends_are_in_their_buckets),
		cmocka_unit_test(small_values_are_exact),
		cmocka_unit_test(middles_are_near),
		cmocka_unit_test(signs_are_kept),
		cmocka_unit_test(indexes_beyond_the_last),
	};

	return cmocka_run_group_tests_name("format/buckets", tests, NULL, NULL);
}
