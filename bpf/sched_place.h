/*
 * For the scheduler's programs: where the thread that runs here is.
 */
#ifndef BPF_SCHED_PLACE_H
#define BPF_SCHED_PLACE_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/kernel_types.h"
#include "bpf/sched_kstack.h"
#include "bpf/sched_state.h"
#include "bpf/sched_ustack.h"

/* The programs that look at stacks: each lies elsewhere on them. */
enum origin { ORIGIN_SWITCH = 1, ORIGIN_WAKING, ORIGIN_STARTED };

/* The thread that runs here, as far as it can be looked at. */
INLINE struct task_struct *current_task(void)
{
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf))
		return bpf_get_current_task_btf();
	return NULL;
}

INLINE bool is_user_task(const struct task_struct *task)
{
	return task->mm && !(task->flags & FLAG_KERNEL_THREAD);
}

/* Of the thread that runs here.  For the verifier a function of its own, as in loops. */
__noinline int is_user_thread(void)
{
	struct task_struct *task = current_task();

	if (!task && !may_read)
		return 1;
	if (!task) {
		task = (void *)bpf_get_current_task();
		return BPF_CORE_READ(task, mm) &&
		       !(BPF_CORE_READ(task, flags) & FLAG_KERNEL_THREAD);
	}
	return is_user_task(task);
}

/* Where that thread is. */
INLINE void note_stacks(void *ctx, const bool mapped, struct sched_cpu *c, __u32 cpu,
			__u64 now_ns, enum origin origin, __u64 *kernel, __u64 *user)
{
	struct stack_of whose = { .time_ns = now_ns, .row = cpu, .cpu = cpu };
	struct task_struct *task;
	struct sched_scratch *s;
	__u64 pid_tid;

	if (!want_kernel_stacks && !want_user_stacks)
		return;
	s = scratch_of(cpu);
	if (!s)
		return;
	pid_tid = bpf_get_current_pid_tgid();
	whose.tid = pid_tid;
	whose.pid = pid_tid >> 32;
	/* Threads begin seldom: what follows stacks costs the verifier 20 ms in each program. */
	task = origin == ORIGIN_STARTED ? NULL : current_task();
	/* An interrupt has a stack of its own. */
	if (want_kernel_stacks)
		*kernel = kernel_stack(ctx, s, c->interrupts ? NULL : task, &whose, c, origin,
				       mapped);
	if (want_user_stacks && !c->interrupts && is_user_thread())
		*user = user_stack(ctx, s, task, &whose, c, mapped);
}

#endif
