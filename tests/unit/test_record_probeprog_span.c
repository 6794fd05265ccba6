/*
 * Spans over the tracepoints that all system calls pass: getppid, told apart by its
 * number at the enter, paired with the exit of the same thread or by one of its
 * arguments.
 */
#define _GNU_SOURCE
#include "record/probeprog.h"
#include "record/spanmaps.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/user.h>
#include <time.h>

#include <cmocka.h>

#include "live_probes.h"

#define NR_CALLS 2000
#define MAX_KEPT 64

static const enum proberings_way ways[] = { RINGS_MAPPED, RINGS_RINGBUF, RINGS_PERFBUF };
#define NR_WAYS 3

#define CTX(offset) { .op = FETCH_CTX, .size = 8, .value = offset }
#ifdef __x86_64__
#define ARG_OFFSET(n) ((n) == 0 ? offsetof(struct user_regs_struct, rdi) : \
		       (n) == 1 ? offsetof(struct user_regs_struct, rsi) : \
				  offsetof(struct user_regs_struct, rdx))
#else
#define ARG_OFFSET(n) (8 * (n))
#endif
/* Of the system call's arguments; on arm64 the first is lost where it has returned. */
#define ARG(n) CTX(0), { .op = FETCH_TYPED, .size = 8, .value = (int64_t)ARG_OFFSET(n) }
#define TEXT_OF(number) #number
#define DIGITS(number) TEXT_OF(number)
#define IS_GETPPID "id == " DIGITS(SYS_getppid)
#define ID CTX(8)
#define RET CTX(8)

static void skip_if_impossible(const struct live *l, int err)
{
	if (err == -EPERM || err == -EOPNOTSUPP || err == -ENOENT) {
		print_message("# skip: %s\n", l->diag.text);
		skip();
	}
	if (err)
		fail_msg("%d: %s", err, l->diag.text);
}

/* --- filters ---------------------------------------------------------------------------- */

struct variable {
	const char *name;
	struct probe_value value;
};

struct variables {
	const struct variable *list;
	size_t nr;
	struct probe_value *values;
};

static int bind_variable(void *ctx, const char *name, uint32_t var, enum expr_type *type)
{
	struct variables *v = ctx;

	for (size_t i = 0; i < v->nr; i++) {
		if (strcmp(v->list[i].name, name))
			continue;
		v->values[var] = v->list[i].value;
		*type = EXPR_SIGNED;
		return 0;
	}
	return -ENOENT;
}

#define NUMBER(...) { .result = RESULT_NUMBER, .size = 8, \
	.nr_steps = sizeof((struct fetch_step[]){ __VA_ARGS__ }) / sizeof(struct fetch_step), \
	.steps = { __VA_ARGS__ } }

static const struct variable variables[] = {
	{ "id", NUMBER(ID) },
	{ "ret", NUMBER(RET) },
	{ "arg1", NUMBER(ARG(1)) },
	{ "arg2", NUMBER(ARG(2)) },
	{ "duration", NUMBER({ .op = FETCH_DURATION }) },
	/* The first two fields of the start, of 8 bytes each. */
	{ "start1", NUMBER({ .op = FETCH_START, .size = 8, .value = 8 }) },
	{ "start2", NUMBER({ .op = FETCH_START, .size = 8, .value = 16 }) },
};

static struct probe_value filter_values[2 * LIVE_MAX_PROBES][8];
static struct expr *filters[2 * LIVE_MAX_PROBES];
static size_t nr_filters;

static void set_filter(struct live_probe *lp, const char *text)
{
	struct variables v = {
		variables, sizeof(variables) / sizeof(*variables), filter_values[nr_filters],
	};

	assert_int_equal(expr_parse(&filters[nr_filters], text, NULL), 0);
	assert_int_equal(expr_bind(filters[nr_filters], bind_variable, &v, NULL, NULL), 0);
	lp->p.filter = filters[nr_filters];
	lp->v.filter_values = filter_values[nr_filters++];
}

static void close_all(struct live *l)
{
	while (nr_filters)
		expr_free(filters[--nr_filters]);
	live_close(l);
}

/* --- what came --------------------------------------------------------------------------- */

struct kept {
	struct probe_record *list[MAX_KEPT];
	size_t nr;
};

static void keep_record(void *ctx, uint32_t cpu, const struct probe_record *rec)
{
	struct kept *k = ctx;

	(void)cpu;
	assert_true(k->nr < MAX_KEPT);
	k->list[k->nr] = malloc(rec->size_bytes);
	assert_non_null(k->list[k->nr]);
	memcpy(k->list[k->nr++], rec, rec->size_bytes);
}

static void forget_records(struct kept *k)
{
	while (k->nr)
		free(k->list[--k->nr]);
}

static uint64_t number_at(const struct probe_record *rec, uint32_t offset, size_t size)
{
	uint64_t n = 0;

	memcpy(&n, rec->data + offset, size);
	return n;
}

static uint64_t number_of(const struct live_probe *lp, const struct probe_record *rec, size_t i)
{
	return number_at(rec, lp->fields[i].offset, lp->fields[i].size);
}

static int32_t length_of(const struct live_probe *lp, const struct probe_record *rec, size_t i)
{
	return (int32_t)number_at(rec, lp->fields[i].offset, 4);
}

static uint64_t duration_of(const struct probe_record *rec)
{
	return number_at(rec, PROBE_DURATION_OFFSET, 8);
}

static struct spanmaps_counts counts_of(const struct live *l, uint32_t probe)
{
	struct spanmaps_counts counts;

	spanmaps_counts(l->spanmaps, probe, &counts);
	return counts;
}

/* --- set-ups ------------------------------------------------------------------------------ */

/* getppid by thread; start: arguments 1 and 2; end: the result. */
static void open_getppid(struct live *l, struct live_probe **start, struct live_probe **end)
{
	live_init(l);
	skip_if_impossible(l, live_add_span(l, "sys_enter", "sys_exit", start, end));
	live_by_thread(*start, *end);
	(*end)->p.span->starts_are_chosen = true;
	set_filter(*start, IS_GETPPID);
	live_number(*start, 8, ARG(1));
	live_number(*start, 8, ARG(2));
}

/*
 * getppid(0, KEY, 0) starts and getppid(0, 0, KEY) ends what has that key; keys are numbers
 * that no other call has as an argument.
 */
static void open_keyed(struct live *l, struct live_probe **start, struct live_probe **end)
{
	live_init(l);
	skip_if_impossible(l, live_add_span(l, "sys_enter", "sys_exit", start, end));
	live_key(*start, 0, LIVE_STEPS(ARG(1)));
	live_key(*end, 0, LIVE_STEPS(ARG(2)));
	(*end)->p.span->nr_keys = 1;
	(*end)->p.span->starts_are_chosen = true;
	set_filter(*start, IS_GETPPID " && arg1 != 0");
	live_number(*start, 8, ARG(1));
}

#define KEY(n) (0x5a5a00000000 + (n))

static void start_key(long n)
{
	syscall(SYS_getppid, 0, KEY(n), 0);
}

static void end_key(long n)
{
	syscall(SYS_getppid, 0, 0, KEY(n));
}

static bool opens(struct live *l, size_t way)
{
	int err = live_open(l, ways[way]);

	if (err == -EOPNOTSUPP && way == 0) {
		print_message("# mapped: %s\n", l->diag.text);
		close_all(l);
		return false;
	}
	if (err)
		close_all(l);
	skip_if_impossible(l, err);
	return true;
}

/* Runs work() in a child and keeps what is recorded of it. */
static void record_child(struct live *l, void (*work)(void *), void *ctx, struct kept *k)
{
	struct live_child child = live_fork(work, ctx);

	*k = (struct kept){ .nr = 0 };
	assert_int_equal(live_follow(l, child.pid), 0);
	proberings_enable(l->rings, true);
	assert_int_equal(live_join(&child), 0);
	live_detach(l);
	live_take(l, keep_record, k);
	for (uint32_t i = 0; i < l->nr_probes; i++)
		assert_int_equal(live_lost(l, i), 0);
	for (size_t i = 0; i < k->nr; i++) {
		assert_int_equal(k->list[i]->pid, child.pid);
		assert_int_equal(k->list[i]->tid, child.pid);
	}
}

static void call_getppid(long arg1, long arg2)
{
	syscall(SYS_getppid, 0, arg1, arg2);
}

/* --- pairs -------------------------------------------------------------------------------- */

struct counted {
	const struct live_probe *start, *end;
	uint64_t nr, wrong, last_ns;
};

static void count_record(void *ctx, uint32_t cpu, const struct probe_record *rec)
{
	struct counted *c = ctx;

	(void)cpu;
	if (number_of(c->start, rec, 0) != c->nr || number_of(c->start, rec, 1) != ~c->nr ||
	    number_of(c->end, rec, 0) != (uint64_t)getpid() || duration_of(rec) < 10 ||
	    duration_of(rec) > 1000000000 || rec->time_ns - duration_of(rec) < c->last_ns)
		c->wrong++;
	c->last_ns = rec->time_ns;
	c->nr++;
}

static void call_many(void *ctx)
{
	(void)ctx;
	for (long i = 0; i < NR_CALLS; i++)
		call_getppid(i, ~i);
}

static void pairs_are_records(void **state)
{
	(void)state;
	for (size_t way = 0; way < NR_WAYS; way++) {
		struct live_probe *start = NULL, *end = NULL;
		struct live_child child;
		struct counted c = { 0 };
		cpu_set_t first = { { 1 } };
		struct live l;

		open_getppid(&l, &start, &end);
		live_span_middle(end);
		live_number(end, 8, RET);
		if (!opens(&l, way))
			continue;
		child = live_fork(call_many, NULL);
		/* So that they come in the order in which they were made. */
		sched_setaffinity(child.pid, sizeof(first), &first);
		assert_int_equal(live_follow(&l, child.pid), 0);
		proberings_enable(l.rings, true);
		assert_int_equal(live_join(&child), 0);
		live_detach(&l);
		c = (struct counted){ .start = start, .end = end };
		live_take(&l, count_record, &c);
		assert_int_equal(c.nr, NR_CALLS);
		assert_int_equal(c.wrong, 0);
		assert_int_equal(live_lost(&l, 0), 0);
		assert_int_equal(spanmaps_open_starts(l.spanmaps, 0), 0);
		close_all(&l);
	}
}

/* --- both sides -------------------------------------------------------------------------- */

static const char some_text[] = "a text of some length", other_text[] = "another";
static const char *const bad_address = (const char *)16;

static void call_with_texts(void *ctx)
{
	(void)ctx;
	(void)*(const volatile char *)some_text;
	(void)*(const volatile char *)other_text;
	syscall(SYS_getppid, 0, some_text, other_text);
	syscall(SYS_getppid, 0, bad_address, other_text);
	syscall(SYS_getppid, 0, some_text, bad_address);
}

/* The next piece of a record must be this text. */
static void expect_text(const uint8_t **at, int32_t length, const char *text)
{
	static const uint8_t zeros[8];

	if (!text) {
		assert_int_equal(length, -EFAULT);
		return;
	}
	assert_int_equal(length, strlen(text) + 1);
	assert_memory_equal(*at, text, (size_t)length);
	assert_memory_equal(*at + length, zeros, (size_t)(-length & 7));
	*at += ((uint32_t)length + 7) & ~7u;
}

static void expect_frames(const uint8_t **at, const struct probe_record *rec,
			  const struct live_probe *lp)
{
	int32_t kernel = (int32_t)number_at(rec, lp->p.kernel_count_offset, 4);
	int32_t user = (int32_t)number_at(rec, lp->p.user_count_offset, 4);
	const uint64_t *ips = (const void *)*at;
	uint64_t start = (uint64_t)(uintptr_t)syscall;

	assert_in_range(kernel, 2, PROBE_MAX_STACK);
	assert_in_range(user, 1, PROBE_MAX_STACK);
	/* Without frame pointers, what comes behind the first of the user's may be anything. */
	for (int32_t i = 0; i <= kernel; i++)
		assert_int_equal((int64_t)ips[i] < 0, i < kernel);
	assert_in_range(ips[kernel], start, start + 128);
	*at += 8 * (size_t)(kernel + user);
}

static void texts_of_both_sides(void **state)
{
	static const char *const first[] = { some_text, NULL, some_text };
	static const char *const second[] = { other_text, other_text, NULL };

	(void)state;
	for (size_t way = 0; way < NR_WAYS; way++) {
		struct live_probe *start = NULL, *end = NULL;
		struct kept k;
		struct live l;

		prctl(PR_SET_NAME, "named so");
		open_getppid(&l, &start, &end);
		live_field(start, RESULT_STRING, 0, 64, SPACE_USER, LIVE_STEPS(ARG(1)));
		live_field(start, RESULT_COMM, 0, 16, SPACE_ANY, NULL, 0);
		live_field(start, RESULT_STRING, 0, 64, SPACE_USER, LIVE_STEPS(ARG(2)));
		live_span_middle(end);
		live_field(end, RESULT_STRING, 0, 64, SPACE_USER, LIVE_STEPS(ARG(2)));
		live_number(end, 8, RET);
		live_field(end, RESULT_COMM, 0, 16, SPACE_ANY, NULL, 0);
		if (!opens(&l, way))
			continue;
		record_child(&l, call_with_texts, NULL, &k);
		assert_int_equal(k.nr, 3);
		for (size_t i = 0; i < k.nr; i++) {
			const struct probe_record *rec = k.list[i];
			const uint8_t *at = rec->data + end->p.fixed_bytes;

			expect_text(&at, length_of(start, rec, 2), first[i]);
			expect_text(&at, length_of(start, rec, 3), "named so");
			expect_text(&at, length_of(start, rec, 4), second[i]);
			expect_text(&at, length_of(end, rec, 0), second[i]);
			assert_int_equal(number_of(end, rec, 1), getpid());
			expect_text(&at, length_of(end, rec, 2), "named so");
			assert_ptr_equal(at, (const uint8_t *)rec + rec->size_bytes);
		}
		forget_records(&k);
		close_all(&l);
	}
}

static void stacks_of_both_sides(void **state)
{
	(void)state;
	for (size_t way = 0; way < NR_WAYS; way++) {
		for (int sides = 1; sides <= 3; sides++) {
			struct live_probe *start = NULL, *end = NULL;
			struct kept k;
			struct live l;

			open_getppid(&l, &start, &end);
			live_field(start, RESULT_STRING, 0, 64, SPACE_USER, LIVE_STEPS(ARG(1)));
			live_stacks(start, sides & 1, sides & 1);
			live_span_middle(end);
			live_stacks(end, sides & 2, sides & 2);
			if (!opens(&l, way))
				continue;
			record_child(&l, call_with_texts, NULL, &k);
			assert_int_equal(k.nr, 3);
			for (size_t i = 0; i < k.nr; i++) {
				const struct probe_record *rec = k.list[i];
				const uint8_t *at = rec->data + end->p.fixed_bytes;

				expect_text(&at, length_of(start, rec, 2),
					    i == 1 ? NULL : some_text);
				if (sides & 1)
					expect_frames(&at, rec, start);
				if (sides & 2)
					expect_frames(&at, rec, end);
				assert_ptr_equal(at, (const uint8_t *)rec + rec->size_bytes);
			}
			forget_records(&k);
			close_all(&l);
		}
	}
}

/* As much as there may be, and the verifier must not give up. */
static void many_texts(void **state)
{
	(void)state;
	for (size_t way = 0; way < NR_WAYS; way++) {
		struct live_probe *start = NULL, *end = NULL;
		struct kept k;
		struct live l;

		open_getppid(&l, &start, &end);
		while (start->p.nr_fields < LIVE_MAX_FIELDS)
			live_field(start, RESULT_STRING, 0, 1024, SPACE_ANY, LIVE_STEPS(ARG(1)));
		live_stacks(start, true, true);
		live_span_middle(end);
		while (end->p.nr_fields < LIVE_MAX_FIELDS)
			live_field(end, RESULT_STRING, 0, 1024, SPACE_ANY, LIVE_STEPS(ARG(2)));
		live_stacks(end, true, true);
		if (!opens(&l, way))
			continue;
		record_child(&l, call_with_texts, NULL, &k);
		assert_int_equal(k.nr, 3);
		for (size_t i = 0; i < k.nr; i++) {
			const uint8_t *at = k.list[i]->data + end->p.fixed_bytes;

			for (size_t f = 2; f < LIVE_MAX_FIELDS; f++)
				expect_text(&at, length_of(start, k.list[i], f),
					    i == 1 ? NULL : some_text);
			expect_frames(&at, k.list[i], start);
			for (size_t f = 0; f < LIVE_MAX_FIELDS; f++)
				expect_text(&at, length_of(end, k.list[i], f),
					    i == 2 ? NULL : other_text);
			expect_frames(&at, k.list[i], end);
		}
		forget_records(&k);
		close_all(&l);
	}
}

static void call_few(void *ctx)
{
	(void)ctx;
	for (long i = 0; i < 10; i++)
		call_getppid(i, 100 + i);
}

/* What waits is not freed by mistake: the last calls find their starts, too. */
static void filters_of_both_sides(void **state)
{
	(void)state;
	for (size_t way = 0; way < NR_WAYS; way++) {
		struct live_probe *start = NULL, *end = NULL;
		struct kept k;
		struct live l;

		open_getppid(&l, &start, &end);
		expr_free(filters[--nr_filters]);
		set_filter(start, IS_GETPPID " && arg1 != 4");
		live_span_middle(end);
		live_number(end, 8, { .op = FETCH_START, .size = 8, .value = 16 },
			    { .op = FETCH_ADD, .value = 1 });
		live_number(end, 8, { .op = FETCH_DURATION });
		live_number(end, 8, { .op = FETCH_CONSTANT, .value = 1 }, { .op = FETCH_AGE });
		live_number(end, 8, { .op = FETCH_CONSTANT, .value = 0 }, { .op = FETCH_AGE });
		set_filter(end, "ret > 0 && start1 % 2 == 0 && start2 < 108 && duration > 0");
		if (!opens(&l, way))
			continue;
		record_child(&l, call_few, NULL, &k);
		/* 0, 2 and 6. */
		assert_int_equal(k.nr, 3);
		for (size_t i = 0; i < k.nr; i++) {
			const struct probe_record *rec = k.list[i];

			assert_int_equal(number_of(start, rec, 0), i < 2 ? 2 * i : 6);
			assert_int_equal(number_of(end, rec, 0), 101 + (i < 2 ? 2 * i : 6));
			assert_int_equal(number_of(end, rec, 1), duration_of(rec));
			assert_true(number_of(end, rec, 2) + 1 >= rec->time_ns);
			assert_int_equal(number_of(end, rec, 3), 0);
		}
		assert_int_equal(counts_of(&l, 0).replaced, 0);
		assert_int_equal(spanmaps_open_starts(l.spanmaps, 0), 0);
		forget_records(&k);
		close_all(&l);
	}
}

/* --- durations ---------------------------------------------------------------------------- */

#define LIMIT_NS 3000000

static void take_long_and_short(void *ctx)
{
	const struct timespec nap = { 0, 2 * LIMIT_NS };

	(void)ctx;
	for (long i = 0; i < 20; i++) {
		start_key(i);
		if (i % 4 == 0)
			nanosleep(&nap, NULL);
		end_key(i);
	}
}

static void short_and_long_are_dropped(void **state)
{
	(void)state;
	for (int most = 0; most < 2; most++) {
		struct live_probe *start = NULL, *end = NULL;
		size_t nr_long = 0;
		struct kept k;
		struct live l;

		open_keyed(&l, &start, &end);
		live_span_middle(end);
		end->p.span->min_ns = most ? 0 : LIMIT_NS;
		end->p.span->max_ns = most ? LIMIT_NS : 0;
		skip_if_impossible(&l, live_open(&l, RINGS_AUTO));
		record_child(&l, take_long_and_short, NULL, &k);
		for (size_t i = 0; i < k.nr; i++) {
			uint64_t key = number_of(start, k.list[i], 0);

			nr_long += key % 4 == 0;
			assert_int_equal(duration_of(k.list[i]) >= LIMIT_NS, !most);
		}
		assert_int_equal(nr_long, most ? 0 : 5);
		assert_int_equal(spanmaps_open_starts(l.spanmaps, 0), 0);
		forget_records(&k);
		close_all(&l);
	}
}

/* A start of the future: as if the clock had jumped. */
static void backwards_is_no_duration(void **state)
{
	struct live_probe *start = NULL, *end = NULL;
	struct spanmaps_start *future;
	struct spanmaps_table table;
	struct live_child child;
	struct kept k = { .nr = 0 };
	struct live l;
	uint64_t key;

	(void)state;
	open_getppid(&l, &start, &end);
	live_span_middle(end);
	skip_if_impossible(&l, live_open(&l, RINGS_AUTO));
	spanmaps_table(l.spanmaps, 0, &table);
	future = calloc(1, table.value_bytes);
	assert_non_null(future);
	child = live_fork(call_few, NULL);
	key = (uint64_t)child.pid;
	future->time_ns = INT64_MAX;
	assert_int_equal(bpf_map_update_elem(table.fd, &key, future, BPF_ANY), 0);
	free(future);
	assert_int_equal(live_follow(&l, child.pid), 0);
	proberings_enable(l.rings, true);
	assert_int_equal(live_join(&child), 0);
	live_detach(&l);
	live_take(&l, keep_record, &k);
	assert_int_equal(k.nr, 10);
	assert_int_equal(counts_of(&l, 0).backwards, 1);
	assert_int_equal(counts_of(&l, 0).replaced, 0);
	forget_records(&k);
	close_all(&l);
}

/* --- keys ----------------------------------------------------------------------------------- */

static void nest(void *ctx)
{
	(void)ctx;
	for (long round = 0; round < 3; round++) {
		for (long i = 0; i < 10; i++)
			start_key(i);
		for (long i = 10; i-- > 0;)
			end_key(i);
	}
}

/* As the calls of a function that calls itself: the last to start is the first to end. */
static void spans_nest(void **state)
{
	(void)state;
	for (size_t way = 0; way < NR_WAYS; way++) {
		/* Put together on the stack of the program, or in the table. */
		for (int in_place = 0; in_place < 2; in_place++) {
			struct live_probe *start = NULL, *end = NULL;
			struct kept k;
			struct live l;

			open_keyed(&l, &start, &end);
			live_keys(end, start, { .op = FETCH_TID });
			end->p.span->by_thread = end->p.span->by_frame = true;
			if (in_place)
				live_field(start, RESULT_STRING, 0, 64, SPACE_ANY,
					   LIVE_STEPS(ARG(1)));
			live_span_middle(end);
			if (!opens(&l, way))
				continue;
			record_child(&l, nest, NULL, &k);
			assert_int_equal(k.nr, 30);
			for (size_t i = 0; i < k.nr; i++) {
				assert_int_equal(number_of(start, k.list[i], 0), KEY(9 - i % 10));
				if (i % 10)
					assert_true(duration_of(k.list[i]) >
						    duration_of(k.list[i - 1]));
			}
			assert_int_equal(counts_of(&l, 0).replaced, 0);
			assert_int_equal(counts_of(&l, 0).no_room, 0);
			forget_records(&k);
			close_all(&l);
		}
	}
}

static void use_twice(void *ctx)
{
	(void)ctx;
	for (int i = 0; i < 5; i++) {
		start_key(1);
		syscall(SYS_getppid, 7, KEY(1), 0);
		end_key(1);
		end_key(1);
	}
	start_key(2);
	start_key(3);
}

static void last_start_counts(void **state)
{
	(void)state;
	for (int in_place = 0; in_place < 2; in_place++) {
		struct live_probe *start = NULL, *end = NULL;
		struct kept k;
		struct live l;

		open_keyed(&l, &start, &end);
		live_number(start, 8, ARG(0));
		if (in_place)
			live_field(start, RESULT_COMM, 0, 16, SPACE_ANY, NULL, 0);
		live_span_middle(end);
		skip_if_impossible(&l, live_open(&l, RINGS_AUTO));
		record_child(&l, use_twice, NULL, &k);
		assert_int_equal(k.nr, 5);
		for (size_t i = 0; i < k.nr; i++)
			assert_int_equal(number_of(start, k.list[i], 1), 7);
		assert_int_equal(counts_of(&l, 0).replaced, 5);
		assert_int_equal(counts_of(&l, 0).no_start, 0);
		assert_int_equal(spanmaps_open_starts(l.spanmaps, 0), 2);
		assert_int_equal(spanmaps_open_starts(l.spanmaps, 0), 2);
		forget_records(&k);
		close_all(&l);
	}
}

static void call_others(void *ctx)
{
	(void)ctx;
	for (int i = 0; i < 5; i++)
		syscall(SYS_getuid);
	call_getppid(1, 2);
}

static void ends_without_start(void **state)
{
	(void)state;
	for (int chosen = 0; chosen < 2; chosen++) {
		struct live_probe *start = NULL, *end = NULL;
		struct kept k;
		struct live l;

		open_getppid(&l, &start, &end);
		live_span_middle(end);
		end->p.span->starts_are_chosen = chosen;
		skip_if_impossible(&l, live_open(&l, RINGS_AUTO));
		record_child(&l, call_others, NULL, &k);
		assert_int_equal(k.nr, 1);
		/* The read in which the child waits is one more. */
		assert_int_equal(counts_of(&l, 0).no_start, chosen ? 0 : 6);
		forget_records(&k);
		close_all(&l);
	}
}

/* --- threads -------------------------------------------------------------------------------- */

static void *end_elsewhere(void *arg)
{
	*(long *)arg = syscall(SYS_gettid);
	end_key(1);
	return NULL;
}

static void hand_over(void *ctx)
{
	pthread_t thread;
	long tid;

	start_key(1);
	pthread_create(&thread, NULL, end_elsewhere, &tid);
	pthread_join(thread, NULL);
	if (write(*(int *)ctx, &tid, sizeof(tid)) != sizeof(tid))
		_exit(1);
}

static void task_of_either_side(void **state)
{
	(void)state;
	for (int of_end = 0; of_end < 2; of_end++) {
		struct live_probe *start = NULL, *end = NULL;
		struct kept k = { .nr = 0 };
		struct live_child child;
		struct live l;
		int ends[2];
		long tid;

		open_keyed(&l, &start, &end);
		live_span_middle(end);
		end->p.span->task_of_end = of_end;
		skip_if_impossible(&l, live_open(&l, RINGS_AUTO));
		assert_int_equal(pipe(ends), 0);
		child = live_fork(hand_over, &ends[1]);
		assert_int_equal(live_follow(&l, child.pid), 0);
		proberings_enable(l.rings, true);
		assert_int_equal(live_join(&child), 0);
		live_detach(&l);
		assert_int_equal(read(ends[0], &tid, sizeof(tid)), sizeof(tid));
		live_take(&l, keep_record, &k);
		assert_int_equal(k.nr, 1);
		assert_int_equal(k.list[0]->pid, child.pid);
		assert_int_equal(k.list[0]->tid, of_end ? tid : child.pid);
		forget_records(&k);
		close(ends[0]);
		close(ends[1]);
		close_all(&l);
	}
}

#define NR_THREADS 40
#define CALLS_OF_THREAD 200

static void *call_as_thread(void *arg)
{
	for (long i = 0; i < CALLS_OF_THREAD; i++)
		call_getppid(syscall(SYS_gettid), (long)arg);
	return NULL;
}

static void run_threads(void *ctx)
{
	pthread_t threads[NR_THREADS];

	(void)ctx;
	for (long i = 0; i < NR_THREADS; i++)
		pthread_create(&threads[i], NULL, call_as_thread, (void *)i);
	for (long i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
}

struct by_thread {
	const struct live_probe *start;
	uint64_t nr[NR_THREADS], wrong;
};

static void count_by_thread(void *ctx, uint32_t cpu, const struct probe_record *rec)
{
	struct by_thread *b = ctx;
	uint64_t thread = number_of(b->start, rec, 1);

	(void)cpu;
	if (thread >= NR_THREADS || number_of(b->start, rec, 0) != rec->tid)
		b->wrong++;
	else
		b->nr[thread]++;
}

static void threads_do_not_mix(void **state)
{
	(void)state;
	for (size_t way = 0; way < NR_WAYS; way++) {
		struct live_probe *start = NULL, *end = NULL;
		struct by_thread by = { .wrong = 0 };
		struct live_child child;
		struct live l;

		open_getppid(&l, &start, &end);
		live_span_middle(end);
		if (!opens(&l, way))
			continue;
		child = live_fork(run_threads, NULL);
		assert_int_equal(live_follow(&l, child.pid), 0);
		proberings_enable(l.rings, true);
		assert_int_equal(live_join(&child), 0);
		live_detach(&l);
		by.start = start;
		live_take(&l, count_by_thread, &by);
		assert_int_equal(by.wrong, 0);
		for (size_t i = 0; i < NR_THREADS; i++)
			assert_int_equal(by.nr[i], CALLS_OF_THREAD);
		assert_int_equal(live_lost(&l, 0), 0);
		close_all(&l);
	}
}

/* --- families ------------------------------------------------------------------------------- */

static const long family[] = { SYS_getppid, SYS_getuid, SYS_gettid };
#define NR_FAMILY 3

static void call_family(void *ctx)
{
	(void)ctx;
	for (int i = 0; i < 12; i++)
		syscall(family[i % NR_FAMILY], 0, i);
}

/* Calls of the second do not seem to return, as execve and exit do not. */
static void family_shares_a_table(void **state)
{
	(void)state;
	for (size_t way = 0; way < NR_WAYS; way++) {
		struct live_probe *start = NULL, *end = NULL;
		struct spanmaps_table tables[NR_FAMILY];
		struct spanmaps_start *waits;
		struct live_child child;
		struct kept k = { .nr = 0 };
		struct live l;
		uint64_t key;

		live_init(&l);
		for (int i = 0; i < NR_FAMILY; i++) {
			char filter[32];

			skip_if_impossible(&l, live_add_span(&l, "sys_enter", "sys_exit", &start,
							     &end));
			live_by_thread(start, end);
			end->p.span->family = 1;
			end->p.span->starts_are_chosen = true;
			snprintf(filter, sizeof(filter), "id == %ld", family[i]);
			set_filter(start, filter);
			for (int n = 0; n <= i; n++)
				live_number(start, 8, ARG(1));
			live_span_middle(end);
		}
		if (!opens(&l, way))
			continue;
		for (uint32_t i = 0; i < NR_FAMILY; i++)
			spanmaps_table(l.spanmaps, i, &tables[i]);
		assert_int_equal(tables[0].fd, tables[2].fd);
		assert_int_equal(tables[0].value_bytes, 56);
		live_detach_one(&l.probes[1]);
		child = live_fork(call_family, NULL);
		waits = calloc(1, tables[0].value_bytes);
		assert_non_null(waits);
		waits->time_ns = 1;
		waits->probe = 2;
		key = (uint64_t)child.pid;
		assert_int_equal(bpf_map_update_elem(tables[0].fd, &key, waits, BPF_ANY), 0);
		assert_int_equal(spanmaps_open_starts(l.spanmaps, 1), 0);
		assert_int_equal(spanmaps_open_starts(l.spanmaps, 2), 1);
		waits->probe = 1;
		assert_int_equal(bpf_map_update_elem(tables[0].fd, &key, waits, BPF_ANY), 0);
		free(waits);
		assert_int_equal(live_follow(&l, child.pid), 0);
		proberings_enable(l.rings, true);
		assert_int_equal(live_join(&child), 0);
		live_detach(&l);
		live_take(&l, keep_record, &k);
		assert_int_equal(k.nr, 8);
		for (size_t i = 0; i < k.nr; i++) {
			assert_int_equal(k.list[i]->probe, i % 2 ? 2 : 0);
			assert_int_equal(number_at(k.list[i], 8, 8), i / 2 * 3 + (i % 2 ? 2 : 0));
		}
		/* The one from before, and those whose end is not attached. */
		assert_int_equal(counts_of(&l, 1).replaced, 5);
		assert_int_equal(counts_of(&l, 0).replaced + counts_of(&l, 2).replaced, 0);
		forget_records(&k);
		close_all(&l);
	}
}

/* --- full tables ------------------------------------------------------------------------------- */

/* Threads that cannot be: numbers above those that the kernel gives. */
static size_t fill_table(const struct live *l, size_t nr_waiting)
{
	struct spanmaps_table table;
	struct spanmaps_start *start;
	size_t nr = 0;

	spanmaps_table(l->spanmaps, 0, &table);
	start = calloc(1, table.value_bytes);
	assert_non_null(start);
	for (;;) {
		uint64_t key = 0x40000000 + nr;

		start->task = key;
		start->time_ns = nr < nr_waiting;
		if (bpf_map_update_elem(table.fd, &key, start, BPF_NOEXIST) < 0)
			break;
		nr++;
	}
	free(start);
	return nr;
}

static void full_tables_are_swept(void **state)
{
	struct live_probe *start = NULL, *end = NULL;
	struct stat st;
	struct live l;
	struct kept k;

	(void)state;
	open_getppid(&l, &start, &end);
	live_span_middle(end);
	skip_if_impossible(&l, live_open(&l, RINGS_AUTO));
	assert_in_range(fill_table(&l, 3), 1024, 65536);
	spanmaps_sweep(l.spanmaps);
	assert_int_equal(spanmaps_open_starts(l.spanmaps, 0), 3);
	record_child(&l, call_few, NULL, &k);
	assert_int_equal(k.nr, 0);
	assert_int_equal(counts_of(&l, 0).no_room, 10);
	spanmaps_sweep(l.spanmaps);
	if (stat("/proc/self/ns/pid", &st) == 0 && st.st_ino == 0xeffffffcu) {
		assert_int_equal(counts_of(&l, 0).replaced, 3);
		assert_int_equal(spanmaps_open_starts(l.spanmaps, 0), 0);
		assert_int_equal(live_attach(start) | live_attach(end), 0);
		record_child(&l, call_few, NULL, &k);
		assert_int_equal(k.nr, 10);
		assert_int_equal(counts_of(&l, 0).no_room, 10);
		forget_records(&k);
	}
	close_all(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs_are_records),
		cmocka_unit_test(texts_of_both_sides),
		cmocka_unit_test(stacks_of_both_sides),
		cmocka_unit_test(many_texts),
		cmocka_unit_test(filters_of_both_sides),
		cmocka_unit_test(short_and_long_are_dropped),
		cmocka_unit_test(backwards_is_no_duration),
		cmocka_unit_test(spans_nest),
		cmocka_unit_test(last_start_counts),
		cmocka_unit_test(ends_without_start),
		cmocka_unit_test(task_of_either_side),
		cmocka_unit_test(threads_do_not_mix),
		cmocka_unit_test(family_shares_a_table),
		cmocka_unit_test(full_tables_are_swept),
	};

	return cmocka_run_group_tests_name("record/probeprog span", tests, NULL, NULL);
}
