/*
 * The scheduler's programs, live: what they tell of threads whose life is known.
 */
#define _GNU_SOURCE
#include "record/schedprog.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <cmocka.h>

#define MAX_RECORDS (1u << 20)

struct recording {
	struct target target;
	struct schedprog_opts opts;
	struct schedprog *prog;
	struct diag diag;
	struct sched_record *list;	/* in the order of time */
	uint32_t *cpus;
	size_t nr;
	struct schedprog_counts counts;
};

static void init(struct recording *r)
{
	*r = (struct recording){
		.target = { .all = true, .cgroup_fd = -1 },
		.opts = { .traced_fd = -1, .traced_tids_fd = -1, .cgroup_fd = -1 },
	};
	r->list = calloc(MAX_RECORDS, sizeof(*r->list));
	assert_non_null(r->list);
}

/* Skips where there is no BPF, or no right to it. */
static void begin(struct recording *r)
{
	r->opts.target = &r->target;
	if (schedprog_open(&r->prog, &r->opts, &r->diag)) {
		fprintf(stderr, "# %s\n", r->diag.text);
		free(r->list);
		skip();
	}
	assert_int_equal(schedprog_enable(r->prog, &r->diag), 0);
}

static void keep_last(void *ctx, uint32_t cpu, const struct sched_record *rec)
{
	struct recording *r = ctx;

	(void)cpu;
	if (r->nr < MAX_RECORDS)
		r->list[r->nr++] = *rec;
}

static void keep(void *ctx, uint32_t cpu, const struct probe_record *rec)
{
	assert_int_equal(rec->size_bytes, sizeof(struct sched_record));
	keep_last(ctx, cpu, (const void *)rec);
}

static void take(struct recording *r)
{
	struct proberings *rings = schedprog_records(r->prog);

	for (uint32_t lane = 0; lane < proberings_nr_lanes(rings); lane++)
		proberings_take(rings, lane, UINT64_MAX, keep, r);
}

static int by_time(const void *a, const void *b)
{
	const struct sched_record *x = a, *y = b;

	if (x->tid != y->tid)
		return x->tid < y->tid ? -1 : 1;
	return (x->time_ns > y->time_ns) - (x->time_ns < y->time_ns);
}

static void finish(struct recording *r)
{
	schedprog_disable(r->prog);
	take(r);
	assert_int_equal(schedprog_end(r->prog, keep_last, r), 0);
	schedprog_get_counts(r->prog, &r->counts);
	assert_true(r->nr < MAX_RECORDS);
	qsort(r->list, r->nr, sizeof(*r->list), by_time);
}

static void release(struct recording *r)
{
	schedprog_close(r->prog);
	free(r->list);
}

static uint64_t begins_ns(const struct sched_record *r)
{
	return r->time_ns - r->off_ns - r->on_ns - r->skipped_ns;
}

/* Each record of a thread goes on where the one before it ended. */
static void check_conservation(const struct recording *r)
{
	size_t bad = 0;

	for (size_t i = 1; i < r->nr; i++) {
		const struct sched_record *a = &r->list[i - 1], *b = &r->list[i];

		if (a->runnable_ns > a->off_ns) {
			fprintf(stderr, "# tid %u: runnable %lu of %lu\n", a->tid,
				(unsigned long)a->runnable_ns, (unsigned long)a->off_ns);
			bad++;
		}
		if (a->tid != b->tid || (a->flags & SCHED_EXIT))
			continue;
		if (begins_ns(b) != a->time_ns) {
			fprintf(stderr, "# tid %u at %lu: %ld ns missing (flags %x, %x)\n", b->tid,
				(unsigned long)b->time_ns, (long)(begins_ns(b) - a->time_ns),
				a->flags, b->flags);
			bad++;
		}
	}
	assert_int_equal(bad, 0);
}

static void ping_pong(long rounds, int cpu)
{
	int there[2], back[2];
	char c = 0;
	pid_t pid;

	assert_int_equal(pipe(there), 0);
	assert_int_equal(pipe(back), 0);
	pid = fork();
	if (cpu >= 0) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		sched_setaffinity(0, sizeof(set), &set);
	}
	for (long i = 0; i < rounds; i++) {
		if (pid && (write(there[1], &c, 1) != 1 || read(back[0], &c, 1) != 1))
			break;
		if (!pid && (read(there[0], &c, 1) != 1 || write(back[1], &c, 1) != 1))
			break;
	}
	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
	close(there[0]);
	close(there[1]);
	close(back[0]);
	close(back[1]);
}

static pid_t start(void (*fn)(void))
{
	pid_t pid = fork();

	if (!pid) {
		fn();
		_exit(0);
	}
	return pid;
}

static void some_load(void)
{
	ping_pong(2000, -1);
	for (int i = 0; i < 20; i++) {
		pid_t pid = fork();

		if (!pid) {
			execl("/bin/true", "true", (char *)NULL);
			_exit(1);
		}
		waitpid(pid, NULL, 0);
	}
}

static void test_conservation(void **state)
{
	struct recording r;

	(void)state;
	init(&r);
	begin(&r);
	waitpid(start(some_load), NULL, 0);
	finish(&r);
	fprintf(stderr, "# %zu records, %lu lost, %lu missed, %lu no wakeup, %lu no room\n", r.nr,
		(unsigned long)r.counts.lost, (unsigned long)r.counts.missed,
		(unsigned long)r.counts.no_wakeup, (unsigned long)r.counts.no_room);
	assert_true(r.nr > 4000);
	assert_int_equal(r.counts.lost, 0);
	check_conservation(&r);
	release(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conservation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
