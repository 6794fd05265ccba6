#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/memory_trace.h"

static const struct field_desc call_fields[] = {
	{ "time", FIELD_UNSIGNED, ROLE_TIME, HINT_DECIMAL, CLASS_NONE, "ns", NULL },
	{ "cpu", FIELD_UNSIGNED, ROLE_CPU, HINT_DECIMAL, CLASS_NONE, "", NULL },
	{ "stack", FIELD_STACK, ROLE_STACK, HINT_DECIMAL, CLASS_NONE, "", NULL },
	{ "caller", FIELD_FRAME, ROLE_NONE, HINT_DECIMAL, CLASS_NONE, "", NULL },
	{ "name", FIELD_STRING, ROLE_NONE, HINT_DECIMAL, CLASS_PATH, "", NULL },
	{ "data", FIELD_BYTES, ROLE_NONE, HINT_DECIMAL, CLASS_USER, "", NULL },
};
static const struct event_desc call_desc = {
	.name = "call", .nr_fields = 6, .fields = call_fields,
};
static const struct event_desc tick_desc = {
	.name = "tick", .nr_fields = 2, .fields = call_fields,
};

/* Takes blocks, when it is let; any thread. */
struct gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct bytebuf bytes;
	bool shut, waiting;
	int records_err;		/* what blocks of records get */
	unsigned int refusals;		/* so many of them, then none */
};

static void gate_init(struct gate *g)
{
	memset(g, 0, sizeof(*g));
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->changed, NULL);
	bytebuf_init(&g->bytes);
}

static void gate_release(struct gate *g)
{
	bytebuf_release(&g->bytes);
	pthread_cond_destroy(&g->changed);
	pthread_mutex_destroy(&g->lock);
}

static int gate_put(void *ctx, const void *bytes, size_t size_bytes, bool droppable)
{
	struct gate *g = ctx;
	int err = 0;

	pthread_mutex_lock(&g->lock);
	g->waiting = true;
	pthread_cond_broadcast(&g->changed);
	while (g->shut)
		pthread_cond_wait(&g->changed, &g->lock);
	g->waiting = false;
	if (droppable && g->refusals) {
		g->refusals--;
		err = g->records_err;
	} else {
		bytebuf_put(&g->bytes, bytes, size_bytes);
	}
	pthread_mutex_unlock(&g->lock);
	return err;
}

static void gate_shut(struct gate *g, bool shut)
{
	pthread_mutex_lock(&g->lock);
	g->shut = shut;
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->lock);
}

/* Until the worker stands before the gate. */
static void gate_await(struct gate *g)
{
	pthread_mutex_lock(&g->lock);
	while (!g->waiting)
		pthread_cond_wait(&g->changed, &g->lock);
	pthread_mutex_unlock(&g->lock);
}

static struct writer *open_writer(struct gate *g, size_t limit_bytes)
{
	const struct writer_output output = { gate_put, g };
	struct writer *w;

	gate_init(g);
	assert_int_equal(writer_open(&w, &output, 77, 3), 0);
	if (limit_bytes) {
		assert_int_equal(writer_start_worker(w, limit_bytes), 0);
		assert_int_equal(writer_start_worker(w, limit_bytes), -EALREADY);
	}
	return w;
}

static void put_call(struct writer *w, uint32_t event, uint64_t time)
{
	static const char bytes[] = "select * from numbers";
	char name[32];
	int len = snprintf(name, sizeof(name), "file %u", (unsigned int)(time / 100));
	const uint64_t values[] = {
		time, time / 50 % 3,
		writer_stack(w, 0, writer_frame(w, 1, time / 10)),
		writer_frame(w, 2, time / 64),
		writer_string(w, CLASS_PATH, name, (size_t)len),
		writer_bytes(w, event, bytes, time % sizeof(bytes)),
	};

	writer_record(w, event, values);
}

static void put_tick(struct writer *w, uint32_t event, uint64_t time)
{
	const uint64_t values[] = { time, 0 };

	writer_record(w, event, values);
}

#define NR_CALLS (2 * WRITER_BLOCK_RECORDS + 1234)

static void write_calls(struct writer *w)
{
	uint32_t call = writer_event(w, &call_desc), tick = writer_event(w, &tick_desc);

	for (uint64_t time = 0; time < NR_CALLS; time++) {
		put_call(w, call, time);
		if (time % 500 == 0)
			put_tick(w, tick, time);
		if (time % 3000 == 0) {
			writer_task(w, &(struct writer_task){ .id = 1, .time_ns = time });
			writer_loss(w, &(struct writer_loss){ time, time, 1, 0, call, LOSS_RING });
			writer_cost(w, &(struct writer_cost){ 1, 2, 3 });
			assert_int_equal(writer_flush(w, time), 0);
		}
	}
}

/* The trace says what that of a writer without a worker says. */
static void test_same_trace(void **state)
{
	struct memory_sum sums[2];
	struct writer_stats stats[2];
	struct memory m;
	struct gate g;

	(void)state;
	for (int worker = 0; worker < 2; worker++) {
		struct writer *w = open_writer(&g, worker ? 1u << 30 : 0);
		struct trace_health h;
		struct trace *t;
		struct diag d;

		write_calls(w);
		writer_sync(w);
		writer_get_stats(w, &stats[worker]);
		assert_int_equal(writer_close(w), 0);
		m = (struct memory){ .data = g.bytes.data, .len = g.bytes.len, .stream = true };
		assert_int_equal(memory_open(&t, &m, &d), 0);
		assert_int_equal(memory_sum(t, &sums[worker]), 0);
		trace_get_health(t, &h);
		assert_false(h.cut || h.damaged_blocks || h.missing_blocks);
		trace_close(t);
		gate_release(&g);
	}
	assert_memory_equal(&sums[0], &sums[1], sizeof(sums[0]));
	assert_int_equal(sums[1].records, NR_CALLS + (NR_CALLS + 499) / 500);
	assert_int_equal(stats[0].records, stats[1].records);
	assert_int_equal(stats[0].blocks, stats[1].blocks);
	assert_int_equal(stats[1].refused_records, 0);
}

/* Sums up the losses of an event, and checks that the trace is whole. */
static uint64_t lost(const struct gate *g, uint32_t event, uint64_t *records)
{
	struct memory m = { .data = g->bytes.data, .len = g->bytes.len };
	const struct trace_loss *l;
	struct trace_health h;
	struct memory_sum sum;
	struct trace *t;
	struct diag d;
	uint64_t count = 0;
	size_t nr;

	assert_int_equal(memory_open(&t, &m, &d), 0);
	assert_int_equal(memory_sum(t, &sum), 0);
	trace_get_health(t, &h);
	assert_false(h.cut || h.damaged_blocks || h.missing_blocks || h.damaged_bytes);
	l = trace_losses(t, &nr);
	for (size_t i = 0; i < nr; i++) {
		if (l[i].event == event) {
			assert_int_equal(l[i].cause, LOSS_OUTPUT);
			assert_true(l[i].first_ns <= l[i].last_ns);
			count += l[i].count;
		}
	}
	*records = sum.records;
	trace_close(t);
	return count;
}

/* A worker that cannot go on costs records, never the caller's time, and all is told. */
static void test_worker_is_behind(void **state)
{
	const uint64_t nr = 5 * WRITER_BLOCK_RECORDS;
	struct writer_stats stats;
	struct gate g;
	struct writer *w = open_writer(&g, 1000000);
	uint32_t event = writer_event(w, &call_desc), later;
	uint64_t records, refused;

	(void)state;
	gate_shut(&g, true);
	put_call(w, event, 0);
	assert_int_equal(writer_flush(w, 0), 0);
	gate_await(&g);
	for (uint64_t time = 1; time < nr; time++) {
		put_call(w, event, time);
		if (time % 1000 == 0)
			assert_int_equal(writer_flush(w, time), 0);
	}
	/* Dictionaries wait as well; what comes when there is room needs them. */
	later = writer_event(w, &tick_desc);
	assert_int_equal(writer_flush(w, nr), 0);
	writer_get_stats(w, &stats);
	assert_true(stats.refused_records > nr / 2);
	gate_shut(&g, false);
	writer_sync(w);
	put_call(w, event, nr);
	put_tick(w, later, nr);
	assert_int_equal(writer_flush(w, nr), 0);
	/* And without a worker nothing is refused. */
	writer_stop_worker(w);
	writer_get_stats(w, &stats);
	refused = stats.refused_records;
	for (uint64_t time = 1; time <= nr; time++)
		put_call(w, event, nr + time);
	assert_int_equal(writer_flush(w, 2 * nr), 0);
	writer_get_stats(w, &stats);
	assert_int_equal(writer_close(w), 0);
	assert_int_equal(stats.refused_records, refused);
	assert_int_equal(stats.records + stats.refused_records, 2 * nr + 2);
	assert_int_equal(lost(&g, event, &records), stats.refused_records);
	assert_int_equal(records, stats.records);
	gate_release(&g);
}

static void test_output_refuses(void **state)
{
	struct writer_stats stats;
	struct gate g;
	struct writer *w = open_writer(&g, 1 << 20);
	uint32_t event = writer_event(w, &tick_desc);
	uint64_t records;

	(void)state;
	g.records_err = -ENOBUFS;
	g.refusals = 3;
	for (uint64_t i = 0; i < 5; i++) {
		put_tick(w, event, i);
		put_tick(w, event, i);
		assert_int_equal(writer_flush(w, i), 0);
	}
	writer_sync(w);
	writer_get_stats(w, &stats);
	assert_int_equal(stats.records, 4);
	assert_int_equal(stats.refused_records, 6);
	assert_int_equal(writer_close(w), 0);
	assert_int_equal(lost(&g, event, &records), 6);
	assert_int_equal(records, 4);
	gate_release(&g);
}

static void test_output_fails(void **state)
{
	struct gate g;
	struct writer *w = open_writer(&g, 1 << 20);
	uint32_t event = writer_event(w, &tick_desc);
	size_t len;

	(void)state;
	g.records_err = -ENOSPC;
	g.refusals = 1;
	put_tick(w, event, 1);
	writer_flush(w, 1);
	writer_sync(w);
	len = g.bytes.len;
	put_tick(w, event, 2);
	assert_int_equal(writer_flush(w, 2), -ENOSPC);
	assert_int_equal(writer_close(w), -ENOSPC);
	assert_int_equal(g.bytes.len, len);
	gate_release(&g);
}

static void test_abandon(void **state)
{
	struct gate g;
	struct writer *w = open_writer(&g, 1u << 30);
	uint32_t event = writer_event(w, &call_desc);
	size_t len;

	(void)state;
	len = g.bytes.len;
	gate_shut(&g, true);
	put_call(w, event, 0);
	writer_flush(w, 0);
	gate_await(&g);
	for (uint64_t time = 1; time < WRITER_BLOCK_RECORDS + 10; time++)
		put_call(w, event, time);
	gate_shut(&g, false);
	writer_abandon(w);
	assert_true(g.bytes.len > len);
	gate_release(&g);
	/* And one that never had anything to do. */
	writer_abandon(open_writer(&g, 1));
	gate_release(&g);
	assert_int_equal(writer_close(open_writer(&g, 1)), 0);
	gate_release(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_trace),
		cmocka_unit_test(test_worker_is_behind),
		cmocka_unit_test(test_output_refuses),
		cmocka_unit_test(test_output_fails),
		cmocka_unit_test(test_abandon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
