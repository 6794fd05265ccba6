#include "report/number.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "report/textids.h"

static void prints_numbers(void **state)
{
	char to[NUMBER_BYTES];

	(void)state;
	assert_string_equal(number_plain(to, 0), "0");
	assert_string_equal(number_plain(to, UINT64_MAX), "18446744073709551615");
	assert_string_equal(number_grouped(to, 999), "999");
	assert_string_equal(number_grouped(to, 1000), "1,000");
	assert_string_equal(number_grouped(to, UINT64_MAX), "18,446,744,073,709,551,615");
	assert_string_equal(number_ns(to, 17), "17 ns");
	assert_string_equal(number_ns(to, 1500), "1.50 us");
	assert_string_equal(number_ns(to, 20000000), "20.0 ms");
	assert_string_equal(number_ns(to, 42800000000), "42.8 s");
	assert_string_equal(number_bytes(to, 1023), "1023 B");
	assert_string_equal(number_bytes(to, 1536), "1.50 KiB");
	assert_string_equal(number_bytes(to, UINT64_MAX), "16.0 EiB");
	assert_string_equal(number_unit(to, 1234, "cycles"), "1,234 cycles");
	assert_string_equal(number_unit(to, 1234, ""), "1,234");
}

static void prints_shares(void **state)
{
	char to[NUMBER_BYTES];

	(void)state;
	assert_string_equal(number_hundredths(to, 0, 0), "0.00");
	assert_string_equal(number_hundredths(to, 1, 1), "100.00");
	assert_string_equal(number_hundredths(to, 1, 3), "33.33");
	assert_string_equal(number_hundredths(to, 2, 3), "66.67");
	assert_string_equal(number_hundredths(to, 1, 20000), "0.01");
	assert_string_equal(number_hundredths(to, 1, 20001), "0.00");
	assert_string_equal(number_hundredths(to, UINT64_MAX / 4, UINT64_MAX), "25.00");
	assert_string_equal(number_hundredths(to, UINT64_MAX, UINT64_MAX), "100.00");
	assert_string_equal(number_hundredths(to, UINT64_MAX, 1), "0.00");
}

static void numbers_texts(void **state)
{
	struct textids *ids;
	static char texts[5000][8];

	(void)state;
	assert_int_equal(textids_new(&ids), 0);
	assert_int_equal(textids_get(ids, 0, "", 0), 1);
	assert_int_equal(textids_get(ids, 1, "", 0), 2);
	assert_int_equal(textids_get(ids, 0, "a\0b", 3), 3);
	assert_int_equal(textids_get(ids, 0, "a\0c", 3), 4);
	for (int round = 0; round < 2; round++)
		for (uint32_t i = 0; i < 5000; i++) {
			int len = snprintf(texts[i], sizeof(texts[i]), "%u", i);

			assert_int_equal(textids_get(ids, 0, texts[i], (size_t)len), 5 + i);
		}
	assert_int_equal(textids_nr(ids), 5004);
	assert_string_equal(textids_text(ids, 5), "0");
	assert_string_equal(textids_text(ids, 0), "");
	assert_string_equal(textids_text(ids, 5005), "");
	textids_free(ids);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prints_numbers),
		cmocka_unit_test(prints_shares),
		cmocka_unit_test(numbers_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
