/*
 * Maps that say whom a recording is of: the recorder fills them, and the programs
 * that follow tasks keep them.  Each object has maps of its own, unless the
 * recorder gives it those of another.
 */
#ifndef BPF_TARGETS_H
#define BPF_TARGETS_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

/* By process: 1, or 0 for one that is not recorded before it has run exec. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, __u8);
	__uint(max_entries, 1);
} traced SEC(".maps");

/* By thread, as above; probes look threads up here. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, __u8);
	__uint(max_entries, 1);
} traced_tids SEC(".maps");

/* One row: a task counts if it is in this cgroup or below it. */
struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
	__uint(max_entries, 1);
} cgroups SEC(".maps");

#endif
