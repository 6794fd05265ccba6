#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "format/table.h"
#include "format/table_buckets.h"
#include "format/table_linked.h"

#define NR 5000

static uint64_t seed = 7;

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* --- rows before rows ------------------------------------------------------------------ */

static bool is_earlier(const uint64_t *time, uint32_t x, uint32_t y)
{
	return time[x] < time[y] || (time[x] == time[y] && x < y);
}

/* As the format says it, row by row. */
static uint32_t before_slowly(const uint64_t *time, const uint64_t *key, uint32_t nr, uint32_t i)
{
	uint32_t best = TABLE_LINKS_NONE;

	for (uint32_t k = 0; k < nr; k++)
		if (key[k] == key[i] && is_earlier(time, k, i) &&
		    (best == TABLE_LINKS_NONE || is_earlier(time, best, k)))
			best = k;
	return best;
}

/* Runs of some CPUs in time order, or anything; few keys, or many, large or small. */
static void make_rows(unsigned int kind, uint64_t *time, uint64_t *key, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++) {
		time[i] = kind & 1 ? next_random() % 50 :
			  (i && i % 300 ? time[i - 1] : 1000) + next_random() % 20;
		key[i] = kind & 2 ? next_random() << 32 | next_random() % 30 : next_random() % 9;
		if (kind & 4)
			key[i] = (next_random() % 5) * UINT64_C(0x1234567812345678);
	}
}

static void test_rows_before(void **state)
{
	static const uint32_t sizes[] = { 1, 2, 10, 700, 3, 1000 };
	uint64_t time[1000], key[1000], other[1000];
	struct table_links l = { .nr = 0 };

	(void)state;
	for (unsigned int kind = 0; kind < 8; kind++)
		for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
			const uint32_t *before, nr = sizes[s];

			make_rows(kind, time, other, nr);
			make_rows(kind, time, key, nr);
			table_links_clear(&l);
			assert_non_null(table_links_before(&l, 1, time, 3, other, nr));
			before = table_links_before(&l, 1, time, 2, key, nr);
			assert_non_null(before);
			for (uint32_t i = 0; i < nr; i++)
				assert_int_equal(before[i], before_slowly(time, key, nr, i));
			for (uint32_t i = 1; i < nr; i++)
				assert_true(is_earlier(time, l.order[i - 1], l.order[i]));
			/* Remembered, and not taken for another one. */
			assert_ptr_equal(before, table_links_before(&l, 1, time, 2, key, nr));
			before = table_links_before(&l, 1, time, 3, other, nr);
			assert_int_equal(before[nr - 1],
					 before_slowly(time, other, nr, nr - 1));
		}
	table_links_release(&l);
}

/* How many rows stand in front of row i, as the format says it. */
static uint32_t place_slowly(const uint64_t *key, uint32_t nr, uint32_t i)
{
	uint32_t place = 0;

	for (uint32_t k = 0; k < nr; k++)
		place += key[k] < key[i] || (key[k] == key[i] && k < i);
	return place;
}

static void test_places_in_groups(void **state)
{
	static const uint32_t sizes[] = { 1, 2, 10, 300, 3, 200 };
	uint64_t time[300], key[300], other[300];
	struct table_links l = { .nr = 0 };

	(void)state;
	for (unsigned int kind = 0; kind < 8; kind++)
		for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
			const uint32_t *places, nr = sizes[s];

			make_rows(kind, time, other, nr);
			make_rows(kind, time, key, nr);
			table_links_clear(&l);
			assert_non_null(table_links_places(&l, 3, other, nr));
			places = table_links_places(&l, 2, key, nr);
			assert_non_null(places);
			for (uint32_t i = 0; i < nr; i++)
				assert_int_equal(places[i], place_slowly(key, nr, i));
			assert_non_null(table_links_before(&l, 1, time, 2, key, nr));
			places = table_links_places(&l, 3, other, nr);
			assert_int_equal(places[nr - 1], place_slowly(other, nr, nr - 1));
			assert_ptr_equal(places, table_links_places(&l, 3, other, nr));
		}
	table_links_release(&l);
}

/* --- buckets ------------------------------------------------------------------------------ */

static void test_buckets_round_trip(void **state)
{
	static uint64_t in[NR], out[NR];
	static uint8_t symbols[NR], bits[8 * NR + 8];
	size_t size_bytes;

	(void)state;
	for (unsigned int sub = TABLE_BUCKETS_MIN_SUB; sub <= TABLE_BUCKETS_MAX_SUB; sub++)
		for (unsigned int kind = 0; kind < 4; kind++) {
			for (size_t i = 0; i < NR; i++) {
				unsigned int shift = kind < 3 ? next_random() % 64 : 0;

				in[i] = next_random() >> (kind ? shift : 52);
				if (kind == 2)
					in[i] = (UINT64_C(1) << shift) - next_random() % 2;
			}
			for (size_t nr = 0; nr <= NR; nr = nr * 3 + 1) {
				size_bytes = table_buckets_split(in, nr, sub, symbols, bits);
				assert_true(size_bytes <= 8 * nr);
				memset(out, 0xff, sizeof(out));
				assert_true(table_buckets_join(out, nr, sub, symbols, bits,
							       size_bytes));
				assert_memory_equal(in, out, nr * sizeof(*in));
				assert_false(table_buckets_join(out, nr, sub, symbols, bits,
								size_bytes + 1));
				if (size_bytes)
					assert_false(table_buckets_join(out, nr, sub, symbols,
									bits, size_bytes - 1));
			}
		}
}

static void test_buckets_as_specified(void **state)
{
	/* With 2 sub-bits: 3; 5 = 101b, one bit more; 1010110b; 64 bits. */
	static const uint8_t symbols[] = { 3, 6, 17, 255 };
	static const uint8_t bits[] = { 0x61 << 1 | 1, 0, 0, 0, 0, 0, 0, 0, 0 };
	uint64_t v[4];

	(void)state;
	assert_true(table_buckets_join(v, 1, 2, symbols, bits, 0));
	assert_int_equal(v[0], 3);
	/* h is 1: (4 + 2) << 0. */
	assert_true(table_buckets_join(v, 2, 2, symbols, bits, 0));
	assert_int_equal(v[1], 6);
	/* h is 4: (4 + 1) << 3, and 011b. */
	assert_true(table_buckets_join(v, 3, 2, symbols, bits, 1));
	assert_int_equal(v[2], 40 + 3);
	assert_true(table_buckets_join(v, 4, 2, symbols, bits, 9));
	assert_true(v[3] == 0xc3 >> 3);
	/* What would have more than 64 bits. */
	assert_false(table_buckets_join(v, 1, 2, (const uint8_t *)"\374", bits, 8));
}

static void test_buckets_choice(void **state)
{
	static uint64_t noise[NR], plain[NR];
	size_t buckets, planes;
	unsigned int sub;

	(void)state;
	for (size_t i = 0; i < NR; i++) {
		noise[i] = next_random() >> (24 + next_random() % 40);
		plain[i] = i % 2;
	}
	sub = table_buckets_choose(noise, TABLE_BUCKETS_SAMPLE, NR, &buckets, &planes);
	assert_true(sub >= TABLE_BUCKETS_MIN_SUB && sub <= TABLE_BUCKETS_MAX_SUB);
	assert_true(buckets < planes);
	table_buckets_choose(plain, TABLE_BUCKETS_SAMPLE, NR, &buckets, &planes);
	assert_true(buckets >= planes);
	table_buckets_choose(plain, 0, 0, &buckets, &planes);
	assert_int_equal(buckets + planes, 0);
}

/* --- columns ------------------------------------------------------------------------------- */

/* Column 1 is the time, 2 the key, 3 a number, and 4 the one that is predicted. */
static int write_and_read(const struct table_link *link, enum table_hint hint,
			  uint64_t *const columns[4], size_t nr, uint64_t *out)
{
	const uint64_t *terms[TABLE_LINK_TERMS];
	uint64_t *w = malloc(nr * sizeof(*w));
	struct table_linked_sums sums;
	struct table_links links = { .nr = 0 };
	struct table_encoder *e;
	struct table_decoder *d;
	struct table t;
	struct bytebuf b;
	int err;

	bytebuf_init(&b);
	assert_int_equal(table_encoder_new(&e, 3), 0);
	assert_int_equal(table_decoder_new(&d), 0);
	for (size_t k = 0; k < link->nr_terms; k++)
		terms[k] = columns[link->terms[k].id - 1];
	table_linked_make(link, terms, columns[0],
			  table_links_before(&links, 1, columns[0], 2, columns[1], nr), nr,
			  columns[3], w, &sums);
	table_begin(e, &b, nr, 4);
	table_numbers(e, 1, TABLE_ASCENDING, columns[0]);
	table_numbers(e, 2, TABLE_IDS, columns[1]);
	table_numbers(e, 3, TABLE_NOISY, columns[2]);
	table_linked(e, 4, hint, link, w, &sums);
	assert_int_equal(table_end(e), 0);
	err = table_parse(&t, b.data, b.len, nr);
	if (!err)
		err = table_read_numbers(d, &t, table_find(&t, 4), out);
	table_links_release(&links);
	table_encoder_free(e);
	table_decoder_free(d);
	bytebuf_release(&b);
	free(w);
	return err;
}

static void random_link(struct table_link *link)
{
	*link = (struct table_link){ .key = 2, .time = 1, .mode = next_random() % 3 };
	link->nr_terms = 1 + next_random() % TABLE_LINK_TERMS;
	for (size_t k = 0; k < link->nr_terms; k++)
		link->terms[k] = (struct table_term){ next_random() % 3, next_random() % 2,
						      1 + next_random() % 3 };
	if (next_random() % 3)
		return;
	link->nr_terms = 1;
	link->terms[0] = (struct table_term){ PLACE_BEFORE, false, 4 };
}

static void test_linked_round_trip(void **state)
{
	static uint64_t time[NR], key[NR], number[NR], x[NR], out[NR];
	uint64_t *const columns[4] = { time, key, number, x };

	(void)state;
	for (unsigned int i = 0; i < 300; i++) {
		size_t nr = i < 10 ? i + 1 : 1 + next_random() % NR;
		struct table_link link;

		make_rows(i % 8, time, key, (uint32_t)nr);
		for (size_t k = 0; k < nr; k++) {
			number[k] = next_random() >> next_random() % 64;
			x[k] = i % 3 ? next_random() % 40 + (k ? x[k - 1] : 0) : next_random() / 2;
		}
		random_link(&link);
		memset(out, 0, sizeof(out));
		assert_int_equal(write_and_read(&link, TABLE_PLAIN + i % 4 * (i % 4 != 1), columns,
						nr, out), 0);
		assert_memory_equal(x, out, nr * sizeof(*x));
	}
}

/* Column 2 is grouped by column 1. */
static void group_and_read(const uint64_t *key, const uint64_t *x, size_t nr,
			   enum table_hint hint, uint64_t *out)
{
	struct table_links links = { .nr = 0 };
	const uint32_t *places = table_links_places(&links, 1, key, nr);
	uint64_t *v = malloc(nr * sizeof(*v)), value;
	struct table_linked_sums sums = { 0, 1 };
	struct table_encoder *e;
	struct table_decoder *d;
	struct table t;
	struct bytebuf b;

	bytebuf_init(&b);
	assert_int_equal(table_encoder_new(&e, 3), 0);
	assert_int_equal(table_decoder_new(&d), 0);
	for (size_t i = 0; i < nr; i++) {
		v[places[i]] = x[i];
		sums.all |= x[i];
	}
	for (size_t i = 1; i < nr; i++)
		sums.nr_runs += v[i] != v[i - 1];
	table_begin(e, &b, nr, 2);
	table_numbers(e, 1, TABLE_IDS, key);
	table_grouped(e, 2, hint, 1, v, &sums);
	assert_int_equal(table_end(e), 0);
	assert_int_equal(table_parse(&t, b.data, b.len, nr), 0);
	assert_int_equal(table_find(&t, 2)->transform, TRANSFORM_GROUPED);
	assert_false(nr > 1 && table_is_constant(&t, table_find(&t, 2), &value));
	assert_int_equal(table_read_numbers(d, &t, table_find(&t, 2), out), 0);
	assert_memory_equal(x, out, nr * sizeof(*x));
	assert_int_equal(table_read_numbers(d, &t, table_find(&t, 1), out), 0);
	assert_memory_equal(key, out, nr * sizeof(*key));
	table_links_release(&links);
	table_encoder_free(e);
	table_decoder_free(d);
	bytebuf_release(&b);
	free(v);
}

static void test_grouped_round_trip(void **state)
{
	static uint64_t time[NR], key[NR], x[NR], out[NR];

	(void)state;
	for (unsigned int i = 0; i < 100; i++) {
		size_t nr = i < 10 ? i + 1 : 1 + next_random() % NR;

		make_rows(i % 8, time, key, (uint32_t)nr);
		for (size_t k = 0; k < nr; k++)
			x[k] = i % 3 ? key[k] % 7 + next_random() % 2 : next_random();
		x[nr - 1] = nr > 1 ? x[0] + 1 : x[0];
		group_and_read(key, x, nr, TABLE_PLAIN + i % 4 * (i % 4 != 1), out);
	}
}

/* Pieces in no order, of runs that are few: the same as the column itself. */
static void test_grouped_runs(void **state)
{
	static uint64_t key[NR], x[NR], v[NR], out[NR];
	struct table_run runs[TABLE_FEW_RUNS];
	struct table_encoder *e;
	struct table_decoder *d;
	struct table t;
	struct bytebuf b;

	(void)state;
	bytebuf_init(&b);
	assert_int_equal(table_encoder_new(&e, 3), 0);
	assert_int_equal(table_decoder_new(&d), 0);
	for (uint32_t nr_runs = 1; nr_runs <= 40; nr_runs++) {
		struct table_links links = { .nr = 0 };
		const uint32_t *places;

		for (uint32_t i = 0; i < NR; i++)
			key[i] = next_random() % 5;
		places = table_links_places(&links, 1, key, NR);
		for (uint32_t i = 0; i < nr_runs; i++) {
			uint32_t at = nr_runs - 1 - i;

			runs[i] = (struct table_run){ at % 4 / 2, at * (NR / nr_runs) };
			for (uint32_t k = runs[i].place; k < NR; k++)
				if (k < (at + 1) * (NR / nr_runs) || at + 1 == nr_runs)
					v[k] = runs[i].value;
		}
		for (uint32_t i = 0; i < NR; i++)
			x[i] = v[places[i]];
		bytebuf_clear(&b);
		table_begin(e, &b, NR, 2);
		table_numbers(e, 1, TABLE_IDS, key);
		assert_true(table_grouped_runs(e, 2, 1, runs, nr_runs));
		assert_int_equal(table_end(e), 0);
		assert_int_equal(table_parse(&t, b.data, b.len, NR), 0);
		assert_int_equal(table_read_numbers(d, &t, table_find(&t, 2), out), 0);
		assert_memory_equal(x, out, sizeof(x));
		table_links_release(&links);
	}
	for (uint32_t i = 0; i < TABLE_FEW_RUNS; i++)
		runs[i] = (struct table_run){ i, i };
	table_begin(e, &b, TABLE_FEW_RUNS, 1);
	assert_false(table_grouped_runs(e, 2, 1, runs, TABLE_FEW_RUNS));
	table_encoder_free(e);
	table_decoder_free(d);
	bytebuf_release(&b);
}

/* --- what is refused -------------------------------------------------------------------------- */

static int parse(const char *link, size_t len)
{
	/* Columns 1 and 2, the link's own is 4, and 5 stands behind it. */
	static const char before[] = "\4\1\0\0\0\0\2\0\0\0\0\4\3\0\0", after[] = "\0\5\0\0\0\0";
	struct bytebuf b;
	struct table t;
	int err;

	bytebuf_init(&b);
	bytebuf_put(&b, before, sizeof(before) - 1);
	bytebuf_put(&b, link, len);
	bytebuf_put(&b, after, sizeof(after) - 1);
	err = table_parse(&t, b.data, b.len, 3);
	bytebuf_release(&b);
	return err;
}

#define PARSE(link) parse(link, sizeof(link) - 1)

static void test_links_are_checked(void **state)
{
	(void)state;
	assert_int_equal(PARSE("\0\2\1\1\0\1"), 0);
	assert_int_equal(PARSE("\2\2\1\2\1\1\22\2"), 0);
	assert_int_equal(PARSE("\2\2\1\1\1\4"), 0);
	/* An unknown mode, a key or a time that is not there or stands behind. */
	assert_int_equal(PARSE("\3\2\1\1\0\1"), -EBADMSG);
	assert_int_equal(PARSE("\0\3\1\1\0\1"), -EBADMSG);
	assert_int_equal(PARSE("\0\2\5\1\0\1"), -EBADMSG);
	assert_int_equal(PARSE("\0\4\1\1\0\1"), -EBADMSG);
	/* No term, too many, an unknown place, one of a column that stands behind. */
	assert_int_equal(PARSE("\0\2\1\0"), -EBADMSG);
	assert_int_equal(PARSE("\0\2\1\5\0\1\0\1\0\1\0\1\0\1"), -EBADMSG);
	assert_int_equal(PARSE("\0\2\1\1\3\1"), -EBADMSG);
	assert_int_equal(PARSE("\0\2\1\1\40\1"), -EBADMSG);
	assert_int_equal(PARSE("\0\2\1\1\0\5"), -EBADMSG);
	/* Itself, but not at the row before, or negative, or not alone. */
	assert_int_equal(PARSE("\0\2\1\1\0\4"), -EBADMSG);
	assert_int_equal(PARSE("\0\2\1\1\2\4"), -EBADMSG);
	assert_int_equal(PARSE("\0\2\1\1\21\4"), -EBADMSG);
	assert_int_equal(PARSE("\0\2\1\2\1\4\0\1"), -EBADMSG);
}

static void test_keys_are_checked(void **state)
{
	struct table t;

	(void)state;
	assert_int_equal(table_parse(&t, "\2\1\0\0\0\0\2\5\0\0\1\0", 12, 3), 0);
	/* One that is not there, the column itself, or one that stands behind it. */
	assert_int_equal(table_parse(&t, "\2\1\0\0\0\0\2\5\0\0\3\0", 12, 3), -EBADMSG);
	assert_int_equal(table_parse(&t, "\2\1\0\0\0\0\2\5\0\0\2\0", 12, 3), -EBADMSG);
	assert_int_equal(table_parse(&t, "\2\2\5\0\0\1\0\1\0\0\0\0", 12, 3), -EBADMSG);
	assert_int_equal(table_parse(&t, "\2\1\0\0\0\0\2\6\0\0\1\0", 12, 3), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_before),
		cmocka_unit_test(test_places_in_groups),
		cmocka_unit_test(test_buckets_round_trip),
		cmocka_unit_test(test_buckets_as_specified),
		cmocka_unit_test(test_buckets_choice),
		cmocka_unit_test(test_linked_round_trip),
		cmocka_unit_test(test_grouped_round_trip),
		cmocka_unit_test(test_grouped_runs),
		cmocka_unit_test(test_links_are_checked),
		cmocka_unit_test(test_keys_are_checked),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
