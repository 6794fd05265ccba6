/* Mappings that replace one another, against a byte map. */
#include "record/addrspace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SPACE 200

struct cell {
	uint32_t module;
	uint64_t offset;
};

static void check_equal(const struct addrspace *a, const struct cell *cells)
{
	for (size_t i = 0; i < a->nr; i++) {
		assert_true(a->maps[i].start < a->maps[i].end);
		if (i)
			assert_true(a->maps[i - 1].end <= a->maps[i].start);
	}
	for (uint64_t address = 0; address < SPACE; address++) {
		const struct mapping *m = addrspace_find(a, address);

		assert_int_equal(m ? m->module : 0, cells[address].module);
		if (m)
			assert_int_equal(m->offset + address - m->start,
					 cells[address].offset);
	}
}

static void test_random(void **state)
{
	(void)state;
	srandom(7);
	for (int round = 0; round < 200; round++) {
		struct cell cells[SPACE] = { 0 };
		struct addrspace a, copy;

		addrspace_init(&a);
		addrspace_init(&copy);
		for (uint32_t i = 1; i <= 40; i++) {
			struct mapping m = { .module = i, .prot = 5 };

			m.start = (uint64_t)random() % (SPACE - 1);
			m.end = m.start + 1 + (uint64_t)random() % (SPACE - m.start);
			m.offset = (uint64_t)random() % 1000;
			assert_int_equal(addrspace_map(&a, &m), 0);
			for (uint64_t at = m.start; at < m.end && at < SPACE; at++)
				cells[at] = (struct cell){ i, m.offset + at - m.start };
			if (i % 8 == 0)
				check_equal(&a, cells);
		}
		assert_int_equal(addrspace_copy(&copy, &a), 0);
		addrspace_clear(&a);
		assert_null(addrspace_find(&a, 5));
		check_equal(&copy, cells);
		addrspace_release(&a);
		addrspace_release(&copy);
	}
}

static void test_edges(void **state)
{
	struct mapping m = { .start = 10, .end = 10 };
	struct addrspace a, b;

	(void)state;
	addrspace_init(&a);
	addrspace_init(&b);
	assert_null(addrspace_find(&a, 0));
	assert_true(addrspace_map(&a, &m) < 0);
	assert_int_equal(addrspace_copy(&b, &a), 0);
	m = (struct mapping){ .start = UINT64_MAX - 4095, .end = UINT64_MAX, .module = 3 };
	assert_int_equal(addrspace_map(&a, &m), 0);
	assert_null(addrspace_find(&a, UINT64_MAX));
	assert_int_equal(addrspace_find(&a, UINT64_MAX - 1)->module, 3);
	assert_null(addrspace_find(&a, UINT64_MAX - 4096));
	addrspace_release(&a);
	addrspace_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_edges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
