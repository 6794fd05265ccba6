/*
 * What the scheduler's BPF programs hand to record/, and the configuration they read.
 * Native byte order and alignment; these bytes never reach a file.
 *
 * Records (struct sched_record) come through one struct proberings, stacks (struct
 * sched_stack) through another.  A record names its stacks by fingerprints.  The addresses
 * behind a fingerprint are handed over before the first record that names it is written,
 * so whoever takes records up to a time and has taken all stacks that were there at that
 * time knows them; they may come more than once, and stay true until `generation` changes.
 */
#ifndef BPF_SCHED_H
#define BPF_SCHED_H

#include <linux/types.h>

#define SCHED_MAX_STACK 127		/* frames of each stack */
/* A fingerprint below this is the -errno of a stack that could not be read; 0: none. */
#define SCHED_FIRST_FINGERPRINT 4096

/* Never an NMI: the kernel puts what would wake somebody off to an interrupt. */
enum sched_waker_context {
	SCHED_WAKER_TASK = 0,
	SCHED_WAKER_SOFTIRQ = 1,
	SCHED_WAKER_IRQ = 2,
};

enum sched_flag {
	SCHED_IOWAIT = 1,	/* the kernel counts the wait as one for a disk */
	SCHED_START = 2,	/* began before the recording */
	SCHED_END = 4,		/* still going on at its end */
	SCHED_EXIT = 8,		/* the thread ended */
	SCHED_NO_WAKEUP = 16,	/* it was blocked, and nobody was seen who woke it */
	SCHED_PREEMPTED = 32,	/* it left the CPU although it could have gone on */
	SCHED_NEW = 64,		/* the first record of a thread that began */
};

/* The first members are those of struct probe_record: the rings are the same. */
struct sched_record {
	__u32 size_bytes, probe;	/* probe is 0 */
	__u64 time_ns;			/* CLOCK_MONOTONIC: when it got the CPU */
	__u32 tid, pid;
	__u64 off_ns;			/* since it left the CPU */
	__u64 runnable_ns;		/* the last part of that: waiting for a CPU */
	__u64 on_ns;			/* on a CPU since its last record */
	__u64 skipped_ns;		/* off it since its last record, but for off_ns */
	__u64 user_ns, system_ns;	/* of on_ns, by the kernel's ticks */
	__u64 interrupted_ns;		/* of on_ns */
	__u64 kernel_stack, user_stack;	/* where it left the CPU */
	__u64 waker_kernel_stack, waker_user_stack;
	__u32 waker_tid, waker_pid;	/* 0 and 0 is an idle task, or nobody (waker_cpu) */
	__u32 skipped;			/* waits in skipped_ns */
	/* Where on_ns was last; where it left the CPU, which -C may not name, if that is 0. */
	__u16 from_cpu;
	__u16 waker_cpu;		/* SCHED_NO_CPU: nobody woke it */
	__u8 state;			/* ASCII letter, when it left the CPU */
	__u8 waker_context;
	__u16 flags;			/* enum sched_flag */
	__u32 reserved;
};

#define SCHED_NO_CPU 0xffff

struct sched_stack {
	__u32 size_bytes, probe;	/* probe is 1 if it is a user stack, else 0 */
	__u64 time_ns;
	__u32 tid, pid;			/* whose */
	__u64 fingerprint;
	__u32 frames, reserved;
	__u64 ips[];			/* innermost first */
};

struct sched_frames {
	__u64 hash;
	__u32 nr, reserved;
	__u64 ips[SCHED_MAX_STACK + 1];
};

/*
 * With check_stacks the first stack that was not what its fingerprint says; that of a user
 * as it was found here and by the kernel.
 */
struct sched_wrong {
	__u64 fingerprint;		/* 0: none */
	__u32 tid, pid;
	__u32 origin, reserved;
	struct sched_frames now, then;
	__u64 words[128];		/* of the kernel stack, from the innermost on */
};

/*
 * What is kept of a thread from record to record.  Only the programs write it, and
 * record/ reads it when they have stopped.
 *
 * CPUs that are woken from idle find every cache line that another CPU has written
 * missing.  In the kernel's table 56 bytes come before this: with the first 8 bytes,
 * which stay as they are, they fill a line that everybody has; then there is one for
 * what its waker tells, and two for whoever has it run.
 */
struct sched_thread {
	__u32 tid, pid;

	__u64 wake_ns;			/* 0: nobody woke it since it last got a CPU */
	__u64 waker_kernel_stack, waker_user_stack;
	__u32 waker_tid, waker_pid;
	__u16 waker_cpu;
	__u8 wake_state;		/* as `state`, when it was woken */
	__u8 waker_context;
	__u32 unused_by_waker[7];

	__u64 since_ns;			/* when it left the CPU, or got it */
	__u64 old_wake_ns;		/* wake_ns, if that was none from this wait; else 0 */
	__u64 on_ns, skipped_ns, interrupted_ns;
	__u64 interrupts_ns;		/* of the CPU it has, when it got it */
	__u64 user_ns, system_ns;	/* of the thread, at its last record */

	__u64 kernel_stack, user_stack;
	__u64 end_user_ns, end_system_ns;	/* when it was seen at the end */
	__u32 skipped;
	__u16 cpu;
	__u16 from_cpu;			/* as in the record */
	__u16 flags;			/* enum sched_flag */
	__u8 state;			/* as in the record; 0: a new one's */
	__u8 has_cpu;
	__u8 outside;			/* not in the cgroup */
	__u8 is_alive;			/* seen at the end, where that was looked for */
	__u8 unused[18];
};

/* A CPU's own, on cache lines of its own: the first is what is used each time. */
struct sched_cpu {
	__u32 is_enabled;
	__u32 is_chosen;		/* -C */
	__u64 running;			/* key of the thread that it was given to last; 0: none */
	__u32 is_idle;			/* nobody's time passes */
	__u32 interrupts;		/* which ones are going on, the innermost lowest */
	__u64 interrupts_ns;		/* time in those that others than the idle task met */
	__u64 interrupt_ns;		/* when the outermost one began */
	__u64 stacks, remembered;	/* counted */
	__u64 unused_by_all;
	__u64 no_room, no_wakeup, walked;
	__u64 wrong_kernel, wrong_user;	/* stacks */
	__u64 unstable, unchecked;	/* with check_stacks (struct schedprog_counts) */
	__u64 unseen;			/* records that are missing: the kernel left out a run */
	__u64 checked;			/* of the remembered stacks: walked nevertheless */
	__u64 unused[15];
};

/* What record/ tells the programs while they run. */
struct sched_control {
	/* The iterator notes those that did nothing since start_ns, and others what they do. */
	__u32 noting;
	__u32 ending;			/* the end of threads is looked at */
	__u32 has_gaps;			/* somebody found no room */
	__u32 reserved;
	__u64 start_ns;
	__u64 everywhere_ns;		/* since then all CPUs are enabled */
	__u64 seed;			/* of fingerprints: with another one none is known */
};

#endif
