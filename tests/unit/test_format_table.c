#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zstd.h>

#include "format/block.h"
#include "format/table.h"

static uint64_t seed = 1;

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* The shapes that columns have, by number. */
static uint64_t shape(unsigned int kind, size_t i, uint64_t before)
{
	switch (kind) {
	case 0:
		return 42;
	case 1:
		return 1000 + 3 * i;
	case 2:
		return UINT64_MAX - 5 * i;
	case 3:
		return before + 200000 + next_random() % 500;
	case 4:
		return next_random();
	case 5:
		return next_random() % 50;
	case 6:
		return i / 100 % 7;
	case 7:
		return (uint64_t)(int64_t)(next_random() % 100) - 50;
	case 8:
		return UINT64_C(1) << (next_random() % 64);
	case 9:
		return i % 1000 ? before + next_random() % 3 : next_random();
	case 10:
		return 70000 + next_random() % 60000;
	default:
		return i % 2 ? UINT64_MAX : 0;
	}
}

#define SHAPES 12

static void check_numbers(struct table_encoder *e, struct table_decoder *d, size_t nr,
			  unsigned int kind, enum table_hint hint)
{
	uint64_t *in = malloc((nr + 1) * sizeof(*in)), *out = malloc((nr + 1) * sizeof(*out));
	struct table t;
	struct bytebuf b;
	uint64_t constant;

	bytebuf_init(&b);
	for (size_t i = 0; i < nr; i++)
		in[i] = shape(kind, i, i ? in[i - 1] : 5000000000000);
	table_begin(e, &b, nr, 1);
	table_numbers(e, 7, hint, in);
	assert_int_equal(table_end(e), 0);
	assert_int_equal(table_parse(&t, b.data, b.len, nr), 0);
	assert_non_null(table_find(&t, 7));
	assert_int_equal(table_read_numbers(d, &t, table_find(&t, 7), out), 0);
	assert_memory_equal(in, out, nr * sizeof(*in));
	if (kind == 0 && nr) {
		assert_true(table_is_constant(&t, table_find(&t, 7), &constant));
		assert_int_equal(constant, 42);
	}
	if (kind == 4 && nr > 2)
		assert_false(table_is_constant(&t, table_find(&t, 7), &constant));
	bytebuf_release(&b);
	free(in);
	free(out);
}

static void test_numbers_round_trip(void **state)
{
	static const size_t sizes[] = { 0, 1, 2, 3, 7, 100, 1000, 10000, 70000 };
	struct table_encoder *e;
	struct table_decoder *d;

	(void)state;
	assert_int_equal(table_encoder_new(&e, 3), 0);
	assert_int_equal(table_decoder_new(&d), 0);
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
		for (unsigned int kind = 0; kind < SHAPES; kind++)
			for (unsigned int hint = TABLE_PLAIN; hint <= TABLE_NOISY; hint++)
				check_numbers(e, d, sizes[s], kind, hint);
	table_encoder_free(e);
	table_decoder_free(d);
}

static void check_new_ids(struct table_encoder *e, struct table_decoder *d, const uint64_t *in,
			  size_t nr, uint64_t known)
{
	uint64_t *out = malloc((nr + 1) * sizeof(*out)), constant;
	struct table t;
	struct bytebuf b;

	bytebuf_init(&b);
	table_begin(e, &b, nr, 1);
	table_new_ids(e, 7, known, in);
	assert_int_equal(table_end(e), 0);
	assert_int_equal(table_parse(&t, b.data, b.len, nr), 0);
	assert_int_equal(table_read_numbers(d, &t, table_find(&t, 7), out), 0);
	assert_memory_equal(in, out, nr * sizeof(*in));
	if (table_is_constant(&t, table_find(&t, 7), &constant))
		for (size_t i = 0; i < nr; i++)
			assert_true(in[i] == constant);
	bytebuf_release(&b);
	free(out);
}

static void test_new_ids_round_trip(void **state)
{
	static const uint64_t few[] = { 1, 2, 0, 17, 34, 50, 51, 17, 51, UINT32_MAX, 1u << 31 };
	static const uint64_t huge[] = { 1, UINT64_MAX - 15 };
	struct table_encoder *e;
	struct table_decoder *d;
	uint64_t ids[5000], max = 100;
	struct bytebuf b;

	(void)state;
	assert_int_equal(table_encoder_new(&e, 3), 0);
	assert_int_equal(table_decoder_new(&d), 0);
	for (uint64_t known = 0; known < 60; known++)
		for (size_t nr = 0; nr <= sizeof(few) / sizeof(few[0]); nr++)
			check_new_ids(e, d, few, nr, known);
	for (size_t i = 0; i < 5000; i++) {
		if (next_random() % 4)
			ids[i] = next_random() % max;
		else
			ids[i] = max += 1 + next_random() % 20;
	}
	check_new_ids(e, d, ids, 5000, 100);
	/* What cannot be shifted is refused by the encoder. */
	bytebuf_init(&b);
	table_begin(e, &b, 2, 1);
	table_new_ids(e, 7, 0, huge);
	assert_int_equal(table_end(e), 0);
	bytebuf_clear(&b);
	ids[0] = 5;
	ids[1] = UINT64_MAX;
	ids[2] = 7;
	table_begin(e, &b, 3, 1);
	table_new_ids(e, 7, 0, ids);
	assert_int_equal(table_end(e), -EINVAL);
	bytebuf_release(&b);
	table_encoder_free(e);
	table_decoder_free(d);
}

static void test_strings_round_trip(void **state)
{
	static const uint32_t lens[] = { 3, 0, 1, 0, 5, 0 };
	static const char text[] = "abc\0hello";
	struct table_encoder *e;
	struct table_decoder *d;
	struct table t;
	struct bytebuf b;
	uint32_t got[6];
	const uint8_t *bytes;
	size_t total;

	(void)state;
	bytebuf_init(&b);
	assert_int_equal(table_encoder_new(&e, 3), 0);
	assert_int_equal(table_decoder_new(&d), 0);
	table_begin(e, &b, 6, 1);
	table_strings(e, 3, lens, text);
	assert_int_equal(table_end(e), 0);
	assert_int_equal(table_parse(&t, b.data, b.len, 6), 0);
	assert_int_equal(table_read_strings(d, &t, table_find(&t, 3), got, &bytes, &total), 0);
	assert_int_equal(total, 9);
	assert_memory_equal(got, lens, sizeof(lens));
	assert_memory_equal(bytes, text, 9);
	/* A column that is not there reads as empty, or as 0. */
	assert_int_equal(table_read_strings(d, &t, table_find(&t, 4), got, &bytes, &total), 0);
	assert_int_equal(total + got[0] + got[5], 0);
	bytebuf_release(&b);
	table_encoder_free(e);
	table_decoder_free(d);
}

static void test_wrong_number_of_columns(void **state)
{
	const uint64_t v[2] = { 1, 2 };
	struct table_encoder *e;
	struct bytebuf b;

	(void)state;
	bytebuf_init(&b);
	assert_int_equal(table_encoder_new(&e, 3), 0);
	table_begin(e, &b, 2, 2);
	table_numbers(e, 1, TABLE_PLAIN, v);
	assert_int_equal(table_end(e), -EINVAL);
	bytebuf_clear(&b);
	table_begin(e, &b, 2, 1);
	table_numbers(e, 1, TABLE_PLAIN, v);
	table_numbers(e, 2, TABLE_PLAIN, v);
	assert_int_equal(table_end(e), -EINVAL);
	bytebuf_release(&b);
	table_encoder_free(e);
}

/* One hand-made column of nr rows: parsed and read, what comes of it. */
static int read_column(const void *data, size_t len, unsigned int transform,
		       unsigned int layout, size_t nr, uint64_t *out)
{
	struct table_decoder *d;
	struct bytebuf b;
	struct table t;
	int err;

	bytebuf_init(&b);
	bytebuf_varint(&b, 1);
	bytebuf_varint(&b, 1);
	bytebuf_u8(&b, (uint8_t)transform);
	bytebuf_u8(&b, (uint8_t)layout);
	bytebuf_varint(&b, transform == TRANSFORM_NEW ? 0 : 10);
	if (transform != TRANSFORM_NONE)
		bytebuf_varint(&b, 100);
	bytebuf_varint(&b, len);
	bytebuf_put(&b, data, len);
	assert_int_equal(table_decoder_new(&d), 0);
	err = table_parse(&t, b.data, b.len, nr);
	if (!err)
		err = table_read_numbers(d, &t, table_find(&t, 1), out);
	table_decoder_free(d);
	bytebuf_release(&b);
	return err;
}

static void test_specified_bytes(void **state)
{
	uint64_t out[5];

	(void)state;
	assert_int_equal(read_column("\0\3\1\2\3", 5, 0, LAYOUT_VARINT, 3, out), 0);
	assert_int_equal(out[0] + out[1] * 100 + out[2] * 10000, 11 + 1200 + 130000);
	/* base 10 is +5 each; v 1, 2 is -1, +1. */
	assert_int_equal(read_column("\0\2\1\2", 4, 1, LAYOUT_VARINT, 3, out), 0);
	assert_int_equal(out[0], 100);
	assert_int_equal(out[1], 104);
	assert_int_equal(out[2], 110);
	assert_int_equal(read_column("\2\0\3\1\2\3\0\3\1\0\0", 11, 0, LAYOUT_PLANES, 3, out), 0);
	assert_int_equal(out[0], 10 + 0x101);
	assert_int_equal(out[2], 13);
	assert_int_equal(read_column("\0\4\7\2\1\1", 6, 0, LAYOUT_RUNS, 3, out), 0);
	assert_int_equal(out[1], 17);
	assert_int_equal(out[2], 11);
	assert_int_equal(read_column("", 0, 1, LAYOUT_ZERO, 4, out), 0);
	assert_int_equal(out[3], 115);
	/* From 100: the next, 15 further, the old 4, the unforeseen 134, its next. */
	assert_int_equal(read_column("\0\6\0\17\24\226\1\0", 8, TRANSFORM_NEW,
				     LAYOUT_VARINT, 5, out), 0);
	assert_int_equal(out[0], 101);
	assert_int_equal(out[1], 117);
	assert_int_equal(out[2], 4);
	assert_int_equal(out[3], 134);
	assert_int_equal(out[4], 135);
}

static void test_damage_is_refused(void **state)
{
	uint64_t out[8];

	(void)state;
	/* Too few, too many, left over. */
	assert_int_equal(read_column("\0\2\1\2", 4, 0, LAYOUT_VARINT, 3, out), -EBADMSG);
	assert_int_equal(read_column("\0\4\1\2\3\4", 6, 0, LAYOUT_VARINT, 3, out), -EBADMSG);
	assert_int_equal(read_column("\0\3\1\2\3\0", 6, 0, LAYOUT_VARINT, 3, out), -EBADMSG);
	assert_int_equal(read_column("x", 1, 0, LAYOUT_ZERO, 3, out), -EBADMSG);
	/* Planes of a wrong width or length, runs that are empty or too long. */
	assert_int_equal(read_column("\0", 1, 0, LAYOUT_PLANES, 3, out), -EBADMSG);
	assert_int_equal(read_column("\11", 1, 0, LAYOUT_PLANES, 3, out), -EBADMSG);
	assert_int_equal(read_column("\1\0\2\1\2", 5, 0, LAYOUT_PLANES, 3, out), -EBADMSG);
	assert_int_equal(read_column("\0\4\7\0\1\3", 6, 0, LAYOUT_RUNS, 3, out), -EBADMSG);
	assert_int_equal(read_column("\0\2\7\4", 4, 0, LAYOUT_RUNS, 3, out), -EBADMSG);
	assert_int_equal(read_column("\0\2\7\2", 4, 0, LAYOUT_RUNS, 3, out), -EBADMSG);
	/* Unknown codec, layout, transform. */
	assert_int_equal(read_column("\2\3\3\1\2\3", 6, 0, LAYOUT_VARINT, 3, out), -EBADMSG);
	assert_int_equal(read_column("", 0, 0, 9, 3, out), -EBADMSG);
	assert_int_equal(read_column("", 0, 3, LAYOUT_ZERO, 3, out), -EBADMSG);
	/* Strings where numbers are due. */
	assert_int_equal(read_column("\0\1\0\0\0", 5, 0, LAYOUT_BYTES, 1, out), -EBADMSG);
}

/* A frame that unpacks to more than the rows can need is not unpacked. */
static void test_bomb_is_refused(void **state)
{
	size_t size = 64u << 20, packed_cap = ZSTD_compressBound(size), packed;
	uint8_t *zeros = calloc(1, size), *frame = malloc(packed_cap);
	struct bytebuf unit;
	uint64_t out[4];

	(void)state;
	assert_non_null(zeros);
	assert_non_null(frame);
	packed = ZSTD_compress(frame, packed_cap, zeros, size, 3);
	assert_false(ZSTD_isError(packed));
	bytebuf_init(&unit);
	bytebuf_u8(&unit, CODEC_ZSTD);
	bytebuf_varint(&unit, size);
	bytebuf_varint(&unit, packed);
	bytebuf_put(&unit, frame, packed);
	assert_int_equal(read_column(unit.data, unit.len, 0, LAYOUT_VARINT, 3, out), -EBADMSG);
	/* Nor one that lies about what it unpacks to. */
	bytebuf_clear(&unit);
	bytebuf_u8(&unit, CODEC_ZSTD);
	bytebuf_varint(&unit, 3);
	bytebuf_varint(&unit, packed);
	bytebuf_put(&unit, frame, packed);
	assert_int_equal(read_column(unit.data, unit.len, 0, LAYOUT_VARINT, 3, out), -EBADMSG);
	bytebuf_release(&unit);
	free(zeros);
	free(frame);
}

static void test_parse_limits(void **state)
{
	struct table t;

	(void)state;
	assert_int_equal(table_parse(&t, "", 0, 0), -EBADMSG);
	assert_int_equal(table_parse(&t, "\0", 1, 0), 0);
	assert_int_equal(table_parse(&t, "\0", 1, BLOCK_MAX_RECORDS + 1), -EBADMSG);
	assert_int_equal(table_parse(&t, "\0\0", 2, 1), -EBADMSG);
	assert_int_equal(table_parse(&t, "\1\1\0\0\0", 5, 1), -EBADMSG);
	assert_int_equal(table_parse(&t, "\1\1\0\0\0\1", 6, 1), -EBADMSG);
	assert_int_equal(table_parse(&t, "\xff\xff\xff\x7f", 4, 1), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_round_trip),
		cmocka_unit_test(test_new_ids_round_trip),
		cmocka_unit_test(test_strings_round_trip),
		cmocka_unit_test(test_wrong_number_of_columns),
		cmocka_unit_test(test_specified_bytes),
		cmocka_unit_test(test_damage_is_refused),
		cmocka_unit_test(test_bomb_is_refused),
		cmocka_unit_test(test_parse_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
