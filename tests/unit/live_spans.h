/*
 * Spans over the tracepoints that all system calls pass: getppid, told apart by its
 * number at the enter, paired with the exit of the same thread or by one of its
 * arguments.
 */
#ifndef UNIT_LIVE_SPANS_H
#define UNIT_LIVE_SPANS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/user.h>

#include <cmocka.h>

#include "live_probes.h"

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
static inline void call_few(void *ctx)
{
	(void)ctx;
	for (long i = 0; i < 10; i++)
		call_getppid(i, 100 + i);
}

#endif
/* Of the system call's arguments; on arm64 the first is lost where it has returned. */
#define ARG(n) CTX(0), { .op = FETCH_TYPED, .size = 8, .value = (int64_t)ARG_OFFSET(n) }
#define TEXT_OF(number) #number
#define DIGITS(number) TEXT_OF(number)
#define IS_GETPPID "id == " DIGITS(SYS_getppid)
#define ID CTX(8)
#define RET CTX(8)

static inline void skip_if_impossible(const struct live *l, int err)
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

static inline int bind_variable(void *ctx, const char *name, uint32_t var, enum expr_type *type)
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

static inline void set_filter(struct live_probe *lp, const char *text)
{
	struct variables v = {
		variables, sizeof(variables) / sizeof(*variables), filter_values[nr_filters],
	};

	assert_int_equal(expr_parse(&filters[nr_filters], text, NULL), 0);
	assert_int_equal(expr_bind(filters[nr_filters], bind_variable, &v, NULL, NULL), 0);
	lp->p.filter = filters[nr_filters];
	lp->v.filter_values = filter_values[nr_filters++];
}

static inline void close_all(struct live *l)
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

static inline void keep_record(void *ctx, uint32_t cpu, const struct probe_record *rec)
{
	struct kept *k = ctx;

	(void)cpu;
	assert_true(k->nr < MAX_KEPT);
	k->list[k->nr] = malloc(rec->size_bytes);
	assert_non_null(k->list[k->nr]);
	memcpy(k->list[k->nr++], rec, rec->size_bytes);
}

static inline void forget_records(struct kept *k)
{
	while (k->nr)
		free(k->list[--k->nr]);
}

static inline uint64_t number_at(const struct probe_record *rec, uint32_t offset, size_t size)
{
	uint64_t n = 0;

	memcpy(&n, rec->data + offset, size);
	return n;
}

static inline uint64_t number_of(const struct live_probe *lp, const struct probe_record *rec, size_t i)
{
	return number_at(rec, lp->fields[i].offset, lp->fields[i].size);
}

static inline int32_t length_of(const struct live_probe *lp, const struct probe_record *rec, size_t i)
{
	return (int32_t)number_at(rec, lp->fields[i].offset, 4);
}

static inline uint64_t duration_of(const struct probe_record *rec)
{
	return number_at(rec, PROBE_DURATION_OFFSET, 8);
}

static inline struct spanmaps_counts counts_of(const struct live *l, uint32_t probe)
{
	struct spanmaps_counts counts;

	spanmaps_counts(l->spanmaps, probe, &counts);
	return counts;
}

/* --- set-ups ------------------------------------------------------------------------------ */

/* getppid by thread; start: arguments 1 and 2; end: the result. */
static inline void open_getppid(struct live *l, struct live_probe **start, struct live_probe **end)
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
static inline void open_keyed(struct live *l, struct live_probe **start, struct live_probe **end)
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

static inline void start_key(long n)
{
	syscall(SYS_getppid, 0, KEY(n), 0);
}

static inline void end_key(long n)
{
	syscall(SYS_getppid, 0, 0, KEY(n));
}

static inline bool opens(struct live *l, size_t way)
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
static inline void record_child(struct live *l, void (*work)(void *), void *ctx, struct kept *k)
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

static inline void call_getppid(long arg1, long arg2)
{
	syscall(SYS_getppid, 0, arg1, arg2);
}

static inline void call_few(void *ctx)
{
	(void)ctx;
	for (long i = 0; i < 10; i++)
		call_getppid(i, 100 + i);
}

#endif
