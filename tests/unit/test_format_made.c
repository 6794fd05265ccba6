/*
 * Events and batches that are made of others: what a trace says of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/memory_trace.h"

static const struct field_desc fields[] = {
	{ "time", FIELD_UNSIGNED, ROLE_TIME, HINT_DECIMAL, CLASS_NONE, "ns", NULL },
	{ "took", FIELD_UNSIGNED, ROLE_DURATION, HINT_DECIMAL, CLASS_NONE, "ns", NULL },
	{ "text", FIELD_BYTES, ROLE_NONE, HINT_DECIMAL, CLASS_USER, "", NULL },
	{ "flags", FIELD_UNSIGNED, ROLE_NONE, HINT_HEX, CLASS_NONE, "", "|1=A 2=B" },
};

static const struct event_desc event = { .name = "made", .nr_fields = 4, .fields = fields };

static void write_trace(struct bytebuf *b, uint32_t nr_events)
{
	static const struct event_desc plain = { .name = "plain", .nr_fields = 1, .fields = fields };
	const struct writer_output out = { memory_put, b };
	struct writer *w;

	bytebuf_init(b);
	assert_int_equal(writer_open(&w, &out, 1, 1), 0);
	for (uint32_t i = 0; i < nr_events; i++) {
		uint32_t id = writer_event(w, &plain);

		writer_record(w, id, &(const uint64_t){ 100 + i });
	}
	assert_int_equal(writer_close(w), 0);
}

static void check_event(struct trace *t, uint32_t nr_before)
{
	const struct trace_event *e;

	assert_int_equal(trace_add_event(t, &event, &e), 0);
	assert_int_equal(trace_nr_events(t), nr_before + 1);
	assert_ptr_equal(trace_event_at(t, nr_before), e);
	assert_ptr_equal(trace_event_by_id(t, e->id), e);
	assert_string_equal(e->name, "made");
	assert_int_equal(e->by_role[ROLE_DURATION], 1);
	assert_int_equal(e->by_role[ROLE_STACK], -1);
	assert_string_equal(e->fields[3].values, "|1=A 2=B");
	assert_ptr_not_equal(e->fields[3].name, fields[3].name);
	assert_null(e->fields[2].values);
}

static void test_event(void **state)
{
	struct diag d = { "" };
	struct bytebuf b;
	struct memory m;
	struct trace *t;

	(void)state;
	for (uint32_t nr = 0; nr < 3; nr++) {
		write_trace(&b, nr);
		m = (struct memory){ .data = b.data, .len = b.len };
		assert_int_equal(memory_open(&t, &m, &d), 0);
		check_event(t, nr);
		check_event(t, nr + 1);
		trace_close(t);
		bytebuf_release(&b);
	}
}

/* Events of a pipe that come later keep their ids, and their records are theirs. */
static void test_event_of_stream(void **state)
{
	const struct trace_event *e;
	struct trace_batch batch;
	struct diag d = { "" };
	uint64_t records = 0;
	struct bytebuf b;
	struct memory m;
	struct trace *t;

	(void)state;
	write_trace(&b, 3);
	m = (struct memory){ .data = b.data, .len = b.len, .stream = true };
	assert_int_equal(memory_open(&t, &m, &d), 0);
	assert_int_equal(trace_add_event(t, &event, &e), 0);
	while (trace_next(t, NULL, &batch, &d) > 0) {
		assert_string_equal(batch.event->name, "plain");
		records += batch.nr;
	}
	assert_int_equal(records, 3);
	assert_int_equal(trace_nr_events(t), 4);
	assert_ptr_equal(trace_event_by_id(t, e->id), e);
	trace_close(t);
	bytebuf_release(&b);
}

static void test_batch(void **state)
{
	static const uint64_t times[] = { 5, 6 }, took[] = { 1, 2 }, flags[] = { 3, 0 };
	static const uint32_t lens[] = { 2, 1 };
	static const uint8_t text[] = "abc";
	const uint64_t *const columns[] = { times, took, NULL, flags };
	const struct trace_bytes texts[] = { { 0 }, { 0 }, { lens, text }, { 0 } };
	struct trace_batch batch;
	struct diag d = { "" };
	const uint32_t *got_lens;
	const uint8_t *got_text;
	struct trace_health h;
	struct bytebuf b;
	struct memory m;
	struct trace *t;
	uint64_t value;

	(void)state;
	write_trace(&b, 1);
	m = (struct memory){ .data = b.data, .len = b.len };
	assert_int_equal(memory_open(&t, &m, &d), 0);
	batch = (struct trace_batch){ .nr = 2, .trace = t, .columns = columns, .texts = texts };
	assert_int_equal(trace_add_event(t, &event, &batch.event), 0);
	assert_ptr_equal(trace_column(&batch, 0), times);
	assert_ptr_equal(trace_column(&batch, 3), flags);
	assert_null(trace_column(&batch, 2));
	assert_null(trace_column(&batch, 4));
	assert_false(trace_column_constant(&batch, 1, &value));
	assert_int_equal(trace_column_bytes(&batch, 2, &got_lens, &got_text), 0);
	assert_ptr_equal(got_lens, lens);
	assert_ptr_equal(got_text, text);
	assert_int_equal(trace_column_bytes(&batch, 1, &got_lens, &got_text), -EINVAL);
	trace_damaged(&batch);
	trace_get_health(t, &h);
	assert_int_equal(h.damaged_blocks, 0);
	trace_close(t);
	bytebuf_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_event),
		cmocka_unit_test(test_event_of_stream),
		cmocka_unit_test(test_batch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
