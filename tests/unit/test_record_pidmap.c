#include "record/pidmap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define NR_KEYS 4096

/* Random puts and removals against a plain array. */
static void test_against_array(void **state)
{
	static char values[NR_KEYS];
	static void *truth[NR_KEYS];
	struct pidmap m;
	size_t nr = 0;

	(void)state;
	memset(truth, 0, sizeof(truth));
	pidmap_init(&m);
	srand(1);
	for (int round = 0; round < 200000; round++) {
		uint32_t key = (uint32_t)rand() % NR_KEYS;

		if (rand() % 2) {
			assert_int_equal(pidmap_put(&m, key, &values[key]), 0);
			nr += !truth[key];
			truth[key] = &values[key];
		} else {
			pidmap_remove(&m, key);
			nr -= !!truth[key];
			truth[key] = NULL;
		}
		assert_int_equal(m.nr, nr);
		key = (uint32_t)rand() % NR_KEYS;
		assert_ptr_equal(pidmap_get(&m, key), truth[key]);
	}
	for (uint32_t key = 0; key < NR_KEYS; key++)
		assert_ptr_equal(pidmap_get(&m, key), truth[key]);
	pidmap_release(&m);
}

static void test_empty(void **state)
{
	struct pidmap m;

	(void)state;
	pidmap_init(&m);
	assert_null(pidmap_get(&m, 0));
	pidmap_release(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_array),
		cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests_name("pidmap", tests, NULL, NULL);
}
