#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/memory_trace.h"

static const struct field_desc fields[] = {
	{ "time", FIELD_UNSIGNED, ROLE_TIME, HINT_DECIMAL, CLASS_NONE, "ns", NULL },
	{ "stack", FIELD_STACK, ROLE_STACK, HINT_DECIMAL, CLASS_NONE, "", NULL },
	{ "caller", FIELD_FRAME, ROLE_NONE, HINT_DECIMAL, CLASS_NONE, "", NULL },
	{ "op", FIELD_FRAME, ROLE_NONE, HINT_DECIMAL, CLASS_NONE, "", NULL },
};
static const struct event_desc desc = { .name = "probe", .nr_fields = 4, .fields = fields };

#define PER_FLUSH 1000
#define FLUSHES 3
#define NR_PLACES 150

static uint64_t place(uint64_t i, uint64_t round)
{
	return 0x1000 + (i * i + round) % NR_PLACES * 16;
}

static void write_frames(struct bytebuf *to)
{
	const struct writer_output output = { memory_put, to };
	struct writer *w;
	uint32_t event, unused;

	bytebuf_init(to);
	assert_int_equal(writer_open(&w, &output, 77, 3), 0);
	event = writer_event(w, &desc);
	/* Nobody's frame, and ids that are none. */
	unused = writer_frame(w, 2, 5);
	assert_int_equal(unused, 1);
	for (uint64_t round = 0; round < FLUSHES; round++) {
		for (uint64_t i = 0; i < PER_FLUSH; i++) {
			const uint64_t values[] = {
				round * PER_FLUSH + i,
				writer_stack(w, 0, writer_frame(w, 1, place(i, 0))),
				writer_frame(w, 1, place(i + 1, round)),
				i % 3 ? 0 : i % 2 ? writer_frame(w, 0, FRAME_UNKNOWN) : UINT64_MAX,
			};

			writer_record(w, event, values);
		}
		assert_int_equal(writer_flush(w, (round + 1) * PER_FLUSH), 0);
	}
	assert_int_equal(writer_close(w), 0);
}

static uint64_t offset_of(const struct trace *t, uint64_t frame)
{
	const struct trace_frame *f = trace_frame(t, (uint32_t)frame);

	assert_non_null(f);
	assert_int_equal(f->module, 1);
	return f->offset;
}

static void check_frames(struct trace *t)
{
	struct trace_batch b;
	uint64_t round = 0;

	while (trace_next(t, NULL, &b, NULL) > 0) {
		const uint64_t *stack = trace_column(&b, 1), *caller = trace_column(&b, 2);
		const uint64_t *op = trace_column(&b, 3);

		assert_int_equal(b.nr, PER_FLUSH);
		for (uint64_t i = 0; i < b.nr; i++) {
			const struct trace_stack *s = trace_stack(t, (uint32_t)stack[i]);

			assert_non_null(s);
			assert_int_equal(offset_of(t, s->frame), place(i, 0));
			assert_int_equal(offset_of(t, caller[i]), place(i + 1, round));
			if (i % 3 || i % 2 == 0)
				assert_int_equal(op[i], 0);
			else
				assert_int_equal(trace_frame(t, (uint32_t)op[i])->module, 0);
		}
		round++;
	}
	assert_int_equal(round, FLUSHES);
	/* The unused one, the unknown one, and each place once. */
	assert_true(trace_nr_frames(t) - 1 <= NR_PLACES + 2);
}

static void test_frames_in_records(void **state)
{
	struct bytebuf b;
	struct memory m;
	struct trace *t;
	struct diag d;

	(void)state;
	write_frames(&b);
	for (int stream = 0; stream < 2; stream++) {
		m = (struct memory){ .data = b.data, .len = b.len, .stream = stream,
				     .step = stream ? 100 : 0 };
		assert_int_equal(memory_open(&t, &m, &d), 0);
		check_frames(t);
		trace_close(t);
	}
	bytebuf_release(&b);
}

static void test_user_ids(void **state)
{
	const uint32_t uids[] = { 0, 1000, TASK_UID_UNKNOWN };
	struct bytebuf b;
	const struct writer_output output = { memory_put, &b };
	struct memory m = { .step = 0 };
	struct writer *w;
	struct trace *t;
	struct diag d;

	(void)state;
	bytebuf_init(&b);
	assert_int_equal(writer_open(&w, &output, 77, 3), 0);
	for (uint32_t i = 0; i < 3; i++)
		writer_task(w, &(struct writer_task){ .id = i + 1, .uid = uids[i] });
	assert_int_equal(writer_close(w), 0);
	m.data = b.data;
	m.len = b.len;
	assert_int_equal(memory_open(&t, &m, &d), 0);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(trace_task(t, i + 1)->uid, uids[i]);
	trace_close(t);
	bytebuf_release(&b);
}

/* That file was written before tasks had one. */
static void test_files_without_user_ids(void **state)
{
	struct trace *t;
	struct diag d;

	(void)state;
	assert_int_equal(trace_open(&t, "tests/golden/first.kymo", &d), 0);
	assert_non_null(trace_task(t, 1));
	for (uint32_t i = 1; i < trace_nr_tasks(t); i++)
		if (trace_task(t, i))
			assert_int_equal(trace_task(t, i)->uid, TASK_UID_UNKNOWN);
	trace_close(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames_in_records),
		cmocka_unit_test(test_user_ids),
		cmocka_unit_test(test_files_without_user_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
