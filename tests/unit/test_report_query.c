/*
 * Queries over a generated trace, against what the generator remembers: which
 * records pass the filters, in which order they come, and what is lost.
 */
#include "report/query.h"

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

#include "format/writer.h"
#include "report/query_list.h"
#include "report/query_order.h"

#define NR_RECORDS 60000
#define NR_EVENTS 3
#define NR_CPUS 5
#define NR_TASKS 12
#define START_NS UINT64_C(7000000000000)
#define FLUSH_NS UINT64_C(1000000)

struct record {
	uint64_t time_ns, id;
	uint32_t event, cpu, task;
};

struct made {
	char path[64];
	FILE *file;
	struct record records[NR_RECORDS];
	uint64_t seed;
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

static const char *const event_names[NR_EVENTS] = { "cpu-clock", "sched:switch", "sched:wakeup" };

/* Every event has another order of fields; the last one has no CPU. */
static const struct field_desc fields[] = {
	{ "time", FIELD_UNSIGNED, ROLE_TIME, 0, 0, "ns", NULL },
	{ "cpu", FIELD_UNSIGNED, ROLE_CPU, 0, 0, "", NULL },
	{ "task", FIELD_TASK, ROLE_TASK, 0, 0, "", NULL },
	{ "id", FIELD_UNSIGNED, ROLE_NONE, 0, 0, "", NULL },
	{ "time", FIELD_UNSIGNED, ROLE_TIME, 0, 0, "ns", NULL },
	{ "cpu", FIELD_UNSIGNED, ROLE_CPU, 0, 0, "", NULL },
};
static const size_t first_field[NR_EVENTS] = { 0, 1, 2 };
static const uint32_t nr_fields[NR_EVENTS] = { 4, 4, 3 };

static void announce(struct made *m, struct writer *w)
{
	(void)m;
	for (uint32_t i = 0; i < NR_TASKS; i++) {
		char comm[16];
		int len = snprintf(comm, sizeof(comm), "worker/%u", i % 4);
		struct writer_task task = {
			.id = i + 1, .pid = 100 + i / 3, .tid = 100 + i,
			.comm = writer_string(w, CLASS_COMMAND, comm, (size_t)len),
		};

		writer_task(w, &task);
	}
	for (uint32_t e = 0; e < NR_EVENTS; e++) {
		struct event_desc desc = {
			.name = event_names[e], .nr_fields = nr_fields[e],
			.fields = fields + first_field[e],
		};

		assert_int_equal(writer_event(w, &desc), e + 1);
	}
}

static void give(struct writer *w, const struct record *r)
{
	const uint64_t by_field[] = { r->time_ns, r->cpu, r->task, r->id, r->time_ns, r->cpu };

	writer_record(w, r->event + 1, by_field + first_field[r->event]);
}

/*
 * Times go up on each CPU but not across CPUs.  With a promise, a flush says
 * how far they have all come; without, it promises nothing that is kept.
 */
static void make_trace(struct made *m, bool keep_promise)
{
	const struct writer_output output = { .put = put, .ctx = m };
	uint64_t cpu_ns[NR_CPUS], flushed_ns = START_NS;
	struct writer *w;
	int fd;

	strcpy(m->path, "/tmp/kymo-query-XXXXXX");
	fd = mkstemp(m->path);
	assert_true(fd >= 0);
	m->file = fdopen(fd, "wb");
	m->seed = 42;
	assert_int_equal(writer_open(&w, &output, 1, 1), 0);
	announce(m, w);
	for (size_t i = 0; i < NR_CPUS; i++)
		cpu_ns[i] = START_NS;
	for (size_t i = 0; i < NR_RECORDS; i++) {
		uint32_t cpu = (uint32_t)next(m, NR_CPUS), event = (uint32_t)next(m, NR_EVENTS);
		uint64_t least = UINT64_MAX;
		struct record *r = &m->records[i];

		/* Event 2 has no CPU and so only one order of its own. */
		cpu_ns[cpu] += next(m, 2000);
		*r = (struct record) {
			.time_ns = cpu_ns[cpu], .id = i, .event = event,
			.cpu = event == 2 ? 0 : cpu, .task = (uint32_t)next(m, NR_TASKS) + 1,
		};
		give(w, r);
		for (size_t c = 0; c < NR_CPUS; c++)
			least = cpu_ns[c] < least ? cpu_ns[c] : least;
		if (least - flushed_ns < FLUSH_NS)
			continue;
		flushed_ns = least;
		assert_int_equal(writer_flush(w, keep_promise ? least : UINT64_MAX), 0);
	}
	writer_loss(w, &(struct writer_loss) { START_NS, START_NS + 10, 5, 0, 1, LOSS_RING });
	writer_loss(w, &(struct writer_loss) { START_NS + 20, START_NS + 30, 6, 1, 2, LOSS_OUTPUT });
	writer_loss(w, &(struct writer_loss) { START_NS, START_NS + 30, 7, 1, 0, LOSS_SIDEBAND });
	assert_int_equal(writer_close(w), 0);
	assert_int_equal(fclose(m->file), 0);
}

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct made));
	if (!*state)
		return -1;
	make_trace(*state, true);
	return 0;
}

static int teardown(void **state)
{
	struct made *m = *state;

	unlink(m->path);
	free(m);
	return 0;
}

/* --- which records ------------------------------------------------------------ */

struct seen {
	uint8_t *ids;
	uint64_t nr, last_ns;
	bool in_order;
};

static int see_batch(void *ctx, struct query_batch *b)
{
	int field = b->event->by_role[ROLE_TASK] + 1;	/* the id follows the task */
	const uint64_t *ids = trace_column(b->batch, (uint32_t)field);
	struct seen *seen = ctx;

	assert_non_null(ids);
	assert_true(b->nr > 0);
	for (size_t i = 0; i < b->nr; i++) {
		size_t row = b->rows ? b->rows[i] : i;

		assert_true(row < b->batch->nr);
		assert_true(!i || !b->rows || b->rows[i] > b->rows[i - 1]);
		assert_true(ids[row] < NR_RECORDS);
		seen->ids[ids[row]]++;
	}
	seen->nr += b->nr;
	return 0;
}

static int see_record(void *ctx, const struct query_record *r)
{
	int field = r->event->by_role[ROLE_TASK] + 1;
	struct seen *seen = ctx;

	assert_true(r->values[field] < NR_RECORDS);
	assert_int_equal(r->values[r->event->by_role[ROLE_TIME]], r->time_ns);
	assert_int_equal(r->values[r->event->by_role[ROLE_TASK]], r->task);
	seen->ids[r->values[field]]++;
	seen->in_order &= r->time_ns >= seen->last_ns;
	seen->last_ns = r->time_ns;
	seen->nr++;
	return 0;
}

struct wanted {
	struct query_opts opts;
	uint64_t first_ns, last_ns;	/* 0: no end */
	uint32_t cpus, events, tasks;	/* bits; 0: all */
};

static bool is_wanted(const struct wanted *w, const struct record *r)
{
	if (r->time_ns < w->first_ns || (w->last_ns && r->time_ns > w->last_ns))
		return false;
	return (!w->cpus || w->cpus >> r->cpu & 1) && (!w->events || w->events >> r->event & 1) &&
	       (!w->tasks || w->tasks >> r->task & 1);
}

static void check_seen(const struct made *m, const struct wanted *w, const struct seen *seen)
{
	for (size_t i = 0; i < NR_RECORDS; i++)
		if (seen->ids[i] != is_wanted(w, &m->records[i]))
			fail_msg("record %zu was seen %u times", i, seen->ids[i]);
}

static void check_query(const struct made *m, struct wanted *w)
{
	struct query_quality quality;
	struct diag d = { "" };
	struct query *q;

	w->opts.input = m->path;
	assert_int_equal(query_open(&q, &w->opts, &d), 0);
	/* A file may be gone through again, in either way. */
	for (int way = 0; way < 3; way++) {
		struct seen seen = { .ids = calloc(NR_RECORDS, 1), .in_order = true };

		assert_non_null(seen.ids);
		if (way != 1)
			assert_int_equal(query_each_batch(q, see_batch, &seen, &d), 0);
		else
			assert_int_equal(query_each_record(q, see_record, &seen, &d), 0);
		check_seen(m, w, &seen);
		assert_true(seen.in_order);
		query_get_quality(q, &quality);
		assert_int_equal(quality.records, seen.nr);
		free(seen.ids);
	}
	query_close(q);
}

static void filters_records(void **state)
{
	const uint64_t part = START_NS + 5000000;
	struct wanted cases[] = {
		{ .opts = { .pids = NULL } },
		{ .opts = { .pids = "101" }, .tasks = 7u << 4 },
		{ .opts = { .pids = "100,102-103" }, .tasks = 7u << 1 | 0x3fu << 7 },
		{ .opts = { .tids = "105" }, .tasks = 1u << 6 },
		{ .opts = { .tids = "105", .pids = "100" }, .tasks = 1u << 31 },
		{ .opts = { .comms = "worker/1" }, .tasks = 1u << 2 | 1u << 6 | 1u << 10 },
		{ .opts = { .comms = "*/[01]" },
		  .tasks = 3u << 1 | 3u << 5 | 3u << 9 },
		{ .opts = { .cpus = "0" }, .cpus = 1 },
		{ .opts = { .cpus = "3-9,1" }, .cpus = 0x1a },
		{ .opts = { .events = "sched:*" }, .events = 6 },
		{ .opts = { .events = "cpu-clock,sched:wakeup" }, .events = 5 },
		{ .opts = { .time = "7000.005,7000.0060" }, .first_ns = part,
		  .last_ns = part + 1000000 },
		{ .opts = { .time = "7000.005," }, .first_ns = part },
		{ .opts = { .time = ",7000.005", .cpus = "2", .events = "sched:switch",
			    .tids = "100-104" },
		  .last_ns = part, .cpus = 4, .events = 2, .tasks = 0x3e },
		{ .opts = { .time = "1,2" }, .first_ns = 1, .last_ns = 2 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_query(*state, &cases[i]);
}

/* --- order -------------------------------------------------------------------- */

static void survives_a_broken_promise(void **state)
{
	struct made *m = calloc(1, sizeof(*m));
	struct seen seen = { .ids = calloc(NR_RECORDS, 1) };
	struct query_opts opts = { 0 };
	struct wanted all = { .opts = opts };
	struct diag d = { "" };
	struct query *q;

	(void)state;
	assert_true(m && seen.ids);
	make_trace(m, false);
	opts.input = m->path;
	assert_int_equal(query_open(&q, &opts, &d), 0);
	assert_int_equal(query_each_record(q, see_record, &seen, &d), 0);
	check_seen(m, &all, &seen);
	query_close(q);
	unlink(m->path);
	free(seen.ids);
	free(m);
}

struct stop {
	uint64_t left;
};

static int stop_after(void *ctx, const struct query_record *r)
{
	struct stop *s = ctx;

	(void)r;
	return s->left-- ? 0 : 77;
}

static void stops_when_told(void **state)
{
	const struct made *m = *state;
	struct query_opts opts = { .input = m->path };
	struct stop s = { .left = 1000 };
	struct diag d = { "" };
	struct query *q;

	assert_int_equal(query_open(&q, &opts, &d), 0);
	assert_int_equal(query_each_record(q, stop_after, &s, &d), 77);
	query_close(q);
}

/* --- losses and complaints ------------------------------------------------------ */

static uint64_t lost(const struct made *m, struct query_opts opts)
{
	struct query_quality quality;
	struct diag d = { "" };
	struct query *q;
	char line[256];

	opts.input = m->path;
	assert_int_equal(query_open(&q, &opts, &d), 0);
	query_get_quality(q, &quality);
	assert_false(query_quality_line(q, line, sizeof(line)));
	query_close(q);
	return quality.lost;
}

static void counts_losses_asked_for(void **state)
{
	assert_int_equal(lost(*state, (struct query_opts) { 0 }), 11);
	assert_int_equal(lost(*state, (struct query_opts) { .cpus = "0" }), 5);
	assert_int_equal(lost(*state, (struct query_opts) { .events = "sched:switch" }), 6);
	assert_int_equal(lost(*state, (struct query_opts) { .events = "sched:wakeup" }), 0);
	assert_int_equal(lost(*state, (struct query_opts) { .time = ",7000.000000015" }), 5);
	assert_int_equal(lost(*state, (struct query_opts) { .time = "7000.000000025," }), 6);
}

static void complain(const struct made *m, struct query_opts opts, int err, const char *word)
{
	struct diag d = { "" };
	struct query *q = NULL;

	if (!opts.input)
		opts.input = m->path;
	assert_int_equal(query_open(&q, &opts, &d), err);
	assert_non_null(strstr(d.text, word));
	assert_null(q);
}

static void complains(void **state)
{
	complain(*state, (struct query_opts) { .events = "cpu-clock,nothing" }, -ENOENT,
		 "it has: cpu-clock, sched:switch, sched:wakeup");
	complain(*state, (struct query_opts) { .pids = "x" }, -EINVAL, "process id list 'x'");
	complain(*state, (struct query_opts) { .tids = "1,,2" }, -EINVAL, "thread id");
	complain(*state, (struct query_opts) { .cpus = "3-1" }, -EINVAL, "CPU");
	complain(*state, (struct query_opts) { .cpus = "4294967296" }, -EINVAL, "CPU");
	complain(*state, (struct query_opts) { .comms = "" }, -EINVAL, "empty");
	complain(*state, (struct query_opts) { .time = "never" }, -EINVAL, "time range");
	complain(*state, (struct query_opts) { .input = "/no/such/file" }, -ENOENT,
		 "record one with");
}

static void joins_ranges(void **state)
{
	struct query_ranges r;

	(void)state;
	assert_int_equal(query_list_ranges(&r, "7,1-3,2-5,9,4294967295,0", "CPU", NULL), 0);
	for (uint64_t v = 0; v < 12; v++)
		assert_int_equal(query_list_has(&r, v), v < 6 || v == 7 || v == 9);
	assert_true(query_list_has(&r, UINT32_MAX));
	assert_false(query_list_has(&r, (uint64_t)1 << 32));
	query_list_release_ranges(&r);
	assert_true(query_list_has(&r, 8));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filters_records),
		cmocka_unit_test(survives_a_broken_promise),
		cmocka_unit_test(stops_when_told),
		cmocka_unit_test(counts_losses_asked_for),
		cmocka_unit_test(complains),
		cmocka_unit_test(joins_ranges),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
