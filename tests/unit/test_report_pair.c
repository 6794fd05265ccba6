/*
 * The table of starts that wait for their ends, against an array.
 */
#include "report/query_pair.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t seed = 1;

static uint32_t below(uint32_t n)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)((seed >> 33) % n);
}

struct unended {
	uint64_t nr, sum;
};

static void tell(void *ctx, const struct query_pair_start *s)
{
	struct unended *u = ctx;

	u->nr++;
	u->sum += s->time_ns;
}

static int start(struct query_pair *p, uint64_t key, uint64_t time_ns)
{
	const uint64_t values[] = { time_ns * 3 };
	const struct query_pair_start s = {
		.time_ns = time_ns, .values = values, .bytes = (const uint8_t *)"bytes",
		.nr_bytes = (uint32_t)(key % 6),
	};

	return query_pair_start(p, &key, &s);
}

/* The time of the start, or 0. */
static uint64_t end(struct query_pair *p, uint64_t key, uint64_t time_ns)
{
	struct query_pair_start s;

	if (!query_pair_end(p, &key, time_ns, &s))
		return 0;
	assert_int_equal(s.values[0], s.time_ns * 3);
	assert_int_equal(s.nr_bytes, key % 6);
	assert_memory_equal(s.bytes, "bytes", s.nr_bytes);
	return s.time_ns;
}

static void pairs(void **state)
{
	struct unended u = { 0, 0 };
	struct query_pair *p;

	(void)state;
	assert_int_equal(query_pair_new(&p, 1, 1, 1 << 20, tell, &u), 0);
	assert_int_equal(end(p, 1, 5), 0);
	assert_int_equal(start(p, 1, 10), 0);
	assert_int_equal(end(p, 2, 11), 0);
	assert_int_equal(end(p, 1, 12), 10);
	assert_int_equal(end(p, 1, 13), 0);
	/* Replaced, and the end belongs to the later one. */
	assert_int_equal(start(p, 1, 20), 0);
	assert_int_equal(start(p, 1, 21), 0);
	assert_int_equal(end(p, 1, 22), 21);
	assert_int_equal(u.nr, 1);
	assert_int_equal(u.sum, 20);
	/* An end at the very time of the next start is that of the one before. */
	assert_int_equal(start(p, 7, 30), 0);
	assert_int_equal(start(p, 7, 40), 0);
	assert_int_equal(end(p, 7, 40), 30);
	assert_int_equal(end(p, 7, 50), 40);
	assert_int_equal(u.nr, 1);
	assert_int_equal(query_pair_nr(p), 0);
	/* What waits is told of only if asked. */
	assert_int_equal(start(p, 1, 60), 0);
	assert_int_equal(start(p, 1, 61), 0);
	query_pair_finish(p, true);
	assert_int_equal(u.nr, 3);
	assert_int_equal(start(p, 1, 70), 0);
	query_pair_finish(p, false);
	assert_int_equal(u.nr, 3);
	query_pair_free(p);
}

static void keeps_within_bounds(void **state)
{
	struct unended u = { 0, 0 };
	struct query_pair *p;
	uint64_t kept = 0;

	(void)state;
	assert_int_equal(query_pair_new(&p, 1, 1, 100 << 10, tell, &u), 0);
	for (uint64_t key = 0; key < 10000; key++)
		kept += !start(p, key, key + 1);
	assert_true(kept > 500 && kept < 5000);
	assert_int_equal(query_pair_nr(p), kept);
	for (uint64_t key = 0; key < 10000; key++)
		kept -= end(p, key, 20000) == key + 1;
	assert_int_equal(kept, 0);
	assert_int_equal(start(p, 1, 2), 0);
	query_pair_free(p);
}

static void pairs_like_an_array(void **state)
{
	enum { KEYS = 4000, STEPS = 200000 };
	uint64_t *waits = calloc(KEYS, sizeof(*waits));
	struct unended u = { 0, 0 };
	uint64_t replaced = 0, left = 0;
	struct query_pair *p;

	(void)state;
	assert_non_null(waits);
	assert_int_equal(query_pair_new(&p, 1, 1, 8 << 20, tell, &u), 0);
	for (uint64_t now = 1; now <= STEPS; now++) {
		uint32_t key = below(KEYS);

		if (below(2)) {
			assert_int_equal(start(p, key, now), 0);
			replaced += waits[key] != 0;
			waits[key] = now;
		} else {
			assert_int_equal(end(p, key, now), waits[key]);
			waits[key] = 0;
		}
	}
	for (uint32_t key = 0; key < KEYS; key++)
		left += waits[key] != 0;
	assert_int_equal(query_pair_nr(p), left);
	query_pair_finish(p, true);
	assert_int_equal(u.nr, replaced + left);
	query_pair_free(p);
	free(waits);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs),
		cmocka_unit_test(keeps_within_bounds),
		cmocka_unit_test(pairs_like_an_array),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
