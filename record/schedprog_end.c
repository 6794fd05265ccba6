/*
 * The last records: of the threads that are there when the recording ends.
 */
#include "record/schedprog_private.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct known_thread {
	struct sched_thread thread;
	uint64_t key;
};

struct ending {
	struct known_thread *threads;
	size_t nr, room;
	uint64_t time_ns;
};

static int keep(struct ending *e, const struct sched_thread *t, uint64_t key)
{
	if (e->nr == e->room) {
		size_t room = e->room ? 2 * e->room : 256;
		struct known_thread *more = realloc(e->threads, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		e->threads = more;
		e->room = room;
	}
	e->threads[e->nr++] = (struct known_thread){ *t, key };
	/* What began when the recording was being ended is in it. */
	if (t->since_ns > e->time_ns)
		e->time_ns = t->since_ns;
	return 0;
}

/* Keys may be of 4 bytes. */
static int read_table(int fd, struct ending *e)
{
	uint64_t key = 0, *last = NULL, next = 0;
	int err = 0;

	while (!err && !bpf_map_get_next_key(fd, last, &next)) {
		struct sched_thread t;

		key = next;
		last = &key;
		if (!bpf_map_lookup_elem(fd, &key, &t))
			err = keep(e, &t, key);
	}
	return err;
}

static void add_wait(struct sched_record *r, const struct sched_thread *t)
{
	bool is_runnable = t->state == 'R';

	r->off_ns = r->time_ns - t->since_ns;
	r->kernel_stack = t->kernel_stack;
	r->user_stack = t->user_stack;
	if (is_runnable) {
		r->runnable_ns = r->off_ns;
	} else if (t->wake_ns != t->old_wake_ns) {
		r->runnable_ns = t->wake_ns > t->since_ns ? r->time_ns - t->wake_ns : r->off_ns;
		r->waker_kernel_stack = t->waker_kernel_stack;
		r->waker_user_stack = t->waker_user_stack;
		r->waker_tid = t->waker_tid;
		r->waker_pid = t->waker_pid;
		r->waker_cpu = t->waker_cpu;
		r->waker_context = t->waker_context;
	}
}

/* The kernel has left out the run in which it left the CPU. */
static bool left_unseen(const struct schedprog *p, const struct known_thread *k)
{
	const struct sched_cpu *c = &p->cpus[k->thread.cpu];

	return k->thread.has_cpu && c->running && c->running != k->key;
}

static void add_slice(const struct schedprog *p, struct sched_record *r,
		      const struct known_thread *k)
{
	const struct sched_thread *t = &k->thread;
	const struct sched_cpu *c = &p->cpus[t->cpu];

	r->state = 'R';
	if (left_unseen(p, k) || (p->opts.target->some_cpus && !c->is_chosen)) {
		r->skipped_ns += r->time_ns - t->since_ns;
		r->skipped++;
	} else {
		r->on_ns += r->time_ns - t->since_ns;
		r->from_cpu = t->cpu;
		r->interrupted_ns += c->interrupts_ns - t->interrupts_ns;
	}
}

static void hand_out(const struct schedprog *p, uint64_t time_ns, const struct known_thread *k,
		     schedprog_fn fn, void *ctx)
{
	const struct sched_thread *t = &k->thread;
	bool has_ended = t->flags & SCHED_EXIT;
	struct sched_record r = {
		.size_bytes = sizeof(r), .time_ns = has_ended ? t->since_ns : time_ns,
		.tid = t->tid, .pid = t->pid,
		.on_ns = t->on_ns, .skipped_ns = t->skipped_ns, .skipped = t->skipped,
		.interrupted_ns = t->interrupted_ns, .from_cpu = t->from_cpu,
		.waker_cpu = SCHED_NO_CPU, .state = t->state ? t->state : 'R',
		.flags = (uint16_t)(t->flags | (has_ended ? 0 : SCHED_END)),
	};

	if (t->is_alive || has_ended) {
		r.user_ns = t->end_user_ns - t->user_ns;
		r.system_ns = t->end_system_ns - t->system_ns;
	}
	if (t->has_cpu)
		add_slice(p, &r, k);
	else
		add_wait(&r, t);
	fn(ctx, t->cpu, &r);
}

/* The iterator does not show every thread to everybody, and old kernels have none. */
static bool is_there(const struct sched_thread *t)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%u/task/%u", t->pid, t->tid);
	return !access(path, F_OK);
}

/*
 * Until when its time is known.  Whoever is not there any more may only have its last switch to
 * go, for which it may wait long after its parent was told; or has ended since the programs
 * were.  But if it left its CPU unseen, nobody knows when it ended.
 */
static uint64_t known_until(const struct schedprog *p, const struct known_thread *k,
			    uint64_t time_ns)
{
	const struct sched_thread *t = &k->thread;

	if ((t->flags & SCHED_EXIT) || t->is_alive || !left_unseen(p, k) || is_there(t))
		return time_ns;
	return t->since_ns;
}

int schedprog_end(struct schedprog *p, schedprog_fn fn, void *ctx)
{
	struct ending e = { 0 };
	int err;

	schedprog_disable(p);
	e.time_ns = p->disabled_ns;
	p->skel->bss->control.ending = 1;
	schedprog_iterate(p);
	p->skel->bss->control.ending = 0;
	err = read_table(bpf_map__fd(p->skel->maps.threads), &e);
	if (!err)
		err = read_table(bpf_map__fd(p->skel->maps.ended), &e);
	for (size_t i = 0; !err && i < e.nr; i++) {
		const struct sched_thread *t = &e.threads[i].thread;
		uint64_t time_ns;

		if (t->outside || t->cpu >= p->nr_cpus)
			continue;
		if (p->opts.target->some_cpus && !p->cpus[t->cpu].is_chosen &&
		    !t->on_ns)
			continue;
		time_ns = known_until(p, &e.threads[i], e.time_ns);
		/* Without time of which nothing has been told yet. */
		if (time_ns != e.time_ns && !t->on_ns && !t->skipped_ns)
			continue;
		hand_out(p, time_ns, &e.threads[i], fn, ctx);
	}
	free(e.threads);
	return err;
}
