#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "format/arena.h"
#include "format/intern.h"

#define MANY 100000u

static void test_pairs(void **state)
{
	struct intern_pairs p;

	(void)state;
	intern_pairs_init(&p);
	for (uint32_t i = 0; i < MANY; i++)
		assert_int_equal(intern_pair(&p, i % 300, UINT64_MAX - i / 300), i + 1);
	for (uint32_t i = MANY; i-- > 0;)
		assert_int_equal(intern_pair(&p, i % 300, UINT64_MAX - i / 300), i + 1);
	assert_int_equal(p.nr, MANY + 1);
	assert_int_equal(p.by_id[301].a, 0);
	assert_true(p.by_id[301].b == UINT64_MAX - 1);
	intern_pairs_release(&p);
	intern_pairs_release(&p);
}

static void test_strings(void **state)
{
	struct intern_strings s;
	char text[32];

	(void)state;
	intern_strings_init(&s);
	for (unsigned int round = 0; round < 2; round++)
		for (uint32_t i = 0; i < MANY; i++) {
			int len = snprintf(text, sizeof(text), "string %u", i);

			assert_int_equal(intern_string(&s, 1, text, (uint32_t)len), i + 1);
		}
	/* Class, length and every byte count. */
	assert_int_equal(intern_string(&s, 2, "string 0", 8), MANY + 1);
	assert_int_equal(intern_string(&s, 1, "string 0", 7), MANY + 2);
	assert_int_equal(intern_string(&s, 1, "string\0000", 8), MANY + 3);
	assert_int_equal(intern_string(&s, 1, "string\0000", 8), MANY + 3);
	assert_string_equal(s.by_id[77].text, "string 76");
	assert_memory_equal(s.by_id[MANY + 3].text, "string\0000", 9);
	intern_strings_release(&s);
}

static void test_strings_are_forgotten(void **state)
{
	struct intern_strings s;
	char text[32];

	(void)state;
	intern_strings_init(&s);
	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < MANY; i++) {
			int len = snprintf(text, sizeof(text), "string %u", i);

			assert_int_equal(intern_string(&s, 1, text, (uint32_t)len),
					 round * MANY + i + 1);
		}
		assert_int_equal(intern_string(&s, 1, "string 76", 9), round * MANY + 77);
		assert_string_equal(intern_string_at(&s, round * MANY + 77)->text, "string 76");
		assert_null(intern_string_at(&s, round * MANY));
		assert_null(intern_string_at(&s, s.nr));
		assert_true(intern_strings_bytes(&s) > MANY * 20);
		intern_strings_forget(&s);
		assert_int_equal(intern_strings_bytes(&s), 0);
		assert_null(intern_string_at(&s, s.nr - 1));
	}
	intern_strings_release(&s);
}

static void test_arena(void **state)
{
	struct arena a;
	char *texts[1000];
	uint64_t *numbers;

	(void)state;
	arena_init(&a);
	for (size_t i = 0; i < 1000; i++) {
		texts[i] = arena_text(&a, "abcdefghij", i % 11);
		numbers = arena_alloc(&a, sizeof(*numbers));
		assert_int_equal((uintptr_t)numbers % _Alignof(max_align_t), 0);
		*numbers = UINT64_MAX;
	}
	/* Larger than any chunk. */
	memset(arena_alloc(&a, 1u << 20), 0xff, 1u << 20);
	for (size_t i = 0; i < 1000; i++) {
		assert_int_equal(strlen(texts[i]), i % 11);
		assert_memory_equal(texts[i], "abcdefghij", i % 11);
	}
	assert_true(a.used_bytes > 1u << 20);
	arena_release(&a);
	assert_int_equal(a.used_bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_strings_are_forgotten),
		cmocka_unit_test(test_arena),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
