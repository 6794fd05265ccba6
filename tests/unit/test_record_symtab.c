/* Symbols within symbols, names of one address, symbols without sizes. */
#include "record/symtab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void add(struct symtab *t, uint64_t start, uint64_t size_bytes, const char *name,
		enum symtab_binding binding, bool untyped)
{
	struct symtab_entry e = {
		.start = start, .size_bytes = size_bytes, .limit = 10000, .name = name,
		.binding = binding, .untyped = untyped,
	};

	assert_int_equal(symtab_add(t, &e), 0);
}

static void check(const struct symtab *t, uint64_t address, const char *name)
{
	long i = symtab_find(t, address);

	assert_int_equal(i >= 0, name != NULL);
	if (name)
		assert_string_equal(symtab_name(t, (size_t)i), name);
}

static void test_names_of_one_address(void **state)
{
	struct symtab *t;

	(void)state;
	assert_int_equal(symtab_new(&t), 0);
	add(t, 100, 10, "local", SYMTAB_LOCAL, false);
	add(t, 100, 10, "global", SYMTAB_GLOBAL, false);
	add(t, 100, 10, "a_very_weak_name", SYMTAB_WEAK, false);
	add(t, 200, 10, "__write", SYMTAB_GLOBAL, false);
	add(t, 200, 10, "_w", SYMTAB_GLOBAL, false);
	add(t, 300, 10, "short", SYMTAB_GLOBAL, false);
	add(t, 300, 10, "longer", SYMTAB_GLOBAL, false);
	add(t, 400, 0, "no_size_but_global", SYMTAB_GLOBAL, false);
	add(t, 400, 4, "sized", SYMTAB_LOCAL, false);
	add(t, 500, 10, "label_of_assembly", SYMTAB_GLOBAL, true);
	add(t, 500, 10, "typed", SYMTAB_WEAK, false);
	assert_int_equal(symtab_finish(t), 0);
	assert_int_equal(symtab_nr(t), 5);
	check(t, 109, "global");
	check(t, 200, "_w");
	check(t, 300, "longer");
	check(t, 403, "sized");
	check(t, 404, NULL);
	check(t, 500, "typed");
	symtab_free(t);
}

static void test_ends(void **state)
{
	uint64_t start, size_bytes;
	struct symtab *t;

	(void)state;
	assert_int_equal(symtab_new(&t), 0);
	add(t, 100, 0, "first", SYMTAB_GLOBAL, true);
	add(t, 200, 50, "function", SYMTAB_GLOBAL, false);
	add(t, 210, 0, "label_within", SYMTAB_GLOBAL, true);
	add(t, 300, 0, "last", SYMTAB_GLOBAL, false);
	assert_int_equal(symtab_finish(t), 0);
	check(t, 99, NULL);
	check(t, 199, "first");
	check(t, 210, "function");
	check(t, 249, "function");
	check(t, 250, NULL);
	check(t, 9999, "last");
	check(t, 10000, NULL);
	symtab_get(t, (size_t)symtab_find(t, 150), &start, &size_bytes);
	assert_int_equal(start, 100);
	assert_int_equal(size_bytes, 100);
	symtab_free(t);
}

static void test_rivals(void **state)
{
	size_t first, nr;
	struct symtab *t;

	(void)state;
	assert_int_equal(symtab_new(&t), 0);
	add(t, 100, 20, "_Z1av", SYMTAB_GLOBAL, false);
	add(t, 100, 10, "_Z4longv", SYMTAB_GLOBAL, false);
	add(t, 100, 10, "_Z4weakv", SYMTAB_WEAK, false);
	assert_int_equal(symtab_finish(t), 0);
	nr = symtab_rivals(t, (size_t)symtab_find(t, 115), &first);
	assert_int_equal(nr, 2);
	assert_int_equal(symtab_rename(t, first, "a"), 0);
	assert_int_equal(symtab_rename(t, first + 1, "long"), 0);
	assert_true(symtab_is_better_name(symtab_name(t, first), symtab_name(t, first + 1)));
	symtab_choose(t, first, nr, first + 1);
	check(t, 105, "long");
	check(t, 115, NULL);
	assert_int_equal(symtab_rivals(t, (size_t)symtab_find(t, 105), &first), 0);
	assert_true(symtab_renamed(t, (size_t)symtab_find(t, 105)));
	symtab_free(t);
}

#define SPACE 400

/* The innermost is the one that begins last among those that hold the address. */
static void test_random(void **state)
{
	(void)state;
	srandom(13);
	for (int round = 0; round < 300; round++) {
		uint64_t ends[SPACE] = { 0 };
		struct symtab *t;

		assert_int_equal(symtab_new(&t), 0);
		for (long n = random() % 60; n > 0; n--) {
			uint64_t start = (uint64_t)random() % SPACE;
			uint64_t size_bytes = 1 + (uint64_t)random() % (random() % 2 ? 10 : 200);
			char name[16];

			if (ends[start])
				continue;
			ends[start] = start + size_bytes;
			snprintf(name, sizeof(name), "s%u", (unsigned int)start);
			add(t, start + (1ull << 40), size_bytes, name, SYMTAB_GLOBAL, false);
		}
		assert_int_equal(symtab_finish(t), 0);
		for (uint64_t at = 0; at < SPACE + 200; at++) {
			char name[16] = "";

			for (uint64_t start = 0; start <= at && start < SPACE; start++)
				if (ends[start] > at)
					snprintf(name, sizeof(name), "s%u", (unsigned int)start);
			check(t, at + (1ull << 40), name[0] ? name : NULL);
		}
		check(t, 0, NULL);
		check(t, UINT64_MAX, NULL);
		symtab_free(t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_of_one_address),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_rivals),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
