/*
 * For the scheduler's programs: whether stacks that are remembered are what the kernel
 * finds, where that is asked for.
 */
#ifndef BPF_SCHED_CHECK_H
#define BPF_SCHED_CHECK_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "bpf/sched.h"
#include "bpf/sched_stack.h"
#include "bpf/sched_state.h"

/* The frames that were found behind a fingerprint first. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u64);
	__type(value, struct sched_frames);
	__uint(max_entries, 1);
} checked SEC(".maps");

/* The first wrong one of the kernel, and of users. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct sched_wrong);
	__uint(max_entries, 2);
} wrongs SEC(".maps");

_Static_assert(offsetof(struct sched_scratch, stack.ips) -
	       offsetof(struct sched_scratch, stack.fingerprint) ==
	       offsetof(struct sched_frames, ips), "the same members");
_Static_assert(sizeof(((struct sched_scratch *)0)->check) ==
	       sizeof(((struct sched_frames *)0)->ips), "the same frames");

/* 1: the frames of s->stack are those that were there before. */
static __noinline int check_frames(__u32 row, __u64 fingerprint, __u32 nr)
{
	struct sched_scratch *s = scratch_of(row);
	const struct sched_frames *then;
	__u64 key = fingerprint;

	if (!s)
		return 1;
	s->stack.fingerprint = hash_frames(row, nr, 0);
	s->stack.frames = nr;
	s->stack.reserved = 0;
	then = bpf_map_lookup_elem(&checked, &key);
	if (!then) {
		if (!bpf_map_update_elem(&checked, &key, &s->stack.fingerprint, BPF_NOEXIST))
			return 1;
		/* Another CPU may have found the same one meanwhile. */
		then = bpf_map_lookup_elem(&checked, &key);
		if (!then)
			return -1;
	}
	return then->hash == s->stack.fingerprint;
}

/* Only the first one: of the kernel what was found then, of users what is found here. */
static __noinline int keep_wrong(__u32 row, __u64 fingerprint, __u32 nr, __u32 origin)
{
	struct sched_scratch *s = scratch_of(row);
	__u32 user = !origin;
	struct sched_wrong *w = bpf_map_lookup_elem(&wrongs, &user);
	__u64 key = fingerprint;
	void *then;

	if (!s || !w || w->fingerprint)
		return 0;
	w->fingerprint = fingerprint;
	w->tid = s->stack.tid;
	w->pid = s->stack.pid;
	w->origin = origin;
	w->now.nr = nr;
	w->now.hash = s->stack.fingerprint;
	bpf_probe_read_kernel(w->now.ips, sizeof(w->now.ips), s->stack.ips);
	if (user) {
		bpf_probe_read_kernel(w->then.ips, sizeof(w->then.ips), s->check);
		return 0;
	}
	then = bpf_map_lookup_elem(&checked, &key);
	if (then)
		bpf_probe_read_kernel(&w->then, sizeof(w->then), then);
	bpf_probe_read_kernel(w->words, sizeof(w->words), s->words);
	return 0;
}

/* The frames in s->stack are the kernel's of now. */
INLINE void check_kernel(struct sched_scratch *s, const struct stack_of *whose,
			 struct sched_cpu *c, __u64 fingerprint, __u32 nr, __u32 origin)
{
	int is_right = check_frames(whose->row, fingerprint, nr);

	if (is_right > 0)
		return;
	if (is_right < 0) {
		c->unchecked++;
		return;
	}
	c->wrong_kernel++;
	s->stack.tid = whose->tid;
	s->stack.pid = whose->pid;
	keep_wrong(whose->row, fingerprint, nr, origin);
}

#endif
