/*
 * For the scheduler's programs: their rings, and how a record gets into one.
 */
#ifndef BPF_SCHED_WRITE_H
#define BPF_SCHED_WRITE_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "bpf/kernel_types.h"
#include "bpf/sched.h"
#include "bpf/sched_state.h"

#define RING_RESERVED 0
#define RING_CONSUMED 2048
#define RING_DATA 4096

/*
 * Room in a mapped ring of this CPU, or NULL.  Positions are multiples of 8.  With
 * interrupts on somebody may come in between and reserve, too.
 */
INLINE void *reserve(void *ring, __u64 all_bytes, __u64 size_bytes, const bool interruptible)
{
	__u64 at = *(volatile __u64 *)(ring + RING_RESERVED);

	if (at + size_bytes - *(volatile __u64 *)(ring + RING_CONSUMED) > all_bytes)
		return NULL;
	if (!interruptible)
		*(volatile __u64 *)(ring + RING_RESERVED) = at + size_bytes;
	else if (__sync_val_compare_and_swap((__u64 *)(ring + RING_RESERVED), at,
					     at + size_bytes) != at)
		return NULL;
	return ring + RING_DATA + (at & (all_bytes - 8));
}

/*
 * The first two members at once.  The reader must see nothing of the size before all
 * that is in the record.
 */
INLINE void commit(void *record, __u32 size_bytes, __u32 probe)
{
	__u64 both = (__u64)probe << 32 | size_bytes;

#if defined(__TARGET_ARCH_x86)
	asm volatile("" ::: "memory");
	*(volatile __u64 *)record = both;
#else
	__sync_lock_test_and_set((__u64 *)record, both);
#endif
}

/*
 * A message is the number of the CPU and then the record, which lies at a multiple of 8 of
 * what comes out: perf puts 4 bytes before it, so it gets no others.  Whoever is woken
 * from here would need the lock that is held: the reader polls.
 */
INLINE bool send(void *ctx, void *map, void *message, __u64 size_bytes)
{
	if (ring_is_ringbuf)
		return !bpf_ringbuf_output(map, message, size_bytes, BPF_RB_NO_WAKEUP);
	return !bpf_perf_event_output(ctx, map, BPF_F_CURRENT_CPU, message + 4, size_bytes - 4);
}

INLINE void count_lost(void *map, __u32 row)
{
	__u64 *lost = bpf_map_lookup_elem(map, &row);

	if (lost)
		++*lost;
}

struct message {
	__u32 zero, cpu;
	struct sched_record record;
};

/* For each CPU: on the stack of a program there is no room for two. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct message);
	__uint(max_entries, 1);
} messages SEC(".maps");

INLINE void fill(struct sched_record *r, const struct sched_thread *t, __u64 now_ns,
		 __u64 off_ns, __u64 user_ns, __u64 system_ns)
{
	bool is_runnable = t->state == 'R';
	bool is_woken = !is_runnable && t->wake_ns != t->old_wake_ns;
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
	r->from_cpu = t->from_cpu;
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

INLINE bool write_mapped(const struct sched_thread *t, __u32 cpu, __u64 now_ns, __u64 off_ns,
			 __u64 user_ns, __u64 system_ns)
{
	void *ring = bpf_map_lookup_elem(&records, &cpu);
	struct sched_record *r = NULL;

	if (ring)
		r = reserve(ring, ring_bytes, sizeof(*r), false);
	if (!r)
		return false;
	fill(r, t, now_ns, off_ns, user_ns, system_ns);
	commit(r, sizeof(*r), 0);
	return true;
}

INLINE bool write_queue(void *ctx, const struct sched_thread *t, __u32 cpu, __u64 now_ns,
			__u64 off_ns, __u64 user_ns, __u64 system_ns)
{
	struct message *m = bpf_map_lookup_elem(&messages, &cpu);

	if (!m)
		return false;
	m->zero = 0;
	m->cpu = cpu;
	fill(&m->record, t, now_ns, off_ns, user_ns, system_ns);
	m->record.size_bytes = sizeof(m->record);
	m->record.probe = 0;
	return send(ctx, &records, m, sizeof(*m));
}

/* Writes the thread's record up to now; what it holds begins anew. */
INLINE bool write(void *ctx, const bool mapped, struct sched_thread *t, struct task_struct *task,
		  __u32 cpu, __u64 now_ns, __u64 off_ns)
{
	__u64 user_ns = task->utime, system_ns = task->stime;

	if (mapped ? !write_mapped(t, cpu, now_ns, off_ns, user_ns, system_ns) :
			 !write_queue(ctx, t, cpu, now_ns, off_ns, user_ns, system_ns)) {
		count_lost(&records_lost, cpu);
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

#endif
