#include "report/query_time.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define S UINT64_C(1000000000)
#define START (UINT64_C(5000) * S)
#define END (UINT64_C(5010) * S)

static void gives_ranges(void **state)
{
	static const struct {
		const char *text;
		uint64_t first_ns, last_ns;
	} cases[] = {
		{ NULL, 0, UINT64_MAX },
		{ ",", 0, UINT64_MAX },
		{ "5001,", 5001 * S, UINT64_MAX },
		{ ",5001", 0, 5001 * S },
		{ "5001.25,5001.5", 5001 * S + S / 4, 5001 * S + S / 2 },
		{ "5001.123456789,5002", 5001 * S + 123456789, 5002 * S },
		{ ".5,1", S / 2, S },
		{ "1.,2.", S, 2 * S },
		/* The rest of the last digit belongs to a time as views print it. */
		{ "5001.000001,5001.000001", 5001 * S + 1000, 5001 * S + 1999 },
		{ "0,5001.0000012", 0, 5001 * S + 1299 },
		{ "0,5001.000000001", 0, 5001 * S + 1 },
		{ "+1.5,+2", START + 3 * S / 2, START + 2 * S },
		{ "+0,", START, UINT64_MAX },
		{ "5001,+2", 5001 * S, START + 2 * S },
		{ "10%,20%", START + S, START + 2 * S - 1 },
		{ "10%-20%", START + S, START + 2 * S - 1 },
		{ "0%,100%", START, UINT64_MAX },
		{ "99.5%,", START + 10 * S - S / 20, UINT64_MAX },
		{ ",0%", 0, START - 1 },
		{ "18446744072,", 18446744072 * S, UINT64_MAX },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct diag d = { "" };
		struct query_time t;
		uint64_t first_ns, last_ns;

		assert_int_equal(query_time_parse(&t, cases[i].text, &d), 0);
		query_time_resolve(&t, START, END, &first_ns, &last_ns);
		if (first_ns != cases[i].first_ns || last_ns != cases[i].last_ns)
			fail_msg("'%s' is %ju..%ju", cases[i].text ? cases[i].text : "(none)",
				 (uintmax_t)first_ns, (uintmax_t)last_ns);
	}
}

static void refuses_what_is_no_range(void **state)
{
	static const char *const cases[] = {
		"", "5", "a,b", "5,4", "+2,+1", "20%,10%", "101%,", "5-6", "1,2,3", "1 ,2", "-1,2",
		"+,", ".,", "%,", "+10%,20%", "1e3,2e3", "99999999999999999999,", "0x10,", "5,6 ", "18446744073,",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct diag d = { "" };
		struct query_time t;

		if (query_time_parse(&t, cases[i], &d) != -EINVAL)
			fail_msg("'%s' was taken", cases[i]);
		assert_true(strlen(d.text) > 10);
	}
}

/* Neighbouring shares have no record in common and leave none out. */
static void shares_meet(void **state)
{
	uint64_t last_of_former = START - 1;

	(void)state;
	for (unsigned int i = 0; i < 100; i += 4) {
		char text[32];
		struct query_time t;
		uint64_t first_ns, last_ns;

		snprintf(text, sizeof(text), "%u%%,%u%%", i, i + 4);
		assert_int_equal(query_time_parse(&t, text, NULL), 0);
		query_time_resolve(&t, START, START + 1234567, &first_ns, &last_ns);
		assert_int_equal(first_ns, last_of_former + 1);
		last_of_former = last_ns;
	}
	assert_true(last_of_former >= START + 1234567);
}

static void knows_what_it_depends_on(void **state)
{
	struct query_time t;

	(void)state;
	assert_int_equal(query_time_parse(&t, "1,2", NULL), 0);
	assert_false(query_time_is_relative(&t) || query_time_is_percent(&t));
	assert_int_equal(query_time_parse(&t, "1,+2", NULL), 0);
	assert_true(query_time_is_relative(&t));
	assert_int_equal(query_time_parse(&t, "10%,", NULL), 0);
	assert_true(query_time_is_percent(&t));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_ranges),
		cmocka_unit_test(refuses_what_is_no_range),
		cmocka_unit_test(shares_meet),
		cmocka_unit_test(knows_what_it_depends_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
