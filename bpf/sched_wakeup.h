/*
 * For the scheduler's programs: who wakes whom, and who begins.
 */
#ifndef BPF_SCHED_WAKEUP_H
#define BPF_SCHED_WAKEUP_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/kernel_types.h"
#include "bpf/sched_place.h"
#include "bpf/sched_state.h"

INLINE void note_waker(void *ctx, const bool mapped, struct sched_thread *t,
		       struct sched_cpu *c, __u32 cpu, __u64 now_ns, enum origin origin)
{
	__u64 pid_tid = bpf_get_current_pid_tgid();

	t->waker_tid = pid_tid;
	t->waker_pid = pid_tid >> 32;
	t->waker_cpu = cpu;
	t->waker_kernel_stack = 0;
	t->waker_user_stack = 0;
	t->waker_context = c->interrupts & INTERRUPT_MASK;
	note_stacks(ctx, mapped, c, cpu, now_ns, origin, &t->waker_kernel_stack,
		    &t->waker_user_stack);
	t->wake_ns = now_ns;
}

/*
 * Runs before the thread can be put on a queue.  A thread may be woken while it is still
 * running, having said that it is about to sleep: either it does not sleep then, and
 * the next wakeup overwrites this one, or it is about to leave the CPU for a moment, and
 * there is no other.
 */
INLINE int waking(__u64 *ctx, const bool mapped)
{
	struct task_struct *task = (void *)ctx[0];
	__u32 cpu = bpf_get_smp_processor_id();
	struct sched_cpu *c = this_cpu(cpu);
	struct sched_thread *t;
	__u64 now_ns;
	__u8 state;

	if (!c)
		return 0;
	t = find(task);
	/* It takes back that it is about to sleep. */
	if (t && (__u64)task == bpf_get_current_task())
		return 0;
	now_ns = bpf_ktime_get_ns();
	state = letter_of(read_state(task));
	if (!t) {
		if (!task->pid)
			return 0;
		t = meet(task, now_ns, 0, false);
		if (!t)
			return 0;
		t->state = state;
	}
	t->wake_state = state;
	note_waker(ctx, mapped, t, c, cpu, now_ns, ORIGIN_WAKING);
	return 0;
}

SEC("tp_btf/sched_waking")
int waking_mapped(__u64 *ctx)
{
	return waking(ctx, true);
}

SEC("tp_btf/sched_waking")
int waking_queue(__u64 *ctx)
{
	return waking(ctx, false);
}

/* Whoever is chosen has children that are, too. */
INLINE bool is_child_chosen(struct task_struct *child)
{
	struct sched_thread *parent;

	if ((__u32)child->tgid == not_pid)
		return false;
	if (all_threads || in_cgroup)
		return all_threads || is_in_cgroup(child);
	parent = find((void *)bpf_get_current_task());
	return parent && !parent->outside;
}

/* Under the lock of the queue that it has just been put on. */
INLINE int started(__u64 *ctx, const bool mapped)
{
	struct task_struct *child = (void *)ctx[0];
	struct sched_thread t = { .flags = SCHED_NEW };
	__u32 cpu = bpf_get_smp_processor_id();
	struct sched_cpu *c = this_cpu(cpu);
	__u64 key = (__u64)child;

	if (!c || !is_child_chosen(child))
		return 0;
	describe(&t, child, bpf_ktime_get_ns());
	t.state = 0;
	t.cpu = t.from_cpu = cpu;
	note_waker(ctx, mapped, &t, c, cpu, t.since_ns, ORIGIN_STARTED);
	/* The end of the last thread at this address may have been left out. */
	if (bpf_map_update_elem(&threads, &key, &t, BPF_ANY))
		count_no_room();
	return 0;
}

SEC("tp_btf/sched_wakeup_new")
int started_mapped(__u64 *ctx)
{
	return started(ctx, true);
}

SEC("tp_btf/sched_wakeup_new")
int started_queue(__u64 *ctx)
{
	return started(ctx, false);
}

/* A process may be chosen from its exec on: the command that is recorded. */
SEC("tp_btf/sched_process_exec")
int execed(__u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	struct sched_thread t = { .has_cpu = 1 };
	__u32 pid = task->tgid, cpu = bpf_get_smp_processor_id();
	struct sched_cpu *c = this_cpu(cpu);

	if (!c || find(task) || !bpf_map_lookup_elem(&traced, &pid))
		return 0;
	describe(&t, task, bpf_ktime_get_ns());
	t.cpu = t.from_cpu = cpu;
	t.interrupts_ns = c->interrupts_ns;
	add(task, &t);
	return 0;
}

#endif
