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
#include "bpf/sched_kstack.h"
#include "bpf/sched_state.h"
#include "bpf/sched_ustack.h"
#include "bpf/sched_write.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* --- the switch ----------------------------------------------------------------------- */

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
	t->outside = outside;
	t->kernel_stack = 0;
	t->user_stack = 0;
	t->flags &= SCHED_NEW;
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

	if (!control.enabled)
		return 0;
	if (previous_arg == 1) {
		prev = ARGUMENT(ctx, 1);
		next = ARGUMENT(ctx, 2);
	} else {
		prev = ARGUMENT(ctx, 2);
		next = ARGUMENT(ctx, 3);
	}
	c = bpf_map_lookup_elem(&cpus, &cpu);
	if (!c)
		return 0;
	now_ns = bpf_ktime_get_ns();
	/* Whatever the kernel left out: no interrupt lasts longer than until here. */
	c->interrupts = 0;
	c->running = (__u64)next;
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

/* --- wakeups -------------------------------------------------------------------------- */

INLINE void note_waker(void *ctx, const bool mapped, struct sched_thread *t, __u64 now_ns,
		       enum origin origin)
{
	__u64 pid_tid = bpf_get_current_pid_tgid();
	__u32 cpu = bpf_get_smp_processor_id();
	struct sched_cpu *c = bpf_map_lookup_elem(&cpus, &cpu);

	t->waker_tid = pid_tid;
	t->waker_pid = pid_tid >> 32;
	t->waker_cpu = cpu;
	t->waker_kernel_stack = 0;
	t->waker_user_stack = 0;
	if (c) {
		t->waker_context = c->interrupts & INTERRUPT_MASK;
		note_stacks(ctx, mapped, c, cpu, now_ns, origin, &t->waker_kernel_stack, &t->waker_user_stack);
	}
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
	struct sched_thread *t;
	__u64 now_ns;
	__u8 state;

	if (!control.enabled)
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
	note_waker(ctx, mapped, t, now_ns, ORIGIN_WAKING);
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
	__u64 key = (__u64)child;

	if (!control.enabled || !is_child_chosen(child))
		return 0;
	describe(&t, child, bpf_ktime_get_ns());
	t.state = 0;
	t.cpu = bpf_get_smp_processor_id();
	note_waker(ctx, mapped, &t, t.since_ns, ORIGIN_STARTED);
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
	struct sched_cpu *c;

	if (!control.enabled || find(task) || !bpf_map_lookup_elem(&traced, &pid))
		return 0;
	describe(&t, task, bpf_ktime_get_ns());
	t.cpu = cpu;
	c = bpf_map_lookup_elem(&cpus, &cpu);
	if (c)
		t.interrupts_ns = c->interrupts_ns;
	add(task, &t);
	return 0;
}

/* --- interrupts ----------------------------------------------------------------------- */

/*
 * The interrupts that a CPU is in, as a stack of numbers, each an enum
 * sched_waker_context.  Another one may come anywhere here; it leaves the stack as it
 * was, and while that is not empty also the rest.
 */
INLINE int interrupt_began(__u32 kind)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct sched_cpu *c;
	__u32 outer;

	if (!control.enabled)
		return 0;
	c = bpf_map_lookup_elem(&cpus, &cpu);
	if (!c)
		return 0;
	outer = c->interrupts;
	c->interrupts = outer << INTERRUPT_BITS | kind;
	if (!outer)
		c->interrupt_ns = bpf_ktime_get_ns();
	return 0;
}

INLINE int interrupt_ended(void)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct sched_cpu *c = bpf_map_lookup_elem(&cpus, &cpu);
	__u32 outer;

	/* One that began before the recording is not known. */
	if (!c || !c->interrupts)
		return 0;
	outer = c->interrupts >> INTERRUPT_BITS;
	if (!outer)
		c->interrupts_ns += bpf_ktime_get_ns() - c->interrupt_ns;
	c->interrupts = outer;
	return 0;
}

#define INTERRUPT(name, kind, begin, end)			\
	SEC("tp_btf/" #begin)					\
	int name##_began(__u64 *ctx)				\
	{							\
		return interrupt_began(kind);			\
	}							\
								\
	SEC("tp_btf/" #end)					\
	int name##_ended(__u64 *ctx)				\
	{							\
		return interrupt_ended();			\
	}

INTERRUPT(irq, SCHED_WAKER_IRQ, irq_handler_entry, irq_handler_exit)
INTERRUPT(softirq, SCHED_WAKER_SOFTIRQ, softirq_entry, softirq_exit)
#if defined(__TARGET_ARCH_x86)
INTERRUPT(timer, SCHED_WAKER_IRQ, local_timer_entry, local_timer_exit)
INTERRUPT(work, SCHED_WAKER_IRQ, irq_work_entry, irq_work_exit)
INTERRUPT(call, SCHED_WAKER_IRQ, call_function_entry, call_function_exit)
INTERRUPT(single, SCHED_WAKER_IRQ, call_function_single_entry, call_function_single_exit)
#else
INTERRUPT(ipi, SCHED_WAKER_IRQ, ipi_entry, ipi_exit)
#endif

/* --- threads that are there -------------------------------------------------------------- */

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
	t.cpu = cpu_of(task);
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
