/*
 * For tests of the scheduler's programs: a recording that is kept, the laws that hold for
 * each, and a process that is held until it is recorded.
 */
#ifndef UNIT_LIVE_SCHED_H
#define UNIT_LIVE_SCHED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <cmocka.h>

#include "record/schedprog.h"

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
	uint64_t stacks, began_ns, ended_ns;
	int traced_fd;
};

static inline uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static inline void init(struct recording *r)
{
	*r = (struct recording){
		.target = { .all = true, .cgroup_fd = -1 },
		.opts = { .traced_fd = -1, .traced_tids_fd = -1, .cgroup_fd = -1 },
		.traced_fd = -1,
	};
	r->list = calloc(MAX_RECORDS, sizeof(*r->list));
	assert_non_null(r->list);
}

/* Skips where there is no BPF, or no right to it. */
static inline void begin(struct recording *r)
{
	r->opts.target = &r->target;
	if (schedprog_open(&r->prog, &r->opts, &r->diag)) {
		fprintf(stderr, "# %s\n", r->diag.text);
		free(r->list);
		skip();
	}
	r->began_ns = now_ns();
	assert_int_equal(schedprog_enable(r->prog, &r->diag), 0);
}

/* Only this process and what it starts; fn's process, held until all is set up. */
static inline void only(struct recording *r, pid_t pid)
{
	const uint32_t key = (uint32_t)pid;
	const uint8_t on = 1;

	r->traced_fd = bpf_map_create(BPF_MAP_TYPE_HASH, "traced", 4, 1, 64, NULL);
	bpf_map_update_elem(r->traced_fd, &key, &on, 0);
	r->target.all = false;
	r->opts.traced_fd = r->traced_fd;
}

static inline void keep_last(void *ctx, uint32_t cpu, const struct sched_record *rec)
{
	struct recording *r = ctx;

	(void)cpu;
	if (r->nr < MAX_RECORDS)
		r->list[r->nr++] = *rec;
}

static inline void keep(void *ctx, uint32_t cpu, const struct probe_record *rec)
{
	assert_int_equal(rec->size_bytes, sizeof(struct sched_record));
	keep_last(ctx, cpu, (const void *)rec);
}

static inline void keep_stack(void *ctx, uint32_t cpu, const struct probe_record *rec)
{
	const struct sched_stack *stack = (const void *)rec;
	struct recording *r = ctx;

	(void)cpu;
	assert_int_equal(stack->size_bytes,
			 sizeof(*stack) + stack->frames * sizeof(stack->ips[0]));
	assert_in_range(stack->frames, 1, SCHED_MAX_STACK);
	r->stacks++;
}

static inline void take(struct recording *r)
{
	struct proberings *rings = schedprog_records(r->prog);

	for (uint32_t lane = 0; lane < proberings_nr_lanes(rings); lane++)
		proberings_take(rings, lane, UINT64_MAX, keep, r);
	rings = schedprog_stacks(r->prog);
	for (uint32_t lane = 0; lane < proberings_nr_lanes(rings); lane++)
		proberings_take(rings, lane, UINT64_MAX, keep_stack, r);
}

static inline int by_time(const void *a, const void *b)
{
	const struct sched_record *x = a, *y = b;

	if (x->tid != y->tid)
		return x->tid < y->tid ? -1 : 1;
	return (x->time_ns > y->time_ns) - (x->time_ns < y->time_ns);
}

static inline void finish(struct recording *r)
{
	schedprog_disable(r->prog);
	r->ended_ns = now_ns();
	take(r);
	assert_int_equal(schedprog_end(r->prog, keep_last, r), 0);
	schedprog_get_counts(r->prog, &r->counts);
	assert_true(r->nr < MAX_RECORDS);
	qsort(r->list, r->nr, sizeof(*r->list), by_time);
}

/* To be begun again. */
static inline void forget(struct recording *r)
{
	schedprog_close(r->prog);
	r->prog = NULL;
	if (r->traced_fd >= 0)
		close(r->traced_fd);
	r->traced_fd = -1;
	r->nr = 0;
}

static inline void release(struct recording *r)
{
	forget(r);
	free(r->list);
}

static inline uint64_t begins_ns(const struct sched_record *r)
{
	return r->time_ns - r->off_ns - r->on_ns - r->skipped_ns;
}

/* A wakeup that nobody has seen: it has no waker, and the whole wait is a blocked one. */
static inline void check_wakeup(const struct sched_record *rec)
{
	if (!(rec->flags & SCHED_NO_WAKEUP))
		return;
	assert_int_not_equal(rec->state, 'R');
	assert_int_equal(rec->runnable_ns, 0);
	assert_int_equal(rec->waker_tid | rec->waker_pid, 0);
	assert_true(!rec->waker_kernel_stack && !rec->waker_user_stack);
	assert_int_equal(rec->waker_context, SCHED_WAKER_TASK);
}

/* Each record of a thread goes on where the one before it ended. */
static inline void check_conservation(const struct recording *r)
{
	size_t bad = 0;

	for (size_t i = 0; i < r->nr; i++)
		check_wakeup(&r->list[i]);
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

/* A process that waits until it is let go, or until nobody is left who could. */
struct held {
	pid_t pid;
	int go_fd;
};

static inline struct held hold(void (*fn)(void))
{
	struct held h;
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	h.pid = fork();
	if (!h.pid) {
		char c;

		close(ends[1]);
		if (read(ends[0], &c, 1) == 1)
			fn();
		_exit(0);
	}
	close(ends[0]);
	h.go_fd = ends[1];
	return h;
}

static inline void let_go(struct held *h)
{
	assert_int_equal(write(h->go_fd, "", 1), 1);
}

static inline void wait_for(struct recording *r, struct held *h)
{
	while (waitpid(h->pid, NULL, WNOHANG) == 0) {
		take(r);
		usleep(2000);
	}
	close(h->go_fd);
}

static inline void record_load(struct recording *r, void (*fn)(void), bool all)
{
	struct held h = hold(fn);

	if (!all)
		only(r, h.pid);
	begin(r);
	let_go(&h);
	wait_for(r, &h);
	finish(r);
	fprintf(stderr, "# %zu records, %lu stacks; lost %lu, missed %lu, no room %lu, no wakeup %lu, "
		"walked %lu, remembered %lu, wrong %lu and %lu, unstable %lu, unchecked %lu\n",
		r->nr, (unsigned long)r->stacks,
		(unsigned long)r->counts.lost, (unsigned long)r->counts.missed,
		(unsigned long)r->counts.no_room, (unsigned long)r->counts.no_wakeup,
		(unsigned long)r->counts.walked, (unsigned long)r->counts.remembered,
		(unsigned long)r->counts.wrong_kernel, (unsigned long)r->counts.wrong_user,
		(unsigned long)r->counts.unstable, (unsigned long)r->counts.unchecked);
}

static inline const struct sched_record *first_of(const struct recording *r, uint32_t tid)
{
	for (size_t i = 0; i < r->nr; i++)
		if (r->list[i].tid == tid)
			return &r->list[i];
	return NULL;
}

#endif
