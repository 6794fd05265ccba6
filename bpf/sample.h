/*
 * What the BPF programs hand to record/: the layout of ring and perf buffer
 * messages, and the configuration they read.  Native byte order and alignment;
 * these bytes never reach a file.  Both sides include this header and nothing
 * else of each other.
 */
#ifndef BPF_SAMPLE_H
#define BPF_SAMPLE_H

#include <linux/types.h>

#define SAMPLE_MAX_STACK 127		/* frames of each of the two stacks */
#define SAMPLE_ARGS_BYTES 4096		/* command line kept at exec */
#define SAMPLE_MAX_EVENTS 16		/* sampled at a time */

enum message_kind {
	MESSAGE_SAMPLE = 1,
	MESSAGE_EXEC = 2,
	MESSAGE_FORK = 3,	/* a process or a thread began */
};

/* Starts every message. */
struct message {
	__u32 kind;
	__u32 cpu;
	__u64 time_ns;		/* CLOCK_MONOTONIC */
	__u32 pid, tid;		/* tgid and pid as the kernel calls them */
};

/*
 * Followed by kernel_frames + user_frames addresses, innermost first, kernel
 * before user.  A count below 0 is the -errno of a stack that was asked for and
 * could not be read; 0 is no stack of that kind.  Of a stack that was not asked
 * for there is one frame if it is the one the CPU was in.
 */
struct message_sample {
	struct message m;
	__u64 period;
	__u32 event;		/* index given at attach */
	__u16 state;		/* ASCII letter: R S D I ... */
	__u16 reserved;
	__s32 kernel_frames, user_frames;
	__u64 ips[];
};

/*
 * About m.pid, m.tid: the new task (fork) or the one that ran exec.  parent_pid
 * is what ps shows as PPID; ns_pid is the task's number (of a thread: its tid)
 * in its innermost pid namespace.
 */
struct message_task {
	struct message m;
	__u32 parent_pid, ns_pid;
	__u32 uid;		/* the real one */
	__u32 reserved;
	__u64 cgroup_id;	/* cgroup v2 */
	char comm[16];
	__u32 args_bytes;	/* exec only: arguments, each ended by NUL */
	__u32 args_cut;		/* 1 if there were more */
	char args[];
};

#endif
