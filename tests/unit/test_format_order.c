#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/memory_trace.h"

#define NR 5000

static const struct field_desc fields[] = {
	{ "time", FIELD_UNSIGNED, ROLE_TIME, HINT_DECIMAL, CLASS_NONE, "ns", NULL },
	{ "number", FIELD_UNSIGNED, ROLE_NONE, HINT_DECIMAL, CLASS_NONE, "", NULL },
	{ "cpu", FIELD_UNSIGNED, ROLE_CPU, HINT_DECIMAL, CLASS_NONE, "", NULL },
};
static const struct event_desc with_cpu = { .name = "with", .nr_fields = 3, .fields = fields };
static const struct event_desc without_cpu = {
	.name = "without", .nr_fields = 2, .fields = fields,
};

static uint64_t seed = 88172645463325252u;

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

struct record {
	uint64_t time, cpu;
};

/* The ways in which records come. */
static struct record make_record(unsigned int way, uint64_t i)
{
	switch (way) {
	case 0:		/* one CPU */
		return (struct record){ 1000 + i * 3, 5 };
	case 1:		/* rings of two CPUs, drained one after the other */
		return (struct record){ i / 1000 * 500 + i % 500, i / 500 % 2 };
	case 2:		/* the same, CPU 1 first */
		return (struct record){ i / 1000 * 500 + i % 500, 1 - i / 500 % 2 };
	case 3:		/* what a drain brings begins before the end of the one before */
		return (struct record){ i / 1000 * 300 + i % 500, i / 500 % 2 };
	case 4:		/* one ring of many CPUs */
		return (struct record){ i, i % 64 };
	case 5:		/* the same, not quite in order */
		return (struct record){ i + next_random() % 100, i % 64 };
	case 6:		/* all at one time */
		return (struct record){ 7, next_random() % 3 };
	case 7:		/* backwards */
		return (struct record){ NR - i, NR - i };
	case 8:		/* CPUs of large numbers */
		return (struct record){ i, 1000 + next_random() % 50 };
	default:	/* anything */
		return (struct record){ next_random(), UINT64_MAX - next_random() % 5 };
	}
}

#define WAYS 10

static void check_batch(struct trace_batch *b, const struct record *in, bool has_cpu)
{
	const uint64_t *time = trace_column(b, 0), *number = trace_column(b, 1);
	const uint64_t *cpu = has_cpu ? trace_column(b, 2) : NULL;
	uint64_t first_ns = UINT64_MAX, last_ns = 0;
	bool seen[NR] = { false };

	assert_int_equal(b->nr, NR);
	for (size_t i = 0; i < NR; i++) {
		assert_true(number[i] < NR && !seen[number[i]]);
		seen[number[i]] = true;
		assert_int_equal(time[i], in[number[i]].time);
		first_ns = time[i] < first_ns ? time[i] : first_ns;
		last_ns = time[i] > last_ns ? time[i] : last_ns;
		if (cpu)
			assert_int_equal(cpu[i], in[number[i]].cpu);
		if (!i)
			continue;
		if (cpu && cpu[i] != cpu[i - 1]) {
			assert_true(cpu[i] > cpu[i - 1]);
			continue;
		}
		/* What is equal stays as it came. */
		assert_true(time[i] > time[i - 1] ||
			    (time[i] == time[i - 1] && number[i] > number[i - 1]));
	}
	assert_int_equal(b->first_ns, first_ns);
	assert_int_equal(b->last_ns, last_ns);
}

static void check_way(unsigned int way, bool has_cpu)
{
	struct record in[NR];
	struct bytebuf bytes;
	const struct writer_output output = { memory_put, &bytes };
	struct memory m = { .step = 0 };
	struct trace_batch b;
	struct writer *w;
	struct trace *t;
	struct diag d;
	uint32_t event;

	bytebuf_init(&bytes);
	assert_int_equal(writer_open(&w, &output, 77, 1), 0);
	event = writer_event(w, has_cpu ? &with_cpu : &without_cpu);
	for (uint64_t i = 0; i < NR; i++) {
		in[i] = make_record(way, i);
		writer_record(w, event, (const uint64_t[]){ in[i].time, i, in[i].cpu });
	}
	assert_int_equal(writer_close(w), 0);
	m.data = bytes.data;
	m.len = bytes.len;
	assert_int_equal(memory_open(&t, &m, &d), 0);
	assert_int_equal(trace_next(t, NULL, &b, &d), 1);
	check_batch(&b, in, has_cpu);
	assert_int_equal(trace_next(t, NULL, &b, &d), 0);
	trace_close(t);
	bytebuf_release(&bytes);
}

static void test_order_by_cpu_and_time(void **state)
{
	(void)state;
	for (unsigned int way = 0; way < WAYS; way++)
		check_way(way, true);
}

static void test_order_by_time_alone(void **state)
{
	(void)state;
	for (unsigned int way = 0; way < WAYS; way++)
		check_way(way, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_by_cpu_and_time),
		cmocka_unit_test(test_order_by_time_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
