/*
 * For the scheduler's programs: what they are told, and the state of each thread.
 */
#ifndef BPF_SCHED_STATE_H
#define BPF_SCHED_STATE_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "bpf/kernel_types.h"
#include "bpf/sched.h"
#include "bpf/targets.h"

/* Set before loading, so that the verifier drops what is not asked for. */
const volatile bool ring_is_ringbuf = false;	/* not mapped: else perf buffers */
const volatile __u64 ring_bytes = 4096;		/* mapped: of a CPU; a power of two */
const volatile __u64 stack_ring_bytes = 4096;
const volatile __u32 previous_arg = 1;		/* of sched_switch; the next one follows */
const volatile __u32 nr_cpus = 0;
const volatile __u64 min_ns = 0;
const volatile __u32 not_pid = 0;
const volatile bool all_threads = true;
const volatile bool by_process = false;
const volatile bool by_thread = false;
const volatile bool in_cgroup = false;
const volatile __u64 cgroup_id = 0;
const volatile bool on_some_cpus = false;
const volatile bool want_kernel_stacks = false;
const volatile bool want_user_stacks = false;
const volatile bool may_read = true;		/* memory; not on a kernel locked down */
const volatile bool check_stacks = false;
/* What stands on a stack in place of a return address that a tracer wants to come by; 0: none. */
const volatile __u64 system_call = 0, system_call_bytes = 0;	/* where its code lies */
const volatile __u64 return_hooks[2] = { 0, 0 };

struct sched_control control;

/* Keyed by the address of the task, which outlives what exec does to numbers. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u64);
	__type(value, struct sched_thread);
	__uint(max_entries, 1);
} threads SEC(".maps");

/* By number: threads that have ended, and whose last record found no room. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, struct sched_thread);
	__uint(max_entries, 2048);
} ended SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct sched_cpu);
	__uint(max_entries, 1);
} cpus SEC(".maps");

/* The maps of struct proberings, in whose place these stand until loading. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 1);
} records SEC(".maps"), records_lost SEC(".maps"), stacks SEC(".maps"),
  stacks_lost SEC(".maps");

#define INLINE static __always_inline

/* Of this CPU; NULL if nothing is recorded now. */
INLINE struct sched_cpu *this_cpu(__u32 cpu)
{
	struct sched_cpu *c = bpf_map_lookup_elem(&cpus, &cpu);

	return c && c->is_enabled ? c : NULL;
}

INLINE __u32 read_state(struct task_struct *task)
{
	if (bpf_core_field_exists(task->__state))
		return task->__state;
	return ((struct task_struct___before_5_14 *)task)->state;
}

#define INTERRUPT_BITS 2
#define INTERRUPT_MASK ((1u << INTERRUPT_BITS) - 1)

/* In place of a fingerprint. */
#define ERROR_NO_DATA 61
#define ERROR_NOT_SUPPORTED 95
#define ERROR_NO_ROOM 105

#define FLAG_KERNEL_THREAD 0x00200000

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

#define MOST_CGROUP_LEVELS 32

/* The one of the user, or one below it. */
INLINE bool is_in_cgroup(struct task_struct *task)
{
	struct cgroup *group = task->cgroups->dfl_cgrp;

	for (int i = 0; i < MOST_CGROUP_LEVELS && group; i++) {
		struct cgroup_subsys_state *parent = group->self.parent;

		if (group->kn->id == cgroup_id)
			return true;
		group = parent ? parent->cgroup : NULL;
	}
	return false;
}

/* Of one that was there at the start. */
INLINE bool is_chosen(struct task_struct *task)
{
	if ((__u32)task->tgid == not_pid)
		return false;
	if (by_process && !is_in(&traced, task->tgid))
		return false;
	if (by_thread && !is_in(&traced_tids, task->pid))
		return false;
	return !in_cgroup || is_in_cgroup(task);
}

INLINE void count_no_room(void)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct sched_cpu *c = bpf_map_lookup_elem(&cpus, &cpu);

	if (c)
		c->no_room++;
	/* From now on a thread that is not known may have run before. */
	control.has_gaps = 1;
}

INLINE void describe(struct sched_thread *t, struct task_struct *task, __u64 since_ns)
{
	t->tid = task->pid;
	t->pid = task->tgid;
	t->user_ns = t->end_user_ns = task->utime;
	t->system_ns = t->end_system_ns = task->stime;
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
static __noinline __attribute__((unused))
struct sched_thread *meet(struct task_struct *task, __u64 now_ns, __u64 interrupts_ns,
			  bool has_cpu)
{
	struct sched_thread t = { .flags = SCHED_START, .has_cpu = has_cpu };
	bool is_complete = !control.has_gaps;

	/* One that has come into the cgroup is met when it leaves a CPU for the first time. */
	if (!all_threads && !control.noting) {
		if (!in_cgroup || !has_cpu)
			return NULL;
		is_complete = false;
	}
	if (!is_chosen(task))
		return NULL;
	/* All it has done since the start is what it is found doing: else it were known. */
	describe(&t, task, is_complete ? control.start_ns : now_ns);
	/* Those of a CPU are summed up from the start on. */
	t.interrupts_ns = is_complete ? 0 : interrupts_ns;
	if (has_cpu && !is_complete)
		t.flags = 0;
	/* Where it left the CPU was not seen. */
	if (!has_cpu && want_kernel_stacks)
		t.kernel_stack = ERROR_NO_DATA;
	if (!has_cpu && want_user_stacks && !(task->flags & FLAG_KERNEL_THREAD))
		t.user_stack = ERROR_NO_DATA;
	return add(task, &t);
}

#endif
