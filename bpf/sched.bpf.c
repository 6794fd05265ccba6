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
#include "bpf/sched.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Set before loading, so that the verifier drops what is not asked for. */
const volatile bool ring_is_ringbuf = false;	/* not mapped: else perf buffers */
const volatile __u64 ring_bytes = 4096;		/* mapped: of a CPU; a power of two */
const volatile __u32 previous_arg = 1;		/* of sched_switch; the next one follows */
const volatile __u64 min_ns = 0;
const volatile bool count_interrupts = true;
const volatile __u32 not_pid = 0;
const volatile bool all_threads = true;
const volatile bool by_process = false;
const volatile bool by_thread = false;
const volatile bool in_cgroup = false;
const volatile bool on_some_cpus = false;

struct sched_control control;

/* Keyed by the address of the task, which outlives what exec does to numbers. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u64);
	__type(value, struct sched_thread);
	__uint(max_entries, 1);
} threads SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct sched_cpu);
	__uint(max_entries, 1);
} cpus SEC(".maps");

/* By process: 1, or 0 for one that is not recorded before it has run exec. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, __u8);
	__uint(max_entries, 1);
} traced SEC(".maps");

/* By thread: chosen by the user, or found in the cgroup at the start. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, __u8);
	__uint(max_entries, 1);
} traced_tids SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
	__uint(max_entries, 1);
} cgroups SEC(".maps");

/* The maps of struct proberings, in whose place these stand until loading. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 1);
} records SEC(".maps"), records_lost SEC(".maps");

#define RING_RESERVED 0
#define RING_CONSUMED 2048
#define RING_DATA 4096

#define INLINE static __always_inline

/* --- threads ------------------------------------------------------------------------ */

INLINE __u32 read_state(struct task_struct *task)
{
	if (bpf_core_field_exists(task->__state))
		return task->__state;
	return ((struct task_struct___before_5_14 *)task)->state;
}

#define INTERRUPT_BITS 2
#define INTERRUPT_MASK ((1u << INTERRUPT_BITS) - 1)

#define STATE_REPORTED 0x7f
#define STATE_DEAD 0x80
#define STATE_WAKING 0x200
#define STATE_NO_LOAD 0x400

/* The bits are those that /proc/PID/stat shows as letters. */
INLINE __u8 letter_of(__u32 state)
{
	if (!state)
		return 'R';
	if (state & 0x01)
		return 'S';
	if (state & 0x02)
		return state & STATE_NO_LOAD ? 'I' : 'D';
	if (state & 0x04)
		return 'T';
	if (state & 0x08)
		return 't';
	if (state & (0x10 | STATE_DEAD))
		return 'X';
	if (state & 0x20)
		return 'Z';
	if (state & 0x40)
		return 'P';
	/* Waiting for a lock as a sleeper would on kernels for real time, or frozen. */
	return 'D';
}

INLINE struct sched_thread *find(struct task_struct *task)
{
	__u64 key = (__u64)task;

	return bpf_map_lookup_elem(&threads, &key);
}

INLINE bool is_in(void *map, __u32 number)
{
	const __u8 *on = bpf_map_lookup_elem(map, &number);

	return on && *on;
}

/* Of one that was there at the start. */
INLINE bool is_chosen(__u32 tid, __u32 pid)
{
	if (pid == not_pid)
		return false;
	if (by_process && !is_in(&traced, pid))
		return false;
	if ((by_thread || in_cgroup) && !is_in(&traced_tids, tid))
		return false;
	return true;
}

INLINE void count_no_room(void)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct sched_cpu *c = bpf_map_lookup_elem(&cpus, &cpu);

	if (c)
		c->no_room++;
}

INLINE void describe(struct sched_thread *t, struct task_struct *task, __u64 since_ns)
{
	t->tid = task->pid;
	t->pid = task->tgid;
	t->user_ns = task->utime;
	t->system_ns = task->stime;
	t->since_ns = since_ns;
	t->state = 'R';
	t->waker_cpu = SCHED_NO_CPU;
}

/* Of those that find it missing at a time one adds it, and all get that. */
INLINE struct sched_thread *add(struct task_struct *task, const struct sched_thread *t)
{
	__u64 key = (__u64)task;
	struct sched_thread *added;

	bpf_map_update_elem(&threads, &key, t, BPF_NOEXIST);
	added = bpf_map_lookup_elem(&threads, &key);
	if (!added)
		count_no_room();
	return added;
}

/* A thread that is not known: NULL if it is not to be. */
static __noinline struct sched_thread *meet(struct task_struct *task, __u64 now_ns,
					    __u64 interrupts_ns, bool has_cpu)
{
	bool noting = control.noting;
	struct sched_thread t = { .flags = SCHED_START, .has_cpu = has_cpu };

	/* In a cgroup nobody asks but those that are. */
	if (!all_threads && !noting && !(in_cgroup && has_cpu))
		return NULL;
	if (!(in_cgroup && has_cpu) && !is_chosen(task->pid, task->tgid))
		return NULL;
	describe(&t, task, noting ? control.start_ns : now_ns);
	/* Those of a CPU are summed up from the start on. */
	t.interrupts_ns = noting ? 0 : interrupts_ns;
	return add(task, &t);
}

/* --- records ------------------------------------------------------------------------ */

struct message {
	__u32 zero, cpu;
	struct sched_record record;
};

INLINE void count_lost(__u32 cpu)
{
	__u64 *lost = bpf_map_lookup_elem(&records_lost, &cpu);

	if (lost)
		++*lost;
}

INLINE void fill(struct sched_record *r, const struct sched_thread *t, __u64 now_ns,
		 __u64 off_ns, __u64 user_ns, __u64 system_ns)
{
	bool is_runnable = t->state == 'R', is_woken = !is_runnable && t->wake_ns;
	__u64 wake_ns = t->wake_ns > t->since_ns ? t->wake_ns : t->since_ns;
	__u16 flags = t->flags;

	r->time_ns = now_ns;
	r->tid = t->tid;
	r->pid = t->pid;
	r->off_ns = off_ns;
	r->runnable_ns = is_runnable ? off_ns : 0;
	r->on_ns = t->on_ns;
	r->skipped_ns = t->skipped_ns;
	r->user_ns = user_ns - t->user_ns;
	r->system_ns = system_ns - t->system_ns;
	r->interrupted_ns = t->interrupted_ns;
	r->kernel_stack = t->kernel_stack;
	r->user_stack = t->user_stack;
	r->waker_kernel_stack = 0;
	r->waker_user_stack = 0;
	r->waker_tid = 0;
	r->waker_pid = 0;
	r->skipped = t->skipped;
	r->from_cpu = t->cpu;
	r->waker_cpu = SCHED_NO_CPU;
	r->state = t->state ? t->state : 'R';
	r->waker_context = 0;
	r->reserved = 0;
	if (is_woken) {
		r->runnable_ns = now_ns - wake_ns;
		r->waker_kernel_stack = t->waker_kernel_stack;
		r->waker_user_stack = t->waker_user_stack;
		r->waker_tid = t->waker_tid;
		r->waker_pid = t->waker_pid;
		r->waker_cpu = t->waker_cpu;
		r->waker_context = t->waker_context;
	} else if (!is_runnable && !(flags & SCHED_EXIT)) {
		flags |= SCHED_NO_WAKEUP;
	}
	r->flags = flags;
}

/* The reader must see nothing of the size before all that is in the record. */
INLINE void commit(struct sched_record *r)
{
	const __u64 size_bytes = sizeof(*r);

#if defined(__TARGET_ARCH_x86)
	asm volatile("" ::: "memory");
	*(volatile __u64 *)r = size_bytes;
#else
	__sync_lock_test_and_set((__u64 *)r, size_bytes);
#endif
}

INLINE bool write_mapped(const struct sched_thread *t, __u32 cpu, __u64 now_ns, __u64 off_ns,
			 __u64 user_ns, __u64 system_ns)
{
	void *ring = bpf_map_lookup_elem(&records, &cpu);
	struct sched_record *r;
	__u64 at;

	if (!ring)
		return false;
	at = *(volatile __u64 *)(ring + RING_RESERVED);
	if (at + sizeof(*r) - *(volatile __u64 *)(ring + RING_CONSUMED) > ring_bytes)
		return false;
	*(volatile __u64 *)(ring + RING_RESERVED) = at + sizeof(*r);
	/* Positions are multiples of 8. */
	r = ring + RING_DATA + (at & (ring_bytes - 8));
	fill(r, t, now_ns, off_ns, user_ns, system_ns);
	commit(r);
	return true;
}

INLINE bool write_queue(void *ctx, const struct sched_thread *t, __u32 cpu, __u64 now_ns,
			__u64 off_ns, __u64 user_ns, __u64 system_ns)
{
	struct message m = { .cpu = cpu };

	fill(&m.record, t, now_ns, off_ns, user_ns, system_ns);
	m.record.size_bytes = sizeof(m.record);
	m.record.probe = 0;
	/* Whoever is woken from here would need the lock that is held: the reader polls. */
	if (ring_is_ringbuf)
		return !bpf_ringbuf_output(&records, &m, sizeof(m), BPF_RB_NO_WAKEUP);
	return !bpf_perf_event_output(ctx, &records, BPF_F_CURRENT_CPU, &m, sizeof(m));
}

/* Writes the thread's record up to now; what it holds begins anew. */
INLINE bool write(void *ctx, const bool mapped, struct sched_thread *t, struct task_struct *task,
		  __u32 cpu, __u64 now_ns, __u64 off_ns)
{
	__u64 user_ns = task->utime, system_ns = task->stime;

	if (mapped ? !write_mapped(t, cpu, now_ns, off_ns, user_ns, system_ns) :
			 !write_queue(ctx, t, cpu, now_ns, off_ns, user_ns, system_ns)) {
		count_lost(cpu);
		return false;
	}
	t->on_ns = 0;
	t->skipped_ns = 0;
	t->skipped = 0;
	t->interrupted_ns = 0;
	t->user_ns = user_ns;
	t->system_ns = system_ns;
	t->flags = 0;
	return true;
}

/* --- the switch ----------------------------------------------------------------------- */

/* What it did since the last switch that was seen of it. */
INLINE void account_slice(struct sched_thread *t, const struct sched_cpu *c, __u64 now_ns)
{
	if (t->has_cpu) {
		t->on_ns += now_ns - t->since_ns;
		if (count_interrupts)
			t->interrupted_ns += c->interrupts_ns - t->interrupts_ns;
	} else {
		/* The kernel left out the run of this program in which it got the CPU. */
		t->skipped_ns += now_ns - t->since_ns;
		t->skipped++;
	}
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
	account_slice(t, c, now_ns);
	t->has_cpu = 0;
	t->since_ns = now_ns;
	t->cpu = cpu;
	t->outside = outside;
	t->kernel_stack = 0;
	t->user_stack = 0;
	t->flags &= SCHED_NEW;
	state = read_state(task);
	if (state & STATE_DEAD) {
		t->flags |= SCHED_EXIT;
		t->state = 'X';
		t->wake_ns = 0;
		if (!outside)
			write(ctx, mapped, t, task, cpu, now_ns, 0);
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
		/* The kernel left out the run in which it left the CPU. */
		t->on_ns += now_ns - t->since_ns;
		t->since_ns = now_ns;
		t->state = 'R';
	}
	off_ns = now_ns - t->since_ns;
	if (t->tid != (__u32)task->pid) {
		/* It took over from the first thread, to run exec. */
		t->tid = task->pid;
		t->flags |= SCHED_NEW;
	}
	if (t->state != 'R' && !t->wake_ns)
		c->no_wakeup++;
	if (off_ns < min_ns || t->outside || (on_some_cpus && !c->is_chosen) ||
	    !write(ctx, mapped, t, task, cpu, now_ns, off_ns)) {
		t->skipped_ns += off_ns;
		t->skipped++;
	}
	t->has_cpu = 1;
	t->since_ns = now_ns;
	t->cpu = cpu;
	t->wake_ns = 0;
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

INLINE void note_waker(struct sched_thread *t, __u64 now_ns)
{
	__u64 pid_tid = bpf_get_current_pid_tgid();
	__u32 cpu = bpf_get_smp_processor_id();
	const struct sched_cpu *c = bpf_map_lookup_elem(&cpus, &cpu);

	t->waker_tid = pid_tid;
	t->waker_pid = pid_tid >> 32;
	t->waker_cpu = cpu;
	t->waker_context = c ? c->interrupts & INTERRUPT_MASK : SCHED_WAKER_TASK;
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
		if (!control.noting || !task->pid)
			return 0;
		t = meet(task, now_ns, 0, false);
		if (!t)
			return 0;
		t->state = state;
	}
	t->wake_state = state;
	note_waker(t, now_ns);
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

	if (all_threads)
		return (__u32)child->tgid != not_pid;
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
	note_waker(&t, t.since_ns);
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
	__u32 pid = task->tgid;

	if (!control.enabled || find(task) || !bpf_map_lookup_elem(&traced, &pid))
		return 0;
	describe(&t, task, bpf_ktime_get_ns());
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

/* At the start: one that did nothing since then. */
INLINE void note(struct task_struct *task)
{
	struct sched_thread t = { .flags = SCHED_START };
	__u32 state = read_state(task);
	__u64 key = (__u64)task;

	/* A zombie, after its last run. */
	if ((state & STATE_DEAD) && !task->on_cpu)
		return;
	if (!is_chosen(task->pid, task->tgid))
		return;
	describe(&t, task, control.start_ns);
	t.cpu = cpu_of(task);
	t.has_cpu = task->on_cpu != 0;
	t.state = letter_of(state);
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

SEC("iter/task")
int each_task(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;

	if (!task)
		return 0;
	if (control.noting)
		note(task);
	else if (control.ending)
		look_at(task);
	return 0;
}
