/*
 * What is measured of spans at the edge of a time range, on the golden trace with parts.
 */
#include "report/measure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define FROM_NS UINT64_C(7100000000)

struct sums {
	enum measure_default usual;
	const char *of;
	uint64_t rows, cut, whole_ns, measured_ns;
};

static int add_batch(void *ctx, struct query_batch *b)
{
	struct sums *s = ctx;
	struct measure_scratch *scratch;
	struct measure_rows rows;
	struct measure m;
	const uint64_t *times, *durations;
	struct diag d = { "" };

	assert_int_equal(measure_init(&m, b->event, s->of, s->usual, &d), 0);
	assert_int_equal(measure_scratch_new(&scratch), 0);
	assert_int_equal(measure_rows(&m, b, scratch, &rows), 0);
	times = trace_column(b->batch, (uint32_t)b->event->by_role[ROLE_TIME]);
	durations = trace_column(b->batch, (uint32_t)m.field);
	for (size_t i = 0; i < b->nr; i++) {
		size_t row = b->rows ? b->rows[i] : i;
		uint64_t inside_ns = times[row] - FROM_NS, value = rows.values[row];

		assert_true(times[row] >= FROM_NS);
		assert_int_equal(rows.whole ? rows.whole[row] : value, durations[row]);
		if (m.is_cut)
			assert_int_equal(value, durations[row] < inside_ns ? durations[row] :
					 inside_ns);
		s->rows++;
		s->cut += value < durations[row];
		s->whole_ns += durations[row];
		s->measured_ns += value;
	}
	measure_scratch_free(scratch);
	return 0;
}

static struct query_quality sum_up(struct sums *s, const char *event)
{
	const struct query_opts opts = {
		.input = "tests/golden/parts.kymo", .time = "7.1,7.3", .events = event,
	};
	struct query_quality quality;
	struct diag d = { "" };
	struct query *q;

	assert_int_equal(query_open(&q, &opts, &d), 0);
	/* Going through it again counts anew. */
	for (int i = 0; i < 2; i++) {
		s->rows = s->cut = s->whole_ns = s->measured_ns = 0;
		assert_int_equal(query_each_batch(q, add_batch, s, &d), 0);
	}
	query_get_quality(q, &quality);
	query_close(q);
	return quality;
}

static void test_sums(void **state)
{
	static const char *const events[] = { "offcpu", "blocked", "oncpu", "sched" };
	static const char *const of[] = { NULL, "duration" };

	(void)state;
	for (size_t i = 0; i < 8; i++) {
		struct sums s = { .usual = MEASURE_WEIGHT_FIRST, .of = of[i % 2] };
		struct query_quality quality = sum_up(&s, events[i / 2]);

		assert_true(s.rows > 0);
		assert_int_equal(quality.cut_spans, s.cut);
		assert_int_equal(quality.cut_ns, s.whole_ns - s.measured_ns);
		if (i / 2 != 2)
			assert_true(s.cut > 0);
	}
}

static void test_whole(void **state)
{
	static const struct {
		const char *event, *of;
		enum measure_default usual;
	} rows[] = {
		{ "offcpu", NULL, MEASURE_DURATION_FIRST },
		{ "sched", "runq", MEASURE_WEIGHT_FIRST },
		{ "sched", "oncpu", MEASURE_WEIGHT_FIRST },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sums s = { .usual = rows[i].usual, .of = rows[i].of };
		struct query_quality quality = sum_up(&s, rows[i].event);

		assert_true(s.rows > 0);
		assert_int_equal(s.cut, 0);
		assert_int_equal(s.whole_ns, s.measured_ns);
		assert_int_equal(quality.cut_spans, 0);
		assert_int_equal(quality.cut_ns, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
