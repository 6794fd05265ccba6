/*
 * Nested calls from notes of starts and ends: whole ones, those of several threads, and
 * those with gaps.
 */
#include "record/ftcalls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Functions are letters, and a stack is the number of the entry that made it. */
struct book {
	struct ftcalls *calls;
	uint32_t nr_stacks;
	struct {
		uint32_t above;
		char function;
		bool gap;
	} stacks[4096];
	uint64_t sum_self, sum_roots;
};

static int set_up(void **state)
{
	struct book *b = calloc(1, sizeof(*b));

	*state = b;
	return b ? ftcalls_new(&b->calls) : -1;
}

static int tear_down(void **state)
{
	struct book *b = *state;

	ftcalls_free(b->calls);
	free(b);
	return 0;
}

static void enter(struct book *b, uint64_t thread, char function, uint32_t depth)
{
	uint32_t above = 99;
	bool gap = true;
	struct ftcalls_open *c = ftcalls_enter(b->calls, thread, (uint64_t)function, depth,
					       &above, &gap);

	assert_non_null(c);
	b->nr_stacks++;
	b->stacks[b->nr_stacks].above = above;
	b->stacks[b->nr_stacks].function = function;
	b->stacks[b->nr_stacks].gap = gap;
	c->stack = b->nr_stacks;
}

/* "a;b", and "?" where calls are not known. */
static void stack_text(const struct book *b, uint32_t stack, char *to)
{
	char text[96] = "";

	*to = '\0';
	for (; stack; stack = b->stacks[stack].above) {
		snprintf(text, sizeof(text), "%s%c%s%s", b->stacks[stack].gap ? "?;" : "",
			 b->stacks[stack].function, *to ? ";" : "", to);
		text[63] = '\0';
		strcpy(to, text);
	}
}

static void expect_call(struct book *b, uint64_t thread, char function, uint32_t depth,
			uint64_t duration_ns, uint64_t self_ns, const char *stack)
{
	struct ftcalls_ended ended;
	char text[64];

	assert_true(ftcalls_leave(b->calls, thread, (uint64_t)function, depth, duration_ns,
				  &ended));
	assert_int_equal(ended.duration_ns, duration_ns);
	assert_int_equal(ended.self_ns, self_ns);
	assert_int_equal(ended.depth, depth);
	stack_text(b, ended.stack, text);
	assert_string_equal(text, stack);
}

static void expect_none(struct book *b, uint64_t thread, char function, uint32_t depth)
{
	struct ftcalls_ended ended;

	assert_false(ftcalls_leave(b->calls, thread, (uint64_t)function, depth, 5, &ended));
}

static void expect_counts(struct book *b, uint64_t no_start, uint64_t no_end)
{
	ftcalls_forget(b->calls);
	assert_int_equal(ftcalls_no_start(b->calls), no_start);
	assert_int_equal(ftcalls_no_end(b->calls), no_end);
}

/* --- whole calls ------------------------------------------------------------------- */

static void takes_callees_off(void **state)
{
	struct book *b = *state;

	enter(b, 1, 'a', 0);
	enter(b, 1, 'b', 1);
	enter(b, 1, 'c', 2);
	expect_call(b, 1, 'c', 2, 10, 10, "a;b;c");
	enter(b, 1, 'd', 2);
	expect_call(b, 1, 'd', 2, 20, 20, "a;b;d");
	expect_call(b, 1, 'b', 1, 100, 70, "a;b");
	enter(b, 1, 'c', 1);
	expect_call(b, 1, 'c', 1, 7, 7, "a;c");
	expect_call(b, 1, 'a', 0, 1000, 893, "a");
	expect_counts(b, 0, 0);
}

static void follows_recursion(void **state)
{
	struct book *b = *state;

	for (uint32_t depth = 0; depth < 5; depth++)
		enter(b, 1, 'r', depth);
	expect_call(b, 1, 'r', 4, 10, 10, "r;r;r;r;r");
	expect_call(b, 1, 'r', 3, 30, 20, "r;r;r;r");
	expect_call(b, 1, 'r', 2, 60, 30, "r;r;r");
	expect_call(b, 1, 'r', 1, 100, 40, "r;r");
	expect_call(b, 1, 'r', 0, 150, 50, "r");
	expect_counts(b, 0, 0);
}

static void keeps_threads_apart(void **state)
{
	struct book *b = *state;

	enter(b, 1, 'a', 0);
	enter(b, 2, 'x', 0);
	enter(b, 1, 'b', 1);
	enter(b, 2, 'y', 1);
	expect_call(b, 1, 'b', 1, 5, 5, "a;b");
	enter(b, UINT64_C(1) << 32, 'i', 0);
	expect_call(b, 2, 'y', 1, 6, 6, "x;y");
	expect_call(b, 2, 'x', 0, 16, 10, "x");
	expect_call(b, 1, 'a', 0, 25, 20, "a");
	expect_call(b, UINT64_C(1) << 32, 'i', 0, 3, 3, "i");
	expect_counts(b, 0, 0);
}

/* More threads than the table begins with, most of which have ended. */
static void has_room_for_many_threads(void **state)
{
	struct book *b = *state;

	for (uint64_t thread = 1; thread <= 1000; thread++) {
		enter(b, thread, 'a', 0);
		if (thread % 10)
			expect_call(b, thread, 'a', 0, 5, 5, "a");
	}
	for (uint64_t thread = 10; thread <= 1000; thread += 10)
		expect_call(b, thread, 'a', 0, 7, 7, "a");
	expect_counts(b, 0, 0);
}

/* --- gaps ---------------------------------------------------------------------------- */

static void counts_ends_without_start(void **state)
{
	struct book *b = *state;

	expect_none(b, 1, 'c', 2);
	expect_none(b, 1, 'b', 1);
	enter(b, 1, 'd', 1);
	expect_call(b, 1, 'd', 1, 5, 5, "?;d");
	expect_none(b, 1, 'a', 0);
	enter(b, 1, 'a', 0);
	expect_call(b, 1, 'a', 0, 9, 9, "a");
	expect_counts(b, 3, 0);
}

static void counts_starts_without_end(void **state)
{
	struct book *b = *state;

	enter(b, 1, 'a', 0);
	enter(b, 1, 'b', 1);
	enter(b, 1, 'c', 2);
	expect_counts(b, 0, 3);
	expect_none(b, 1, 'c', 2);
	expect_counts(b, 1, 3);
}

/* As when a thread ends in a function: what comes at its depth replaces it. */
static void starts_anew_where_an_end_is_missing(void **state)
{
	struct book *b = *state;

	enter(b, 1, 'a', 0);
	enter(b, 1, 'b', 1);
	enter(b, 1, 'c', 1);
	expect_call(b, 1, 'c', 1, 5, 5, "a;c");
	enter(b, 1, 'x', 0);
	expect_call(b, 1, 'x', 0, 8, 8, "x");
	expect_counts(b, 0, 2);
}

static void never_mixes_functions(void **state)
{
	struct book *b = *state;

	enter(b, 1, 'a', 0);
	enter(b, 1, 'b', 1);
	expect_none(b, 1, 'c', 1);
	expect_call(b, 1, 'a', 0, 50, 50, "a");
	expect_counts(b, 1, 1);
}

/* What a call without end took part in is still not its caller's own time. */
static void keeps_the_sums_where_an_end_is_missing(void **state)
{
	struct book *b = *state;

	enter(b, 1, 'a', 0);
	enter(b, 1, 'b', 1);
	enter(b, 1, 'c', 2);
	expect_call(b, 1, 'c', 2, 30, 30, "a;b;c");
	expect_call(b, 1, 'a', 0, 100, 70, "a");
	expect_counts(b, 0, 1);
}

static void marks_what_it_does_not_know(void **state)
{
	struct book *b = *state;

	enter(b, 1, 'a', 0);
	enter(b, 1, 'd', 3);
	expect_call(b, 1, 'd', 3, 4, 4, "a;?;d");
	expect_call(b, 1, 'a', 0, 10, 6, "a");
	expect_counts(b, 0, 0);
}

static void believes_nothing_after_a_loss(void **state)
{
	struct book *b = *state;

	enter(b, 1, 'a', 0);
	enter(b, 2, 'a', 0);
	ftcalls_forget(b->calls);
	/* The same function at the same depth, but who knows whether it is the same call. */
	expect_none(b, 1, 'a', 0);
	enter(b, 2, 'b', 1);
	expect_call(b, 2, 'b', 1, 2, 2, "?;b");
	expect_none(b, 2, 'a', 0);
	expect_counts(b, 2, 2);
}

static void clocks_may_differ(void **state)
{
	struct book *b = *state;

	enter(b, 1, 'a', 0);
	enter(b, 1, 'b', 1);
	expect_call(b, 1, 'b', 1, 12, 12, "a;b");
	expect_call(b, 1, 'a', 0, 10, 0, "a");
}

static void has_an_end_to_its_memory(void **state)
{
	struct book *b = *state;
	uint32_t above;
	bool gap;
	uint32_t depth;

	for (depth = 0; ftcalls_enter(b->calls, 1, 'a', depth, &above, &gap); depth++)
		assert_true(depth < 100000);
	for (uint32_t i = 0; i < 10; i++)
		assert_null(ftcalls_enter(b->calls, 1, 'a', depth + i, &above, &gap));
	expect_counts(b, 0, depth + 11);
}

/* --- all of it ------------------------------------------------------------------------ */

/* A call with random callees; its duration is their sum and what it takes itself. */
static uint64_t run_tree(struct book *b, uint64_t thread, uint32_t depth, unsigned int *seed)
{
	uint64_t own_ns = (uint64_t)rand_r(seed) % 100, duration_ns = own_ns;
	char function = (char)('a' + rand_r(seed) % 5);
	struct ftcalls_ended ended;

	enter(b, thread, function, depth);
	for (int i = rand_r(seed) % 4; i > 0 && depth < 6; i--)
		duration_ns += run_tree(b, thread, depth + 1, seed);
	assert_true(ftcalls_leave(b->calls, thread, (uint64_t)function, depth, duration_ns,
				  &ended));
	assert_int_equal(ended.self_ns, own_ns);
	b->sum_self += ended.self_ns;
	return duration_ns;
}

static void sums_of_own_time_are_those_of_the_roots(void **state)
{
	struct book *b = *state;
	unsigned int seed = 7;

	for (int i = 0; i < 50; i++) {
		b->nr_stacks = 0;
		b->sum_roots += run_tree(b, 1 + (uint64_t)i % 3, 0, &seed);
	}
	assert_int_equal(b->sum_self, b->sum_roots);
	expect_counts(b, 0, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(takes_callees_off),
		TEST(follows_recursion),
		TEST(keeps_threads_apart),
		TEST(has_room_for_many_threads),
		TEST(counts_ends_without_start),
		TEST(counts_starts_without_end),
		TEST(starts_anew_where_an_end_is_missing),
		TEST(never_mixes_functions),
		TEST(keeps_the_sums_where_an_end_is_missing),
		TEST(marks_what_it_does_not_know),
		TEST(believes_nothing_after_a_loss),
		TEST(clocks_may_differ),
		TEST(has_an_end_to_its_memory),
		TEST(sums_of_own_time_are_those_of_the_roots),
	};

	return cmocka_run_group_tests_name("record/ftcalls", tests, NULL, NULL);
}
