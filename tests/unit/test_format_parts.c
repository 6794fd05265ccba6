/*
 * Events that are parts of others, as the file describes them, well and badly.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/memory_trace.h"

#define NUMBER(name, role) \
	{ name, FIELD_UNSIGNED, role, HINT_DECIMAL, CLASS_NONE, "ns", NULL }

static const struct field_desc whole_fields[] = {
	NUMBER("time", ROLE_TIME), NUMBER("took", ROLE_DURATION), NUMBER("waited", ROLE_RUNNABLE),
	{ "who", FIELD_TASK, ROLE_TASK, HINT_DECIMAL, CLASS_NONE, "", NULL },
	{ "text", FIELD_BYTES, ROLE_NONE, HINT_DECIMAL, CLASS_USER, "", NULL },
	NUMBER("time-took", ROLE_NONE),
	{ "change", FIELD_SIGNED, ROLE_NONE, HINT_DECIMAL, CLASS_NONE, "", NULL },
};
static const struct event_desc whole = { .name = "whole", .nr_fields = 7, .fields = whole_fields };

static const struct field_desc part_fields[] = {
	NUMBER("time", ROLE_TIME), NUMBER("rest", ROLE_DURATION),
	{ "of", FIELD_TASK, ROLE_TASK, HINT_DECIMAL, CLASS_NONE, "", NULL },
	{ "note", FIELD_BYTES, ROLE_NONE, HINT_DECIMAL, CLASS_USER, "", NULL },
};

static struct event_desc part_desc(const char *const *from, const char *condition)
{
	return (struct event_desc){
		.name = "part", .nr_fields = 4, .fields = part_fields, .part_of = "whole",
		.part_if = condition, .part_from = from,
	};
}

/* The writer takes every text; so a file can say anything. */
static struct trace *write_and_open(struct bytebuf *b, struct memory *m,
				    const struct event_desc *events, size_t nr)
{
	const struct writer_output out = { memory_put, b };
	struct diag d = { "" };
	struct writer *w;
	struct trace *t;

	bytebuf_init(b);
	assert_int_equal(writer_open(&w, &out, 1, 1), 0);
	for (size_t i = 0; i < nr; i++) {
		assert_int_equal(writer_event(w, &events[i]), i + 1);
		/* Each in a block of its own. */
		assert_int_equal(writer_flush(w, 0), 0);
	}
	assert_int_equal(writer_close(w), 0);
	*m = (struct memory){ .data = b->data, .len = b->len };
	assert_int_equal(memory_open(&t, m, &d), 0);
	return t;
}

static uint64_t damaged_blocks(const struct trace *t)
{
	struct trace_health h;

	trace_get_health(t, &h);
	return h.damaged_blocks;
}

static void test_good(void **state)
{
	static const char *const from[] = { "time-took", "took-waited", "who", "text" };
	const struct event_desc events[] = { whole, part_desc(from, "took-waited") };
	struct trace_part_source source;
	const struct trace_event *e;
	struct memory m;
	struct bytebuf b;
	struct trace *t = write_and_open(&b, &m, events, 2);

	(void)state;
	assert_int_equal(damaged_blocks(t), 0);
	e = trace_event_by_id(t, 2);
	assert_non_null(e);
	assert_int_equal(e->part_of, 1);
	assert_string_equal(e->part_if, "took-waited");
	assert_string_equal(e->part_from[1], "took-waited");
	assert_ptr_equal(trace_part_whole(t, e), trace_event_by_id(t, 1));
	assert_null(trace_part_whole(t, trace_event_by_id(t, 1)));
	/* A name of a field that looks like a difference is a name. */
	assert_int_equal(trace_part_source(trace_event_by_id(t, 1), from[0], FIELD_UNSIGNED,
					   &source), 0);
	assert_int_equal(source.field, 5);
	assert_int_equal(source.minus, TRACE_PART_PLAIN);
	assert_int_equal(trace_part_source(trace_event_by_id(t, 1), from[1], FIELD_UNSIGNED,
					   &source), 0);
	assert_int_equal(source.field, 1);
	assert_int_equal(source.minus, 2);
	trace_close(t);
	bytebuf_release(&b);
}

/* Without parts there is no column that speaks of them. */
static void test_no_columns(void **state)
{
	struct bytebuf with, without;
	const struct event_desc same = {
		.name = "whole", .nr_fields = 7, .fields = whole_fields,
		.part_if = "took", .part_from = (const char *const[]){ "a", "b" },
	};
	struct memory m;

	(void)state;
	trace_close(write_and_open(&without, &m, &whole, 1));
	trace_close(write_and_open(&with, &m, &same, 1));
	assert_int_equal(with.len, without.len);
	assert_memory_equal(with.data, without.data, with.len);
	bytebuf_release(&with);
	bytebuf_release(&without);
}

static void test_bad(void **state)
{
	static const struct {
		const char *from[4], *condition;
	} rows[] = {
		{ { "time", "took", "who", "took" }, NULL },		/* a number as text */
		{ { "time", "took", "took", "text" }, NULL },		/* a number as a task */
		{ { "time", "who", "who", "text" }, NULL },		/* and the other way */
		{ { "time", "text", "who", "text" }, NULL },
		{ { "time", "change", "who", "text" }, NULL },
		{ { "time", "took-change", "who", "text" }, NULL },
		{ { "time", "took-who", "who", "text" }, NULL },
		{ { "time", "took", "who-took", "text" }, NULL },
		{ { "time", "nothing", "who", "text" }, NULL },
		{ { "time", "took-nothing", "who", "text" }, NULL },
		{ { "time", "took-waited-waited", "who", "text" }, NULL },
		{ { "time", "-took", "who", "text" }, NULL },
		{ { "time", "took-", "who", "text" }, NULL },
		{ { "time", "-", "who", "text" }, NULL },
		{ { "time", "", "who", "text" }, NULL },
		{ { "time", "took", "who", "text" }, "nothing" },
		{ { "time", "took", "who", "text" }, "text" },
		{ { "time", "took", "who", "text" }, "took-" },
		{ { "time", "took", "who", "text" }, "took-who" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct event_desc events[] = {
			whole, part_desc(rows[i].from, rows[i].condition),
		};
		struct memory m;
		struct bytebuf b;
		struct trace *t = write_and_open(&b, &m, events, 2);

		assert_int_equal(damaged_blocks(t), 1);
		assert_int_equal(trace_nr_events(t), 1);
		assert_null(trace_event_by_id(t, 2));
		trace_close(t);
		bytebuf_release(&b);
	}
}

static void test_part_of_part(void **state)
{
	static const char *const from[] = { "time", "took", "who", "text" };
	static const char *const again[] = { "time", "rest", "of", "note" };
	struct event_desc events[] = { whole, part_desc(from, NULL), part_desc(again, NULL) };
	struct memory m;
	struct bytebuf b;
	struct trace *t;

	(void)state;
	events[2].name = "second";
	events[2].part_of = "part";
	t = write_and_open(&b, &m, events, 3);
	assert_int_equal(damaged_blocks(t), 1);
	assert_int_equal(trace_nr_events(t), 2);
	trace_close(t);
	bytebuf_release(&b);
}

static void test_writer(void **state)
{
	static const char *const from[] = { "time", "took", "who", "text" };
	const struct event_desc desc = part_desc(from, NULL);
	struct writer_output out = { memory_put, NULL };
	struct bytebuf b;
	struct writer *w;

	(void)state;
	bytebuf_init(&b);
	out.ctx = &b;
	assert_int_equal(writer_open(&w, &out, 1, 1), 0);
	assert_int_equal(writer_event(w, &desc), 0);	/* there is no whole */
	assert_int_equal(writer_close(w), -EINVAL);
	bytebuf_release(&b);
}

/* A part's own blocks are damage: it has none. */
static void test_records(void **state)
{
	static const char *const from[] = { "time", "took", "who", "text" };
	const struct event_desc desc = part_desc(from, NULL);
	struct writer_output out = { memory_put, NULL };
	struct trace_batch batch;
	struct diag d = { "" };
	struct bytebuf b;
	struct memory m;
	struct writer *w;
	struct trace *t;

	(void)state;
	bytebuf_init(&b);
	out.ctx = &b;
	assert_int_equal(writer_open(&w, &out, 1, 1), 0);
	writer_event(w, &whole);
	writer_record(w, writer_event(w, &desc), (const uint64_t[4]){ 1, 2, 3, 0 });
	assert_int_equal(writer_close(w), 0);
	for (int stream = 0; stream < 2; stream++) {
		m = (struct memory){ .data = b.data, .len = b.len, .stream = stream };
		assert_int_equal(memory_open(&t, &m, &d), 0);
		assert_int_equal(trace_next(t, NULL, &batch, &d), 0);
		assert_int_equal(damaged_blocks(t), 1);
		trace_close(t);
	}
	bytebuf_release(&b);
}

/* Made in memory, by the same rules. */
static void test_added(void **state)
{
	static const char *const good[] = { "time-took", "took-waited", "who", "text" };
	static const char *const bad[] = { "time-took", "took-who", "who", "text" };
	const struct event_desc good_desc = part_desc(good, "waited");
	const struct event_desc bad_desc = part_desc(bad, "waited");
	const struct trace_event *e;
	struct event_desc lost = good_desc;
	struct memory m;
	struct bytebuf b;
	struct trace *t = write_and_open(&b, &m, &whole, 1);

	(void)state;
	lost.part_of = "nowhere";
	assert_int_equal(trace_add_event(t, &bad_desc, &e), -EINVAL);
	assert_int_equal(trace_add_event(t, &lost, &e), -EINVAL);
	assert_int_equal(trace_nr_events(t), 1);
	assert_int_equal(trace_add_event(t, &good_desc, &e), 0);
	assert_int_equal(e->part_of, 1);
	assert_string_equal(e->part_if, "waited");
	assert_string_equal(e->part_from[0], "time-took");
	trace_close(t);
	bytebuf_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_no_columns),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_part_of_part),
		cmocka_unit_test(test_writer),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_added),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
