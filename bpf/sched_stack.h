/*
 * For the scheduler's programs: what stacks are remembered in, the fingerprints that are
 * known, and how the addresses behind one are handed over.
 */
#ifndef BPF_SCHED_STACK_H
#define BPF_SCHED_STACK_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "bpf/kernel_types.h"
#include "bpf/sched.h"
#include "bpf/sched_state.h"
#include "bpf/sched_write.h"

#define KNOWN_SLOTS 65536
#define STACK_WORDS 512			/* deeper ones are walked */
#define FIRST_WORDS 128			/* enough for most */
#define NR_RULES 16384
#define RECENT_SLOTS 64
#define CHECK_EVERY 256			/* of a CPU's stacks; a power of two */
#define STACK_FRAMES 128		/* a power of two: the verifier believes in masks */

_Static_assert(STACK_FRAMES > SCHED_MAX_STACK, "all frames fit");

/* The fingerprints whose stacks were handed over, each where its last bits say. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64[KNOWN_SLOTS]);
	__uint(max_entries, 2);
} known SEC(".maps");

/* What is known of return addresses, one word each (make_rule()). */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64[NR_RULES]);
	__uint(max_entries, 1);
} rules SEC(".maps");

struct sched_scratch {
	__u32 zero, cpu;		/* of a message */
	struct {			/* a struct sched_stack, with room for its frames */
		__u32 size_bytes, probe;
		__u64 time_ns;
		__u32 tid, pid;
		__u64 fingerprint;
		__u32 frames, reserved;
		__u64 ips[STACK_FRAMES];
	} stack;
	__u64 words[STACK_WORDS];
	__u64 check[STACK_FRAMES];
	__u64 recent[RECENT_SLOTS];	/* fingerprints that are known */
	__u64 address;
	__u64 ip;			/* where there is something to learn */
	__u32 word, frame;
	__u32 tries[4];			/* of each origin */
};

_Static_assert(offsetof(struct sched_scratch, stack.ips) ==
	       offsetof(struct sched_stack, ips) + 8, "the same members");

/* For each CPU, whose programs do not interrupt each other, and one for the iterator. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct sched_scratch);
	__uint(max_entries, 1);
} scratches SEC(".maps");

INLINE __u64 mix(__u64 hash, __u64 word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
	return hash ^ hash >> 32;
}

/* Small numbers are errors. */
INLINE __u64 finish_hash(__u64 hash)
{
	hash = mix(hash, control.seed);
	return hash < SCHED_FIRST_FINGERPRINT ? hash + SCHED_FIRST_FINGERPRINT : hash;
}

INLINE struct sched_scratch *scratch_of(__u32 row)
{
	return bpf_map_lookup_elem(&scratches, &row);
}

/*
 * Functions with a loop are global, and get numbers: so the verifier looks at them once,
 * and not again for all that their callers may know.
 */
__noinline __u64 hash_frames(__u32 row, __u32 nr, __u64 hash)
{
	struct sched_scratch *s = scratch_of(row);

	if (!s)
		return 0;
	for (__u32 i = 0; i < SCHED_MAX_STACK; i++) {
		if (i >= nr)
			break;
		hash = mix(hash, s->stack.ips[i]);
	}
	return finish_hash(hash);
}

/* The same of the frames that a check has found. */
__noinline __u64 hash_check(__u32 row, __u32 nr, __u64 hash)
{
	struct sched_scratch *s = scratch_of(row);

	if (!s)
		return 0;
	for (__u32 i = 0; i < SCHED_MAX_STACK; i++) {
		if (i >= nr)
			break;
		hash = mix(hash, s->check[i]);
	}
	return finish_hash(hash);
}

/* --- what is known ---------------------------------------------------------------------- */

INLINE __u64 *slot_of(__u64 fingerprint, __u32 table)
{
	__u64 *slots = bpf_map_lookup_elem(&known, &table);

	return slots ? &slots[fingerprint & (KNOWN_SLOTS - 1)] : NULL;
}

INLINE bool is_known(__u64 fingerprint)
{
	volatile __u64 *slot = slot_of(fingerprint, 0);

	return slot && *slot == fingerprint;
}

/* The same, and nearer. */
INLINE bool is_known_here(struct sched_scratch *s, __u64 fingerprint)
{
	__u64 *recent = &s->recent[fingerprint & (RECENT_SLOTS - 1)];

	if (*recent == fingerprint)
		return true;
	if (!is_known(fingerprint))
		return false;
	*recent = fingerprint;
	return true;
}

/* Into a mapped ring.  The iterator has a row of its own, and may be interrupted. */
__noinline int put_stack(__u32 row, __u32 cpu, __u32 nr)
{
	struct sched_scratch *s = scratch_of(row);
	void *ring = bpf_map_lookup_elem(&stacks, &cpu);
	struct sched_stack *to = NULL;
	__u32 size_bytes;

	if (!s || !ring || nr > SCHED_MAX_STACK)
		return 0;
	size_bytes = sizeof(struct sched_stack) + nr * sizeof(__u64);
	to = reserve(ring, stack_ring_bytes, size_bytes, row != cpu);
	if (!to)
		return 0;
	to->time_ns = s->stack.time_ns;
	to->tid = s->stack.tid;
	to->pid = s->stack.pid;
	to->fingerprint = s->stack.fingerprint;
	to->frames = nr;
	to->reserved = 0;
	for (__u32 i = 0; i < SCHED_MAX_STACK; i++) {
		if (i >= nr)
			break;
		to->ips[i] = s->stack.ips[i];
	}
	commit(to, size_bytes, s->stack.probe);
	return 1;
}

/* Hands the frames of s->stack over. */
INLINE bool hand_over(void *ctx, struct sched_scratch *s, __u32 row, __u32 cpu,
		      const bool mapped)
{
	__u32 nr = s->stack.frames & SCHED_MAX_STACK;
	__u32 size_bytes = sizeof(struct sched_stack) + nr * sizeof(__u64);

	if (mapped)
		return put_stack(row, cpu, nr);
	s->stack.size_bytes = size_bytes;
	s->zero = 0;
	s->cpu = cpu;
	return send(ctx, &stacks, s, 8 + size_bytes);
}

/*
 * Whether the frames behind a known fingerprint, of which this is the hash, are what
 * they were.
 */
INLINE void compare(struct sched_cpu *c, __u64 fingerprint, __u64 frames_hash)
{
	volatile __u64 *then = slot_of(fingerprint, 1);

	if (then && *then != frames_hash && is_known(fingerprint))
		c->wrong_kernel++;
}

INLINE void learn(__u64 fingerprint, __u64 frames_hash)
{
	volatile __u64 *slot = slot_of(fingerprint, 0);
	volatile __u64 *then = slot_of(fingerprint, 1);

	if (!slot || !then)
		return;
	/* Another CPU may compare what was here before. */
	*slot = 0;
	*then = frames_hash;
	*slot = fingerprint;
}

struct stack_of {
	__u64 time_ns;
	__u32 tid, pid;
	__u32 row, cpu;			/* of the scratch; where this is */
};

/*
 * The frames in s->stack.ips are those of the fingerprint, which is not known: it, or the
 * error that takes its place.
 */
INLINE __u64 introduce(void *ctx, struct sched_scratch *s, const struct stack_of *whose,
		       __u64 fingerprint, __u32 nr, bool user, const bool mapped)
{
	s->stack.probe = user;
	s->stack.time_ns = whose->time_ns;
	s->stack.tid = whose->tid;
	s->stack.pid = whose->pid;
	s->stack.fingerprint = fingerprint;
	s->stack.frames = nr;
	s->stack.reserved = 0;
	if (!hand_over(ctx, s, whose->row, whose->cpu, mapped)) {
		count_lost(&stacks_lost, whose->cpu * 2 + user);
		return ERROR_NO_ROOM;
	}
	learn(fingerprint, hash_frames(whose->row, nr, 0));
	return fingerprint;
}

#endif
