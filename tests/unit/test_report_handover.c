#include "report/handover.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* More than all parcels hold together, and no whole number of them. */
#define MANY 20011

struct item {
	uint64_t number;
	char rest[33];
};

struct taker {
	uint64_t next, stop_at;
	size_t calls;
};

/* Each once and in order; numbers tell. */
static int take(void *ctx, const void *items, size_t nr)
{
	const struct item *list = items;
	struct taker *t = ctx;

	t->calls++;
	for (size_t i = 0; i < nr; i++) {
		if (list[i].number == t->stop_at)
			return -EXDEV;
		if (list[i].number != t->next || list[i].rest[32] != (char)t->next)
			return -EILSEQ;
		t->next++;
	}
	return 0;
}

static int put(struct handover *h, uint64_t number)
{
	struct item *to = handover_next(h);

	*to = (struct item) { .number = number };
	to->rest[32] = (char)number;
	return handover_put(h);
}

static void give_all(bool threaded, uint64_t nr)
{
	struct taker t = { .stop_at = UINT64_MAX };
	struct handover *h;

	assert_int_equal(handover_new(&h, sizeof(struct item), threaded, take, &t), 0);
	for (uint64_t i = 0; i < nr; i++)
		assert_int_equal(put(h, i), 0);
	assert_int_equal(handover_finish(h), 0);
	assert_int_equal(t.next, nr);
	handover_free(h);
}

static void all_in_order(void **state)
{
	static const uint64_t numbers[] = { 0, 1, 1023, 1024, 1025, 8192, MANY };

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		give_all(false, numbers[i]);
		give_all(true, numbers[i]);
	}
}

static void stops(bool threaded)
{
	struct taker t = { .stop_at = 1000 };
	struct handover *h;
	int err = 0;

	assert_int_equal(handover_new(&h, sizeof(struct item), threaded, take, &t), 0);
	for (uint64_t i = 0; i < MANY && !err; i++)
		err = put(h, i);
	/* All parcels together hold less, so it is known by then. */
	assert_int_equal(err, -EXDEV);
	assert_int_equal(handover_finish(h), -EXDEV);
	assert_int_equal(t.next, 1000);
	handover_free(h);
}

static void an_error_ends_it(void **state)
{
	(void)state;
	stops(false);
	stops(true);
}

static void flushed_without_a_thread(void **state)
{
	struct taker t = { .stop_at = UINT64_MAX };
	struct handover *h;

	(void)state;
	assert_int_equal(handover_new(&h, sizeof(struct item), false, take, &t), 0);
	assert_int_equal(put(h, 0), 0);
	assert_int_equal(t.next, 0);
	assert_int_equal(handover_flush(h), 0);
	assert_int_equal(t.next, 1);
	assert_int_equal(handover_flush(h), 0);
	assert_int_equal(t.calls, 1);
	handover_free(h);
}

/* Who fails in between gives nothing more; the thread ends all the same. */
static void freed_unfinished(void **state)
{
	struct taker t = { .stop_at = UINT64_MAX };
	struct handover *h;

	(void)state;
	assert_int_equal(handover_new(&h, sizeof(struct item), true, take, &t), 0);
	for (uint64_t i = 0; i < 1500; i++)
		assert_int_equal(put(h, i), 0);
	handover_free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_in_order),
		cmocka_unit_test(an_error_ends_it),
		cmocka_unit_test(flushed_without_a_thread),
		cmocka_unit_test(freed_unfinished),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
