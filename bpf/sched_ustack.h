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
#include "bpf/sched_check.h"
#include "bpf/sched_stack.h"
#include "bpf/sched_state.h"

#if defined(__TARGET_ARCH_x86)

#define USER_CODE 0x33			/* the segment of 64-bit code */

#define FIRST_PAGE 4096

struct user_frame {
	__u64 next, return_address;
};

/*
 * Along the frame pointers, as the kernel does it (perf_callchain_user()): up to the first
 * frame that cannot be read.  The number of frames.
 */
__noinline __u32 walk_user(__u32 row, __u64 ip, __u64 bp)
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
		if (bpf_probe_read_user(&frame, sizeof(frame), (void *)bp))
			break;
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
	/*
	 * A tracer has replaced return addresses, of which the kernel knows the real ones, or
	 * it is called where a function has no frame yet, of which the kernel knows, too.
	 */
	if (bpf_core_field_exists(task->utask)) {
		utask = task->utask;
		if (utask && utask->return_instances)
			return 0;
		if (utask && bpf_core_field_exists(utask->auprobe) && utask->auprobe)
			return 0;
	}
	regs = (void *)bpf_task_pt_regs(task);
	/* The kernel's threads that work for a process are nowhere in its code. */
	if ((regs->cs & 0xffff) != USER_CODE || !regs->ip)
		return 0;
	return walk_user(row, regs->ip, regs->bp);
}

#else

INLINE __u32 user_frames(__u32 row)
{
	return 0;
}

#endif

#define MOST_CHECKS 4

INLINE __u64 user_seed(__u32 pid)
{
	return (__u64)pid << 32 | 2;
}

/*
 * Other threads write to what is read here, and pages come and go: it is looked at again
 * by both until they agree.  Only what they never do is wrong.
 */
INLINE __u64 check_user(void *ctx, struct sched_scratch *s, const struct stack_of *whose,
			struct sched_cpu *c, __u64 print)
{
	__u64 seed = user_seed(whose->pid);
	__u32 row = whose->row, nr = 0;
	long bytes;

	for (int i = 0; i < MOST_CHECKS; i++) {
		if (i) {
			nr = user_frames(row);
			print = hash_frames(row, nr, seed);
		}
		bytes = bpf_get_stack(ctx, s->check, SCHED_MAX_STACK * sizeof(__u64),
				      BPF_F_USER_STACK);
		if (bytes < 0)
			return print;
		if (hash_check(row, (__u64)bytes / 8, seed) == print) {
			c->unstable += i != 0;
			return print;
		}
	}
	c->wrong_user++;
	s->stack.tid = whose->tid;
	s->stack.pid = whose->pid;
	s->stack.fingerprint = (__u64)bytes / 8;
	keep_wrong(row, print, nr, 0);
	return print;
}

/* Those of a process are its own: addresses mean something else elsewhere. */
INLINE __u64 user_stack(void *ctx, struct sched_scratch *s, struct task_struct *task,
			const struct stack_of *whose, struct sched_cpu *c, const bool mapped)
{
	__u32 row = whose->row, nr;
	__u64 print, seed = user_seed(whose->pid);
	bool is_own;
	long bytes;

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
	if (check_stacks && is_own)
		print = check_user(ctx, s, whose, c, print);
	if (is_known_here(s, print)) {
		c->remembered++;
		return print;
	}
	c->walked++;
	return introduce(ctx, s, whose, print, nr, true, mapped);
}

#endif
