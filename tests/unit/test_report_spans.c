/*
 * Spans made of the raw records of random traces, against the simplest pairing that there
 * is: every key has a place in an array.
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

static uint64_t seed = 1;

static uint32_t below(uint32_t n)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)((seed >> 33) % n);
}

#define NR_RECORDS 20000
#define NR_CPUS 3
#define NR_TASKS 9
#define CHUNK 400
#define START_NS UINT64_C(7000000000000)

enum event { BEGIN, END, OTHER, NR_EVENTS };

struct record {
	uint64_t time_ns;
	enum event event;
	uint32_t cpu, task, key, text, x;	/* task from 1 */
	int32_t number;
};

struct made {
	char path[64];
	FILE *file;
	struct record records[NR_RECORDS];	/* by time */
};

#define COMMON_FIELDS \
	{ "time", FIELD_UNSIGNED, ROLE_TIME, 0, 0, "ns", NULL }, \
	{ "cpu", FIELD_UNSIGNED, ROLE_CPU, 0, 0, "", NULL }, \
	{ "task", FIELD_TASK, ROLE_TASK, 0, 0, "", NULL }, \
	{ "stack", FIELD_STACK, ROLE_STACK, 0, 0, "", NULL }, \
	{ "key", FIELD_UNSIGNED, ROLE_NONE, 0, 0, "", NULL }

/* The same numbers with and without a sign, the same texts in two classes. */
static const struct field_desc begin_fields[] = {
	COMMON_FIELDS,
	{ "number", FIELD_SIGNED, ROLE_NONE, 0, 0, "", NULL },
	{ "text", FIELD_STRING, ROLE_NONE, 0, CLASS_PATH, "", NULL },
	{ "x", FIELD_UNSIGNED, ROLE_WEIGHT, 0, 0, "B", NULL },
	{ "data", FIELD_BYTES, ROLE_NONE, 0, CLASS_USER, "", NULL },
};

static const struct field_desc end_fields[] = {
	COMMON_FIELDS,
	{ "unsigned", FIELD_UNSIGNED, ROLE_NONE, 0, 0, "", NULL },
	{ "name", FIELD_STRING, ROLE_NONE, 0, CLASS_USER, "", NULL },
	{ "x", FIELD_UNSIGNED, ROLE_NONE, 0, 0, "", NULL },
	{ "ret", FIELD_SIGNED, ROLE_RESULT, HINT_ERRNO, 0, "", NULL },
	{ "load", FIELD_FLOAT, ROLE_NONE, 0, 0, "", NULL },
	{ "more", FIELD_BYTES, ROLE_NONE, 0, CLASS_USER, "", NULL },
};

#define FIELDS(a) sizeof(a) / sizeof((a)[0]), a

static const struct event_desc events[NR_EVENTS] = {
	[BEGIN] = { "test:begin", FIELDS(begin_fields), NULL },
	[END] = { "test:end", FIELDS(end_fields), NULL },
	[OTHER] = { "other", 4, begin_fields, NULL },
};

static uint32_t comm_of(uint32_t task)
{
	return task % 4;
}

static int put(void *ctx, const void *bytes, size_t size_bytes, bool droppable)
{
	struct made *m = ctx;

	(void)droppable;
	return fwrite(bytes, 1, size_bytes, m->file) == size_bytes ? 0 : -EIO;
}

static uint32_t string(struct writer *w, enum privacy_class class, const char *word, uint32_t n)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "%s%u", word, n);

	return writer_string(w, class, text, (size_t)len);
}

static void give(struct writer *w, const struct record *r, const uint32_t *ids)
{
	uint32_t stack = writer_stack(w, 0, writer_frame(w, 0, 1 + r->event));
	uint64_t number = (uint64_t)(int64_t)r->number;
	const uint64_t begin[] = {
		r->time_ns, r->cpu, r->task, stack, r->key, number,
		string(w, CLASS_PATH, "t", r->text), r->x,
		string(w, CLASS_USER, "data", r->x),
	};
	const uint64_t end_values[] = {
		r->time_ns, r->cpu, r->task, stack, r->key, (uint32_t)r->number,
		string(w, CLASS_USER, "t", r->text), r->x, 0 - (uint64_t)r->x, r->x,
		string(w, CLASS_USER, "more", r->x),
	};

	writer_record(w, ids[r->event], r->event == END ? end_values : begin);
}

static void announce(struct writer *w, uint32_t *ids)
{
	for (uint32_t e = 0; e < NR_EVENTS; e++)
		ids[e] = writer_event(w, &events[e]);
	for (uint32_t t = 1; t <= NR_TASKS; t++)
		writer_task(w, &(struct writer_task){
			.id = t, .pid = 100 + t / 3, .tid = 200 + t,
			.comm = string(w, CLASS_COMMAND, "comm", comm_of(t)),
		});
}

/* Ascending on each CPU only, within what is flushed at once. */
static void write_chunk(struct made *m, struct writer *w, size_t from, const uint32_t *ids)
{
	for (uint32_t cpu = 0; cpu < NR_CPUS; cpu++)
		for (size_t i = from; i < from + CHUNK; i++)
			if (m->records[i].cpu == cpu)
				give(w, &m->records[i], ids);
	assert_int_equal(writer_flush(w, m->records[from + CHUNK - 1].time_ns), 0);
}

static int setup(void **state)
{
	struct made *m = calloc(1, sizeof(*m));
	const struct writer_output output = { put, m };
	uint64_t now = START_NS;
	uint32_t ids[NR_EVENTS];
	struct writer *w;

	strcpy(m->path, "/tmp/kymo-spans-XXXXXX");
	m->file = fdopen(mkstemp(m->path), "wb");
	assert_non_null(m->file);
	assert_int_equal(writer_open(&w, &output, 1, 1), 0);
	announce(w, ids);
	for (size_t i = 0; i < NR_RECORDS; i++) {
		now += 1 + below(3000);
		m->records[i] = (struct record){
			now, below(NR_EVENTS), below(NR_CPUS), 1 + below(NR_TASKS), below(12),
			below(7), below(100), (int32_t)below(9) - 4,
		};
	}
	for (size_t i = 0; i < NR_RECORDS; i += CHUNK)
		write_chunk(m, w, i, ids);
	assert_int_equal(writer_close(w), 0);
	assert_int_equal(fclose(m->file), 0);
	*state = m;
	return 0;
}

static int teardown(void **state)
{
	struct made *m = *state;

	unlink(m->path);
	free(m);
	return 0;
}

/* --- the model ----------------------------------------------------------------------------- */

static uint64_t by_tid(const struct record *r) { return r->task; }
static uint64_t by_pid(const struct record *r) { return r->task / 3; }
static uint64_t by_comm(const struct record *r) { return comm_of(r->task); }
static uint64_t by_cpu(const struct record *r) { return r->cpu; }
static uint64_t by_key(const struct record *r) { return r->key; }
static uint64_t by_text(const struct record *r) { return r->text; }
static uint64_t by_number(const struct record *r) { return (uint64_t)(r->number + 4); }
static uint64_t by_three(const struct record *r) { return r->key * 100 + r->cpu * 10 + r->text; }

static bool is_small(const struct record *r) { return r->x < 40; }
static bool is_comm_2(const struct record *r) { return comm_of(r->task) == 2; }

#define MAX_KEY 2000

struct pair {
	const struct record *start, *end;
};

struct model {
	struct pair *pairs;
	size_t nr;
	uint64_t no_start, no_end;
};

static bool in_range(const struct record *r, uint64_t first_ns, uint64_t last_ns)
{
	return r->time_ns >= first_ns && r->time_ns <= last_ns;
}

struct test {
	const char *text;
	uint64_t (*key)(const struct record *r);
	enum event from, to;
	const char *time, *cpus, *filter;
	uint64_t first_ns, last_ns;	/* 0: no end */
	uint32_t only_cpu;		/* from 1; 0: all */
	uint64_t longer_ns;
	bool (*begins)(const struct record *r), (*ends)(const struct record *r);
};

#define PAIR(t, k, a, b) .text = t, .key = k, .from = a, .to = b

static bool counts(const struct test *t, const struct record *r, uint64_t last_ns)
{
	return in_range(r, t->first_ns, last_ns) && (!t->only_cpu || r->cpu == t->only_cpu - 1);
}

static bool ends(const struct test *t, const struct record *r)
{
	return !t->ends || t->ends(r);
}

static void pair_up(const struct made *m, const struct test *t, struct model *out)
{
	static const struct record *waits[MAX_KEY];
	uint64_t last_ns = t->last_ns ? t->last_ns : UINT64_MAX;

	*out = (struct model){ .pairs = calloc(NR_RECORDS, sizeof(struct pair)) };
	memset(waits, 0, sizeof(waits));
	for (size_t i = 0; i < NR_RECORDS && m->records[i].time_ns <= last_ns; i++) {
		const struct record *r = &m->records[i], **wait;

		wait = &waits[t->key(r)];
		if (r->event == t->to && ends(t, r) && !*wait) {
			out->no_start += counts(t, r, last_ns);
		} else if (r->event == t->to && ends(t, r)) {
			if (counts(t, r, last_ns) && r->time_ns - (*wait)->time_ns > t->longer_ns)
				out->pairs[out->nr++] = (struct pair){ *wait, r };
			*wait = NULL;
		}
		if (r->event != t->from || (t->begins && !t->begins(r)))
			continue;
		out->no_end += *wait && counts(t, *wait, last_ns);
		*wait = r;
	}
	for (size_t i = 0; i < MAX_KEY && !t->last_ns; i++)
		out->no_end += waits[i] && counts(t, waits[i], last_ns);
}

/* --- queries against it ------------------------------------------------------------------------ */

struct seen {
	const struct model *model;
	const struct test *test;
	struct trace *trace;
	size_t nr;
	uint64_t last_ns;
	size_t nr_others;
};

static int field(const struct trace_event *e, const char *name)
{
	for (uint32_t i = 0; i < e->nr_fields; i++)
		if (!strcmp(e->fields[i].name, name))
			return (int)i;
	return -1;
}

static uint64_t value(const struct query_record *r, const char *name)
{
	int i = field(r->event, name);

	assert_true(i >= 0);
	return r->values[i];
}

static void check_bytes(const struct query_record *r, const char *name, uint32_t n)
{
	uint64_t v = value(r, name);
	char text[32];
	int len = snprintf(text, sizeof(text), "%s%u", name, n);

	assert_int_equal((uint32_t)v, len);
	assert_memory_equal(r->bytes + (v >> 32), text, (size_t)len);
}

static int see_record(void *ctx, const struct query_record *r)
{
	struct seen *s = ctx;
	const struct pair *p = &s->model->pairs[s->nr];

	assert_true(r->time_ns >= s->last_ns);
	s->last_ns = r->time_ns;
	if (!strcmp(r->event->name, "other")) {
		s->nr_others++;
		return 0;
	}
	assert_true(s->nr++ < s->model->nr);
	assert_int_equal(r->time_ns, p->end->time_ns);
	assert_int_equal(r->cpu, p->end->cpu);
	assert_int_equal(r->task, p->start->task);
	assert_int_equal(value(r, "duration"), p->end->time_ns - p->start->time_ns);
	assert_int_equal(value(r, "x"), p->start->x);
	if (s->test->from == BEGIN) {
		assert_int_equal((int64_t)value(r, "number"), p->start->number);
		check_bytes(r, "data", p->start->x);
	}
	if (s->test->to == END) {
		assert_int_equal((int64_t)value(r, "ret"), -(int64_t)p->end->x);
		check_bytes(r, "more", p->end->x);
	}
	return 0;
}

/* Of sums only: batches of spans may come in any order among others. */
static int see_batch(void *ctx, struct query_batch *b)
{
	int column = b->event->by_role[ROLE_DURATION];
	const uint64_t *durations = column < 0 ? NULL : trace_column(b->batch, (uint32_t)column);
	uint64_t *sum = ctx;

	for (size_t i = 0; durations && i < b->nr; i++)
		*sum += durations[b->rows ? b->rows[i] : i];
	return 0;
}

static void check_event(struct query *q)
{
	const struct trace_event *e = NULL;
	struct trace *trace = query_trace(q);

	for (size_t i = 0; i < trace_nr_events(trace); i++)
		if (trace_event_at(trace, i)->by_role[ROLE_DURATION] >= 0)
			e = trace_event_at(trace, i);
	assert_non_null(e);
	assert_int_equal(e->by_role[ROLE_WEIGHT], -1);
	assert_int_equal(e->by_role[ROLE_RESULT], field(e, "ret"));
	assert_true(query_wants_event(q, e));
}

static void check(const struct made *m, const struct test *t)
{
	struct query_opts opts = {
		.input = m->path, .events = t->text, .time = t->time, .cpus = t->cpus,
		.filter = t->filter,
	};
	uint64_t sum = 0, model_sum = 0;
	struct query_quality quality;
	struct diag d = { "" };
	struct model model;
	struct query *q;

	pair_up(m, t, &model);
	for (size_t i = 0; i < model.nr; i++)
		model_sum += model.pairs[i].end->time_ns - model.pairs[i].start->time_ns;
	assert_true(model.nr > 20);
	assert_int_equal(query_open(&q, &opts, &d), 0);
	check_event(q);
	for (int pass = 0; pass < 2; pass++) {
		struct seen seen = { .model = &model, .test = t, .trace = query_trace(q) };

		assert_int_equal(query_each_record(q, see_record, &seen, &d), 0);
		assert_int_equal(seen.nr, model.nr);
		query_get_quality(q, &quality);
		assert_int_equal(quality.records, model.nr + seen.nr_others);
		assert_int_equal(quality.no_start, model.no_start);
		assert_int_equal(quality.no_end, model.no_end);
		assert_int_equal(quality.lost, 0);
		sum = 0;
		assert_int_equal(query_each_batch(q, see_batch, &sum, &d), 0);
		assert_int_equal(sum, model_sum);
	}
	query_close(q);
	free(model.pairs);
}

static void pairs_like_the_model(void **state)
{
	const uint64_t from_ns = START_NS + 5000000, to_ns = START_NS + 9000000;
	const struct test tests[] = {
		{ PAIR("test:begin..test:end", by_tid, BEGIN, END) },
		{ PAIR("test:begin..test:end@tid", by_tid, BEGIN, END) },
		{ PAIR("*:beg*..*:e[n]d@pid", by_pid, BEGIN, END) },
		{ PAIR("tracepoint:test:begin..t:test:end@comm", by_comm, BEGIN, END) },
		{ PAIR("test:begin..test:end@cpu", by_cpu, BEGIN, END) },
		{ PAIR("test:begin..test:end@key as n", by_key, BEGIN, END) },
		{ PAIR("test:begin..test:end@text=name", by_text, BEGIN, END) },
		{ PAIR("test:begin..test:end@number=unsigned", by_number, BEGIN, END) },
		{ PAIR("test:begin..test:end@key,cpu,text=name", by_three, BEGIN, END) },
		{ PAIR("test:end..test:begin@key", by_key, END, BEGIN) },
		{ PAIR("test:begin..test:begin@key", by_key, BEGIN, BEGIN) },
		{ PAIR("test:begin..test:end@key,other", by_key, BEGIN, END) },
		{ PAIR("other\ntest:begin..test:end@key", by_key, BEGIN, END) },
		{ PAIR("test:begin{x < 40}..test:end@key", by_key, BEGIN, END),
		  .begins = is_small },
		{ PAIR("test:begin..test:end{comm == \"comm2\"}@cpu", by_cpu, BEGIN, END),
		  .ends = is_comm_2 },
		{ PAIR("test:begin{x < 40}..test:begin{comm ~ \"*2\"}@key", by_key, BEGIN, BEGIN),
		  .begins = is_small, .ends = is_comm_2 },
		{ PAIR("test:begin..test:end@key", by_key, BEGIN, END), .time = "7000.005,7000.009",
		  .first_ns = from_ns, .last_ns = to_ns },
		{ PAIR("test:begin..test:end", by_tid, BEGIN, END), .time = "7000.005,",
		  .first_ns = from_ns },
		{ PAIR("test:begin..test:end@key", by_key, BEGIN, END), .cpus = "1", .only_cpu = 2 },
		{ PAIR("test:begin..test:end@key", by_key, BEGIN, END), .filter = "duration > 20us",
		  .longer_ns = 20000 },
	};

	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		check(*state, &tests[i]);
}

/* --- fields, stacks, tasks -------------------------------------------------------------------- */

static int see_one(void *ctx, const struct query_record *r)
{
	*(struct query_record *)ctx = *r;
	return 1;
}

/* Of the first record: the innermost frame of its stack, and its fields as a list. */
static uint64_t look(const struct made *m, const char *text, char *names, uint32_t *task)
{
	struct query_opts opts = { .input = m->path, .events = text };
	struct query_record r;
	struct diag d = { "" };
	uint64_t offset = 0;
	struct query *q;

	assert_int_equal(query_open(&q, &opts, &d), 0);
	assert_int_equal(query_each_record(q, see_one, &r, &d), 1);
	names[0] = '\0';
	for (uint32_t i = 0; i < r.event->nr_fields; i++)
		if (r.event->fields[i].role == ROLE_NONE || r.event->fields[i].role == ROLE_RESULT)
			sprintf(names + strlen(names), "%s%s", *names ? "," : "",
				r.event->fields[i].name);
	if (trace_stack(query_trace(q), r.stack)) {
		uint32_t frame = trace_stack(query_trace(q), r.stack)->frame;

		offset = trace_frame(query_trace(q), frame)->offset;
	}
	*task = r.task;
	query_close(q);
	return offset;
}

static void takes_what_is_asked_for(void **state)
{
	static const struct {
		const char *text, *names;
		enum event stack;
	} cases[] = {
		{ "test:begin..test:end", "key,number,text,x,data,unsigned,name,ret,load,more", END },
		{ "test:begin..test:end@key",
		  "key,number,text,x,data,unsigned,name,ret,load,more", BEGIN },
		{ "test:begin()..test:end@key", "key,unsigned,name,x,ret,load,more", BEGIN },
		{ "test:begin(key)..test:end(ret)", "key,ret", END },
		{ "test:begin..test:end(x)", "key,number,text,data,x", END },
		{ "test:begin(stack)..test:end(r=ret)", "r", BEGIN },
		{ "test:begin(x)..test:end(ustack,y=x)@key", "x,y", END },
		{ "test:begin(k=key)..test:end(k2=key)@k=k2", "k,k2", BEGIN },
	};
	uint32_t task, other;
	char names[256];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t offset = look(*state, cases[i].text, names, &task);

		assert_string_equal(names, cases[i].names);
		assert_int_equal(offset, 1 + cases[i].stack);
	}
	/* By CPU, the two tasks are seldom the same one. */
	look(*state, "test:begin..test:end@cpu", names, &task);
	look(*state, "test:begin..test:end(task)@cpu", names, &other);
	assert_int_not_equal(task, other);
}

static void complains(void **state)
{
	static const struct {
		const char *text, *word;
		int err;
	} cases[] = {
		{ "test:begin..nothing", "no event 'nothing' in the trace (it has: ", -ENOENT },
		{ "nothing..test:begin", "no event 'nothing'", -ENOENT },
		{ "test:*..test:end", "'test:*' are 2 events", -EINVAL },
		{ "test:begin..test:end@nothing", "'nothing' of event 'test:begin' cannot be a key "
		  "of a span (these can: pid, ", -EINVAL },
		{ "test:begin..test:end@number", "'number' of event 'test:end' cannot be", -EINVAL },
		{ "test:begin..test:end@data=more", "it is bytes", -EINVAL },
		{ "test:begin..test:end@key=load", "it is a fraction", -EINVAL },
		{ "test:begin..test:end@key=name", "one is text, the other a number", -EINVAL },
		{ "test:begin(zip)..test:end", "'test:begin' has no field 'zip' in", -EINVAL },
		{ "test:begin(x)..test:end(x)", "two fields 'x'", -EINVAL },
		{ "test:begin(x,x)..test:end", "two fields 'x'", -EINVAL },
		{ "test:begin(duration=x)..test:end", "duration of its own", -EINVAL },
		{ "test:begin{zip == 1}..test:end", "no field 'zip'", -ENOENT },
		{ "test:begin{x ==}..test:end", "expected", -EINVAL },
		{ "test:begin(stack)..test:end(stack)", "one stack", -EINVAL },
		{ "test:begin(task)..test:end(task)", "one task", -EINVAL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct query_opts opts = {
			.input = ((struct made *)*state)->path, .events = cases[i].text,
		};
		struct diag d = { "" };
		struct query *q;

		assert_int_equal(query_open(&q, &opts, &d), cases[i].err);
		if (!strstr(d.text, cases[i].word))
			fail_msg("'%s': %s", cases[i].text, d.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs_like_the_model),
		cmocka_unit_test(takes_what_is_asked_for),
		cmocka_unit_test(complains),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
