/*
 * The sampler (perf events) and the announcer of new tasks and programs (raw
 * tracepoints), which write into the same transport.
 */
#include <linux/bpf.h>
#include <linux/bpf_perf_event.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/kernel_types.h"
#include "bpf/sample.h"
#include "bpf/targets.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Set before loading, so that the verifier drops what is not asked for. */
const volatile bool use_ring_buffer = true;
/* One bit for each event. */
const volatile __u32 kernel_stack_events = 0;
const volatile __u32 user_stack_events = 0;
const volatile bool want_idle = false;
/* Announce only tasks of processes in `traced` and their descendants. */
const volatile bool traced_only = false;
/* Threads are chosen one by one: those in `traced_tids`, and their children. */
const volatile bool by_thread = false;
/* Only tasks in the cgroup of `cgroups` or below it. */
const volatile bool in_cgroup = false;
/* One bit for each event that runs on whole CPUs for the sake of `traced`. */
const volatile __u32 filtered_events = 0;
/* How full the ring buffer is when its reader is woken; a power of two. */
const volatile __u64 wake_bytes = 1 << 20;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 22);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} perf_buffers SEC(".maps");

/* Messages that found no room: one row for each event, the last for tasks. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, SAMPLE_MAX_EVENTS + 1);
} lost SEC(".maps");

/* A power of two: the verifier believes in masks. */
#define SCRATCH_FRAMES 256

union sample_scratch {
	struct message_sample sample;
	__u8 bytes[sizeof(struct message_sample) + SCRATCH_FRAMES * sizeof(__u64)];
};

_Static_assert(SCRATCH_FRAMES > 2 * SAMPLE_MAX_STACK, "both stacks fit");
_Static_assert((SAMPLE_MAX_STACK & (SAMPLE_MAX_STACK + 1)) == 0, "a mask, too");

/* The kernel never nests programs on perf events, so one for each CPU does. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, union sample_scratch);
	__uint(max_entries, 1);
} sample_scratch SEC(".maps");

union task_scratch {
	struct message_task task;
	__u8 bytes[sizeof(struct message_task) + SAMPLE_ARGS_BYTES];
};

/* One row for each program: a raw tracepoint can be preempted in newer kernels. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, union task_scratch);
	__uint(max_entries, 2);
} task_scratch SEC(".maps");

/* The programs below, for the filters that stand before them. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
	__uint(max_entries, SAMPLE_MAX_EVENTS);
} samplers SEC(".maps");

static __always_inline void count_lost(__u32 row)
{
	__u64 *count = bpf_map_lookup_elem(&lost, &row);

	if (count)
		++*count;
}

static __always_inline void deliver(void *ctx, void *message, __u64 size_bytes,
				    __u64 max_bytes, __u32 row)
{
	long err = -1;

	if (use_ring_buffer) {
		__u64 used = bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA);
		__u64 flags = BPF_RB_NO_WAKEUP;

		/*
		 * A wake-up costs an interrupt, so a reader that is late gets
		 * another one only after every eighth of the mark.
		 */
		if (used >= wake_bytes &&
		    (used & (wake_bytes / 8 - 1)) < size_bytes + BPF_RINGBUF_HDR_SZ)
			flags = BPF_RB_FORCE_WAKEUP;
		/*
		 * Linux 6.12's verifier forgets the bound of a number when a sum with
		 * it was compared: it is told again.
		 */
		asm volatile("" : "+r"(size_bytes));
		if (size_bytes <= max_bytes)
			err = bpf_ringbuf_output(&ring, message, size_bytes, flags);
	} else {
		err = bpf_perf_event_output(ctx, &perf_buffers, BPF_F_CURRENT_CPU,
					    message, size_bytes);
	}
	if (err)
		count_lost(row);
}

static __always_inline __u16 state_letter(struct task_struct *task)
{
	long state;

	if (bpf_core_field_exists(task->__state)) {
		state = BPF_CORE_READ(task, __state);
	} else {
		struct task_struct___before_5_14 *old = (void *)task;

		state = BPF_CORE_READ(old, state);
	}
	/* The bits are those that /proc/PID/stat shows as letters. */
	if (!(state & 0x7f))
		return 'R';
	if (state & 0x01)
		return 'S';
	if (state & 0x02)
		return 'D';
	if (state & 0x04)
		return 'T';
	if (state & 0x08)
		return 't';
	if (state & 0x10)
		return 'X';
	if (state & 0x20)
		return 'Z';
	return 'P';
}

/* Frames read, or -errno. */
static __always_inline __s32 read_stack(void *ctx, __u64 *to, __u64 flags)
{
	long bytes = bpf_get_stack(ctx, to, SAMPLE_MAX_STACK * sizeof(__u64), flags);

	return bytes < 0 ? bytes : (__u64)bytes / sizeof(__u64);
}

static __always_inline bool is_sampled(__u32 pid)
{
	const __u8 *on = bpf_map_lookup_elem(&traced, &pid);

	return on && *on;
}

/* A stack of one frame: where the CPU was. */
static __always_inline __s32 read_address(struct bpf_perf_event_data *ctx, __u64 *to)
{
	*to = PT_REGS_IP(&ctx->regs);
	return 1;
}

static __noinline int take_sample(struct bpf_perf_event_data *ctx, __u32 event)
{
	__u64 pid_tid = bpf_get_current_pid_tgid();
	struct message_sample *s;
	__u32 zero = 0, frames = 0;
	bool in_kernel;

	if (!want_idle && !(__u32)pid_tid)
		return 0;
	if ((filtered_events & (1u << event)) && !is_sampled(pid_tid >> 32))
		return 0;
	if (in_cgroup && bpf_current_task_under_cgroup(&cgroups, 0) != 1)
		return 0;
	s = bpf_map_lookup_elem(&sample_scratch, &zero);
	if (!s)
		return 0;
	s->m.kind = MESSAGE_SAMPLE;
	s->m.cpu = bpf_get_smp_processor_id();
	s->m.time_ns = bpf_ktime_get_ns();
	s->m.pid = pid_tid >> 32;
	s->m.tid = pid_tid;
	s->period = ctx->sample_period;
	s->event = event;
	s->state = (__u32)pid_tid ? state_letter((void *)bpf_get_current_task()) : 'I';
	s->reserved = 0;
	s->kernel_frames = 0;
	s->user_frames = 0;
	/* Kernel code lies in the upper half of the address space. */
	in_kernel = (__s64)PT_REGS_IP(&ctx->regs) < 0;
	if (in_kernel) {
		s->kernel_frames = kernel_stack_events & (1u << event) ?
				   read_stack(ctx, s->ips, 0) : read_address(ctx, s->ips);
		if (s->kernel_frames > 0)
			frames = s->kernel_frames & SAMPLE_MAX_STACK;
	}
	if ((user_stack_events & (1u << event)) && (__u32)pid_tid)
		s->user_frames = read_stack(ctx, s->ips + frames, BPF_F_USER_STACK);
	else if (!in_kernel)
		s->user_frames = read_address(ctx, s->ips + frames);
	if (s->user_frames > 0)
		frames = (frames + s->user_frames) & (SCRATCH_FRAMES - 1);
	deliver(ctx, s, sizeof(*s) + frames * sizeof(__u64), sizeof(union sample_scratch), event);
	return 0;
}

/*
 * A program does not learn which event it was attached to, and inherited
 * events do not inherit a cookie, so each event has a program of its own.
 */
#define SAMPLE_PROGRAM(n)						\
	SEC("perf_event")						\
	int sample_##n(struct bpf_perf_event_data *ctx)			\
	{								\
		return take_sample(ctx, n);				\
	}

SAMPLE_PROGRAM(0)
SAMPLE_PROGRAM(1)
SAMPLE_PROGRAM(2)
SAMPLE_PROGRAM(3)
SAMPLE_PROGRAM(4)
SAMPLE_PROGRAM(5)
SAMPLE_PROGRAM(6)
SAMPLE_PROGRAM(7)
SAMPLE_PROGRAM(8)
SAMPLE_PROGRAM(9)
SAMPLE_PROGRAM(10)
SAMPLE_PROGRAM(11)
SAMPLE_PROGRAM(12)
SAMPLE_PROGRAM(13)
SAMPLE_PROGRAM(14)
SAMPLE_PROGRAM(15)

static __always_inline __u32 namespace_pid(struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	unsigned int level = BPF_CORE_READ(pid, level);
	struct upid *innermost;

	/* An index that is not constant cannot be relocated: do it by hand. */
	innermost = (void *)pid + bpf_core_field_offset(pid->numbers) +
		    level * bpf_core_type_size(struct upid);
	return BPF_CORE_READ(innermost, nr);
}

static __always_inline void describe_task(struct message_task *t, struct task_struct *task,
					  __u32 kind)
{
	t->m.kind = kind;
	t->m.cpu = bpf_get_smp_processor_id();
	t->m.time_ns = bpf_ktime_get_ns();
	t->m.pid = BPF_CORE_READ(task, tgid);
	t->m.tid = BPF_CORE_READ(task, pid);
	t->parent_pid = BPF_CORE_READ(task, real_parent, tgid);
	t->ns_pid = namespace_pid(task);
	t->uid = BPF_CORE_READ(task, real_cred, uid.val);
	t->reserved = 0;
	t->cgroup_id = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
	BPF_CORE_READ_STR_INTO(&t->comm, task, comm);
	t->args_bytes = 0;
	t->args_cut = 0;
}

/* The child of a thread that is recorded is recorded, too. */
static __always_inline void follow_thread(__u32 creator_tid, __u32 child_tid)
{
	__u8 *on = bpf_map_lookup_elem(&traced_tids, &creator_tid), value = 1;

	if (on && bpf_map_update_elem(&traced_tids, &child_tid, &value, BPF_ANY))
		count_lost(SAMPLE_MAX_EVENTS);
}

SEC("raw_tp/sched_process_fork")
int task_forked(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *child = (void *)ctx->args[1];
	__u64 pid_tid = bpf_get_current_pid_tgid();
	__u32 creator = pid_tid >> 32, row = 0;
	struct message_task *t;
	const __u8 *on = NULL;

	if (traced_only) {
		on = bpf_map_lookup_elem(&traced, &creator);
		if (!on)
			return 0;
	}
	t = bpf_map_lookup_elem(&task_scratch, &row);
	if (!t)
		return 0;
	describe_task(t, child, MESSAGE_FORK);
	if (by_thread)
		follow_thread(pid_tid, t->m.tid);
	if (on && t->m.pid != creator) {
		__u8 value = *on;

		/* No room: it is not followed, and that is told. */
		if (bpf_map_update_elem(&traced, &t->m.pid, &value, BPF_ANY))
			count_lost(SAMPLE_MAX_EVENTS);
	}
	deliver(ctx, t, sizeof(*t), sizeof(union task_scratch), SAMPLE_MAX_EVENTS);
	return 0;
}

SEC("raw_tp/sched_process_exec")
int task_execed(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];
	__u64 start, bytes;
	__u32 pid = bpf_get_current_pid_tgid() >> 32, row = 1;
	struct message_task *t;

	if (traced_only) {
		__u8 *on = bpf_map_lookup_elem(&traced, &pid);

		if (!on)
			return 0;
		*on = 1;
	}
	t = bpf_map_lookup_elem(&task_scratch, &row);
	if (!t)
		return 0;
	describe_task(t, task, MESSAGE_EXEC);
	start = BPF_CORE_READ(task, mm, arg_start);
	bytes = BPF_CORE_READ(task, mm, arg_end) - start;
	if (bytes > SAMPLE_ARGS_BYTES) {
		bytes = SAMPLE_ARGS_BYTES;
		t->args_cut = 1;
	}
	if (bpf_probe_read_user(t->args, bytes, (void *)start))
		bytes = 0;
	t->args_bytes = bytes;
	deliver(ctx, t, sizeof(*t) + bytes, sizeof(union task_scratch), SAMPLE_MAX_EVENTS);
	return 0;
}

/*
 * When nothing of it is left: what a thread does while it exits belongs to it, too.
 * The first thread of a process is freed last.
 */
SEC("raw_tp/sched_process_free")
int task_freed(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];
	__u32 pid = BPF_CORE_READ(task, tgid), tid = BPF_CORE_READ(task, pid);

	if (by_thread)
		bpf_map_delete_elem(&traced_tids, &tid);
	if (pid == tid)
		bpf_map_delete_elem(&traced, &pid);
	return 0;
}
