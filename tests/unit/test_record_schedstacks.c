/*
 * Stacks by fingerprint: known and unknown ones, those of several processes, and more of
 * them than there is memory for.
 */
#include "record/schedstacks.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "format/writer.h"

#define LIMIT_BYTES 65536
#define NR_FRAMES 16

struct bench {
	struct writer *writer;
	struct modules *modules;
	struct kernelmap *kernel;
	struct symbolizer *symbolizer;
	struct stacks *stacks;
	struct schedstacks *places;
	struct process one, other;
};

static int put_nowhere(void *ctx, const void *bytes, size_t size_bytes, bool droppable)
{
	(void)ctx;
	(void)bytes;
	(void)size_bytes;
	(void)droppable;
	return 0;
}

static int set_up(void **state)
{
	static const struct writer_output nowhere = { .put = put_nowhere };
	struct bench *b = calloc(1, sizeof(*b));
	struct stacks_opts so = { 0 };
	struct schedstacks_opts po = { .limit_bytes = LIMIT_BYTES };

	*state = b;
	if (!b || writer_open(&b->writer, &nowhere, 1, 0) || modules_new(&b->modules) ||
	    kernelmap_open(&b->kernel, b->modules) ||
	    symbolizer_open(&b->symbolizer, b->modules, b->kernel))
		return -1;
	so = (struct stacks_opts){ b->writer, b->modules, b->kernel, b->symbolizer };
	if (stacks_new(&b->stacks, &so))
		return -1;
	po.stacks = b->stacks;
	po.kernel = b->kernel;
	po.symbolizer = b->symbolizer;
	b->one.maps_generation = 1;
	b->other.maps_generation = 2;
	return schedstacks_new(&b->places, &po);
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	schedstacks_free(b->places);
	stacks_free(b->stacks);
	symbolizer_close(b->symbolizer);
	kernelmap_close(b->kernel);
	modules_free(b->modules);
	writer_abandon(b->writer);
	free(b);
	return 0;
}

/* A stack of its own for each fingerprint. */
static bool add(struct bench *b, uint64_t print, bool user)
{
	struct sched_stack *s = calloc(1, sizeof(*s) + NR_FRAMES * sizeof(s->ips[0]));
	bool full;

	assert_non_null(s);
	s->probe = user;
	s->fingerprint = print;
	s->frames = NR_FRAMES;
	for (int i = 0; i < NR_FRAMES; i++)
		s->ips[i] = (user ? 0 : UINT64_C(0xffffffff00000000)) + print * 64 + (uint64_t)i;
	full = schedstacks_add(b->places, s);
	free(s);
	return full;
}

static void test_known(void **state)
{
	struct bench *b = *state;
	struct schedstacks_place first, place;

	assert_int_equal(schedstacks_find(b->places, &b->one, 5000, 0, &place), -ENOENT);
	assert_int_equal(place.why.reason, SCHED_REASON_UNKNOWN);
	assert_false(add(b, 5000, false));
	assert_int_equal(schedstacks_find(b->places, &b->one, 5000, 0, &first), 0);
	assert_int_not_equal(first.stack, 0);
	assert_int_not_equal(first.stack, place.stack);
	assert_int_equal(first.why.reason, SCHED_REASON_OTHER);
	/* Handed over again, asked again, by another process: it is the same. */
	assert_false(add(b, 5000, false));
	assert_int_equal(schedstacks_find(b->places, &b->other, 5000, 0, &place), 0);
	assert_int_equal(place.stack, first.stack);
}

static void test_none(void **state)
{
	struct bench *b = *state;
	struct schedstacks_place place;

	assert_int_equal(schedstacks_find(b->places, &b->one, 0, 0, &place), 0);
	assert_int_equal(place.stack, 0);
	assert_int_equal(place.why.reason, SCHED_REASON_UNKNOWN);
	/* It could not be read, which is not the same as that there is none. */
	assert_int_equal(schedstacks_find(b->places, &b->one, 0, EFAULT, &place), 0);
	assert_int_not_equal(place.stack, 0);
}

/* The same number means a kernel stack in one place, and a user stack in the other. */
static void test_sides(void **state)
{
	struct bench *b = *state;
	struct schedstacks_place kernel, user;

	add(b, 7000, false);
	assert_int_equal(schedstacks_find(b->places, &b->one, 0, 7000, &user), -ENOENT);
	add(b, 7000, true);
	assert_int_equal(schedstacks_find(b->places, &b->one, 7000, 0, &kernel), 0);
	assert_int_equal(schedstacks_find(b->places, &b->one, 0, 7000, &user), 0);
	assert_int_not_equal(kernel.stack, user.stack);
}

static void test_kernel_changed(void **state)
{
	struct bench *b = *state;
	struct schedstacks_place before, after;

	add(b, 9000, false);
	assert_int_equal(schedstacks_find(b->places, &b->one, 9000, 0, &before), 0);
	schedstacks_kernel_changed(b->places);
	assert_int_equal(schedstacks_find(b->places, &b->one, 9000, 0, &after), 0);
	assert_int_equal(after.stack, before.stack);
}

/* What was handed over last is always there, and what long ago is not; nothing grows. */
static void test_full(void **state)
{
	struct bench *b = *state;
	struct schedstacks_place place;
	int nr_full = 0, since = 0;

	for (uint64_t i = 1; i <= 5000; i++) {
		if (add(b, 4096 * i, i % 2)) {
			nr_full++;
			since = 0;
		}
		since++;
		assert_int_equal(schedstacks_find(b->places, &b->one, i % 2 ? 0 : 4096 * i,
						  i % 2 ? 4096 * i : 0, &place), 0);
		/* The half before the last turn is still known, to whom it was never asked of. */
		if (i > 100)
			assert_int_equal(schedstacks_find(b->places, &b->other, 0,
							  4096 * ((i - 100) | 1), &place), 0);
	}
	assert_true(nr_full > 10);
	assert_true(since > 0);
	b->one.maps_generation = 3;
	assert_int_equal(schedstacks_find(b->places, &b->one, 0, 4096, &place), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_known, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sides, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_kernel_changed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_full, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
