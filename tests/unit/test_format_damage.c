#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>
#include <zstd.h>

#include "format/block.h"
#include "format/table.h"
#include "tests/unit/memory_trace.h"

#define MUTATIONS 10000
#define MAX_SECONDS 300		/* a hang, not a slow machine */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static uint64_t seed = 88172645463325252;

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* A small trace with several flushes and every type of block. */
static void write_small(struct bytebuf *to)
{
	static const struct field_desc fields[] = {
		{ "time", FIELD_UNSIGNED, ROLE_TIME, HINT_DECIMAL, CLASS_NONE, "ns", NULL },
		{ "cpu", FIELD_UNSIGNED, ROLE_CPU, HINT_DECIMAL, CLASS_NONE, "", NULL },
		{ "stack", FIELD_STACK, ROLE_STACK, HINT_DECIMAL, CLASS_NONE, "", NULL },
		{ "text", FIELD_BYTES, ROLE_NONE, HINT_DECIMAL, CLASS_USER, "", NULL },
	};
	static const struct event_desc desc = { .name = "sample", .nr_fields = 4, .fields = fields };
	const struct writer_output output = { memory_put, to };
	const struct writer_module module = { .id = 1, .kind = MODULE_ELF };
	const struct writer_loss loss = { 1, 2, 3, 0, 1, LOSS_RING };
	const struct writer_cost cost = { 1, 2, 3 };
	const struct writer_mapping map = { .module = 1, .size_bytes = 4096 };
	struct writer *w;
	uint32_t event, stack = 0, name;

	bytebuf_init(to);
	assert_int_equal(writer_open(&w, &output, 1, 3), 0);
	event = writer_event(w, &desc);
	writer_host(w, "hostname", CLASS_HOST, "here");
	writer_clock(w, 1, 2, 3);
	writer_module(w, &module);
	for (uint32_t flush = 0; flush < 3; flush++) {
		const struct writer_task task = { .id = flush + 1, .tid = flush };

		name = writer_string(w, CLASS_SYMBOL, "function0", 7 + flush % 3);
		writer_task(w, &task);
		writer_mapping(w, &map);
		writer_symbol(w, 1, flush * 0x100, 0x100, name);
		for (uint32_t i = 0; i < 60; i++) {
			uint32_t parent = next_random() % 3 ? stack : 0;
			uint64_t values[4];

			stack = writer_stack(w, parent, writer_frame(w, 1, next_random() % 0x300));
			values[0] = flush * 10000 + i * 100 + next_random() % 90;
			values[1] = i % 2;
			values[2] = stack;
			values[3] = i % 5 ? name : 0;
			writer_record(w, event, values);
		}
		writer_loss(w, &loss);
		writer_cost(w, &cost);
		assert_int_equal(writer_flush(w, flush * 10000 + 6000), 0);
	}
	assert_int_equal(writer_close(w), 0);
}

/* Records in the blocks that lie whole within the first len bytes. */
static uint64_t whole_records(const struct bytebuf *b, size_t len)
{
	struct block_header h;
	uint64_t nr = 0;
	size_t at = FILE_HEADER_BYTES;

	while (at + BLOCK_HEADER_BYTES <= len && !block_header_decode(&h, b->data + at)) {
		at += BLOCK_HEADER_BYTES + h.payload_bytes;
		if (h.type == BLOCK_RECORDS && at <= len)
			nr += h.nr_records;
	}
	return nr;
}

static void check_cut(const struct bytebuf *b, size_t len, bool stream)
{
	struct memory m = { .data = b->data, .len = len, .stream = stream };
	struct trace_health h;
	struct memory_sum sum;
	struct trace *t;
	struct diag d;
	int err = memory_open(&t, &m, &d);

	if (len < FILE_HEADER_BYTES) {
		assert_int_equal(err, -ENODATA);
		assert_true(d.text[0]);
		return;
	}
	assert_int_equal(err, 0);
	assert_int_equal(memory_sum(t, &sum), 0);
	assert_int_equal(sum.records, whole_records(b, len));
	trace_get_health(t, &h);
	assert_int_equal(h.cut, len < b->len);
	assert_true(h.damaged_blocks + h.damaged_bytes + h.missing_blocks == 0);
	trace_close(t);
}

static void test_every_cut(void **state)
{
	struct bytebuf b;

	(void)state;
	write_small(&b);
	for (size_t len = 0; len <= b.len; len++) {
		check_cut(&b, len, false);
		check_cut(&b, len, true);
	}
	bytebuf_release(&b);
}

/* Opens and reads what may be anything; only the records found are told. */
static uint64_t read_anything(const uint8_t *bytes, size_t len, bool stream)
{
	struct memory m = { .data = bytes, .len = len, .stream = stream };
	struct memory_sum sum = { 0, 0, 0 };
	struct trace *t;
	struct diag d;

	if (memory_open(&t, &m, &d))
		assert_true(d.text[0]);
	else
		memory_sum(t, &sum);
	trace_close(t);
	return sum.records;
}

static void mutate(uint8_t *bytes, size_t len)
{
	size_t run = 1 + next_random() % 16, at = next_random() % len;

	for (size_t i = at; i < at + run && i < len; i++)
		bytes[i] = (uint8_t)next_random();
}

static void test_mutations(void **state)
{
	struct bytebuf b;
	uint8_t *copy;
	uint64_t most = 0;

	(void)state;
	write_small(&b);
	copy = malloc(b.len);
	assert_non_null(copy);
	for (unsigned int i = 0; i < MUTATIONS; i++) {
		uint64_t records;

		memcpy(copy, b.data, b.len);
		mutate(copy, b.len);
		records = read_anything(copy, b.len, i % 2);
		assert_true(records <= 180);
		most = records > most ? records : most;
	}
	assert_int_equal(most, 180);
	free(copy);
	bytebuf_release(&b);
}

/* Makes the checksums of all blocks right again, where the lengths allow it. */
static void reseal(uint8_t *bytes, size_t len)
{
	size_t at = FILE_HEADER_BYTES, size;

	while (at + BLOCK_HEADER_BYTES <= len) {
		uint8_t *p = bytes + at;
		uint32_t crc;

		size = p[8] | (size_t)p[9] << 8 | (size_t)p[10] << 16 | (size_t)p[11] << 24;
		if (size > len - at - BLOCK_HEADER_BYTES)
			break;
		crc = block_crc(p + BLOCK_HEADER_BYTES, size);
		for (unsigned int i = 0; i < 4; i++)
			p[48 + i] = (uint8_t)(crc >> (8 * i));
		crc = block_crc(p, 60);
		for (unsigned int i = 0; i < 4; i++)
			p[60 + i] = (uint8_t)(crc >> (8 * i));
		at += BLOCK_HEADER_BYTES + size;
	}
}

/* Mutations behind good checksums reach the decoders. */
static void test_sealed_mutations(void **state)
{
	struct bytebuf b;
	uint8_t *copy;

	(void)state;
	write_small(&b);
	copy = malloc(b.len);
	assert_non_null(copy);
	for (unsigned int i = 0; i < MUTATIONS; i++) {
		memcpy(copy, b.data, b.len);
		mutate(copy, b.len);
		reseal(copy, b.len);
		read_anything(copy, b.len, i % 2);
	}
	free(copy);
	bytebuf_release(&b);
}

/* A block that is not readable costs its own records, and is counted. */
static void test_damage_is_counted(void **state)
{
	struct bytebuf b;
	struct block_header h;
	size_t at = FILE_HEADER_BYTES;

	(void)state;
	write_small(&b);
	while (!block_header_decode(&h, b.data + at) && h.type != BLOCK_RECORDS)
		at += BLOCK_HEADER_BYTES + h.payload_bytes;
	for (int in_header = 0; in_header < 2; in_header++)
		for (int stream = 0; stream < 2; stream++)
			for (size_t cut = 0; cut < 2; cut++) {
				struct memory m = { .data = b.data, .stream = stream,
						    .len = b.len - cut * TRAILER_BYTES };
				size_t bad = in_header ? at + 20 : at + BLOCK_HEADER_BYTES + 5;
				struct trace_health health;
				struct memory_sum sum;
				struct trace *t;
				struct diag d;

				b.data[bad] ^= 0xff;
				assert_int_equal(memory_open(&t, &m, &d), 0);
				assert_int_equal(memory_sum(t, &sum), 0);
				trace_get_health(t, &health);
				assert_int_equal(sum.records, 120);
				assert_int_equal(health.damaged_blocks + health.missing_blocks, 1);
				assert_int_equal(health.cut, cut);
				if (health.damaged_blocks)
					assert_int_equal(health.missing_records, 60);
				else
					assert_int_equal(health.damaged_bytes,
							 BLOCK_HEADER_BYTES + h.payload_bytes);
				trace_close(t);
				b.data[bad] ^= 0xff;
			}
	bytebuf_release(&b);
}

/* Bytes that are missing in the middle cost the block they were in. */
static void test_missing_bytes(void **state)
{
	struct bytebuf b;
	struct block_header h;
	size_t at = FILE_HEADER_BYTES, gone = 10;

	(void)state;
	write_small(&b);
	while (!block_header_decode(&h, b.data + at) && h.type != BLOCK_RECORDS)
		at += BLOCK_HEADER_BYTES + h.payload_bytes;
	at += BLOCK_HEADER_BYTES + 20;
	memmove(b.data + at, b.data + at + gone, b.len - at - gone);
	b.len -= gone;
	assert_int_equal(read_anything(b.data, b.len, false), 120);
	assert_int_equal(read_anything(b.data, b.len, true), 120);
	bytebuf_release(&b);
}

/* A damaged file header does not make the rest unreadable. */
static void test_damaged_file_header(void **state)
{
	struct bytebuf b;

	(void)state;
	write_small(&b);
	b.data[12] ^= 1;
	assert_int_equal(read_anything(b.data, b.len, false), 180);
	assert_int_equal(read_anything(b.data, b.len, true), 180);
	b.data[0] ^= 1;
	assert_int_equal(read_anything(b.data, b.len, false), 0);
	bytebuf_release(&b);
}

/* --- bombs ---------------------------------------------------------------------- */

static void begin_file(struct bytebuf *b)
{
	const struct file_header h = { .version = FILE_VERSION, .trace_id = 1 };
	uint8_t bytes[FILE_HEADER_BYTES];

	bytebuf_init(b);
	file_header_encode(bytes, &h);
	bytebuf_put(b, bytes, sizeof(bytes));
}

static void put_block_of(struct bytebuf *b, uint16_t type, uint32_t event, uint32_t nr,
			 const struct bytebuf *payload, uint32_t seq)
{
	const struct block_header h = {
		.type = type,
		.nr_records = nr,
		.payload_bytes = (uint32_t)payload->len,
		.event = event,
		.seq = seq,
		.payload_crc = block_crc(payload->data, payload->len),
	};
	uint8_t bytes[BLOCK_HEADER_BYTES];

	block_header_encode(bytes, &h);
	bytebuf_put(b, bytes, sizeof(bytes));
	bytebuf_put(b, payload->data, payload->len);
}

static void put_block(struct bytebuf *b, uint16_t type, uint32_t nr,
		      const struct bytebuf *payload, uint32_t seq)
{
	put_block_of(b, type, 0, nr, payload, seq);
}

static void put_zero_column(struct bytebuf *b, uint32_t id, uint64_t first, uint64_t step)
{
	bytebuf_varint(b, id);
	bytebuf_u8(b, TRANSFORM_DELTA);
	bytebuf_u8(b, LAYOUT_ZERO);
	bytebuf_varint(b, step * 2);
	bytebuf_varint(b, first);
	bytebuf_varint(b, 0);
}

/* One string of 8 MiB in some hundred bytes: a column of that id. */
static void put_text_bomb(struct bytebuf *payload, uint32_t column)
{
	size_t size = BLOCK_MAX_TEXT, cap = ZSTD_compressBound(size), packed;
	uint8_t *zeros = calloc(1, size), *frame = malloc(cap);
	struct bytebuf data;

	assert_non_null(zeros);
	assert_non_null(frame);
	packed = ZSTD_compress(frame, cap, zeros, size, 3);
	bytebuf_init(&data);
	bytebuf_put(&data, "\0\4\x80\x80\x80\x04", 6);
	bytebuf_u8(&data, CODEC_ZSTD);
	bytebuf_varint(&data, size);
	bytebuf_varint(&data, packed);
	bytebuf_put(&data, frame, packed);
	bytebuf_varint(payload, column);
	bytebuf_put(payload, "\0\4\0", 3);
	bytebuf_varint(payload, data.len);
	bytebuf_put(payload, data.data, data.len);
	bytebuf_release(&data);
	free(zeros);
	free(frame);
}

/* Events of one time and many texts, and of many numbers; then such records. */
static uint32_t put_record_bombs(struct bytebuf *b, uint32_t seq)
{
	const uint32_t nr_texts = 6, nr_numbers = 250;
	struct bytebuf payload;

	bytebuf_init(&payload);
	bytebuf_varint(&payload, 5);
	put_zero_column(&payload, EVENT_ID, 1, 0);
	put_zero_column(&payload, EVENT_FIELD, 1, 1);
	bytebuf_varint(&payload, EVENT_FIELD_TYPE);
	bytebuf_put(&payload, "\0\1\0\11\0\7\1\4\4\4\4\4\4", 13);
	bytebuf_varint(&payload, EVENT_FIELD_ROLE);
	bytebuf_put(&payload, "\0\1\0\11\0\7\1\0\0\0\0\0\0", 13);
	put_zero_column(&payload, EVENT_NAME, 0, 0);
	put_block(b, BLOCK_EVENT, nr_texts + 1, &payload, seq++);
	bytebuf_clear(&payload);
	bytebuf_varint(&payload, nr_texts);
	for (uint32_t f = 0; f < nr_texts; f++)
		put_text_bomb(&payload, f + 2);
	put_block_of(b, BLOCK_RECORDS, 1, 1, &payload, seq++);

	bytebuf_clear(&payload);
	bytebuf_varint(&payload, 3);
	put_zero_column(&payload, EVENT_ID, 2, 0);
	put_zero_column(&payload, EVENT_FIELD, 1, 1);
	put_zero_column(&payload, EVENT_FIELD_ROLE, ROLE_TIME, 0);
	put_block(b, BLOCK_EVENT, nr_numbers, &payload, seq++);
	bytebuf_clear(&payload);
	bytebuf_varint(&payload, 1);
	put_zero_column(&payload, 1, 1, 1);
	put_block_of(b, BLOCK_RECORDS, 2, BLOCK_MAX_NUMBERS / nr_numbers, &payload, seq++);
	put_block_of(b, BLOCK_RECORDS, 2, BLOCK_MAX_RECORDS, &payload, seq++);
	bytebuf_release(&payload);
	return seq;
}

static void make_bombs(struct bytebuf *b)
{
	static const uint16_t types[] = { BLOCK_TASKS, BLOCK_MODULES, BLOCK_FRAMES, BLOCK_STACKS,
					  BLOCK_SYMBOLS, BLOCK_MAPPINGS, BLOCK_LOSS, BLOCK_COST,
					  BLOCK_EVENT, BLOCK_CLOCK, BLOCK_HOST, BLOCK_STRINGS };
	struct bytebuf payload;
	uint32_t seq = 0;

	begin_file(b);
	bytebuf_init(&payload);
	bytebuf_varint(&payload, 2);
	put_zero_column(&payload, STRING_ID, 1, 0);
	put_text_bomb(&payload, STRING_TEXT);
	for (unsigned int i = 0; i < 3; i++)
		put_block(b, BLOCK_STRINGS, 1, &payload, seq++);
	seq = put_record_bombs(b, seq);
	/* Rows that cost nothing in the file, with ids far apart and close together. */
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		for (uint64_t step = 1; step <= 1024; step *= 32) {
			bytebuf_clear(&payload);
			bytebuf_varint(&payload, 1);
			put_zero_column(&payload, 1, 1, step);
			put_block(b, types[i], step == 1 ? BLOCK_MAX_RECORDS : 16000, &payload,
				  seq++);
		}
	bytebuf_release(&payload);
}

static void test_bombs(void **state)
{
	struct rusage usage;
	struct bytebuf b;
	long before_kb;

	(void)state;
	make_bombs(&b);
	assert_true(b.len < 16384);
	getrusage(RUSAGE_SELF, &usage);
	before_kb = usage.ru_maxrss;
	/* Of the records only the block of numbers is within the limits. */
	for (int stream = 0; stream < 2; stream++)
		assert_int_equal(read_anything(b.data, b.len, stream),
				 BLOCK_MAX_NUMBERS / 250);
	getrusage(RUSAGE_SELF, &usage);
	if (!SANITIZED)
		assert_true(usage.ru_maxrss - before_kb < 64 << 10);
	bytebuf_release(&b);
}

/* Nobody should need an array of millions for a file of some hundred bytes. */
static void test_far_ids_are_refused(void **state)
{
	const uint64_t ids[] = { 70000, 10, BLOCK_MAX_ID, UINT64_MAX };
	struct memory m = { 0 };
	struct bytebuf b, payload;
	struct trace_health h;
	struct trace *t;
	struct diag d;

	(void)state;
	begin_file(&b);
	bytebuf_init(&payload);
	for (uint32_t i = 0; i < 4; i++) {
		bytebuf_clear(&payload);
		bytebuf_varint(&payload, 1);
		put_zero_column(&payload, 1, ids[i], 1);
		put_block(&b, BLOCK_FRAMES, 1, &payload, i);
	}
	m.data = b.data;
	m.len = b.len;
	assert_int_equal(memory_open(&t, &m, &d), 0);
	trace_get_health(t, &h);
	assert_int_equal(h.damaged_blocks, 3);
	assert_int_equal(trace_nr_frames(t), 11);
	trace_close(t);
	bytebuf_release(&payload);
	bytebuf_release(&b);
}

/* A parent that is not smaller would make following parents endless. */
static void test_stack_loops_are_refused(void **state)
{
	struct trace_health h;
	struct memory m = { 0 };
	struct bytebuf b, payload;
	struct trace *t;
	struct diag d;

	(void)state;
	begin_file(&b);
	bytebuf_init(&payload);
	bytebuf_varint(&payload, 2);
	put_zero_column(&payload, STACK_ID, 1, 1);
	put_zero_column(&payload, STACK_PARENT, 1, 1);
	put_block(&b, BLOCK_STACKS, 3, &payload, 0);
	m.data = b.data;
	m.len = b.len;
	assert_int_equal(memory_open(&t, &m, &d), 0);
	for (uint32_t i = 0; i < 5; i++)
		assert_null(trace_stack(t, i));
	trace_get_health(t, &h);
	assert_int_equal(h.damaged_blocks, 1);
	trace_close(t);
	bytebuf_release(&payload);
	bytebuf_release(&b);
}

/* Unknown types of blocks and records of unknown events are passed over. */
static void test_unknown_blocks(void **state)
{
	struct bytebuf b, payload;
	struct memory m = { 0 };
	struct trace_health h;
	struct memory_sum sum;
	struct trace *t;
	struct diag d;

	(void)state;
	write_small(&b);
	b.len -= TRAILER_BYTES;
	bytebuf_init(&payload);
	bytebuf_put(&payload, "anything", 8);
	put_block(&b, 200, 5, &payload, 0);
	put_block(&b, BLOCK_MAX_EVENT, 5, &payload, 1);
	m.data = b.data;
	m.len = b.len;
	for (int stream = 0; stream < 2; stream++) {
		m.stream = stream;
		assert_int_equal(memory_open(&t, &m, &d), 0);
		assert_int_equal(memory_sum(t, &sum), 0);
		assert_int_equal(sum.records, 180);
		trace_get_health(t, &h);
		assert_int_equal(h.damaged_blocks, 0);
		assert_int_equal(trace_block_stats(t)[0].nr_blocks, 2);
		trace_close(t);
	}
	bytebuf_release(&payload);
	bytebuf_release(&b);
}

int main(void)
{
	const struct rlimit limit = { 512u << 20, 512u << 20 };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bombs),
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_sealed_mutations),
		cmocka_unit_test(test_damage_is_counted),
		cmocka_unit_test(test_missing_bytes),
		cmocka_unit_test(test_damaged_file_header),
		cmocka_unit_test(test_far_ids_are_refused),
		cmocka_unit_test(test_stack_loops_are_refused),
		cmocka_unit_test(test_unknown_blocks),
	};

	/* Sanitizers need address space of their own. */
	if (!SANITIZED && setrlimit(RLIMIT_AS, &limit))
		return 1;
	alarm(MAX_SECONDS);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
