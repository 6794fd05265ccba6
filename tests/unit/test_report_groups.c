/*
 * What is measured and how it is grouped, over a generated trace of a span and of its
 * tally, against what the generator remembers.
 */
#include "report/groups.h"

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
#include "report/histogram.h"
#include "report/measure.h"

#define NR_TASKS 6
#define NR_SPANS 5000
#define MAX_GROUPS 64

enum { SPAN = 1, TALLY, BARE };

static const struct field_desc span_fields[] = {
	{ "time", FIELD_UNSIGNED, ROLE_TIME, 0, 0, "ns", NULL },
	{ "cpu", FIELD_UNSIGNED, ROLE_CPU, 0, 0, "", NULL },
	{ "task", FIELD_TASK, ROLE_TASK, 0, 0, "", NULL },
	{ "duration", FIELD_UNSIGNED, ROLE_DURATION, 0, 0, "ns", NULL },
	{ "bytes", FIELD_UNSIGNED, ROLE_WEIGHT, 0, 0, "B", NULL },
	{ "ret", FIELD_SIGNED, ROLE_RESULT, HINT_ERRNO, 0, "", NULL },
	{ "path", FIELD_STRING, ROLE_NONE, 0, CLASS_PATH, "", NULL },
	{ "ratio", FIELD_FLOAT, ROLE_NONE, 0, 0, "", NULL },
};
#define NR_SPAN_FIELDS (sizeof(span_fields) / sizeof(span_fields[0]))

static const struct field_desc tally_fields[] = {
	{ "time", FIELD_UNSIGNED, ROLE_TIME, 0, 0, "ns", NULL },
	{ "comm", FIELD_STRING, ROLE_NONE, 0, CLASS_COMMAND, "", NULL },
	{ "ret", FIELD_SIGNED, ROLE_RESULT, HINT_ERRNO, 0, "", NULL },
	{ "duration", FIELD_SIGNED, ROLE_BUCKET, 0, 0, "ns", NULL },
	{ "count", FIELD_UNSIGNED, ROLE_COUNT, 0, 0, "", NULL },
	{ "sum", FIELD_UNSIGNED, ROLE_SUM, 0, 0, "ns", NULL },
	{ "min", FIELD_UNSIGNED, ROLE_LEAST, 0, 0, "ns", NULL },
	{ "max", FIELD_UNSIGNED, ROLE_MOST, 0, 0, "ns", NULL },
	{ "first", FIELD_UNSIGNED, ROLE_FIRST, 0, 0, "", NULL },
	{ "interval", FIELD_UNSIGNED, ROLE_INTERVAL, 0, 0, "ns", NULL },
	{ "", FIELD_UNSIGNED, ROLE_NONE, 0, 0, "", NULL },
};
#define NR_TALLY_FIELDS (sizeof(tally_fields) / sizeof(tally_fields[0]))

struct span {
	uint64_t duration_ns, bytes, path;
	int64_t ret;
	unsigned int task, cpu;
};

struct made {
	char path[64];
	FILE *file;
	uint64_t seed;
	struct span spans[NR_SPANS];
};

static uint64_t next(struct made *m, uint64_t below)
{
	m->seed = m->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (m->seed >> 33) % below;
}

static int put(void *ctx, const void *bytes, size_t size_bytes, bool droppable)
{
	struct made *m = ctx;

	(void)droppable;
	return fwrite(bytes, 1, size_bytes, m->file) == size_bytes ? 0 : -EIO;
}

static const char *const comms[] = { "cat", "dd", "sh, \"a\"" };
static const char *const paths[] = { "", "/etc/passwd", "?" };

static uint32_t text_id(struct writer *w, uint8_t class, const char *text)
{
	return writer_string(w, class, text, strlen(text));
}

static void announce(struct writer *w)
{
	const struct event_desc events[] = {
		{ .name = "read", .nr_fields = NR_SPAN_FIELDS, .fields = span_fields },
		{ .name = "reads", .nr_fields = NR_TALLY_FIELDS, .fields = tally_fields },
		{ .name = "bare", .nr_fields = 2, .fields = span_fields },
	};

	for (uint32_t i = 0; i < NR_TASKS; i++) {
		struct writer_task task = {
			.id = i + 1, .pid = 100 + i / 2, .tid = 100 + i,
			.comm = text_id(w, CLASS_COMMAND, comms[i % 3]),
		};

		writer_task(w, &task);
	}
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(writer_event(w, &events[i]), i + 1);
}

static void make_span(struct made *m, struct writer *w, size_t i)
{
	struct span *s = &m->spans[i];
	double ratio = (double)i - 0.4;
	uint64_t bits, path;

	*s = (struct span) {
		.duration_ns = next(m, 1 << (4 + next(m, 20))), .bytes = next(m, 3) * 512,
		.path = next(m, 3), .ret = (int64_t)next(m, 4) - 2,
		.task = (unsigned int)next(m, NR_TASKS + 1), .cpu = (unsigned int)next(m, 4),
	};
	memcpy(&bits, &ratio, sizeof(bits));
	path = s->path ? text_id(w, CLASS_PATH, paths[s->path]) : 0;
	writer_record(w, SPAN, (const uint64_t[]) {
		1000 + i * 10, s->cpu, s->task, s->duration_ns, s->bytes, (uint64_t)s->ret,
		path, bits,
	});
}

/* What a tally by comm and ret makes of the same spans. */
static void make_tally(struct made *m, struct writer *w)
{
	for (unsigned int comm = 0; comm < 3; comm++) {
		for (int64_t ret = -2; ret < 2; ret++) {
			uint64_t counts[BUCKETS_LAST + 1] = { 0 }, sum = 0, least = UINT64_MAX, most = 0;
			uint64_t first = 1;

			for (size_t i = 0; i < NR_SPANS; i++) {
				const struct span *s = &m->spans[i];

				if (!s->task || (s->task - 1) % 3 != comm || s->ret != ret)
					continue;
				counts[buckets_index(s->duration_ns)]++;
				sum += s->duration_ns;
				least = s->duration_ns < least ? s->duration_ns : least;
				most = s->duration_ns > most ? s->duration_ns : most;
			}
			for (uint64_t b = 0; b <= BUCKETS_LAST; b++) {
				if (!counts[b])
					continue;
				writer_record(w, TALLY, (const uint64_t[]) {
					1000000, text_id(w, CLASS_COMMAND, comms[comm]), (uint64_t)ret, b,
					counts[b], first ? sum : 0, first ? least : 0, first ? most : 0,
					first, 1000000, 0,
				});
				first = 0;
			}
		}
	}
}

static int make_trace(void **state)
{
	struct made *m = calloc(1, sizeof(*m));
	const struct writer_output output = { .put = put, .ctx = m };
	struct writer *w;
	int fd;

	assert_non_null(m);
	strcpy(m->path, "/tmp/kymo-groups-XXXXXX");
	fd = mkstemp(m->path);
	assert_true(fd >= 0);
	m->file = fdopen(fd, "wb");
	m->seed = 42;
	assert_int_equal(writer_open(&w, &output, 1, 1), 0);
	announce(w);
	for (size_t i = 0; i < NR_SPANS; i++)
		make_span(m, w, i);
	make_tally(m, w);
	writer_record(w, BARE, (const uint64_t[]) { 1000, 1 });
	assert_int_equal(writer_close(w), 0);
	fclose(m->file);
	*state = m;
	return 0;
}

static int remove_trace(void **state)
{
	struct made *m = *state;

	unlink(m->path);
	free(m);
	return 0;
}

/* --- walking a query ----------------------------------------------------------- */

struct walk {
	struct groups *groups;
	struct measure measure;
	const char *of;
	enum measure_default usual;
	struct measure_scratch *scratch;
	char name[16], unit[16];	/* copies: those of the measure go with the trace */
	struct histogram by_group[MAX_GROUPS];
};

static void add_row(struct walk *w, const struct measure_rows *r, uint32_t group, size_t row)
{
	struct histogram *h = &w->by_group[group];

	if (!h->count)
		histogram_init(h, w->measure.is_signed);
	if (!r->buckets) {
		histogram_add(h, r->values ? r->values[row] : 1);
		return;
	}
	histogram_add_bucket(h, (int32_t)r->buckets[row], r->counts[row]);
	if (r->first[row])
		histogram_add_sums(h, r->sums[row], r->least[row], r->most[row]);
}

static int add_batch(void *ctx, struct query_batch *b)
{
	uint32_t *group = calloc(b->nr, sizeof(*group));
	struct walk *w = ctx;
	struct diag d = { "" };
	struct measure_rows r;

	assert_non_null(group);
	assert_int_equal(measure_init(&w->measure, b->event, w->of, w->usual, &d), 0);
	snprintf(w->name, sizeof(w->name), "%s", w->measure.name);
	snprintf(w->unit, sizeof(w->unit), "%s", w->measure.unit);
	assert_int_equal(measure_rows(&w->measure, b, w->scratch, &r), 0);
	assert_int_equal(groups_of(w->groups, b, group), 0);
	for (size_t i = 0; i < b->nr; i++) {
		assert_true(group[i] < MAX_GROUPS && group[i] < groups_nr(w->groups));
		add_row(w, &r, group[i], b->rows ? b->rows[i] : i);
	}
	free(group);
	return 0;
}

/* The trace goes before the groups are asked for their texts. */
static void walk_trace(struct walk *w, const struct made *m, const char *events,
		       const char *filter)
{
	const struct query_opts opts = {
		.input = m->path, .events = events, .filter = filter,
	};
	struct diag d = { "" };
	struct query *q;

	assert_int_equal(query_open(&q, &opts, &d), 0);
	assert_int_equal(groups_begin(w->groups, query_trace(q), &d), 0);
	assert_int_equal(query_each_batch(q, add_batch, w, &d), 0);
	query_close(q);
}

static void begin(struct walk *w, struct profile_keys *keys, const char *by)
{
	struct diag d = { "" };

	memset(w, 0, sizeof(*w));
	keys->nr = 0;
	if (by)
		assert_int_equal(profile_keys_parse(keys, by, &d), 0);
	assert_int_equal(groups_new(&w->groups, keys), 0);
	assert_int_equal(measure_scratch_new(&w->scratch), 0);
}

static void end(struct walk *w)
{
	for (size_t i = 0; i < MAX_GROUPS; i++)
		histogram_release(&w->by_group[i]);
	groups_free(w->groups);
	measure_scratch_free(w->scratch);
}

static const char *label(struct walk *w, uint32_t group, enum fieldtext_style style)
{
	static char text[256];
	struct bytebuf to;

	bytebuf_init(&to);
	groups_put_all(w->groups, group, &to, style);
	snprintf(text, sizeof(text), "%.*s", (int)to.len, (const char *)to.data);
	bytebuf_release(&to);
	return text;
}

/* The group of that label has these values. */
static void expect(struct walk *w, const char *text, uint64_t count, double sum)
{
	for (uint32_t g = 0; g < groups_nr(w->groups); g++) {
		const struct histogram *h = &w->by_group[g];

		if (strcmp(label(w, g, FIELDTEXT_TERMINAL), text))
			continue;
		assert_int_equal(h->count, count);
		assert_true(h->sum - sum < 0.5 && sum - h->sum < 0.5);
		return;
	}
	fail_msg("no group '%s'", text);
}

/* --- tests ------------------------------------------------------------------- */

static void groups_by_task_and_fields(void **state)
{
	const struct made *m = *state;
	struct profile_keys keys;
	struct walk w;

	begin(&w, &keys, "path,comm,.ret");
	w.usual = MEASURE_DURATION_FIRST;
	walk_trace(&w, m, "read", NULL);
	/* Unknown tasks are a group, and an unread text is not the text "?". */
	assert_int_equal(groups_nr(w.groups), 3 * 4 * 4);
	for (unsigned int task = 0; task <= 3; task++) {
		uint64_t count = 0, sum = 0;
		char text[128];

		for (size_t i = 0; i < NR_SPANS; i++) {
			const struct span *s = &m->spans[i];

			if (s->path != 1 || s->ret != -2 ||
			    (task ? !s->task || (s->task - 1) % 3 != task - 1 : s->task))
				continue;
			count++;
			sum += s->duration_ns;
		}
		snprintf(text, sizeof(text), "path = %s, comm = %s, ret = -2 (ENOENT)", paths[1],
			 task ? comms[task - 1] : "[unknown]");
		expect(&w, text, count, (double)sum);
	}
	end(&w);
}

static void tallies_and_spans_share_groups(void **state)
{
	const struct made *m = *state;
	struct histogram spans[MAX_GROUPS];
	struct profile_keys keys;
	struct walk w;
	size_t nr;

	begin(&w, &keys, "ret,comm");
	w.usual = MEASURE_DURATION_FIRST;
	walk_trace(&w, m, "read", "tid != 0");
	nr = groups_nr(w.groups);
	assert_int_equal(nr, 3 * 4);
	memcpy(spans, w.by_group, sizeof(spans));
	memset(w.by_group, 0, sizeof(w.by_group));
	/* Another trace, whose comm is a field of the tally. */
	walk_trace(&w, m, "reads", NULL);
	assert_int_equal(groups_nr(w.groups), nr);
	for (size_t g = 0; g < nr; g++) {
		const struct histogram *a = &spans[g], *b = &w.by_group[g];

		assert_int_equal(a->count, b->count);
		assert_int_equal(a->least, b->least);
		assert_int_equal(a->most, b->most);
		assert_true(a->sum >= b->sum && a->sum <= b->sum);
		assert_true(histogram_percentile(a, 0.9) >= histogram_percentile(b, 0.9));
		assert_true(histogram_percentile(a, 0.9) <= histogram_percentile(b, 0.9));
		histogram_release(&spans[g]);
	}
	end(&w);
}

static void orders_groups_by_value(void **state)
{
	struct profile_keys keys;
	struct walk w;

	begin(&w, &keys, "ret,comm");
	walk_trace(&w, *state, "read,reads", NULL);
	for (uint32_t a = 0; a < groups_nr(w.groups); a++) {
		assert_int_equal(groups_compare(w.groups, a, a), 0);
		for (uint32_t b = 0; b < groups_nr(w.groups); b++) {
			int x = groups_compare(w.groups, a, b), y = groups_compare(w.groups, b, a);

			assert_true((x < 0) == (y > 0) && (x == 0) == (a == b));
		}
	}
	end(&w);
}

static void escapes_by_style(void **state)
{
	struct profile_keys keys;
	struct walk w;
	struct bytebuf to;
	bool found = false;

	begin(&w, &keys, "comm");
	walk_trace(&w, *state, "read", NULL);
	bytebuf_init(&to);
	for (uint32_t g = 0; g < groups_nr(w.groups); g++) {
		to.len = 0;
		groups_put(w.groups, g, 0, &to, FIELDTEXT_JSON);
		bytebuf_put(&to, "", 1);
		found |= !strcmp((const char *)to.data, "\"sh, \\\"a\\\"\"");
	}
	assert_true(found);
	bytebuf_release(&to);
	end(&w);
}

static void measures_what_was_asked_for(void **state)
{
	static const struct {
		const char *events, *of;
		enum measure_default usual;
		const char *name, *unit;
	} cases[] = {
		{ "read", NULL, MEASURE_WEIGHT_FIRST, "bytes", "B" },
		{ "read", NULL, MEASURE_DURATION_FIRST, "duration", "ns" },
		{ "read", "weight", MEASURE_DURATION_FIRST, "bytes", "B" },
		{ "read", "ret", MEASURE_DURATION_FIRST, "ret", "" },
		{ "read", "1", MEASURE_DURATION_FIRST, "", "" },
		{ "read", "ratio", MEASURE_WEIGHT_FIRST, "ratio", "" },
		{ "reads", NULL, MEASURE_WEIGHT_FIRST, "duration", "ns" },
		{ "reads", "duration", MEASURE_WEIGHT_FIRST, "duration", "ns" },
		{ "reads", "sum", MEASURE_WEIGHT_FIRST, "sum", "ns" },
		{ "reads", "count", MEASURE_WEIGHT_FIRST, "", "" },
		{ "bare", NULL, MEASURE_DURATION_FIRST, "", "" },
	};
	const struct made *m = *state;
	struct profile_keys keys;
	struct walk w;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin(&w, &keys, NULL);
		w.of = cases[i].of;
		w.usual = cases[i].usual;
		walk_trace(&w, m, cases[i].events, NULL);
		assert_int_equal(groups_nr(w.groups), 1);
		assert_string_equal(w.name, cases[i].name);
		assert_string_equal(w.unit, cases[i].unit);
		end(&w);
	}
	begin(&w, &keys, NULL);
	w.of = "ratio";
	walk_trace(&w, m, "read", NULL);
	assert_true(w.by_group[0].is_signed);
	assert_int_equal(w.by_group[0].least, 0);
	assert_int_equal(w.by_group[0].most, NR_SPANS - 1);
	end(&w);
	begin(&w, &keys, NULL);
	w.of = "ret";
	walk_trace(&w, m, "read", NULL);
	assert_int_equal((int64_t)w.by_group[0].least, -2);
	assert_int_equal((int64_t)w.by_group[0].most, 1);
	end(&w);
}

static void refuses_what_is_no_number(void **state)
{
	static const struct {
		size_t event;
		const char *of, *text;
	} cases[] = {
		{ 0, "path", "field 'path' of event 'read' is no number (numbers there: cpu, "
		  "duration, bytes, ret, ratio)" },
		{ 0, "x", "event 'read' has no field 'x' (numbers there: cpu, duration, bytes, ret, "
		  "ratio)" },
		{ 1, "min", "event 'reads' has no field 'min' (numbers there: ret, duration, count, "
		  "sum)" },
		{ 2, "duration", "event 'bare' has no field 'duration' (numbers there: cpu)" },
	};
	const struct made *m = *state;
	const struct query_opts opts = { .input = m->path };
	struct diag d = { "" };
	struct query *q;

	assert_int_equal(query_open(&q, &opts, &d), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct measure measure;

		d.text[0] = '\0';
		assert_int_equal(measure_init(&measure,
					      trace_event_at(query_trace(q), cases[i].event),
					      cases[i].of, MEASURE_DURATION_FIRST, &d), -EINVAL);
		assert_string_equal(d.text, cases[i].text);
	}
	query_close(q);
}

static int expect_no_key(void *ctx, struct query_batch *b)
{
	uint32_t to[2];

	assert_int_equal(groups_of(ctx, b, to), -ENOENT);
	return 0;
}

static void tells_events_without_the_key(void **state)
{
	const struct made *m = *state;
	const struct query_opts opts = { .input = m->path, .events = "bare" };
	struct profile_keys keys;
	struct diag d = { "" };
	struct groups *g;
	struct query *q;

	assert_int_equal(query_open(&q, &opts, &d), 0);
	assert_int_equal(profile_keys_parse(&keys, "comm", &d), 0);
	assert_true(groups_has_keys(&keys, trace_event_at(query_trace(q), 0)));
	assert_true(groups_has_keys(&keys, trace_event_at(query_trace(q), 1)));
	assert_false(groups_has_keys(&keys, trace_event_at(query_trace(q), 2)));
	assert_int_equal(groups_new(&g, &keys), 0);
	assert_int_equal(groups_begin(g, query_trace(q), &d), 0);
	assert_int_equal(query_each_batch(q, expect_no_key, g, &d), 0);
	groups_free(g);
	assert_int_equal(profile_keys_parse(&keys, "nothing", &d), 0);
	assert_int_equal(groups_new(&g, &keys), 0);
	assert_int_equal(groups_begin(g, query_trace(q), &d), -EINVAL);
	assert_non_null(strstr(d.text, "cannot group by 'nothing'"));
	groups_free(g);
	query_close(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(groups_by_task_and_fields),
		cmocka_unit_test(tallies_and_spans_share_groups),
		cmocka_unit_test(orders_groups_by_value),
		cmocka_unit_test(escapes_by_style),
		cmocka_unit_test(measures_what_was_asked_for),
		cmocka_unit_test(refuses_what_is_no_number),
		cmocka_unit_test(tells_events_without_the_key),
	};

	return cmocka_run_group_tests(tests, make_trace, remove_trace);
}
