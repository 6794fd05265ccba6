/*
 * For the scheduler's programs: kernel stacks, which are remembered instead of walked.
 *
 * Where on a kernel stack the next return address lies depends, on nearly all frames, on
 * nothing but the return address before: that much the frame of a function takes where it
 * calls the next one.  These distances are learned from stacks that the kernel has walked,
 * and only where the address that follows lies at one place alone of the whole stack.  By
 * them a stack is followed in a tenth of the time, and the hash of its addresses is its
 * fingerprint.  What cannot be followed is walked.  Each stack that is walked, and now and
 * then one that need not be, is compared with the distances.  They are relied on when they
 * have been right a few times; one that is wrong once belongs to a function whose frame has
 * no fixed size, and its stacks are walked from then on.
 */
#ifndef BPF_SCHED_KSTACK_H
#define BPF_SCHED_KSTACK_H

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

#define MOST_STACK_BYTES 65536
#define MOST_FRAMES 64			/* that are followed */
#define CONFIRMATIONS 8			/* until a distance is relied on */

/*
 * From the lowest bit: what comes after the address (2 bits), a count (4 bits; of
 * stacks that agreed, or of an origin the frames that the kernel finds below it), the
 * distance in words, and the address without its first 16 bits, which are all the same.
 */
enum rule_kind { RULE_NEXT = 1, RULE_END = 2, RULE_NONE = 3 };

INLINE __u64 make_rule(__u64 ip, __u32 words, __u32 count, enum rule_kind kind)
{
	return ip << 16 | (words & 0x3ff) << 6 | (count & 15) << 2 | kind;
}

INLINE bool rule_is_of(__u64 rule, __u64 ip)
{
	return rule && rule >> 16 == ip << 16 >> 16;
}

INLINE __u32 rule_words(__u64 rule)
{
	return rule >> 6 & 0x3ff;
}

INLINE __u32 rule_count(__u64 rule)
{
	return rule >> 2 & 15;
}

INLINE __u32 rule_kind(__u64 rule)
{
	return rule & 3;
}

INLINE __u32 rule_slot(__u64 ip)
{
	return ip * 0x9e3779b97f4a7c15ull >> 50;
}

/* A pointer becomes a number when it is read from memory. */
INLINE __u64 address_of(struct sched_scratch *s, void *pointer)
{
	*(volatile __u64 *)&s->address = (__u64)pointer;
	return *(volatile __u64 *)&s->address;
}

enum { FOLLOWED_NOT = 0, FOLLOWED_SHORT = 1 };	/* else the fingerprint */

INLINE __u64 *rule_table(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&rules, &zero);
}

/*
 * From the origin, which is a number below those of addresses.  There are nr words up to
 * the registers of user code, and have of them are here.
 */
__noinline __u64 follow(__u32 row, __u64 origin, __u32 nr, __u32 have)
{
	const struct sched_scratch *s = scratch_of(row);
	__u64 ip = origin, hash = 0, rule;
	const __u64 *table = rule_table();
	__u32 word = 0;

	if (!s || !table)
		return FOLLOWED_NOT;
	for (__u32 i = 0; i < MOST_FRAMES; i++) {
		rule = table[rule_slot(ip) & (NR_RULES - 1)];
		if (!rule_is_of(rule, ip))
			return FOLLOWED_NOT;
		word = (word + rule_words(rule)) & 0xffff;
		/* The origin's tells how many frames there are below. */
		if (!i)
			hash = rule;
		else if (rule_count(rule) < CONFIRMATIONS)
			return FOLLOWED_NOT;
		if (rule_kind(rule) == RULE_END)
			return word == nr ? finish_hash(hash) : FOLLOWED_NOT;
		if (rule_kind(rule) != RULE_NEXT || word >= nr)
			return FOLLOWED_NOT;
		if (word >= have)
			return FOLLOWED_SHORT;
		ip = s->words[word & (STACK_WORDS - 1)];
		hash = mix(hash, ip);
		/* It has but one caller, and a frame of random size. */
		if (ip - system_call < system_call_bytes)
			return finish_hash(hash);
	}
	return FOLLOWED_NOT;
}

#define NOWHERE 0xffffffff
#define PART_WORDS 64

/*
 * How often the address lies in one part of those words, times 2^32, and the sum of where.
 * Without branches, and in parts: for the verifier, which follows a loop step by step.
 */
__noinline __u64 find_in_part(__u32 row, __u64 ip, __u32 first, __u64 from, __u64 nr)
{
	const struct sched_scratch *s = scratch_of(row);
	__u64 found = 0;

	if (!s)
		return 0;
	for (__u32 i = 0; i < PART_WORDS; i++) {
		__u64 word = (first + i) & (STACK_WORDS - 1);
		__u64 difference = s->words[word] ^ ip, is_it;

		is_it = (~(difference | -difference | (word - from)) & (word - nr)) >> 63;
		asm volatile("" : "+r"(is_it));
		found += is_it << 32;
		found += is_it * word;
	}
	return found;
}

/* The same of all the words up to nr. */
__noinline __u64 find_all(__u32 row, __u64 ip, __u64 from, __u32 nr)
{
	__u64 found = 0;

	for (__u32 first = 0; first < STACK_WORDS; first += PART_WORDS) {
		if (first >= nr)
			break;
		found += find_in_part(row, ip, first, from, nr);
	}
	return found;
}

INLINE bool is_there(__u32 row, __u64 ip, __u32 nr)
{
	return find_all(row, ip, 0, nr) >> 32;
}

/* Where the address lies, if at one place alone. */
INLINE __u32 find_once(__u32 row, __u64 ip, __u64 from, __u32 nr)
{
	__u64 found = find_all(row, ip, from, nr);

	return found >> 32 == 1 ? (__u32)found : NOWHERE;
}

/* For good: of an origin it may be that another of its frames was taken for the first. */
INLINE void contradict(__u64 *table, __u64 ip)
{
	table[rule_slot(ip) & (NR_RULES - 1)] =
		ip < SCHED_FIRST_FINGERPRINT ? 0 : make_rule(ip, 0, 0, RULE_NONE);
}

/* Another CPU may contradict meanwhile, and be overwritten: then it will again. */
INLINE void confirm(__u64 *table, __u64 ip, __u64 rule)
{
	if (ip >= SCHED_FIRST_FINGERPRINT && rule_count(rule) < CONFIRMATIONS)
		table[rule_slot(ip) & (NR_RULES - 1)] =
			make_rule(ip, rule_words(rule), rule_count(rule) + 1, rule_kind(rule));
}

/*
 * All of the stack is here, and so are its frames.  Goes along them as far as there are
 * rules and they hold; 0 if nothing can be learned there.
 */
__noinline int check_rules(__u32 row, __u64 origin, __u32 nr, __u32 nr_frames)
{
	struct sched_scratch *s = scratch_of(row);
	__u32 word = 0, frame = 0, next;
	__u64 *table = rule_table();
	__u64 ip = origin, rule;

	if (!s || !table)
		return 0;
	for (__u32 i = 0; i < MOST_FRAMES; i++) {
		rule = table[rule_slot(ip) & (NR_RULES - 1)];
		s->ip = ip;
		s->word = word;
		s->frame = frame;
		if (!rule_is_of(rule, ip))
			return 1;
		if (rule_kind(rule) == RULE_NONE)
			return 0;
		next = (word + rule_words(rule)) & 0xffff;
		frame = i ? (frame + 1) & 0xff : rule_count(rule);
		if (rule_kind(rule) == RULE_END) {
			if (next != nr || frame != nr_frames)
				contradict(table, ip);
			else
				confirm(table, ip, rule);
			return 0;
		}
		word = next & (STACK_WORDS - 1);
		if (next >= nr || frame >= nr_frames ||
		    s->words[word] != s->stack.ips[frame & (STACK_FRAMES - 1)]) {
			/* The kernel finds the real address elsewhere. */
			if (!return_hooks[0] || (s->words[word] != return_hooks[0] &&
						 s->words[word] != return_hooks[1]))
				contradict(table, ip);
			return 0;
		}
		confirm(table, ip, rule);
		ip = s->words[word];
		if (ip - system_call < system_call_bytes)
			return 0;
	}
	return 0;
}

/* Learns one more distance, at the first place where none is known. */
__noinline int learn_rules(__u32 row, __u64 origin, __u32 nr, __u32 nr_frames)
{
	struct sched_scratch *s = scratch_of(row);
	__u64 *table = rule_table(), *rule;
	__u32 frame, from, count = 0, next;

	if (!s || !table || !check_rules(row, origin, nr, nr_frames))
		return 0;
	rule = &table[rule_slot(s->ip) & (NR_RULES - 1)];
	/* What has been contradicted stays known, whoever else has no place then. */
	if (rule_kind(*rule) == RULE_NONE)
		return 0;
	if (s->ip == origin) {
		/*
		 * The frames of this program are below: which is the first one here?  A later
		 * one would not tell those before it apart.
		 */
		count = frame = ++s->tries[origin & 3] & 7;
		from = 0;
		if (frame && is_there(row, s->stack.ips[(frame - 1) & (STACK_FRAMES - 1)], nr))
			return 0;
	} else {
		frame = s->frame + 1;
		from = s->word + 1;
	}
	if (frame >= nr_frames) {
		if (from && nr_frames < SCHED_MAX_STACK)
			*rule = make_rule(s->ip, nr - s->word, count, RULE_END);
		return 0;
	}
	next = find_once(row, s->stack.ips[frame & (STACK_FRAMES - 1)], from, nr);
	if (next != NOWHERE)
		*rule = make_rule(s->ip, next - s->word, count, RULE_NEXT);
	return 0;
}

/* Words from here to the registers of user code; 0: this is another stack. */
INLINE __u32 measure(struct sched_scratch *s, struct task_struct *task, __u64 at)
{
	__u64 base = (__u64)task->stack, top;

	if (!bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs) ||
	    !may_read || at - base >= MOST_STACK_BYTES)
		return 0;
	top = address_of(s, (void *)bpf_task_pt_regs(task));
	return top - at > sizeof(s->words) ? 0 : (top - at) / 8;
}

INLINE bool copy_words(struct sched_scratch *s, __u64 at, __u64 nr)
{
	__u64 bytes = nr * 8;

	/* Before 6.12 the verifier forgets what is known of a number of words. */
	asm volatile("" : "+r"(bytes));
	return bytes <= sizeof(s->words) && !bpf_probe_read_kernel(s->words, bytes, (void *)at);
}

INLINE __u64 kernel_stack(void *ctx, struct sched_scratch *s, struct task_struct *task,
			  const struct stack_of *whose, struct sched_cpu *c, __u64 origin,
			  const bool mapped)
{
	__u32 row = whose->row, nr, nr_words = 0;
	__u64 at = address_of(s, ctx), print = 0;
	bool was_known, is_checked;
	long bytes;

	if (task)
		nr_words = measure(s, task, at);
	if (nr_words) {
		nr = nr_words < FIRST_WORDS ? nr_words : FIRST_WORDS;
		if (copy_words(s, at, nr))
			print = follow(row, origin, nr_words, nr);
		if (print == FOLLOWED_SHORT) {
			print = 0;
			if (copy_words(s, at, nr_words))
				print = follow(row, origin, nr_words, nr_words);
		}
	}
	was_known = print && is_known_here(s, print);
	is_checked = check_stacks || !(++c->stacks & (CHECK_EVERY - 1));
	if (was_known) {
		c->remembered++;
		if (!is_checked)
			return print;
	}
	bytes = bpf_get_stack(ctx, s->stack.ips, SCHED_MAX_STACK * sizeof(__u64), 0);
	if (bytes < 0)
		return -bytes;
	nr = (__u64)bytes / 8;
	c->checked += was_known;
	if (was_known && !check_stacks)
		compare(c, print, hash_frames(row, nr, 0));
	if (!was_known)
		c->walked++;
	if (check_stacks && print)
		check_kernel(s, whose, c, print, nr, origin);
	if (nr_words && copy_words(s, at, nr_words))
		learn_rules(row, origin, nr_words, nr);
	if (was_known)
		return print;
	if (!print) {
		print = hash_frames(row, nr, 1);
		if (is_known_here(s, print))
			return print;
	}
	return introduce(ctx, s, whose, print, nr, false, mapped);
}

#endif
