/*
 * Sums of absurd values: more than 64 bits, and less than nothing.
 */
#include "report/profile.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "format/buckets.h"
#include "format/writer.h"
#include "report/stacksum.h"

enum { SPAN = 1, TALLY };

static const struct field_desc span_fields[] = {
	{ "time", FIELD_UNSIGNED, ROLE_TIME, 0, 0, "ns", NULL },
	{ "cpu", FIELD_UNSIGNED, ROLE_CPU, 0, 0, "", NULL },
	{ "duration", FIELD_UNSIGNED, ROLE_DURATION, 0, 0, "ns", NULL },
	{ "ret", FIELD_SIGNED, ROLE_RESULT, 0, 0, "", NULL },
};

static const struct field_desc tally_fields[] = {
	{ "time", FIELD_UNSIGNED, ROLE_TIME, 0, 0, "ns", NULL },
	{ "cpu", FIELD_UNSIGNED, ROLE_NONE, 0, 0, "", NULL },
	{ "duration", FIELD_SIGNED, ROLE_BUCKET, 0, 0, "ns", NULL },
	{ "count", FIELD_UNSIGNED, ROLE_COUNT, 0, 0, "", NULL },
};

static int put(void *ctx, const void *bytes, size_t size_bytes, bool droppable)
{
	(void)droppable;
	return fwrite(bytes, 1, size_bytes, ctx) == size_bytes ? 0 : -EIO;
}

static char path[64];

static void span(struct writer *w, uint64_t cpu, uint64_t duration_ns, int64_t ret)
{
	writer_record(w, SPAN, (const uint64_t[]) { 1000, cpu, duration_ns, (uint64_t)ret });
}

static int make_trace(void **state)
{
	const struct event_desc events[] = {
		{ .name = "span", .nr_fields = 4, .fields = span_fields },
		{ .name = "tally", .nr_fields = 4, .fields = tally_fields },
	};
	struct writer_output output = { .put = put };
	struct writer *w;
	int fd;

	(void)state;
	strcpy(path, "/tmp/kymo-profile-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	output.ctx = fdopen(fd, "wb");
	assert_int_equal(writer_open(&w, &output, 1, 1), 0);
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(writer_event(w, &events[i]), i + 1);
	span(w, 0, UINT64_MAX, INT64_MIN);
	span(w, 0, UINT64_MAX / 2, -1);
	span(w, 1, UINT64_MAX / 2, INT64_MAX);
	span(w, 1, 0, INT64_MAX);
	span(w, 2, 5, INT64_MAX);
	/* No sums, buckets that there are not, and more hits than there are numbers. */
	writer_record(w, TALLY, (const uint64_t[]) { 1000, 0, 20, 3 });
	writer_record(w, TALLY, (const uint64_t[]) { 1000, 0, BUCKETS_LAST, UINT64_MAX });
	writer_record(w, TALLY, (const uint64_t[]) { 1000, 1, UINT64_MAX / 2, UINT64_MAX });
	writer_record(w, TALLY, (const uint64_t[]) { 1000, 1, (uint64_t)INT64_MIN, 1 });
	assert_int_equal(writer_close(w), 0);
	fclose(output.ctx);
	return 0;
}

static int remove_trace(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

struct fixture {
	struct query *query;
	struct profile_keys keys;
	struct profile *profile;
	const struct profile_table *table;
};

static void begin(struct fixture *f, const char *event, const char *of)
{
	const struct query_opts opts = { .input = path, .events = event };
	struct diag d = { "" };

	assert_int_equal(query_open(&f->query, &opts, &d), 0);
	assert_int_equal(profile_keys_parse(&f->keys, "cpu", &d), 0);
	assert_int_equal(profile_new(&f->profile, f->query, &f->keys, of, false, &d), 0);
	assert_int_equal(profile_nr_tables(f->profile), 1);
	f->table = profile_table_at(f->profile, 0);
}

static void end(struct fixture *f)
{
	profile_free(f->profile);
	query_close(f->query);
}

/* Whatever is cut off, the rows are the whole. */
static void check_rows(const struct fixture *f)
{
	uint64_t left = f->table->weight;

	for (size_t i = 0; i < f->table->nr_rows; i++) {
		assert_true(f->table->rows[i].self <= left);
		left -= f->table->rows[i].self;
	}
	assert_int_equal(left, 0);
}

static void sums_stay_in_64_bits(void **state)
{
	const struct histogram *h;
	struct fixture f;

	(void)state;
	begin(&f, "span", NULL);
	assert_true(f.table->overflow && f.table->distributed);
	assert_int_equal(f.table->weight, UINT64_MAX);
	assert_int_equal(f.table->samples, 5);
	assert_int_equal(f.table->nr_rows, 3);
	check_rows(&f);
	/* How values are distributed is right even so. */
	h = profile_values(f.profile, &f.table->rows[0]);
	assert_non_null(h);
	assert_int_equal(h->count, 2);
	assert_true(h->sum > 2.7e19);
	assert_int_equal(h->most, UINT64_MAX);
	end(&f);
}

static void negative_values_have_no_share(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, "span", "ret");
	assert_int_equal(f.table->negative, 2);
	assert_true(f.table->overflow);
	check_rows(&f);
	end(&f);
	begin(&f, "span", "1");
	assert_true(f.table->counted && !f.table->overflow && !f.table->distributed);
	assert_int_equal(f.table->weight, 5);
	end(&f);
}

static void damaged_tallies_do_no_harm(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, "tally", NULL);
	assert_int_equal(f.table->word, PROFILE_HITS);
	assert_int_equal(f.table->nr_rows, 2);
	check_rows(&f);
	for (size_t i = 0; i < 2; i++) {
		const struct histogram *h = profile_values(f.profile, &f.table->rows[i]);

		assert_non_null(h);
		assert_false(h->has_limits);
		assert_true(histogram_percentile(h, 0.5) > 0);
	}
	end(&f);
}

static void stacks_stay_in_64_bits(void **state)
{
	static const char *const fields[] = { NULL, "ret" };
	static const char *const events[] = { "span", "tally" };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		const struct query_opts opts = { .input = path, .events = events[i % 2] };
		const struct stacksum_opts sum = { .all_events = true, .of = fields[i / 2] };
		struct stacksum *s;
		struct diag d = { "" };
		struct query *q;

		assert_int_equal(query_open(&q, &opts, &d), 0);
		assert_int_equal(stacksum_new(&s, q, &sum), 0);
		if (i == 3) {
			assert_int_equal(stacksum_read(s, &d), -EINVAL);
		} else {
			assert_int_equal(stacksum_read(s, &d), 0);
			assert_int_equal(stacksum_total(s), UINT64_MAX);
			assert_int_equal(stacksum_left_out(s).negative, i == 2 ? 2 : i == 1);
		}
		stacksum_free(s);
		query_close(q);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_stay_in_64_bits),
		cmocka_unit_test(negative_values_have_no_share),
		cmocka_unit_test(damaged_tallies_do_no_harm),
		cmocka_unit_test(stacks_stay_in_64_bits),
	};

	return cmocka_run_group_tests(tests, make_trace, remove_trace);
}
