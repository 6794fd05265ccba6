#include "record/numlist.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void expect_list(const char *text, int least, bool ranges, const int *wanted, size_t nr_wanted)
{
	int *list = NULL;
	size_t nr = 0;

	assert_int_equal(numlist_parse(text, least, ranges, &list, &nr), 0);
	assert_int_equal(nr, nr_wanted);
	for (size_t i = 0; i < nr; i++)
		assert_int_equal(list[i], wanted[i]);
	free(list);
}

static void expect_error(const char *text, int least, bool ranges, int err)
{
	int *list = NULL;
	size_t nr = 0;

	assert_int_equal(numlist_parse(text, least, ranges, &list, &nr), err);
	assert_null(list);
}

static void parses_numbers_and_ranges(void **state)
{
	(void)state;
	expect_list("7", 0, true, (int[]){ 7 }, 1);
	expect_list("0-3\n", 0, true, (int[]){ 0, 1, 2, 3 }, 4);
	expect_list("5,1-2", 0, true, (int[]){ 1, 2, 5 }, 3);
	expect_list("3,1-4,3", 0, true, (int[]){ 1, 2, 3, 4 }, 4);
	expect_list("12,345", 1, false, (int[]){ 12, 345 }, 2);
}

static void refuses_everything_else(void **state)
{
	static const char *const bad[] = {
		"", ",", "1,", ",1", "-1", "1-", "2-1", "x", "1x", " 1", "1 ", "+1", "1,,2",
		"99999999999", "1-2-3", "0x10",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect_error(bad[i], 0, true, -EINVAL);
	expect_error("1-2", 1, false, -EINVAL);
	expect_error("0", 1, false, -EINVAL);
	expect_error("0-70000", 0, true, -E2BIG);
	expect_error("0-2147483647", 0, true, -E2BIG);
	expect_error("1-60000,1-60000", 0, true, -E2BIG);
}

static void finds_members(void **state)
{
	const int list[] = { 1, 4, 9 };

	(void)state;
	assert_true(numlist_has(list, 3, 4));
	assert_false(numlist_has(list, 3, 5));
	assert_false(numlist_has(NULL, 0, 5));
}

static void reads_the_online_cpus(void **state)
{
	int *cpus = NULL;
	size_t nr = 0;

	(void)state;
	assert_int_equal(numlist_read("/sys/devices/system/cpu/online", &cpus, &nr), 0);
	assert_true(nr > 0);
	free(cpus);
	assert_int_equal(numlist_read("/nonexistent", &cpus, &nr), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_numbers_and_ranges),
		cmocka_unit_test(refuses_everything_else),
		cmocka_unit_test(finds_members),
		cmocka_unit_test(reads_the_online_cpus),
	};

	return cmocka_run_group_tests_name("record/numlist", tests, NULL, NULL);
}
