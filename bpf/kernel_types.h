/*
 * The few members of kernel structures that the BPF programs read.  Offsets
 * are fixed up at load time from the running kernel's BTF, so that neither
 * order nor omissions matter here.  A name after ___ marks another kernel
 * version's shape of the same structure.
 */
#ifndef BPF_KERNEL_TYPES_H
#define BPF_KERNEL_TYPES_H

#include <linux/types.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kernfs_node {
	__u64 id;
};

struct cgroup;

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
};

struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
};

struct css_set {
	struct cgroup *dfl_cgrp;	/* in the cgroup v2 hierarchy */
};

struct upid {
	int nr;
	void *ns;
};

struct pid {
	unsigned int level;		/* depth of the innermost namespace */
	struct upid numbers[1];		/* one for each level */
};

struct mm_struct {
	unsigned long arg_start, arg_end;
};

struct kuid {
	unsigned int val;
};

struct cred {
	struct kuid uid;
};

struct thread_info {
	unsigned int cpu;
};

/* x86 */
struct pt_regs___x86 {
	unsigned long bp, ip, cs;
};

struct uprobe_task {
	void *return_instances;		/* of functions that somebody waits for */
	void *auprobe;			/* whose handlers are running */
};

struct task_struct {
	void *stack;
	struct thread_info thread_info;
	unsigned int __state;		/* from 5.14 on */
	unsigned int flags;
	unsigned int on_cpu;		/* a byte from 7.2 on */
	int exit_state;
	unsigned in_iowait : 1;
	int pid, tgid;
	__u64 utime, stime;
	struct task_struct *real_parent;
	struct pid *thread_pid;
	struct mm_struct *mm;
	struct css_set *cgroups;
	struct uprobe_task *utask;
	const struct cred *real_cred;
	char comm[16];
};

struct task_struct___before_5_14 {
	long state;
};

struct task_struct___before_5_16 {
	unsigned int cpu;
};

#pragma clang attribute pop

#endif
