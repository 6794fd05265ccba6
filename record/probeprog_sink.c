/*
 * Room for a record, and what happens to it when it is complete.
 *
 * RINGS_MAPPED: at any point here the program may be interrupted by one that reserves,
 * fills and commits on the same CPU, or (those that can be preempted) by many that do
 * so, complete or not.  Room is taken by compare-and-exchange, with the time read before
 * it: when nobody came in between, times in a ring never run backwards.  A record of
 * unknown size takes the most it may need and gives back what it did not use, unless
 * somebody has reserved behind it; then the rest stays in it, and zero.
 */
#include "record/probeprog_private.h"

#include <stddef.h>

#define RESERVE_TRIES 8		/* each fails only if an interrupt came in between */
#define MAX_STACK_RECORD 224	/* built on the program's stack of 512 bytes */

/* r1, the record's size, becomes its first two members at once; r2 is lost. */
static void add_index(struct bpfcode *c, uint32_t index)
{
	if (!index)
		return;
	bpfcode_const(c, BPF_REG_2, (uint64_t)index << 32);
	bpfcode_op(c, BPF_OR, BPF_REG_1, BPF_REG_2);
}

/* r0 = the value of the map's row whose number is in b->slot; none: goes there. */
static void look_up(struct probeprog_builder *b, int map_fd, int none)
{
	struct bpfcode *c = &b->code;

	bpfcode_map(c, BPF_REG_1, map_fd);
	bpfcode_op(c, BPF_MOV, BPF_REG_2, BPF_REG_10);
	bpfcode_op_imm(c, BPF_ADD, BPF_REG_2, b->slot);
	bpfcode_call(c, BPF_FUNC_map_lookup_elem);
	bpfcode_jump_imm(c, BPF_JEQ, BPF_REG_0, 0, none);
}

/* --- mapped rings ---------------------------------------------------------------------- */

/* r0 = the ring of this CPU. */
static void find_ring(struct probeprog_builder *b)
{
	bpfcode_call(&b->code, BPF_FUNC_get_smp_processor_id);
	bpfcode_store(&b->code, 4, BPF_REG_10, b->slot, BPF_REG_0);
	look_up(b, b->env->maps.ring_fd, b->skip);
}

static void read_time(struct probeprog_builder *b, const struct probeprog_sink *s)
{
	bpfcode_call(&b->code, BPF_FUNC_ktime_get_ns);
	bpfcode_store(&b->code, 8, BPF_REG_10, s->time, BPF_REG_0);
}

static void begin_mapped(struct probeprog_builder *b, const struct probeprog_sink *s)
{
	struct bpfcode *c = &b->code;

	find_ring(b);
	bpfcode_store(c, 8, BPF_REG_10, s->base, BPF_REG_0);
	bpfcode_load(c, 8, BPF_REG_0, BPF_REG_0, PROBERINGS_RESERVED);
	bpfcode_store(c, 8, BPF_REG_10, s->position, BPF_REG_0);
}

static void reserve_mapped(struct probeprog_builder *b, const struct probeprog_sink *s)
{
	const struct proberings_maps *maps = &b->env->maps;
	struct bpfcode *c = &b->code;
	int got = bpfcode_label(c);

	if (s->begun) {
		bpfcode_load(c, 8, BPF_REG_9, BPF_REG_10, s->base);
	} else {
		find_ring(b);
		bpfcode_op(c, BPF_MOV, BPF_REG_9, BPF_REG_0);
	}
	for (int i = 0; i < RESERVE_TRIES; i++) {
		bool first = s->begun && i == 0;

		if (first)
			bpfcode_load(c, 8, BPF_REG_8, BPF_REG_10, s->position);
		else
			bpfcode_load(c, 8, BPF_REG_8, BPF_REG_9, PROBERINGS_RESERVED);
		bpfcode_load(c, 8, BPF_REG_1, BPF_REG_9, PROBERINGS_CONSUMED);
		bpfcode_op(c, BPF_MOV, BPF_REG_2, BPF_REG_8);
		bpfcode_op(c, BPF_SUB, BPF_REG_2, BPF_REG_1);
		bpfcode_jump_imm(c, BPF_JGT, BPF_REG_2,
				 (int32_t)(maps->cpu_bytes - s->max_bytes), b->lost);
		if (!first)
			read_time(b, s);
		bpfcode_op(c, BPF_MOV, BPF_REG_0, BPF_REG_8);
		bpfcode_op(c, BPF_MOV, BPF_REG_2, BPF_REG_8);
		bpfcode_op_imm(c, BPF_ADD, BPF_REG_2, (int32_t)s->max_bytes);
		bpfcode_atomic(c, BPF_CMPXCHG, BPF_REG_9, PROBERINGS_RESERVED, BPF_REG_2);
		bpfcode_jump_if(c, BPF_JEQ, BPF_REG_0, BPF_REG_8, got);
	}
	bpfcode_jump(c, b->lost);
	bpfcode_here(c, got);
	if (s->varies) {
		bpfcode_store(c, 8, BPF_REG_10, s->position, BPF_REG_8);
		bpfcode_store(c, 8, BPF_REG_10, s->base, BPF_REG_9);
	}
	/* Positions are multiples of 8; the verifier wants to see it, for atomic operations. */
	bpfcode_op_imm(c, BPF_AND, BPF_REG_8, (int32_t)(maps->cpu_bytes - 8));
	bpfcode_op(c, BPF_ADD, BPF_REG_9, BPF_REG_8);
	bpfcode_op_imm(c, BPF_ADD, BPF_REG_9, PROBERINGS_DATA);
}

/* r1 = the record's size: less than was reserved, if the rest could be given back. */
static void give_back(struct probeprog_builder *b, const struct probeprog_sink *s)
{
	struct bpfcode *c = &b->code;
	int nested = bpfcode_label(c);

	bpfcode_load(c, 8, BPF_REG_1, BPF_REG_10, s->base);
	bpfcode_load(c, 8, BPF_REG_3, BPF_REG_10, s->position);
	bpfcode_op(c, BPF_MOV, BPF_REG_0, BPF_REG_3);
	bpfcode_op_imm(c, BPF_ADD, BPF_REG_0, (int32_t)s->max_bytes);
	bpfcode_op(c, BPF_MOV, BPF_REG_2, BPF_REG_0);
	bpfcode_op(c, BPF_ADD, BPF_REG_3, BPF_REG_8);
	bpfcode_atomic(c, BPF_CMPXCHG, BPF_REG_1, PROBERINGS_RESERVED, BPF_REG_3);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_1, (int32_t)s->max_bytes);
	bpfcode_jump_if(c, BPF_JNE, BPF_REG_0, BPF_REG_2, nested);
	bpfcode_op(c, BPF_MOV, BPF_REG_1, BPF_REG_8);
	bpfcode_here(c, nested);
}

static void commit_mapped(struct probeprog_builder *b, const struct probeprog_sink *s)
{
	struct bpfcode *c = &b->code;

	if (s->varies) {
		give_back(b, s);
		add_index(c, b->index);
	} else {
		bpfcode_const(c, BPF_REG_1, s->max_bytes | (uint64_t)b->index << 32);
	}
	/* The reader must see nothing of this before all that is in the record. */
#ifdef __x86_64__
	bpfcode_store(c, 8, BPF_REG_9, 0, BPF_REG_1);
#else
	bpfcode_atomic(c, BPF_XCHG, BPF_REG_9, 0, BPF_REG_1);
#endif
}

/* --- messages ---------------------------------------------------------------------------- */

/*
 * A row of this CPU that nobody uses.  What interrupts the program takes another one;
 * where it can be preempted, only an atomic exchange keeps two from taking the same.
 */
static void claim_scratch(struct probeprog_builder *b, const struct probeprog_sink *s)
{
	const struct proberings_maps *maps = &b->env->maps;
	struct bpfcode *c = &b->code;
	int got = bpfcode_label(c);

	bpfcode_call(c, BPF_FUNC_get_smp_processor_id);
	bpfcode_op(c, BPF_MOV, BPF_REG_8, BPF_REG_0);
	bpfcode_op_imm(c, BPF_MUL, BPF_REG_8, PROBERINGS_SLOTS);
	for (int i = 0; i < PROBERINGS_SLOTS; i++) {
		int next = bpfcode_label(c);

		bpfcode_store(c, 4, BPF_REG_10, b->slot, BPF_REG_8);
		bpfcode_op_imm(c, BPF_ADD, BPF_REG_8, 1);
		look_up(b, maps->scratch_fd, next);
		bpfcode_op(c, BPF_MOV, BPF_REG_9, BPF_REG_0);
		if (maps->atomics) {
			bpfcode_op_imm(c, BPF_MOV, BPF_REG_1, 1);
			bpfcode_atomic(c, BPF_XCHG, BPF_REG_9, 0, BPF_REG_1);
			bpfcode_jump_imm(c, BPF_JEQ, BPF_REG_1, 0, got);
		} else {
			bpfcode_load(c, 8, BPF_REG_1, BPF_REG_9, 0);
			bpfcode_jump_imm(c, BPF_JNE, BPF_REG_1, 0, next);
			bpfcode_store_imm(c, 8, BPF_REG_9, 0, 1);
			bpfcode_jump(c, got);
		}
		bpfcode_here(c, next);
	}
	bpfcode_jump(c, b->lost);
	bpfcode_here(c, got);
	bpfcode_store(c, 8, BPF_REG_10, s->base, BPF_REG_9);
	bpfcode_op_imm(c, BPF_ADD, BPF_REG_9, 16);
}

static void reserve_message(struct probeprog_builder *b, struct probeprog_sink *s)
{
	struct bpfcode *c = &b->code;

	if (s->on_stack) {
		s->base = probeprog_stack(b, s->max_bytes + 8);
		bpfcode_op(c, BPF_MOV, BPF_REG_9, BPF_REG_10);
		bpfcode_op_imm(c, BPF_ADD, BPF_REG_9, s->base + 8);
	} else {
		claim_scratch(b, s);
	}
	for (uint32_t at = 0; at < s->fixed_bytes; at += 8)
		bpfcode_store_imm(c, 8, BPF_REG_9, (int16_t)at, 0);
	bpfcode_store_imm(c, 8, BPF_REG_9, -8, 0);
	bpfcode_call(c, BPF_FUNC_get_smp_processor_id);
	bpfcode_store(c, 4, BPF_REG_9, -4, BPF_REG_0);
	if (!s->begun)
		read_time(b, s);
}

/*
 * r4 = flags.  A wake-up costs an interrupt, so a reader that is late gets another one
 * only after every eighth of the mark.
 */
static void choose_wakeup(struct probeprog_builder *b)
{
	uint64_t wake_bytes = b->env->maps.cpu_bytes / 4;
	struct bpfcode *c = &b->code;
	int quiet = bpfcode_label(c);

	bpfcode_map(c, BPF_REG_1, b->env->maps.ring_fd);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_2, BPF_RB_AVAIL_DATA);
	bpfcode_call(c, BPF_FUNC_ringbuf_query);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_4, BPF_RB_NO_WAKEUP);
	bpfcode_jump_imm(c, BPF_JLT, BPF_REG_0, (int32_t)wake_bytes, quiet);
	bpfcode_op_imm(c, BPF_AND, BPF_REG_0, (int32_t)(wake_bytes / 8 - 1));
	bpfcode_op(c, BPF_MOV, BPF_REG_1, BPF_REG_8);
	bpfcode_op_imm(c, BPF_ADD, BPF_REG_1, 8 + BPF_RINGBUF_HDR_SZ);
	bpfcode_jump_if(c, BPF_JGE, BPF_REG_0, BPF_REG_1, quiet);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_4, BPF_RB_FORCE_WAKEUP);
	bpfcode_here(c, quiet);
}

static void commit_message(struct probeprog_builder *b, const struct probeprog_sink *s)
{
	bool ring = b->env->way == RINGS_RINGBUF;
	int prefix = ring ? 8 : 4;
	struct bpfcode *c = &b->code;

	bpfcode_op(c, BPF_MOV, BPF_REG_1, BPF_REG_8);
	add_index(c, b->index);
	bpfcode_store(c, 8, BPF_REG_9, 0, BPF_REG_1);
	if (ring) {
		choose_wakeup(b);
		bpfcode_map(c, BPF_REG_1, b->env->maps.ring_fd);
		bpfcode_op(c, BPF_MOV, BPF_REG_2, BPF_REG_9);
		bpfcode_op_imm(c, BPF_ADD, BPF_REG_2, -prefix);
		bpfcode_op(c, BPF_MOV, BPF_REG_3, BPF_REG_8);
		bpfcode_op_imm(c, BPF_ADD, BPF_REG_3, prefix);
		bpfcode_call(c, BPF_FUNC_ringbuf_output);
	} else {
		bpfcode_op(c, BPF_MOV, BPF_REG_1, BPF_REG_6);
		bpfcode_map(c, BPF_REG_2, b->env->maps.ring_fd);
		bpfcode_const(c, BPF_REG_3, BPF_F_CURRENT_CPU);
		bpfcode_op(c, BPF_MOV, BPF_REG_4, BPF_REG_9);
		bpfcode_op_imm(c, BPF_ADD, BPF_REG_4, -prefix);
		bpfcode_op(c, BPF_MOV, BPF_REG_5, BPF_REG_8);
		bpfcode_op_imm(c, BPF_ADD, BPF_REG_5, prefix);
		bpfcode_call(c, BPF_FUNC_perf_event_output);
	}
	if (!s->on_stack) {
		bpfcode_load(c, 8, BPF_REG_1, BPF_REG_10, s->base);
		bpfcode_store_imm(c, 8, BPF_REG_1, 0, 0);
	}
	bpfcode_jump_imm(c, BPF_JNE, BPF_REG_0, 0, b->lost);
}

/* --- both -------------------------------------------------------------------------------- */

static void prepare(struct probeprog_builder *b, struct probeprog_sink *s)
{
	s->mask = (uint32_t)proberings_round_up(s->max_bytes + 1) - 1;
	s->clean = b->env->way == RINGS_MAPPED;
	s->on_stack = !s->clean && !s->varies && s->max_bytes <= MAX_STACK_RECORD;
	s->time = probeprog_stack(b, 8);
	s->position = probeprog_stack(b, 8);
	s->base = probeprog_stack(b, 8);
}

void probeprog_sink_begin(struct probeprog_builder *b, struct probeprog_sink *s)
{
	prepare(b, s);
	s->begun = true;
	if (b->env->way == RINGS_MAPPED && !b->tally)
		begin_mapped(b, s);
	read_time(b, s);
}

void probeprog_sink_reserve(struct probeprog_builder *b, struct probeprog_sink *s)
{
	bool mapped = b->env->way == RINGS_MAPPED;
	struct bpfcode *c = &b->code;

	if (!s->begun)
		prepare(b, s);
	if (mapped)
		reserve_mapped(b, s);
	else
		reserve_message(b, s);
	bpfcode_load(c, 8, BPF_REG_1, BPF_REG_10, s->time);
	bpfcode_store(c, 8, BPF_REG_9, offsetof(struct probe_record, time_ns), BPF_REG_1);
	/* Thread and process at once. */
	bpfcode_store(c, 8, BPF_REG_9, offsetof(struct probe_record, tid), BPF_REG_7);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_8, (int32_t)s->fixed_bytes);
}

void probeprog_sink_commit(struct probeprog_builder *b, const struct probeprog_sink *s)
{
	if (b->env->way == RINGS_MAPPED)
		commit_mapped(b, s);
	else
		commit_message(b, s);
}

void probeprog_sink_count_lost(struct probeprog_builder *b)
{
	const struct proberings_maps *maps = &b->env->maps;
	struct bpfcode *c = &b->code;

	bpfcode_call(c, BPF_FUNC_get_smp_processor_id);
	bpfcode_op_imm(c, BPF_MUL, BPF_REG_0, (int32_t)maps->nr_probes);
	bpfcode_op_imm(c, BPF_ADD, BPF_REG_0, (int32_t)b->index);
	bpfcode_store(c, 4, BPF_REG_10, b->slot, BPF_REG_0);
	look_up(b, maps->lost_fd, b->skip);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_1, 1);
	bpfcode_atomic(c, BPF_ADD, BPF_REG_0, 0, BPF_REG_1);
}
