/*
 * For the scheduler's programs: the threads that are there at the start and at the end.
 */
#ifndef BPF_SCHED_THERE_H
#define BPF_SCHED_THERE_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/kernel_types.h"
#include "bpf/sched_place.h"
#include "bpf/sched_stack.h"
#include "bpf/sched_state.h"

struct bpf_iter__task {
	void *meta;
	struct task_struct *task;
};

INLINE __u16 cpu_of(struct task_struct *task)
{
	struct task_struct___before_5_16 *old = (void *)task;

	return bpf_core_field_exists(old->cpu) ? old->cpu : task->thread_info.cpu;
}

/* Of one that has no CPU now.  Another thread's user stack is out of reach. */
INLINE void note_start_stacks(void *ctx, struct task_struct *task, struct sched_thread *t,
			      const bool mapped)
{
	struct stack_of whose = { .tid = task->pid, .pid = task->tgid, .row = nr_cpus };
	struct sched_scratch *s = scratch_of(nr_cpus);
	long bytes;

	if (want_user_stacks && is_user_task(task))
		t->user_stack = ERROR_NOT_SUPPORTED;
	if (!want_kernel_stacks || !s)
		return;
	bytes = bpf_get_task_stack(task, s->stack.ips, SCHED_MAX_STACK * sizeof(__u64), 0);
	if (bytes <= 0) {
		t->kernel_stack = -bytes;
		return;
	}
	whose.time_ns = control.start_ns;
	whose.cpu = bpf_get_smp_processor_id();
	t->kernel_stack = hash_frames(nr_cpus, (__u64)bytes / 8, 1);
	if (!is_known(t->kernel_stack))
		t->kernel_stack = introduce(ctx, s, &whose, t->kernel_stack,
					    (__u64)bytes / 8, false, mapped);
}

/* At the start: one that did nothing since then. */
INLINE void note(void *ctx, struct task_struct *task, const bool mapped)
{
	struct sched_thread t = { .flags = SCHED_START };
	__u32 state = read_state(task);
	__u64 key = (__u64)task;

	/* A zombie, after its last run. */
	if ((state & STATE_DEAD) && !task->on_cpu)
		return;
	if (find(task) || !is_chosen(task))
		return;
	describe(&t, task, control.start_ns);
	t.cpu = t.from_cpu = cpu_of(task);
	t.has_cpu = task->on_cpu != 0;
	t.state = letter_of(state);
	if (!t.has_cpu)
		note_start_stacks(ctx, task, &t, mapped);
	/* Whoever is known by now has done something. */
	if (bpf_map_update_elem(&threads, &key, &t, BPF_NOEXIST) && !find(task))
		count_no_room();
}

/* At the end: who is still there, and how much of its time was the user's. */
INLINE void look_at(struct task_struct *task)
{
	struct sched_thread *t = find(task);

	if (!t)
		return;
	t->is_alive = 1;
	t->end_user_ns = task->utime;
	t->end_system_ns = task->stime;
}

INLINE int each_task(struct bpf_iter__task *ctx, const bool mapped)
{
	struct task_struct *task = ctx->task;

	if (!task)
		return 0;
	if (control.noting)
		note(ctx, task, mapped);
	else if (control.ending)
		look_at(task);
	return 0;
}

SEC("iter/task")
int task_mapped(struct bpf_iter__task *ctx)
{
	return each_task(ctx, true);
}

SEC("iter/task")
int task_queue(struct bpf_iter__task *ctx)
{
	return each_task(ctx, false);
}

#endif
