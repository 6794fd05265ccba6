/*
 * For the scheduler's programs: user stacks, which are walked by their frame pointers
 * here, less work than asking the kernel for them.
 */
#ifndef BPF_SCHED_USTACK_H
#define BPF_SCHED_USTACK_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "bpf/kernel_types.h"
#include "bpf/sched.h"
#include "bpf/sched_stack.h"
#include "bpf/sched_state.h"

#if defined(__TARGET_ARCH_x86)

#define USER_CODE 0x33			/* the segment of 64-bit code */

#define FIRST_PAGE 4096

struct user_frame {
	__u64 next, return_address;
};

#define REAL_STACK_BYTES (16u << 20)
#define UNREADABLE_NS 10000000ull

INLINE __u64 page_of(const struct sched_scratch *s, __u64 address)
{
	return (__u64)s->stack.pid << 32 ^ address >> 12;
}

INLINE __u32 page_slot(__u64 page)
{
	return page * 0x9e3779b97f4a7c15ull >> 58;
}

/*
 * Whether a page could not be read a while ago, and that it cannot be read now.  For the
 * verifier, which follows a loop step by step, these are one step each.
 */
__noinline bool is_unreadable(__u32 row, __u64 address)
{
	const struct sched_scratch *s = scratch_of(row);
	__u64 page;
	__u32 slot;

	if (!s)
		return true;
	page = page_of(s, address);
	slot = page_slot(page) & (UNREADABLE_SLOTS - 1);
	return s->unreadable[slot] == page &&
	       s->stack.time_ns - s->unreadable_ns[slot] < UNREADABLE_NS;
}

__noinline int note_unreadable(__u32 row, __u64 address)
{
	struct sched_scratch *s = scratch_of(row);
	__u64 page;
	__u32 slot;

	if (!s)
		return 0;
	page = page_of(s, address);
	slot = page_slot(page) & (UNREADABLE_SLOTS - 1);
	s->unreadable[slot] = page;
	s->unreadable_ns[slot] = s->stack.time_ns;
	return 0;
}

/*
 * Along the frame pointers, as the kernel does it (perf_callchain_user()): up to the first
 * frame that cannot be read.  The number of frames.
 *
 * In code without frame pointers the register holds anything, and a read that fails costs
 * a fault, ten times what one costs that does not.  What lies nowhere near the stack and
 * could not be read is taken for unreadable for a while: such a chain, which is none of
 * callers, may end earlier than the kernel's.
 */
__noinline __u32 walk_user(__u32 row, __u64 ip, __u64 bp, __u64 sp)
{
	struct sched_scratch *s = scratch_of(row);
	struct user_frame frame;
	__u32 nr;

	if (!s || !may_read)
		return 0;
	s->stack.ips[0] = ip;
	for (nr = 1; nr < SCHED_MAX_STACK; nr++) {
		if (bp < FIRST_PAGE)
			break;
		if (bp - sp >= REAL_STACK_BYTES && is_unreadable(row, bp))
			break;
		if (bpf_probe_read_user(&frame, sizeof(frame), (void *)bp)) {
			note_unreadable(row, bp);
			break;
		}
		s->stack.ips[nr] = frame.return_address;
		bp = frame.next;
	}
	return nr;
}

/*
 * Of the thread that runs here; 0: ask the kernel.  The verifier searches all types of the
 * kernel for each pointer that is read, each time that it comes by: here it comes once.
 */
__noinline __u32 user_frames(__u32 row)
{
	struct pt_regs___x86 *regs;
	struct task_struct *task;
	struct uprobe_task *utask;

	if (!bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))
		return 0;
	task = bpf_get_current_task_btf();
	/* A tracer has replaced return addresses: the kernel knows the real ones. */
	if (bpf_core_field_exists(task->utask)) {
		utask = task->utask;
		if (utask && utask->return_instances)
			return 0;
	}
	regs = (void *)bpf_task_pt_regs(task);
	if ((regs->cs & 0xffff) != USER_CODE)
		return 0;
	return walk_user(row, regs->ip, regs->bp, regs->sp);
}

#else

INLINE __u32 user_frames(__u32 row)
{
	return 0;
}

#endif

/* Those of a process are its own: addresses mean something else elsewhere. */
INLINE __u64 user_stack(void *ctx, struct sched_scratch *s, struct task_struct *task,
			const struct stack_of *whose, struct sched_cpu *c, const bool mapped)
{
	__u32 row = whose->row, nr;
	__u64 print, seed = (__u64)whose->pid << 32 | 2;
	bool is_own;
	long bytes;

	s->stack.pid = whose->pid;
	s->stack.time_ns = whose->time_ns;
	nr = task ? user_frames(row) : 0;
	is_own = nr;
	if (!is_own) {
		bytes = bpf_get_stack(ctx, s->stack.ips, SCHED_MAX_STACK * sizeof(__u64),
				      BPF_F_USER_STACK);
		if (bytes <= 0)
			return -bytes;
		nr = (__u64)bytes / 8;
	}
	print = hash_frames(row, nr, seed);
	if (check_stacks && is_own) {
		bytes = bpf_get_stack(ctx, s->check, SCHED_MAX_STACK * sizeof(__u64),
				      BPF_F_USER_STACK);
		if (bytes >= 0 && hash_check(row, (__u64)bytes / 8, seed) != print)
			c->wrong_stacks++;
	}
	if (is_known_here(s, print)) {
		c->remembered++;
		return print;
	}
	c->walked++;
	return introduce(ctx, s, whose, print, nr, true, mapped);
}

#endif
