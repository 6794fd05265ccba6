/*
 * What waits of a span under its key, as the programs of both sides see it: the key, its
 * entry, what is counted of it, and whether the hit is a side of the span at all.
 */
#include "record/spanprog_private.h"

uint32_t spanprog_fixed_bytes(const struct probe_span *span)
{
	return (uint32_t)SPANPROG_IMAGE_OFFSET + span->image_bytes;
}

/* Each CPU has an idle thread of its own; their number is 0. */
static void tell_idle_threads(struct probeprog_builder *b)
{
	struct bpfcode *c = &b->code;
	int busy = bpfcode_label(c);

	bpfcode_jump_imm(c, BPF_JNE, BPF_REG_0, 0, busy);
	bpfcode_call(c, BPF_FUNC_get_smp_processor_id);
	bpfcode_const(c, BPF_REG_1, SPANMAPS_IDLE_THREAD);
	bpfcode_op(c, BPF_OR, BPF_REG_0, BPF_REG_1);
	bpfcode_here(c, busy);
}

void spanprog_key(struct probeprog_builder *b, struct spanprog *side)
{
	side->key = probeprog_stack(b, 8 * side->table.nr_keys);
	for (uint32_t i = 0; i < side->table.nr_keys; i++) {
		const struct probe_value *v = &b->variant->keys[i];

		probeprog_fetch(b, v, BPF_REG_0);
		if (side->span->by_thread && v->nr_steps == 1 && v->steps[0].op == FETCH_TID)
			tell_idle_threads(b);
		bpfcode_store(&b->code, 8, BPF_REG_10, (int16_t)(side->key + 8 * (int)i),
			      BPF_REG_0);
	}
}

void spanprog_point_at_key(struct probeprog_builder *b, const struct spanprog *side)
{
	bpfcode_map(&b->code, BPF_REG_1, side->table.fd);
	bpfcode_op(&b->code, BPF_MOV, BPF_REG_2, BPF_REG_10);
	bpfcode_op_imm(&b->code, BPF_ADD, BPF_REG_2, side->key);
}

void spanprog_look_up(struct probeprog_builder *b, const struct spanprog *side)
{
	spanprog_point_at_key(b, side);
	bpfcode_call(&b->code, BPF_FUNC_map_lookup_elem);
}

void spanprog_add_one(struct probeprog_builder *b, int to)
{
	bpfcode_op_imm(&b->code, BPF_MOV, BPF_REG_2, 1);
	bpfcode_atomic(&b->code, BPF_ADD, to, 0, BPF_REG_2);
}

void spanprog_count(struct probeprog_builder *b, const struct spanprog *side, uint32_t what)
{
	bpfcode_map_value(&b->code, BPF_REG_1, side->table.counts_fd,
			  b->index * SPANMAPS_COUNTS_BYTES + 8 * what);
	spanprog_add_one(b, BPF_REG_1);
}

void spanprog_count_replaced(struct probeprog_builder *b, const struct spanprog *side)
{
	struct bpfcode *c = &b->code;

	if (!side->table.is_shared) {
		spanprog_count(b, side, SPANMAPS_REPLACED);
		return;
	}
	bpfcode_load(c, 4, BPF_REG_3, BPF_REG_0, SPANPROG_AT(probe));
	bpfcode_op_imm(c, BPF_AND, BPF_REG_3, (int32_t)side->table.counts_mask);
	bpfcode_op_imm(c, BPF_MUL, BPF_REG_3, SPANMAPS_COUNTS_BYTES);
	bpfcode_map_value(c, BPF_REG_1, side->table.counts_fd, 8 * SPANMAPS_REPLACED);
	bpfcode_op(c, BPF_ADD, BPF_REG_1, BPF_REG_3);
	spanprog_add_one(b, BPF_REG_1);
}

void spanprog_find(struct probeprog_builder *b, const struct spanprog *side, int none)
{
	struct bpfcode *c = &b->code;

	spanprog_look_up(b, side);
	bpfcode_jump_imm(c, BPF_JEQ, BPF_REG_0, 0, none);
	b->start = probeprog_stack(b, 8);
	bpfcode_store(c, 8, BPF_REG_10, b->start, BPF_REG_0);
	bpfcode_load(c, 8, BPF_REG_1, BPF_REG_0, SPANPROG_AT(time_ns));
	bpfcode_jump_imm(c, BPF_JEQ, BPF_REG_1, 0, none);
	if (side->table.is_shared) {
		bpfcode_load(c, 4, BPF_REG_1, BPF_REG_0, SPANPROG_AT(probe));
		bpfcode_jump_imm(c, BPF_JNE, BPF_REG_1, (int32_t)b->index, none);
	}
	/* One that ended may have had the number that another process's thread has now. */
	if (side->span->by_thread) {
		bpfcode_load(c, 8, BPF_REG_1, BPF_REG_0, SPANPROG_AT(task));
		bpfcode_jump_if(c, BPF_JNE, BPF_REG_1, BPF_REG_7, none);
	}
}

void spanprog_free(struct probeprog_builder *b, const struct spanprog *side, int next)
{
	struct bpfcode *c = &b->code;
	int remove = bpfcode_label(c);

	if (side->table.stays) {
		bpfcode_load(c, 8, BPF_REG_1, BPF_REG_10, b->start);
		bpfcode_load(c, 8, BPF_REG_2, BPF_REG_1, SPANMAPS_STAYS_OFFSET);
		bpfcode_jump_imm(c, BPF_JEQ, BPF_REG_2, 0, remove);
		bpfcode_store_imm(c, 8, BPF_REG_1, SPANPROG_AT(time_ns), 0);
		bpfcode_jump(c, next);
		bpfcode_here(c, remove);
	}
	spanprog_point_at_key(b, side);
	bpfcode_call(c, BPF_FUNC_map_delete_elem);
	bpfcode_jump(c, next);
}

int spanprog_require(struct probeprog_builder *b, struct diag *d)
{
	const struct probe *whole = b->probe;
	const struct probe_variant *variant = b->variant;
	struct probe p = *whole;
	struct probe_variant v = *variant;
	int err;

	if (!whole->condition)
		return 0;
	p.filter = whole->condition;
	v.filter_values = variant->condition_values;
	b->probe = &p;
	b->variant = &v;
	err = probeprog_filter(b, d);
	b->probe = whole;
	b->variant = variant;
	return err;
}
