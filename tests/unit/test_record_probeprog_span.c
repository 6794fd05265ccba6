#define _GNU_SOURCE
#include "record/probeprog.h"
#include "record/spanmaps.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <time.h>

#include <cmocka.h>

#include "live_spans.h"

#define NR_CALLS 2000

/* --- pairs -------------------------------------------------------------------------------- */

struct counted {
	const struct live_probe *start, *end;
	uint64_t nr, wrong, last_ns;
};

static void count_record(void *ctx, uint32_t cpu, const struct probe_record *rec)
{
	struct counted *c = ctx;

	(void)cpu;
	if (number_of(c->start, rec, 0) != c->nr || number_of(c->start, rec, 1) != ~c->nr ||
	    number_of(c->end, rec, 0) != (uint64_t)getpid() || duration_of(rec) < 10 ||
	    rec->time_ns - duration_of(rec) < c->last_ns)
		c->wrong++;
	c->last_ns = rec->time_ns;
	c->nr++;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void call_many(void *ctx)
{
	(void)ctx;
	for (long i = 0; i < NR_CALLS; i++)
		call_getppid(i, ~i);
}

static void pairs_are_records(void **state)
{
	(void)state;
	for (size_t way = 0; way < NR_WAYS; way++) {
		struct live_probe *start = NULL, *end = NULL;
		cpu_set_t first = { { 1 } };
		struct live_child child;
		uint64_t began_ns;
		struct counted c;
		struct live l;

		open_getppid(&l, &start, &end);
		live_span_middle(end);
		live_number(end, 8, RET);
		if (!opens(&l, way))
			continue;
		child = live_fork(call_many, NULL);
		/* So that they come in the order in which they were made. */
		sched_setaffinity(child.pid, sizeof(first), &first);
		assert_int_equal(live_follow(&l, child.pid), 0);
		began_ns = now_ns();
		proberings_enable(l.rings, true);
		assert_int_equal(live_join(&child), 0);
		live_detach(&l);
		c = (struct counted){ .start = start, .end = end, .last_ns = began_ns };
		live_take(&l, count_record, &c);
		assert_int_equal(c.nr, NR_CALLS);
		assert_int_equal(c.wrong, 0);
		assert_int_equal(live_lost(&l, 0), 0);
		assert_int_equal(spanmaps_open_starts(l.spanmaps, 0), 0);
		close_all(&l);
	}
}

/* --- both sides -------------------------------------------------------------------------- */

static const char some_text[] = "a text of some length", other_text[] = "another";
static const char *const bad_address = (const char *)16;

static void call_with_texts(void *ctx)
{
	(void)ctx;
	(void)*(const volatile char *)some_text;
	(void)*(const volatile char *)other_text;
	syscall(SYS_getppid, 0, some_text, other_text);
	syscall(SYS_getppid, 0, bad_address, other_text);
	syscall(SYS_getppid, 0, some_text, bad_address);
}

/* The next piece of a record must be this text. */
static void expect_text(const uint8_t **at, int32_t length, const char *text)
{
	static const uint8_t zeros[8];

	if (!text) {
		assert_int_equal(length, -EFAULT);
		return;
	}
	assert_int_equal(length, strlen(text) + 1);
	assert_memory_equal(*at, text, (size_t)length);
	assert_memory_equal(*at + length, zeros, (size_t)(-length & 7));
	*at += ((uint32_t)length + 7) & ~7u;
}

static void expect_frames(const uint8_t **at, const struct probe_record *rec,
			  const struct live_probe *lp)
{
	int32_t kernel = (int32_t)number_at(rec, lp->p.kernel_count_offset, 4);
	int32_t user = (int32_t)number_at(rec, lp->p.user_count_offset, 4);
	const uint64_t *ips = (const void *)*at;
	uint64_t start = (uint64_t)(uintptr_t)syscall;

	assert_in_range(kernel, 2, PROBE_MAX_STACK);
	assert_in_range(user, 1, PROBE_MAX_STACK);
	/* Without frame pointers, what comes behind the first of the user's may be anything. */
	for (int32_t i = 0; i <= kernel; i++)
		assert_int_equal((int64_t)ips[i] < 0, i < kernel);
	assert_in_range(ips[kernel], start, start + 128);
	*at += 8 * (size_t)(kernel + user);
}

static void texts_of_both_sides(void **state)
{
	static const char *const first[] = { some_text, NULL, some_text };
	static const char *const second[] = { other_text, other_text, NULL };

	(void)state;
	for (size_t way = 0; way < NR_WAYS; way++) {
		struct live_probe *start = NULL, *end = NULL;
		struct kept k;
		struct live l;

		prctl(PR_SET_NAME, "named so");
		open_getppid(&l, &start, &end);
		live_field(start, RESULT_STRING, 0, 64, SPACE_USER, LIVE_STEPS(ARG(1)));
		live_field(start, RESULT_COMM, 0, 16, SPACE_ANY, NULL, 0);
		live_field(start, RESULT_STRING, 0, 64, SPACE_USER, LIVE_STEPS(ARG(2)));
		live_span_middle(end);
		live_field(end, RESULT_STRING, 0, 64, SPACE_USER, LIVE_STEPS(ARG(2)));
		live_number(end, 8, RET);
		live_field(end, RESULT_COMM, 0, 16, SPACE_ANY, NULL, 0);
		if (!opens(&l, way))
			continue;
		record_child(&l, call_with_texts, NULL, &k);
		assert_int_equal(k.nr, 3);
		for (size_t i = 0; i < k.nr; i++) {
			const struct probe_record *rec = k.list[i];
			const uint8_t *at = rec->data + end->p.fixed_bytes;

			expect_text(&at, length_of(start, rec, 2), first[i]);
			expect_text(&at, length_of(start, rec, 3), "named so");
			expect_text(&at, length_of(start, rec, 4), second[i]);
			expect_text(&at, length_of(end, rec, 0), second[i]);
			assert_int_equal(number_of(end, rec, 1), getpid());
			expect_text(&at, length_of(end, rec, 2), "named so");
			assert_ptr_equal(at, (const uint8_t *)rec + rec->size_bytes);
		}
		forget_records(&k);
		close_all(&l);
	}
}

static void stacks_of_both_sides(void **state)
{
	(void)state;
	for (size_t way = 0; way < NR_WAYS; way++) {
		for (int sides = 1; sides <= 3; sides++) {
			struct live_probe *start = NULL, *end = NULL;
			struct kept k;
			struct live l;

			open_getppid(&l, &start, &end);
			live_field(start, RESULT_STRING, 0, 64, SPACE_USER, LIVE_STEPS(ARG(1)));
			live_stacks(start, sides & 1, sides & 1);
			live_span_middle(end);
			live_stacks(end, sides & 2, sides & 2);
			if (!opens(&l, way))
				continue;
			record_child(&l, call_with_texts, NULL, &k);
			assert_int_equal(k.nr, 3);
			for (size_t i = 0; i < k.nr; i++) {
				const struct probe_record *rec = k.list[i];
				const uint8_t *at = rec->data + end->p.fixed_bytes;

				expect_text(&at, length_of(start, rec, 2),
					    i == 1 ? NULL : some_text);
				if (sides & 1)
					expect_frames(&at, rec, start);
				if (sides & 2)
					expect_frames(&at, rec, end);
				assert_ptr_equal(at, (const uint8_t *)rec + rec->size_bytes);
			}
			forget_records(&k);
			close_all(&l);
		}
	}
}

/* As much as there may be, and the verifier must not give up. */
static void many_texts(void **state)
{
	(void)state;
	for (size_t way = 0; way < NR_WAYS; way++) {
		struct live_probe *start = NULL, *end = NULL;
		struct kept k;
		struct live l;

		open_getppid(&l, &start, &end);
		while (start->p.nr_fields < LIVE_MAX_FIELDS)
			live_field(start, RESULT_STRING, 0, 1024, SPACE_ANY, LIVE_STEPS(ARG(1)));
		live_stacks(start, true, true);
		live_span_middle(end);
		while (end->p.nr_fields < LIVE_MAX_FIELDS)
			live_field(end, RESULT_STRING, 0, 1024, SPACE_ANY, LIVE_STEPS(ARG(2)));
		live_stacks(end, true, true);
		if (!opens(&l, way))
			continue;
		record_child(&l, call_with_texts, NULL, &k);
		assert_int_equal(k.nr, 3);
		for (size_t i = 0; i < k.nr; i++) {
			const uint8_t *at = k.list[i]->data + end->p.fixed_bytes;

			for (size_t f = 2; f < LIVE_MAX_FIELDS; f++)
				expect_text(&at, length_of(start, k.list[i], f),
					    i == 1 ? NULL : some_text);
			expect_frames(&at, k.list[i], start);
			for (size_t f = 0; f < LIVE_MAX_FIELDS; f++)
				expect_text(&at, length_of(end, k.list[i], f),
					    i == 2 ? NULL : other_text);
			expect_frames(&at, k.list[i], end);
		}
		forget_records(&k);
		close_all(&l);
	}
}

/* What waits is not freed by mistake: the last calls find their starts, too. */
static void filters_of_both_sides(void **state)
{
	(void)state;
	for (size_t way = 0; way < NR_WAYS; way++) {
		struct live_probe *start = NULL, *end = NULL;
		struct kept k;
		struct live l;

		open_getppid(&l, &start, &end);
		expr_free(filters[--nr_filters]);
		set_filter(start, IS_GETPPID " && arg1 != 4");
		live_span_middle(end);
		live_number(end, 8, { .op = FETCH_START, .size = 8, .value = 16 },
			    { .op = FETCH_ADD, .value = 1 });
		live_number(end, 8, { .op = FETCH_DURATION });
		live_number(end, 8, { .op = FETCH_CONSTANT, .value = 1 }, { .op = FETCH_AGE });
		live_number(end, 8, { .op = FETCH_CONSTANT, .value = 0 }, { .op = FETCH_AGE });
		set_filter(end, "ret > 0 && start1 % 2 == 0 && start2 < 108 && duration > 0");
		if (!opens(&l, way))
			continue;
		record_child(&l, call_few, NULL, &k);
		/* 0, 2 and 6. */
		assert_int_equal(k.nr, 3);
		for (size_t i = 0; i < k.nr; i++) {
			const struct probe_record *rec = k.list[i];

			assert_int_equal(number_of(start, rec, 0), i < 2 ? 2 * i : 6);
			assert_int_equal(number_of(end, rec, 0), 101 + (i < 2 ? 2 * i : 6));
			assert_int_equal(number_of(end, rec, 1), duration_of(rec));
			assert_true(number_of(end, rec, 2) + 1 >= rec->time_ns);
			assert_int_equal(number_of(end, rec, 3), 0);
		}
		assert_int_equal(counts_of(&l, 0).replaced, 0);
		assert_int_equal(spanmaps_open_starts(l.spanmaps, 0), 0);
		forget_records(&k);
		close_all(&l);
	}
}

/* --- durations ---------------------------------------------------------------------------- */

#define LIMIT_NS 3000000

static void take_long_and_short(void *ctx)
{
	const struct timespec nap = { 0, 2 * LIMIT_NS };

	(void)ctx;
	for (long i = 0; i < 20; i++) {
		start_key(i);
		if (i % 4 == 0)
			nanosleep(&nap, NULL);
		end_key(i);
	}
}

static void short_and_long_are_dropped(void **state)
{
	(void)state;
	for (int most = 0; most < 2; most++) {
		struct live_probe *start = NULL, *end = NULL;
		size_t nr_long = 0;
		struct kept k;
		struct live l;

		open_keyed(&l, &start, &end);
		live_span_middle(end);
		end->p.span->min_ns = most ? 0 : LIMIT_NS;
		end->p.span->max_ns = most ? LIMIT_NS : 0;
		skip_if_impossible(&l, live_open(&l, RINGS_AUTO));
		record_child(&l, take_long_and_short, NULL, &k);
		for (size_t i = 0; i < k.nr; i++) {
			uint64_t key = number_of(start, k.list[i], 0);

			nr_long += key % 4 == 0;
			assert_int_equal(duration_of(k.list[i]) >= LIMIT_NS, !most);
		}
		assert_int_equal(nr_long, most ? 0 : 5);
		assert_int_equal(spanmaps_open_starts(l.spanmaps, 0), 0);
		forget_records(&k);
		close_all(&l);
	}
}

/* A start of the future: as if the clock had jumped. */
static void backwards_is_no_duration(void **state)
{
	struct live_probe *start = NULL, *end = NULL;
	struct spanmaps_start *future;
	struct spanmaps_table table;
	struct live_child child;
	struct kept k = { .nr = 0 };
	struct live l;
	uint64_t key;

	(void)state;
	open_getppid(&l, &start, &end);
	live_span_middle(end);
	skip_if_impossible(&l, live_open(&l, RINGS_AUTO));
	spanmaps_table(l.spanmaps, 0, &table);
	future = calloc(1, table.value_bytes);
	assert_non_null(future);
	child = live_fork(call_few, NULL);
	key = (uint64_t)child.pid;
	future->task = key << 32 | key;
	future->time_ns = INT64_MAX;
	assert_int_equal(bpf_map_update_elem(table.fd, &key, future, BPF_ANY), 0);
	free(future);
	assert_int_equal(live_follow(&l, child.pid), 0);
	proberings_enable(l.rings, true);
	assert_int_equal(live_join(&child), 0);
	live_detach(&l);
	live_take(&l, keep_record, &k);
	assert_int_equal(k.nr, 10);
	assert_int_equal(counts_of(&l, 0).backwards, 1);
	assert_int_equal(counts_of(&l, 0).replaced, 0);
	forget_records(&k);
	close_all(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs_are_records),
		cmocka_unit_test(texts_of_both_sides),
		cmocka_unit_test(stacks_of_both_sides),
		cmocka_unit_test(many_texts),
		cmocka_unit_test(filters_of_both_sides),
		cmocka_unit_test(short_and_long_are_dropped),
		cmocka_unit_test(backwards_is_no_duration),
	};

	return cmocka_run_group_tests_name("record/probeprog span", tests, NULL, NULL);
}
