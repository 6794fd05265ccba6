#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "format/block.h"
#include "tests/unit/memory_trace.h"

static const struct field_desc sample_fields[] = {
	{ "time", FIELD_UNSIGNED, ROLE_TIME, HINT_DECIMAL, CLASS_NONE, "ns", NULL },
	{ "cpu", FIELD_UNSIGNED, ROLE_CPU, HINT_DECIMAL, CLASS_NONE, "", NULL },
	{ "stack", FIELD_STACK, ROLE_STACK, HINT_DECIMAL, CLASS_NONE, "", NULL },
	{ "delta", FIELD_SIGNED, ROLE_NONE, HINT_DECIMAL, CLASS_NONE, "", NULL },
};
static const struct event_desc sample_desc = {
	.name = "sample", .nr_fields = 4, .fields = sample_fields,
};

static const struct field_desc note_fields[] = {
	{ "time", FIELD_UNSIGNED, ROLE_TIME, HINT_DECIMAL, CLASS_NONE, "ns", NULL },
	{ "text", FIELD_BYTES, ROLE_NONE, HINT_DECIMAL, CLASS_USER, "", NULL },
	{ "kind", FIELD_UNSIGNED, ROLE_NONE, HINT_DECIMAL, CLASS_NONE, "", "=7=SEVEN 8=EIGHT" },
};
static const struct event_desc note_desc = {
	.name = "note", .nr_fields = 3, .fields = note_fields, .format = "format: %s",
};

static struct writer *open_writer(struct bytebuf *to)
{
	const struct writer_output output = { memory_put, to };
	struct writer *w;

	bytebuf_init(to);
	assert_int_equal(writer_open(&w, &output, 77, 3), 0);
	return w;
}

static void put_sample(struct writer *w, uint32_t event, uint64_t time, uint64_t cpu,
		       uint64_t stack, int64_t delta)
{
	const uint64_t values[] = { time, cpu, stack, (uint64_t)delta };

	writer_record(w, event, values);
}

/* A file of everything: two events, all dictionaries, several flushes. */
static void write_all(struct bytebuf *to)
{
	struct writer *w = open_writer(to);
	uint32_t sample = writer_event(w, &sample_desc), note = writer_event(w, &note_desc);
	uint32_t name = writer_string(w, CLASS_SYMBOL, "main", 4);
	uint32_t comm = writer_string(w, CLASS_COMMAND, "a\0b", 3), stack = 0;
	const struct writer_module m = { .id = 1, .kind = MODULE_ELF, .bias = 4096,
					 .path = writer_string(w, CLASS_PATH, "/bin/x", 6) };
	const struct writer_task task = { .id = 1, .time_ns = 5, .pid = 10, .tid = 11,
					  .comm = comm, .flags = TASK_AT_START };
	const struct writer_mapping map = { .time_ns = 3, .start = 0x1000, .size_bytes = 0x2000,
					    .pid = 10, .module = 1, .prot = 5 };
	const struct writer_loss loss = { 1, 2, 3, 0, sample, LOSS_RING };
	const struct writer_cost cost = { 1000, 20, 30 };

	assert_int_equal(sample, 1);
	assert_int_equal(note, 2);
	writer_host(w, "hostname", CLASS_HOST, "here");
	writer_clock(w, 1, 2, 3);
	writer_module(w, &m);
	writer_task(w, &task);
	writer_mapping(w, &map);
	writer_symbol(w, 1, 0x100, 0x50, name);
	for (uint64_t second = 0; second < 3; second++) {
		stack = writer_stack(w, stack, writer_frame(w, 1, 0x100 + second));
		for (uint64_t i = 0; i < 100; i++) {
			put_sample(w, sample, second * 1000 + i * 10, i % 3, stack, -(int64_t)i);
			if (i % 10 == 0) {
				const uint64_t values[] = {
					second * 1000 + i * 10,
					writer_string(w, CLASS_USER, "query 12", 7 + i % 2),
					7,
				};

				writer_record(w, note, values);
			}
		}
		writer_loss(w, &loss);
		writer_cost(w, &cost);
		assert_int_equal(writer_pending(w), 110);
		assert_int_equal(writer_flush(w, second * 1000 + 990), 0);
		assert_int_equal(writer_pending(w), 0);
	}
	assert_int_equal(writer_close(w), 0);
}

static struct trace *open_memory(struct memory *m, const struct bytebuf *b, bool stream)
{
	struct diag d;
	struct trace *t;

	*m = (struct memory){ .data = b->data, .len = b->len, .stream = stream,
			      .step = stream ? 100 : 0 };
	if (memory_open(&t, m, &d))
		fail_msg("%s", d.text);
	return t;
}

static void check_healthy(const struct trace *t)
{
	struct trace_health h;

	trace_get_health(t, &h);
	assert_false(h.cut);
	assert_true(h.damaged_blocks + h.damaged_bytes + h.missing_blocks +
		    h.missing_records == 0);
}

static void check_dictionaries(struct trace *t)
{
	const struct trace_event *e = trace_event_by_id(t, 2);
	const struct trace_stack *s;
	size_t nr;

	assert_string_equal(trace_host(t, "hostname"), "here");
	assert_null(trace_host(t, "nothing"));
	assert_int_equal(trace_nr_events(t), 2);
	assert_string_equal(trace_event_at(t, 0)->name, "sample");
	assert_string_equal(e->format, "format: %s");
	assert_int_equal(e->fields[1].class, CLASS_USER);
	assert_null(e->fields[1].values);
	assert_string_equal(e->fields[2].values, "=7=SEVEN 8=EIGHT");
	assert_int_equal(e->by_role[ROLE_TIME], 0);
	assert_int_equal(e->by_role[ROLE_STACK], -1);
	assert_int_equal(trace_task(t, 1)->tid, 11);
	assert_int_equal(trace_string(t, trace_task(t, 1)->comm).len_bytes, 3);
	assert_int_equal(trace_string(t, trace_task(t, 1)->comm).class, CLASS_COMMAND);
	assert_int_equal(trace_module(t, 1)->bias, 4096);
	assert_string_equal(trace_text(t, trace_module(t, 1)->path), "/bin/x");
	s = trace_stack(t, 3);
	assert_int_equal(s->parent, 2);
	assert_int_equal(trace_frame(t, s->frame)->offset, 0x102);
	assert_string_equal(trace_text(t, trace_symbol(t, 1, 0x14f)->name), "main");
	assert_null(trace_symbol(t, 1, 0x150));
	assert_null(trace_symbol(t, 1, 0xff));
	assert_null(trace_symbol(t, 2, 0x100));
	assert_int_equal(trace_mappings(t, &nr)->size_bytes, 0x2000);
	assert_int_equal(nr, 1);
	assert_int_equal(trace_clocks(t, &nr)->wall_ns, 2);
	assert_int_equal(trace_losses(t, &nr)->count, 3);
	assert_int_equal(nr, 3);
	assert_int_equal(trace_costs(t, &nr)->user_ns, 20);
	assert_int_equal(nr, 3);
	/* Ids that are none. */
	assert_null(trace_task(t, 0));
	assert_null(trace_stack(t, UINT32_MAX));
	assert_null(trace_frame(t, 1u << 24));
	assert_string_equal(trace_text(t, UINT32_MAX), "");
	assert_null(trace_event_by_id(t, UINT32_MAX));
}

/* Every record comes back, by CPU and time; blocks promise what they keep. */
static void check_records(struct trace *t)
{
	struct trace_batch b;
	uint64_t safe = 0, samples = 0, constant;
	size_t notes = 0;

	while (trace_next(t, NULL, &b, NULL) > 0) {
		const uint64_t *time = trace_column(&b, 0), *cpu, *delta;

		assert_non_null(time);
		assert_true(b.first_ns >= safe);
		safe = b.safe_ns;
		if (b.event->id == 2) {
			const uint32_t *lens;
			const uint8_t *bytes;

			assert_null(trace_column(&b, 1));
			assert_int_equal(trace_column_bytes(&b, 1, &lens, &bytes), 0);
			assert_memory_equal(bytes, "query 1", 7);
			assert_int_equal(lens[0], 7);
			notes += b.nr;
			continue;
		}
		assert_true(trace_column_constant(&b, 2, &constant));
		assert_false(trace_column_constant(&b, 1, &constant));
		cpu = trace_column(&b, 1);
		delta = trace_column(&b, 3);
		assert_ptr_equal(cpu, trace_column(&b, 1));
		for (size_t i = 0; i < b.nr; i++) {
			uint64_t n = time[i] % 1000 / 10;

			assert_true(time[i] >= b.first_ns && time[i] <= b.last_ns);
			assert_int_equal(cpu[i], n % 3);
			assert_true(delta[i] == 0 - n);
			if (i)
				assert_true(cpu[i] > cpu[i - 1] || (cpu[i] == cpu[i - 1] &&
								    time[i] > time[i - 1]));
		}
		assert_null(trace_column(&b, 4));
		samples += b.nr;
	}
	assert_int_equal(samples, 300);
	assert_int_equal(notes, 30);
}

static void test_file_round_trip(void **state)
{
	struct bytebuf b;
	struct memory m;
	struct trace *t;
	uint64_t first, last;

	(void)state;
	write_all(&b);
	t = open_memory(&m, &b, false);
	check_dictionaries(t);
	assert_int_equal(trace_event_by_id(t, 1)->nr_records, 300);
	assert_int_equal(trace_id(t), 77);
	check_records(t);
	assert_int_equal(trace_rewind(t), 0);
	check_records(t);
	trace_time_range(t, &first, &last);
	assert_int_equal(first, 0);
	assert_int_equal(last, 2990);
	assert_int_equal(trace_block_stats(t)[BLOCK_RECORDS].nr_blocks, 6);
	assert_int_equal(trace_block_stats(t)[BLOCK_RECORDS].nr_records, 330);
	check_healthy(t);
	trace_close(t);
	bytebuf_release(&b);
}

static void test_stream_round_trip(void **state)
{
	struct bytebuf b;
	struct memory m;
	struct trace *t;

	(void)state;
	write_all(&b);
	t = open_memory(&m, &b, true);
	assert_true(trace_is_stream(t));
	check_records(t);
	check_dictionaries(t);
	check_healthy(t);
	assert_int_equal(trace_rewind(t), -ESPIPE);
	assert_int_equal(trace_size_bytes(t), b.len);
	trace_close(t);
	bytebuf_release(&b);
}

/* Without its trailer a file is read by scanning, and says the same. */
static void test_scan_equals_index(void **state)
{
	struct memory_sum by_index, by_scan;
	struct trace_health h;
	struct bytebuf b;
	struct memory m;
	struct trace *t;

	(void)state;
	write_all(&b);
	t = open_memory(&m, &b, false);
	assert_int_equal(memory_sum(t, &by_index), 0);
	trace_close(t);
	b.len -= TRAILER_BYTES;
	t = open_memory(&m, &b, false);
	assert_int_equal(memory_sum(t, &by_scan), 0);
	trace_get_health(t, &h);
	assert_true(h.cut);
	assert_int_equal(h.damaged_blocks + h.missing_blocks, 0);
	trace_close(t);
	assert_memory_equal(&by_index, &by_scan, sizeof(by_scan));
	assert_int_equal(by_scan.records, 330);
	bytebuf_release(&b);
}

/* Blocks behind a trailer belong to the trace: better symbols are appended. */
static void test_appended_blocks(void **state)
{
	struct memory_sum once, twice;
	struct bytebuf b, longer;
	struct memory m;
	struct trace *t;

	(void)state;
	write_all(&b);
	write_all(&longer);
	t = open_memory(&m, &b, false);
	assert_int_equal(memory_sum(t, &once), 0);
	trace_close(t);
	bytebuf_put(&b, longer.data + FILE_HEADER_BYTES, longer.len - FILE_HEADER_BYTES);
	/* The second trailer is wrong here, so this scans. */
	t = open_memory(&m, &b, false);
	assert_int_equal(memory_sum(t, &twice), 0);
	assert_int_equal(twice.records, 2 * once.records);
	check_healthy(t);
	trace_close(t);
	t = open_memory(&m, &b, true);
	assert_int_equal(memory_sum(t, &once), 0);
	assert_memory_equal(&once, &twice, sizeof(once));
	check_healthy(t);
	trace_close(t);
	bytebuf_release(&b);
	bytebuf_release(&longer);
}

static bool only_notes(void *ctx, const struct trace_event *e)
{
	++*(int *)ctx;
	return !strcmp(e->name, "note");
}

static void test_blocks_are_chosen(void **state)
{
	int asked = 0;
	struct trace_want want = { 1000, 1990, only_notes, &asked };
	struct trace_batch batch;
	struct bytebuf b;
	struct memory m;
	struct trace *t;

	(void)state;
	write_all(&b);
	for (int stream = 0; stream < 2; stream++) {
		t = open_memory(&m, &b, stream);
		asked = 0;
		assert_int_equal(trace_next(t, &want, &batch, NULL), 1);
		assert_string_equal(batch.event->name, "note");
		assert_int_equal(batch.first_ns, 1000);
		assert_int_equal(trace_next(t, &want, &batch, NULL), 0);
		assert_int_equal(asked, 2);
		trace_close(t);
	}
	bytebuf_release(&b);
}

static void test_later_entries_override(void **state)
{
	struct writer_task task = { .id = 1, .tid = 5 };
	struct writer_module module = { .id = 1, .kind = MODULE_ELF };
	struct bytebuf b;
	struct writer *w = open_writer(&b);
	struct memory m;
	struct trace *t;
	uint32_t old = writer_string(w, CLASS_SYMBOL, "old", 3), new;

	(void)state;
	writer_task(w, &task);
	writer_module(w, &module);
	writer_symbol(w, 1, 100, 0, old);
	writer_symbol(w, 1, 300, 10, old);
	writer_host(w, "key", CLASS_NONE, "1");
	writer_flush(w, 0);
	new = writer_string(w, CLASS_SYMBOL, "new", 3);
	assert_int_not_equal(old, new);
	assert_int_equal(writer_string(w, CLASS_SYMBOL, "new", 3), new);
	assert_int_not_equal(writer_string(w, CLASS_PATH, "new", 3), new);
	task.exit_ns = 9;
	writer_task(w, &task);
	module.bias = 7;
	writer_module(w, &module);
	writer_symbol(w, 1, 100, 50, new);
	/* Inside an outer symbol that goes on behind it. */
	writer_symbol(w, 1, 110, 5, old);
	writer_host(w, "key", CLASS_NONE, "2");
	assert_int_equal(writer_close(w), 0);

	t = open_memory(&m, &b, false);
	assert_int_equal(trace_task(t, 1)->exit_ns, 9);
	assert_int_equal(trace_module(t, 1)->bias, 7);
	assert_string_equal(trace_host(t, "key"), "2");
	assert_string_equal(trace_text(t, trace_symbol(t, 1, 100)->name), "new");
	assert_string_equal(trace_text(t, trace_symbol(t, 1, 112)->name), "old");
	assert_string_equal(trace_text(t, trace_symbol(t, 1, 120)->name), "new");
	assert_null(trace_symbol(t, 1, 200));
	trace_close(t);
	bytebuf_release(&b);
}

/* Records in any order, more than a block holds, on many CPUs. */
static void test_order_and_splitting(void **state)
{
	const size_t nr = 2 * WRITER_BLOCK_RECORDS + 10;
	struct writer_stats stats;
	struct trace_batch batch;
	struct bytebuf b;
	struct writer *w = open_writer(&b);
	uint32_t event = writer_event(w, &sample_desc);
	uint64_t seen = 0;
	struct memory m;
	struct trace *t;

	(void)state;
	for (uint64_t i = 0; i < nr; i++)
		put_sample(w, event, (i * 7919) % nr, i % 2 ? i % 3000 : UINT64_MAX - i % 3, 0, 0);
	writer_get_stats(w, &stats);
	assert_int_equal(stats.records, 2 * WRITER_BLOCK_RECORDS);
	assert_int_equal(writer_close(w), 0);
	t = open_memory(&m, &b, false);
	while (trace_next(t, NULL, &batch, NULL) > 0) {
		const uint64_t *time = trace_column(&batch, 0), *cpu = trace_column(&batch, 1);

		for (size_t i = 1; i < batch.nr; i++)
			assert_true(cpu[i] > cpu[i - 1] ||
				    (cpu[i] == cpu[i - 1] && time[i] > time[i - 1]));
		seen += batch.nr;
	}
	assert_int_equal(seen, nr);
	check_healthy(t);
	trace_close(t);
	bytebuf_release(&b);
}

struct refusing_output {
	struct bytebuf b;
	unsigned int left;	/* puts of records until one is refused */
	int err;
};

static int refusing_put(void *ctx, const void *bytes, size_t size_bytes, bool droppable)
{
	struct refusing_output *o = ctx;

	if (droppable && !o->left--)
		return o->err;
	bytebuf_put(&o->b, bytes, size_bytes);
	return 0;
}

static void test_output_refuses(void **state)
{
	struct refusing_output o = { .left = 1, .err = -ENOBUFS };
	const struct writer_output output = { refusing_put, &o };
	const struct trace_loss *loss;
	struct writer_stats stats;
	struct memory_sum sum;
	size_t nr_losses;
	struct memory m;
	struct writer *w;
	struct trace *t;
	uint32_t event;

	(void)state;
	bytebuf_init(&o.b);
	assert_int_equal(writer_open(&w, &output, 0, 3), 0);
	event = writer_event(w, &sample_desc);
	for (uint64_t i = 0; i < 3; i++) {
		put_sample(w, event, i, 0, 0, 0);
		assert_int_equal(writer_flush(w, i), 0);
	}
	writer_get_stats(w, &stats);
	assert_int_equal(stats.records, 2);
	assert_int_equal(stats.refused_records, 1);
	assert_int_equal(writer_close(w), 0);
	/* What was refused leaves no hole, and is told. */
	t = open_memory(&m, &o.b, false);
	assert_int_equal(memory_sum(t, &sum), 0);
	assert_int_equal(sum.records, 2);
	loss = trace_losses(t, &nr_losses);
	assert_int_equal(nr_losses, 1);
	assert_int_equal(loss->cause, LOSS_OUTPUT);
	assert_int_equal(loss->first_ns, 1);
	assert_int_equal(loss->last_ns, 1);
	assert_int_equal(loss->count, 1);
	assert_int_equal(loss->event, event);
	check_healthy(t);
	trace_close(t);
	bytebuf_release(&o.b);
}

/* A row of a tally is all the hits that it counts. */
static void test_output_refuses_hits(void **state)
{
	static const struct field_desc fields[] = {
		{ .name = "time", .type = FIELD_UNSIGNED, .role = ROLE_TIME, .unit = "ns" },
		{ .name = "hits", .type = FIELD_UNSIGNED, .role = ROLE_COUNT, .unit = "" },
	};
	const struct event_desc desc = { .name = "t", .nr_fields = 2, .fields = fields };
	struct refusing_output o = { .left = 1, .err = -ENOBUFS };
	const struct writer_output output = { refusing_put, &o };
	const struct trace_loss *loss;
	struct writer_stats stats;
	size_t nr_losses;
	struct memory m;
	struct writer *w;
	struct trace *t;
	uint32_t event;

	(void)state;
	bytebuf_init(&o.b);
	assert_int_equal(writer_open(&w, &output, 0, 3), 0);
	event = writer_event(w, &desc);
	for (uint64_t i = 0; i < 3; i++) {
		writer_record(w, event, (const uint64_t[]){ i, 100 });
		writer_record(w, event, (const uint64_t[]){ i, 7 + i });
		assert_int_equal(writer_flush(w, i), 0);
	}
	writer_get_stats(w, &stats);
	assert_int_equal(stats.records, 4);
	assert_int_equal(stats.refused_records, 108);
	assert_int_equal(writer_close(w), 0);
	t = open_memory(&m, &o.b, false);
	loss = trace_losses(t, &nr_losses);
	assert_int_equal(nr_losses, 1);
	assert_int_equal(loss->count, 108);
	assert_int_equal(loss->event, event);
	assert_int_equal(loss->cpu, UINT32_MAX);
	check_healthy(t);
	trace_close(t);
	bytebuf_release(&o.b);
}

static void test_output_fails(void **state)
{
	struct refusing_output o = { .left = 0, .err = -ENOSPC };
	const struct writer_output output = { refusing_put, &o };
	struct memory m;
	struct writer *w;
	struct trace *t;
	struct trace_health h;
	uint32_t event;
	size_t len;

	(void)state;
	bytebuf_init(&o.b);
	assert_int_equal(writer_open(&w, &output, 0, 3), 0);
	event = writer_event(w, &sample_desc);
	put_sample(w, event, 1, 0, 0, 0);
	assert_int_equal(writer_flush(w, 1), -ENOSPC);
	len = o.b.len;
	put_sample(w, event, 2, 0, 0, 0);
	assert_int_equal(writer_flush(w, 2), -ENOSPC);
	assert_int_equal(writer_close(w), -ENOSPC);
	assert_int_equal(o.b.len, len);
	t = open_memory(&m, &o.b, false);
	trace_get_health(t, &h);
	assert_true(h.cut);
	trace_close(t);
	bytebuf_release(&o.b);
}

static void test_bad_events_are_refused(void **state)
{
	const struct event_desc timeless = {
		.name = "x", .nr_fields = 1, .fields = sample_fields + 1,
	};
	const struct event_desc empty = { .name = "x" };
	struct bytebuf b;
	struct writer *w = open_writer(&b);

	(void)state;
	assert_int_equal(writer_event(w, &timeless), 0);
	assert_int_equal(writer_close(w), -EINVAL);
	bytebuf_release(&b);
	w = open_writer(&b);
	assert_int_equal(writer_event(w, &empty), 0);
	writer_abandon(w);
	bytebuf_release(&b);
}

/* What opening says of a header with these numbers. */
static int open_header(uint16_t version, uint32_t incompat, uint32_t compat, struct diag *d)
{
	const struct file_header h = { version, incompat, compat, 1 };
	uint8_t bytes[FILE_HEADER_BYTES];
	struct memory m = { .data = bytes, .len = sizeof(bytes) };
	struct trace *t;
	int err;

	file_header_encode(bytes, &h);
	err = memory_open(&t, &m, d);
	trace_close(t);
	return err;
}

static void test_features_and_versions(void **state)
{
	struct diag d;

	(void)state;
	assert_int_equal(open_header(FILE_VERSION, 0, 0, &d), 0);
	assert_int_equal(open_header(FILE_VERSION, 0, 0xff, &d), 0);
	assert_int_equal(open_header(FILE_VERSION, 1, 0, &d), -ENOTSUP);
	assert_non_null(strstr(d.text, "newer kymo"));
	assert_int_equal(open_header(FILE_VERSION + 1, 0, 0, &d), -ENOTSUP);
	assert_non_null(strstr(d.text, "newer kymo"));
	assert_int_equal(open_header(0, 0, 0, &d), -EBADMSG);
}

static void test_not_a_trace(void **state)
{
	static const char text[] = "#!/bin/sh\necho this is something else altogether\n";
	struct memory m = { .data = (const uint8_t *)text, .len = sizeof(text) };
	struct diag d;
	struct trace *t;

	(void)state;
	for (int stream = 0; stream < 2; stream++) {
		m.stream = stream;
		assert_int_equal(memory_open(&t, &m, &d), -EBADMSG);
		assert_string_equal(d.text, "cannot read 'memory': not a kymo trace");
	}
	m.len = 0;
	assert_int_equal(memory_open(&t, &m, &d), -ENODATA);
	assert_string_equal(d.text, "cannot read 'memory': the file is empty");
	d.text[0] = '\0';
	assert_int_equal(trace_open(&t, "/nonexistent/x", &d), -ENOENT);
	assert_string_equal(d.text, "cannot open '/nonexistent/x': No such file or directory");
	d.text[0] = '\0';
	assert_int_equal(trace_open(&t, "/", &d), -EISDIR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file_round_trip),
		cmocka_unit_test(test_stream_round_trip),
		cmocka_unit_test(test_scan_equals_index),
		cmocka_unit_test(test_appended_blocks),
		cmocka_unit_test(test_blocks_are_chosen),
		cmocka_unit_test(test_later_entries_override),
		cmocka_unit_test(test_order_and_splitting),
		cmocka_unit_test(test_output_refuses),
		cmocka_unit_test(test_output_refuses_hits),
		cmocka_unit_test(test_output_fails),
		cmocka_unit_test(test_bad_events_are_refused),
		cmocka_unit_test(test_features_and_versions),
		cmocka_unit_test(test_not_a_trace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
