/*
 * What a program does in the place of a record: makes the key, finds its number and that
 * of its bucket, and adds.
 *
 * It may be interrupted anywhere by a program that counts under the same key, or preempted
 * and go on elsewhere; so numbers are taken by atomic operations, and whoever comes
 * second to a new key takes the number of the first.  What is summed comes before what
 * is counted: the reader, who takes counts first, never misses a part of a hit.
 */
#include "record/tallyprog.h"

#include <errno.h>
#include <stddef.h>

#include "format/buckets.h"
#include "record/tallymaps.h"
#include "record/tallyprog_private.h"

#define EXTREME_TRIES 8		/* each fails only if somebody else raised it in between */
#define SIGN_BIT (UINT64_C(1) << 63)

/* r1 = the map, r2 = where the key is on the stack: for all helpers of maps. */
static void map_and_key(struct bpfcode *c, int map_fd, int16_t key)
{
	bpfcode_map(c, BPF_REG_1, map_fd);
	bpfcode_op(c, BPF_MOV, BPF_REG_2, BPF_REG_10);
	bpfcode_op_imm(c, BPF_ADD, BPF_REG_2, key);
}

/* r0 = the address of the value; none: goes there. */
static void look_up(struct bpfcode *c, int map_fd, int16_t key, int none)
{
	map_and_key(c, map_fd, key);
	bpfcode_call(c, BPF_FUNC_map_lookup_elem);
	bpfcode_jump_imm(c, BPF_JEQ, BPF_REG_0, 0, none);
}

/* --- buckets --------------------------------------------------------------------------- */

void tallyprog_bucket(struct bpfcode *c, bool is_signed)
{
	bpfcode_op(c, BPF_MOV, BPF_REG_1, BPF_REG_9);
	if (is_signed) {
		/* The amount; -1 in r2 turns the sign of the bucket, too. */
		bpfcode_op(c, BPF_MOV, BPF_REG_2, BPF_REG_9);
		bpfcode_op_imm(c, BPF_ARSH, BPF_REG_2, 63);
		bpfcode_op(c, BPF_XOR, BPF_REG_1, BPF_REG_2);
		bpfcode_op(c, BPF_SUB, BPF_REG_1, BPF_REG_2);
	}
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_0, 0);
	/* Shifts it by halves until less than two powers of two are left. */
	for (int bits = 32; bits; bits /= 2) {
		uint64_t least = (uint64_t)BUCKETS_STEPS << bits;
		int small = bpfcode_label(c);

		if (least > INT32_MAX) {
			bpfcode_const(c, BPF_REG_3, least);
			bpfcode_jump_if(c, BPF_JLT, BPF_REG_1, BPF_REG_3, small);
		} else {
			bpfcode_jump_imm(c, BPF_JLT, BPF_REG_1, (int32_t)least, small);
		}
		bpfcode_op_imm(c, BPF_RSH, BPF_REG_1, bits);
		bpfcode_op_imm(c, BPF_ADD, BPF_REG_0, bits * BUCKETS_STEPS);
		bpfcode_here(c, small);
	}
	bpfcode_op(c, BPF_ADD, BPF_REG_0, BPF_REG_1);
	if (is_signed) {
		bpfcode_op(c, BPF_XOR, BPF_REG_0, BPF_REG_2);
		bpfcode_op(c, BPF_SUB, BPF_REG_0, BPF_REG_2);
	}
}

/* --- numbers of keys and buckets ----------------------------------------------------------- */

/* A number that is looked up, and what happens out of line when there is none yet. */
struct numbering {
	const struct tallymaps_numbers *numbers;
	int16_t key;		/* what has the number: slot of the stack */
	int16_t number;		/* slot of the __u32 */
	int missing, found;	/* labels */
	int no_room;
};

/* r0 = the number. */
static void find_number(struct bpfcode *c, struct numbering *n)
{
	n->missing = bpfcode_label(c);
	n->found = bpfcode_label(c);
	look_up(c, n->numbers->hash_fd, n->key, n->missing);
	bpfcode_load(c, 4, BPF_REG_0, BPF_REG_0, 0);
	bpfcode_here(c, n->found);
}

static void take_number(struct bpfcode *c, const struct numbering *n, int next_fd)
{
	const struct tallymaps_numbers *of = n->numbers;

	if (of->free_fd >= 0) {
		map_and_key(c, of->free_fd, n->number);
		bpfcode_call(c, BPF_FUNC_map_pop_elem);
		bpfcode_extend(c, BPF_REG_0, 4, true);
		bpfcode_jump_imm(c, BPF_JNE, BPF_REG_0, 0, n->no_room);
		bpfcode_map_value(c, BPF_REG_1, next_fd, of->next_offset);
		bpfcode_op_imm(c, BPF_MOV, BPF_REG_0, 1);
		bpfcode_atomic(c, BPF_ADD, BPF_REG_1, 0, BPF_REG_0);
		return;
	}
	bpfcode_map_value(c, BPF_REG_1, next_fd, of->next_offset);
	bpfcode_load(c, 8, BPF_REG_0, BPF_REG_1, 0);
	bpfcode_jump_imm(c, BPF_JGE, BPF_REG_0, (int32_t)of->max, n->no_room);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_0, 1);
	bpfcode_atomic(c, BPF_ADD | BPF_FETCH, BPF_REG_1, 0, BPF_REG_0);
	bpfcode_jump_imm(c, BPF_JGE, BPF_REG_0, (int32_t)of->max, n->no_room);
	bpfcode_store(c, 4, BPF_REG_10, n->number, BPF_REG_0);
}

/* One that is not the last any more can only be marked. */
static void give_number_back(struct bpfcode *c, const struct numbering *n, int next_fd,
			     bool is_key, int again)
{
	const struct tallymaps_numbers *of = n->numbers;

	if (of->free_fd >= 0) {
		map_and_key(c, of->free_fd, n->number);
		bpfcode_op_imm(c, BPF_MOV, BPF_REG_3, BPF_ANY);
		bpfcode_call(c, BPF_FUNC_map_push_elem);
		return;
	}
	bpfcode_map_value(c, BPF_REG_1, next_fd, of->next_offset);
	bpfcode_load(c, 4, BPF_REG_2, BPF_REG_10, n->number);
	bpfcode_op(c, BPF_MOV, BPF_REG_3, BPF_REG_2);
	bpfcode_op_imm(c, BPF_ADD, BPF_REG_3, 1);
	bpfcode_op(c, BPF_MOV, BPF_REG_0, BPF_REG_3);
	bpfcode_atomic(c, BPF_CMPXCHG, BPF_REG_1, 0, BPF_REG_2);
	bpfcode_jump_if(c, BPF_JEQ, BPF_REG_0, BPF_REG_3, again);
	look_up(c, of->area_fd, n->number, n->no_room);
	bpfcode_const(c, BPF_REG_1, is_key ? TALLYMAPS_UNUSED : TALLYMAPS_PAIR_UNUSED);
	bpfcode_store(c, 8, BPF_REG_0, 0, BPF_REG_1);
}

/* Says what has the number; r0 is the row of the area. */
static void publish(struct bpfcode *c, const struct numbering *n, const struct tallymaps *m,
		    bool is_key)
{
	if (is_key) {
		for (uint32_t i = 0; i < m->key_bytes; i += 8) {
			bpfcode_load(c, 8, BPF_REG_1, BPF_REG_10, (int16_t)(n->key + (int)i));
			bpfcode_store(c, 8, BPF_REG_0, (int16_t)(8 + i), BPF_REG_1);
		}
		bpfcode_op_imm(c, BPF_MOV, BPF_REG_1, TALLYMAPS_READY);
	} else {
		bpfcode_load(c, 8, BPF_REG_1, BPF_REG_10, n->key);
		bpfcode_op_imm(c, BPF_ADD, BPF_REG_1, 1);
	}
	/* The reader must not see it before the key. */
#ifndef __x86_64__
	if (m->atomics) {
		bpfcode_atomic(c, BPF_XCHG, BPF_REG_0, 0, BPF_REG_1);
		return;
	}
#endif
	bpfcode_store(c, 8, BPF_REG_0, 0, BPF_REG_1);
}

/* Goes back to n->found with the number in r0, or to n->no_room. */
static void add_number(struct bpfcode *c, const struct numbering *n, const struct tallymaps *m)
{
	int taken = bpfcode_label(c), again = bpfcode_label(c);
	bool is_key = n->numbers == &m->keys;

	bpfcode_here(c, n->missing);
	take_number(c, n, m->next_fd);
	map_and_key(c, n->numbers->hash_fd, n->key);
	bpfcode_op(c, BPF_MOV, BPF_REG_3, BPF_REG_10);
	bpfcode_op_imm(c, BPF_ADD, BPF_REG_3, n->number);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_4, BPF_NOEXIST);
	bpfcode_call(c, BPF_FUNC_map_update_elem);
	/* The kernel calls the map's own function, which returns an int. */
	bpfcode_extend(c, BPF_REG_0, 4, true);
	bpfcode_jump_imm(c, BPF_JNE, BPF_REG_0, 0, taken);
	look_up(c, n->numbers->area_fd, n->number, n->no_room);
	publish(c, n, m, is_key);
	bpfcode_load(c, 4, BPF_REG_0, BPF_REG_10, n->number);
	bpfcode_jump(c, n->found);

	/* Somebody was faster, or there is no room, which shows when it is looked up again. */
	bpfcode_here(c, taken);
	give_number_back(c, n, m->next_fd, is_key, again);
	bpfcode_here(c, again);
	look_up(c, n->numbers->hash_fd, n->key, n->no_room);
	bpfcode_load(c, 4, BPF_REG_0, BPF_REG_0, 0);
	bpfcode_jump(c, n->found);
}

/* --- counting ---------------------------------------------------------------------------------- */

/* r0 = the part of this CPU. */
static void find_part(struct bpfcode *c, const struct tallymaps *m)
{
	if (m->nr_parts == 1) {
		bpfcode_op_imm(c, BPF_MOV, BPF_REG_0, 0);
		return;
	}
	bpfcode_call(c, BPF_FUNC_get_smp_processor_id);
	bpfcode_op_imm(c, BPF_AND, BPF_REG_0, (int32_t)m->part_mask);
}

/*
 * Raises the number at r3 + offset to r1.  Where there is no compare-and-exchange, one
 * that an interrupt sets between the two accesses is lost.
 */
static void raise(struct bpfcode *c, bool atomics, int16_t offset)
{
	int done = bpfcode_label(c), again;

	bpfcode_load(c, 8, BPF_REG_0, BPF_REG_3, offset);
	bpfcode_jump_if(c, BPF_JGE, BPF_REG_0, BPF_REG_1, done);
	if (!atomics) {
		bpfcode_store(c, 8, BPF_REG_3, offset, BPF_REG_1);
		bpfcode_here(c, done);
		return;
	}
	again = bpfcode_label(c);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_4, EXTREME_TRIES);
	bpfcode_here(c, again);
	bpfcode_op(c, BPF_MOV, BPF_REG_2, BPF_REG_0);
	bpfcode_atomic(c, BPF_CMPXCHG, BPF_REG_3, offset, BPF_REG_1);
	bpfcode_jump_if(c, BPF_JEQ, BPF_REG_0, BPF_REG_2, done);
	bpfcode_jump_if(c, BPF_JGE, BPF_REG_0, BPF_REG_1, done);
	bpfcode_op_imm(c, BPF_SUB, BPF_REG_4, 1);
	bpfcode_jump_imm(c, BPF_JNE, BPF_REG_4, 0, again);
	bpfcode_here(c, done);
}

/* r0: the counters of the key, r9: the value. */
static void add_value(struct bpfcode *c, const struct tally *t)
{
	bool atomics = t->maps->atomics;

	bpfcode_op(c, BPF_MOV, BPF_REG_3, BPF_REG_0);
	bpfcode_atomic(c, BPF_ADD, BPF_REG_3, offsetof(struct tally_counters, sum), BPF_REG_9);
	bpfcode_op(c, BPF_MOV, BPF_REG_1, BPF_REG_9);
	if (t->is_signed) {
		bpfcode_const(c, BPF_REG_2, SIGN_BIT);
		bpfcode_op(c, BPF_XOR, BPF_REG_1, BPF_REG_2);
	}
	raise(c, atomics, offsetof(struct tally_counters, most));
	bpfcode_op_imm(c, BPF_XOR, BPF_REG_1, -1);
	raise(c, atomics, offsetof(struct tally_counters, least));
	bpfcode_op(c, BPF_MOV, BPF_REG_0, BPF_REG_3);
}

/* [r0 + offset] + 1.  That which fetches orders all before it, on every machine. */
static void count_one(struct bpfcode *c, bool atomics, int16_t offset)
{
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_1, 1);
	bpfcode_atomic(c, atomics ? BPF_ADD | BPF_FETCH : BPF_ADD, BPF_REG_0, offset, BPF_REG_1);
}

/* r8: the key's number; that of the bucket is in `bucket`; both slots are overwritten. */
static void count(struct bpfcode *c, const struct tally *t, int16_t key, int16_t bucket, int done)
{
	const struct tallymaps *m = t->maps;

	find_part(c, m);
	if (t->histogram) {
		bpfcode_load(c, 4, BPF_REG_1, BPF_REG_10, bucket);
		bpfcode_op(c, BPF_MOV, BPF_REG_2, BPF_REG_0);
		bpfcode_op_imm(c, BPF_MUL, BPF_REG_2, (int32_t)m->buckets.max);
		bpfcode_op(c, BPF_ADD, BPF_REG_1, BPF_REG_2);
		bpfcode_store(c, 4, BPF_REG_10, bucket, BPF_REG_1);
	}
	bpfcode_op_imm(c, BPF_MUL, BPF_REG_0, (int32_t)m->keys.max);
	bpfcode_op(c, BPF_ADD, BPF_REG_8, BPF_REG_0);
	bpfcode_store(c, 4, BPF_REG_10, key, BPF_REG_8);
	look_up(c, m->counters_fd, key, done);
	if (t->measure != TALLY_NOTHING)
		add_value(c, t);
	if (!t->histogram) {
		count_one(c, m->atomics, offsetof(struct tally_counters, count));
		return;
	}
	look_up(c, m->counts_fd, bucket, done);
	count_one(c, m->atomics, 0);
}

static void count_lost(struct bpfcode *c, const struct tally *t, int16_t slot, bool of_bucket,
		       int done)
{
	const struct tallymaps *m = t->maps;

	find_part(c, m);
	bpfcode_op_imm(c, BPF_MUL, BPF_REG_0, (int32_t)m->nr_owners * 2);
	bpfcode_op_imm(c, BPF_ADD, BPF_REG_0, (int32_t)t->owner * 2 + of_bucket);
	bpfcode_store(c, 4, BPF_REG_10, slot, BPF_REG_0);
	look_up(c, m->lost_fd, slot, done);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_1, 1);
	bpfcode_atomic(c, BPF_ADD, BPF_REG_0, 0, BPF_REG_1);
	bpfcode_jump(c, done);
}

/* --- the whole ------------------------------------------------------------------------------------ */

void tallyprog_emit(struct probeprog_builder *b)
{
	const struct tally *t = b->probe->tally;
	const struct tallymaps *m = t->maps;
	struct bpfcode *c = &b->code;
	int done = bpfcode_label(c), no_key = bpfcode_label(c), no_bucket = bpfcode_label(c);
	int16_t numbers = probeprog_stack(b, 8);
	struct numbering key = { .numbers = &m->keys, .number = numbers, .no_room = no_key };
	struct numbering bucket = {
		.numbers = &m->buckets, .number = (int16_t)(numbers + 4), .no_room = no_bucket,
	};

	if (m->key_bytes)
		key.key = probeprog_stack(b, m->key_bytes);
	if (t->histogram)
		bucket.key = probeprog_stack(b, 8);
	tallyprog_key(b, key.key, no_key);
	if (t->measure != TALLY_NOTHING)
		tallyprog_value(b);
	if (m->key_bytes) {
		find_number(c, &key);
		bpfcode_op(c, BPF_MOV, BPF_REG_8, BPF_REG_0);
	} else {
		bpfcode_op_imm(c, BPF_MOV, BPF_REG_8, (int32_t)t->owner);
	}
	if (t->histogram) {
		bpfcode_store(c, 4, BPF_REG_10, bucket.key, BPF_REG_8);
		tallyprog_bucket(c, t->is_signed);
		bpfcode_store(c, 4, BPF_REG_10, (int16_t)(bucket.key + 4), BPF_REG_0);
		find_number(c, &bucket);
		bpfcode_store(c, 4, BPF_REG_10, bucket.number, BPF_REG_0);
	}
	count(c, t, key.number, bucket.number, done);
	bpfcode_jump(c, done);
	if (m->key_bytes) {
		add_number(c, &key, m);
		bpfcode_here(c, no_key);
		count_lost(c, t, key.number, false, done);
	}
	if (t->histogram) {
		add_number(c, &bucket, m);
		bpfcode_here(c, no_bucket);
		count_lost(c, t, key.number, true, done);
	}
	bpfcode_here(c, done);
}
