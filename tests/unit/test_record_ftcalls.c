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
	uint64_t now_ns;
	uint64_t noted_ns;
	uint32_t cpu;
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
					       b->cpu, &above, &gap);

	assert_non_null(c);
	b->nr_stacks++;
	b->stacks[b->nr_stacks].above = above;
	b->stacks[b->nr_stacks].function = function;
	b->stacks[b->nr_stacks].gap = gap;
	c->stack = b->nr_stacks;
	c->noted_ns = b->noted_ns;
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

static bool leave(struct book *b, uint64_t thread, char function, uint32_t depth,
		  uint64_t began_ns, uint64_t ended_ns, struct ftcalls_ended *to)
{
	return ftcalls_leave(b->calls, thread, &(struct ftcalls_end){
		.function = (uint64_t)function, .began_ns = began_ns, .ended_ns = ended_ns,
		.depth = depth, .cpu = b->cpu, .noted_ns = b->noted_ns,
	}, to);
}

static void expect_span(struct book *b, uint64_t thread, char function, uint32_t depth,
			uint64_t began_ns, uint64_t ended_ns, uint64_t self_ns,
			const char *stack)
{
	struct ftcalls_ended ended;
	char text[64];

	assert_true(leave(b, thread, function, depth, began_ns, ended_ns, &ended));
	assert_int_equal(ended.duration_ns, ended_ns - began_ns);
	assert_int_equal(ended.self_ns, self_ns);
	assert_int_equal(ended.depth, depth);
	stack_text(b, ended.stack, text);
	assert_string_equal(text, stack);
}

/* Its duration alone counts: each is on another CPU, and clocks are not compared. */
static void expect_call(struct book *b, uint64_t thread, char function, uint32_t depth,
			uint64_t duration_ns, uint64_t self_ns, const char *stack)
{
	b->cpu++;
	expect_span(b, thread, function, depth, 1000 - duration_ns, 1000, self_ns, stack);
	b->cpu++;
}

static void expect_none(struct book *b, uint64_t thread, char function, uint32_t depth)
{
	struct ftcalls_ended ended;

	assert_false(leave(b, thread, function, depth, 5, 10, &ended));
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

/* --- interrupts while a note is made ------------------------------------------------- */

/* The start of b is noted when i is over, which is one deeper. */
static void takes_what_is_noted_before_its_start(void **state)
{
	struct book *b = *state;

	enter(b, 1, 'a', 0);
	enter(b, 1, 'x', 1);
	expect_span(b, 1, 'x', 1, 100, 110, 10, "a;x");
	enter(b, 1, 'i', 2);
	expect_span(b, 1, 'i', 2, 115, 118, 3, "a;?;i");
	enter(b, 1, 'j', 2);
	expect_span(b, 1, 'j', 2, 121, 124, 3, "a;?;j");
	enter(b, 1, 'b', 1);
	expect_span(b, 1, 'b', 1, 120, 150, 27, "a;b");
	expect_span(b, 1, 'a', 0, 90, 160, 70 - 10 - 3 - 30, "a");
	enter(b, 1, 'i', 1);
	expect_span(b, 1, 'i', 1, 172, 177, 5, "?;i");
	enter(b, 1, 'a', 0);
	expect_span(b, 1, 'a', 0, 171, 180, 4, "a");
	expect_counts(b, 0, 0);
}

/* Others may come and go in between. */
static void remembers_what_no_call_is_around(void **state)
{
	struct book *b = *state;

	enter(b, 1, 'i', 1);
	expect_span(b, 1, 'i', 1, 12, 17, 5, "?;i");
	for (uint64_t thread = 2; thread < 1000; thread++) {
		enter(b, thread, 'x', 0);
		expect_span(b, thread, 'x', 0, 10, 20, 10, "x");
	}
	enter(b, 1, 'a', 0);
	expect_span(b, 1, 'a', 0, 11, 20, 4, "a");
	expect_counts(b, 0, 0);
}

/* The end of b is noted when i is over, which is at its depth, or one deeper. */
static void leaves_what_came_after_its_end(void **state)
{
	struct book *b = *state;

	for (uint32_t deeper = 0; deeper < 2; deeper++) {
		const uint64_t t = 1000 * deeper;

		enter(b, 1, 'a', 0);
		enter(b, 1, 'b', 1);
		enter(b, 1, 'i', 1 + deeper);
		expect_span(b, 1, 'i', 1 + deeper, t + 130, t + 134, 4, deeper ? "a;b;i" : "a;i");
		enter(b, 1, 'j', 1 + deeper);
		expect_span(b, 1, 'j', 1 + deeper, t + 141, t + 148, 7, deeper ? "a;b;j" : "a;j");
		expect_span(b, 1, 'b', 1, t + 120, t + 140, 16, "a;b");
		enter(b, 1, 'j', deeper);
		expect_span(b, 1, 'j', deeper, t + 170, t + 180, 10, deeper ? "a;j" : "j");
		expect_span(b, 1, 'a', 0, t + 100, t + 160, 60 - 20 - 7, "a");
	}
	expect_counts(b, 0, 0);
}

/* Five that have no end are not five interrupts, each at the end of the one before. */
static void gives_up_ends_that_are_missing(void **state)
{
	struct book *b = *state;

	enter(b, 1, 'a', 0);
	for (int i = 0; i < 103; i++)
		enter(b, 1, 'b', 1);
	expect_call(b, 1, 'b', 1, 4, 4, "a;b");
	expect_call(b, 1, 'a', 0, 10, 6, "a");
	expect_counts(b, 0, 102);
}

/* However many callees there were, the last ones are known. */
static void remembers_the_last_callees(void **state)
{
	struct book *b = *state;

	for (uint64_t nr = 0; nr < 60; nr++) {
		const uint64_t t = 2000 * nr;

		b->nr_stacks = 0;
		enter(b, 1, 'a', 0);
		enter(b, 1, 'b', 1);
		for (uint64_t i = 0; i < 2 * nr; i += 2) {
			enter(b, 1, 'c', 2);
			expect_span(b, 1, 'c', 2, t + 101 + i, t + 102 + i, 1, "a;b;c");
		}
		for (uint64_t i = 0; i < 32; i += 2) {
			enter(b, 1, 'i', 2);
			expect_span(b, 1, 'i', 2, t + 1000 + i, t + 1001 + i, 1, "a;b;i");
		}
		expect_span(b, 1, 'b', 1, t + 100, t + 999, 899 - nr, "a;b");
		expect_span(b, 1, 'a', 0, t + 50, t + 1050, 1000 - 899 - 16, "a");
	}
	expect_counts(b, 0, 0);
}

static void has_an_end_to_its_memory(void **state)
{
	struct book *b = *state;
	uint32_t above;
	bool gap;
	uint32_t depth;

	for (depth = 0; ftcalls_enter(b->calls, 1, 'a', depth, 0, &above, &gap); depth++)
		assert_true(depth < 100000);
	for (uint32_t i = 0; i < 10; i++)
		assert_null(ftcalls_enter(b->calls, 1, 'a', depth + i, 0, &above,
					 &gap));
	expect_counts(b, 0, depth + 11);
}

/* Of the two notes of each call another one is late, as after an interrupt. */
static void calls_are_nested_when_notes_are_late(void **state)
{
	struct ftcalls_ended a, b_call, c;
	struct book *b = *state;

	b->noted_ns = 1100;
	enter(b, 1, 'a', 0);
	b->noted_ns = 1200;
	enter(b, 1, 'b', 1);
	/* It began at 1201. */
	b->noted_ns = 1250;
	enter(b, 1, 'c', 2);
	b->noted_ns = 1221;
	assert_true(leave(b, 1, 'c', 2, 201, 220, &c));
	b->noted_ns = 1900;
	assert_true(leave(b, 1, 'b', 1, 199, 222, &b_call));
	b->noted_ns = 1950;
	assert_true(leave(b, 1, 'a', 0, 90, 940, &a));
	assert_int_equal(c.time_ns, 1221);
	assert_int_equal(b_call.time_ns, 1223);
	assert_int_equal(a.time_ns, 1950);
	assert_true(b_call.time_ns - b_call.duration_ns <= c.time_ns - c.duration_ns);
	assert_true(a.time_ns - a.duration_ns <= b_call.time_ns - b_call.duration_ns);
	expect_counts(b, 0, 0);
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
	b->cpu++;
	assert_true(leave(b, thread, function, depth, 0, duration_ns, &ended));
	b->cpu++;
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

/*
 * The tracer at work, as of Linux 5.10 or of 6.12, and interrupts at any moment.  What is
 * noted is told to ftcalls; and of every call when it was, to compare with.
 */
struct machine {
	struct book *book;
	unsigned int seed;
	bool newer;		/* Linux 6.11 and newer */
	bool tracing;		/* within a root */
	int depth, interrupts;
	uint32_t nr;
	struct {
		uint64_t began_ns, ended_ns, self_ns;
	} calls[4000];
};

static void machine_call(struct machine *m, bool is_root);

static uint64_t machine_clock(struct machine *m)
{
	return m->book->now_ns += 1 + (uint64_t)rand_r(&m->seed) % 9;
}

static void machine_interrupt(struct machine *m)
{
	if (!m->tracing || m->interrupts == 2 || m->nr > 100 || rand_r(&m->seed) % 4)
		return;
	/* One that interrupts another one makes a single call. */
	for (int i = m->interrupts++ ? 1 : rand_r(&m->seed) % 4; i > 0; i--)
		machine_call(m, false);
	m->interrupts--;
}

static void machine_call(struct machine *m, bool is_root)
{
	uint64_t began_ns, ended_ns;
	struct ftcalls_ended ended;
	char function = (char)(is_root ? 'a' : 'b' + rand_r(&m->seed) % 5);
	uint32_t depth = (uint32_t)++m->depth;

	if (!is_root && !m->tracing) {
		m->depth--;
		return;
	}
	if (!is_root || !m->newer)
		machine_interrupt(m);
	began_ns = machine_clock(m);
	m->tracing = true;
	machine_interrupt(m);
	m->book->nr_stacks = 0;
	enter(m->book, 1, function, depth);
	for (int i = rand_r(&m->seed) % 4; i > 0 && depth < 6 && m->nr < 100; i--)
		machine_call(m, false);
	machine_interrupt(m);
	m->depth -= !m->newer;
	machine_interrupt(m);
	ended_ns = machine_clock(m);
	machine_interrupt(m);
	m->tracing &= depth != 0;
	machine_interrupt(m);
	assert_true(leave(m->book, 1, function, depth, began_ns, ended_ns, &ended));
	machine_interrupt(m);
	m->depth -= m->newer;
	m->calls[m->nr].began_ns = began_ns;
	m->calls[m->nr].ended_ns = ended_ns;
	m->calls[m->nr++].self_ns = ended.self_ns;
	assert_true(m->nr < sizeof(m->calls) / sizeof(*m->calls));
}

static bool machine_is_within(const struct machine *m, uint32_t inner, uint32_t outer)
{
	return inner != outer && m->calls[inner].began_ns > m->calls[outer].began_ns &&
	       m->calls[inner].ended_ns < m->calls[outer].ended_ns;
}

/* In each call own times add up to its duration: its own and of all within it. */
static void machine_check(const struct machine *m)
{
	for (uint32_t i = 0; i < m->nr; i++) {
		uint64_t sum_ns = m->calls[i].self_ns;

		for (uint32_t k = 0; k < m->nr; k++)
			if (machine_is_within(m, k, i))
				sum_ns += m->calls[k].self_ns;
		assert_int_equal(sum_ns, m->calls[i].ended_ns - m->calls[i].began_ns);
	}
}

static void own_times_add_up_in_each_call_whatever_interrupts(void **state)
{
	static struct machine m;

	m = (struct machine){ .book = *state, .depth = -1 };
	for (unsigned int i = 0; i < 600; i++) {
		m.seed = i;
		m.newer = i % 2;
		machine_call(&m, true);
		assert_int_equal(m.depth, -1);
		machine_check(&m);
		m.nr = 0;
	}
	expect_counts(m.book, 0, 0);
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
		TEST(takes_what_is_noted_before_its_start),
		TEST(remembers_what_no_call_is_around),
		TEST(leaves_what_came_after_its_end),
		TEST(gives_up_ends_that_are_missing),
		TEST(remembers_the_last_callees),
		TEST(has_an_end_to_its_memory),
		TEST(calls_are_nested_when_notes_are_late),
		TEST(sums_of_own_time_are_those_of_the_roots),
		TEST(own_times_add_up_in_each_call_whatever_interrupts),
	};

	return cmocka_run_group_tests_name("record/ftcalls", tests, NULL, NULL);
}
