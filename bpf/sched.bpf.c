/*
 * The scheduler's story: a state for each thread, and one record for each time it gets a
 * CPU.
 *
 * All programs but those of exec and of the task iterator run with interrupts off, so a
 * CPU's ring has one producer, and what they count needs no atomics.  A thread's state
 * is written by the CPU that it leaves or gets (under that CPU's runqueue lock), and its
 * wake_* and waker_* by the CPU that wakes it, before it may be put on a queue.
 */
#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/kernel_types.h"
#include "bpf/sched_interrupt.h"
#include "bpf/sched_place.h"
#include "bpf/sched_state.h"
#include "bpf/sched_there.h"
#include "bpf/sched_wakeup.h"
#include "bpf/sched_write.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

INLINE bool is_elsewhere(const struct sched_cpu *c)
{
	return on_some_cpus && !c->is_chosen;
}

/* Time on CPUs that nobody asked for is skipped, and so is what it did there. */
INLINE void begin_elsewhere(struct sched_thread *t, struct task_struct *task)
{
	t->end_user_ns = task->utime;
	t->end_system_ns = task->stime;
}

INLINE void end_elsewhere(struct sched_thread *t, struct task_struct *task, __u64 now_ns)
{
	t->skipped_ns += now_ns - t->since_ns;
	t->user_ns += task->utime - t->end_user_ns;
	t->system_ns += task->stime - t->end_system_ns;
}

/* What it did since the last switch that was seen of it. */
INLINE void account_slice(struct sched_thread *t, struct task_struct *task, struct sched_cpu *c,
			  __u32 cpu, __u64 now_ns)
{
	if (t->has_cpu && is_elsewhere(c)) {
		end_elsewhere(t, task, now_ns);
	} else if (t->has_cpu) {
		t->on_ns += now_ns - t->since_ns;
		/* It may have moved without being seen. */
		if (t->cpu == cpu)
			t->interrupted_ns += c->interrupts_ns - t->interrupts_ns;
	} else {
		/* The kernel left out the run of this program in which it got the CPU. */
		t->skipped_ns += now_ns - t->since_ns;
		t->skipped++;
		if (t->since_ns > control.everywhere_ns)
			c->unseen++;
	}
}

/* What found no room in the ring is told at the end. */
INLINE void keep_end(struct sched_thread *t, struct task_struct *task)
{
	__u32 tid = t->tid;

	t->end_user_ns = task->utime;
	t->end_system_ns = task->stime;
	bpf_map_update_elem(&ended, &tid, t, BPF_ANY);
}

/* Longer than whoever wakes a thread needs to change its state. */
#define WAKING_NS 1000000

/*
 * A wakeup that came while it was running and about to sleep has kept it from that, and is
 * none of the wait that begins now.  Another one may come at any time.
 */
INLINE void forget_wakeup(struct sched_thread *t, __u64 now_ns)
{
	__u64 wake_ns = t->wake_ns;

	t->old_wake_ns = now_ns - wake_ns > WAKING_NS ? wake_ns : 0;
}

INLINE void leave(void *ctx, const bool mapped, struct task_struct *task, struct sched_cpu *c,
		  __u32 cpu, __u64 now_ns, bool preempted)
{
	struct sched_thread *t = find(task);
	__u64 key = (__u64)task;
	bool outside = false;
	__u32 state;

	if (in_cgroup)
		outside = bpf_current_task_under_cgroup(&cgroups, 0) != 1;
	if (!t) {
		if (outside)
			return;
		t = meet(task, now_ns, c->interrupts_ns, true);
		if (!t)
			return;
	}
	account_slice(t, task, c, cpu, now_ns);
	t->has_cpu = 0;
	t->since_ns = now_ns;
	t->cpu = cpu;
	if (!is_elsewhere(c) || !t->on_ns)
		t->from_cpu = cpu;
	t->outside = outside;
	t->kernel_stack = 0;
	t->user_stack = 0;
	t->flags &= SCHED_NEW | SCHED_START;
	if (!outside)
		note_stacks(ctx, mapped, c, cpu, now_ns, ORIGIN_SWITCH,
			    &t->kernel_stack, &t->user_stack);
	state = read_state(task);
	if (state & STATE_DEAD) {
		t->flags |= SCHED_EXIT;
		t->state = 'X';
		t->wake_ns = 0;
		if (!outside && (!is_elsewhere(c) || t->on_ns) && !write(ctx, mapped, t, task, cpu, now_ns, 0))
			keep_end(t, task);
		bpf_map_delete_elem(&threads, &key);
	} else if (preempted || !state) {
		t->flags |= SCHED_PREEMPTED;
		t->state = 'R';
	} else if ((state & STATE_WAKING) && !(state & STATE_REPORTED)) {
		/* Woken between the end of its run and now: what it waits in is gone. */
		t->state = t->wake_state;
	} else {
		t->state = letter_of(state);
		if (BPF_CORE_READ_BITFIELD(task, in_iowait))
			t->flags |= SCHED_IOWAIT;
		forget_wakeup(t, now_ns);
	}
}

INLINE void enter(void *ctx, const bool mapped, struct task_struct *task, struct sched_cpu *c,
		  __u32 cpu, __u64 now_ns)
{
	struct sched_thread *t = find(task);
	__u64 off_ns;

	if (!t) {
		/* Whoever waited for something was seen being woken. */
		t = meet(task, now_ns, 0, false);
		if (!t)
			return;
	}
	if (t->has_cpu) {
		/* The kernel left out the run in which it left the CPU, whenever that was. */
		t->skipped_ns += now_ns - t->since_ns;
		t->skipped++;
		t->since_ns = now_ns;
		t->state = 'R';
	}
	off_ns = now_ns - t->since_ns;
	if (t->tid != (__u32)task->pid) {
		/* It took over from the first thread, to run exec. */
		t->tid = task->pid;
		t->flags |= SCHED_NEW;
	}
	if (t->state != 'R' && t->wake_ns == t->old_wake_ns)
		c->no_wakeup++;
	if (off_ns < min_ns || t->outside || is_elsewhere(c) ||
	    !write(ctx, mapped, t, task, cpu, now_ns, off_ns)) {
		t->skipped_ns += off_ns;
		t->skipped++;
	}
	if (is_elsewhere(c))
		begin_elsewhere(t, task);
	t->has_cpu = 1;
	t->since_ns = now_ns;
	t->cpu = cpu;
	t->wake_ns = 0;
	t->old_wake_ns = 0;
	t->interrupts_ns = c->interrupts_ns;
}

/* The verifier wants the offset in the load; a compiler would make one load of two. */
#define ARGUMENT(ctx, n) ({						\
	void *argument_;						\
	asm volatile("%0 = *(u64 *)(%1 + %2)"				\
		     : "=r"(argument_) : "r"(ctx), "i"((n) * 8));	\
	argument_;							\
})

INLINE int switched(__u64 *ctx, const bool mapped)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct task_struct *prev, *next;
	struct sched_cpu *c;
	__u64 now_ns;

	c = this_cpu(cpu);
	if (!c)
		return 0;
	if (previous_arg == 1) {
		prev = ARGUMENT(ctx, 1);
		next = ARGUMENT(ctx, 2);
	} else {
		prev = ARGUMENT(ctx, 2);
		next = ARGUMENT(ctx, 3);
	}
	now_ns = bpf_ktime_get_ns();
	/* Whatever the kernel left out: no interrupt lasts longer than until here. */
	c->interrupts = 0;
	c->running = (__u64)next;
	c->is_idle = !next->pid;
	if (prev->pid)
		leave(ctx, mapped, prev, c, cpu, now_ns, ctx[0] & 1);
	if (next->pid)
		enter(ctx, mapped, next, c, cpu, now_ns);
	return 0;
}

SEC("tp_btf/sched_switch")
int switch_mapped(__u64 *ctx)
{
	return switched(ctx, true);
}

SEC("tp_btf/sched_switch")
int switch_queue(__u64 *ctx)
{
	return switched(ctx, false);
}
