/*
 * The program of a span's start: it leaves its time, its thread and its part of the
 * record in a table.  Meanwhile r9 is the entry, or the place on the BPF stack where it is
 * put together, and r8 the number of bytes of it that are filled: as in a record.
 *
 * What has no size of its own would need a place of its own first, so such an entry is
 * inserted empty and written in place.  Two starts of one key at once, which no end
 * could tell apart, may then mix: the reader of records never believes a length.
 */
#include "record/spanprog_private.h"

#include <errno.h>

#define MAX_STACK_START 200	/* put together on the program's stack of 512 bytes */

/*
 * The entry in r0 is new: unless there are enough of those already, it stays.  Its thread
 * is noted once, for the sweeper.
 */
static void let_stay(struct probeprog_builder *b, const struct spanprog *side, int enough)
{
	const struct spanmaps_table *t = &side->table;
	struct bpfcode *c = &b->code;

	bpfcode_store(c, 8, BPF_REG_0, SPANPROG_AT(task), BPF_REG_7);
	bpfcode_map_value(c, BPF_REG_1, t->counts_fd, t->staying_offset);
	bpfcode_load(c, 8, BPF_REG_2, BPF_REG_1, 0);
	bpfcode_jump_imm(c, BPF_JGE, BPF_REG_2, (int32_t)t->most_staying, enough);
	spanprog_add_one(b, BPF_REG_1);
	bpfcode_store_imm(c, 8, BPF_REG_0, SPANMAPS_STAYS_OFFSET, 1);
}

/* r9 = the entry of the key, inserted if there is none, without a time. */
static void enter_in_place(struct probeprog_builder *b, const struct spanprog *side, int no_room)
{
	struct bpfcode *c = &b->code;
	int found = bpfcode_label(c), ready = bpfcode_label(c);

	spanprog_look_up(b, side);
	bpfcode_jump_imm(c, BPF_JNE, BPF_REG_0, 0, found);
	spanprog_point_at_key(b, side);
	bpfcode_map_value(c, BPF_REG_3, side->table.zeros_fd, 0);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_4, BPF_NOEXIST);
	bpfcode_call(c, BPF_FUNC_map_update_elem);
	spanprog_look_up(b, side);
	bpfcode_jump_imm(c, BPF_JEQ, BPF_REG_0, 0, no_room);
	if (side->table.stays)
		let_stay(b, side, ready);
	bpfcode_jump(c, ready);
	bpfcode_here(c, found);
	bpfcode_load(c, 8, BPF_REG_1, BPF_REG_0, SPANPROG_AT(time_ns));
	bpfcode_jump_imm(c, BPF_JEQ, BPF_REG_1, 0, ready);
	bpfcode_store_imm(c, 8, BPF_REG_0, SPANPROG_AT(time_ns), 0);
	spanprog_count_replaced(b, side);
	bpfcode_here(c, ready);
	bpfcode_op(c, BPF_MOV, BPF_REG_9, BPF_REG_0);
}

/* r9 = room on the stack, all zero. */
static void enter_on_stack(struct probeprog_builder *b, uint32_t bytes)
{
	struct bpfcode *c = &b->code;
	int16_t base = probeprog_stack(b, bytes);

	bpfcode_op(c, BPF_MOV, BPF_REG_9, BPF_REG_10);
	bpfcode_op_imm(c, BPF_ADD, BPF_REG_9, base);
	for (uint32_t at = 0; at < bytes; at += 8)
		bpfcode_store_imm(c, 8, BPF_REG_9, (int16_t)at, 0);
}

static void insert_from_stack(struct probeprog_builder *b, const struct spanprog *side,
			      int no_room)
{
	struct bpfcode *c = &b->code;

	for (int again = 0; again < 2; again++) {
		spanprog_point_at_key(b, side);
		bpfcode_op(c, BPF_MOV, BPF_REG_3, BPF_REG_9);
		bpfcode_op_imm(c, BPF_MOV, BPF_REG_4, again ? BPF_ANY : BPF_NOEXIST);
		bpfcode_call(c, BPF_FUNC_map_update_elem);
		bpfcode_jump_imm(c, BPF_JEQ, BPF_REG_0, 0, b->skip);
		if (again)
			break;
		/* The kernel calls the map's own function, which returns an int. */
		bpfcode_extend(c, BPF_REG_0, 4, true);
		bpfcode_jump_imm(c, BPF_JNE, BPF_REG_0, -EEXIST, no_room);
		spanprog_count(b, side, SPANMAPS_REPLACED);
	}
}

/* Fields, thread, and last the time, so that the span is without what all that costs. */
static void write_start(struct probeprog_builder *b, const struct spanprog *side, bool varies)
{
	const struct spanmaps_table *t = &side->table;
	struct bpfcode *c = &b->code;
	struct probeprog_sink sink = {
		.varies = varies, .compares = true,
		.fixed_bytes = spanprog_fixed_bytes(side->span),
		.most_bytes = spanprog_fixed_bytes(side->span),
	};

	if (varies)
		bpfcode_op_imm(c, BPF_MOV, BPF_REG_8, (int32_t)sink.fixed_bytes);
	probeprog_fields_emit(b, &sink);
	if (varies) {
		bpfcode_op_imm(c, BPF_SUB, BPF_REG_8, (int32_t)sink.fixed_bytes);
		bpfcode_store(c, 4, BPF_REG_9, SPANPROG_AT(var_bytes), BPF_REG_8);
	}
	if (t->is_shared)
		bpfcode_store_imm(c, 4, BPF_REG_9, SPANPROG_AT(probe), (int32_t)b->index);
	bpfcode_store(c, 8, BPF_REG_9, SPANPROG_AT(task), BPF_REG_7);
	bpfcode_call(c, BPF_FUNC_ktime_get_ns);
	bpfcode_store(c, 8, BPF_REG_9, SPANPROG_AT(time_ns), BPF_REG_0);
}

/*
 * A start that the filter turns down is one all the same: what waits under its key is not
 * the start of the next end.  Calls of the kernel alone never leave a start behind.
 */
static bool unwanted_replace(const struct probe_span *span)
{
	return span->starts_are_chosen && !span->family;
}

/* Leaves to `unwanted` if only the filter says no. */
static int choose_start(struct probeprog_builder *b, const struct probe_span *span, int unwanted,
			struct diag *d)
{
	int leave = b->skip, err;

	if (!unwanted_replace(span) && !span->start_is_anyones)
		return probeprog_choose(b, d);
	if (!span->start_is_anyones)
		probeprog_target_require(b);
	b->skip = unwanted_replace(span) ? unwanted : leave;
	err = probeprog_filter(b, d);
	b->skip = leave;
	return err;
}

static void replace_unwanted(struct probeprog_builder *b, struct spanprog *side, int unwanted)
{
	bpfcode_here(&b->code, unwanted);
	spanprog_key(b, side);
	spanprog_find(b, side, b->skip);
	spanprog_count_replaced(b, side);
	spanprog_free(b, side, b->skip);
}

int spanprog_start(struct probeprog_builder *b, const struct probe_span *span,
			 struct diag *d)
{
	bool varies = probeprog_fields_vary(span->start);
	struct spanprog side = { .span = span };
	struct bpfcode *c = &b->code;
	int no_room = bpfcode_label(c), unwanted = bpfcode_label(c);
	int err = spanprog_require(b, d);
	int16_t top;

	if (!err)
		err = choose_start(b, span, unwanted, d);
	if (err)
		return err;
	top = b->stack_top;
	spanmaps_table(b->env->spans, b->index, &side.table);
	spanprog_key(b, &side);
	if (side.table.stays || varies || side.table.value_bytes > MAX_STACK_START) {
		enter_in_place(b, &side, no_room);
		write_start(b, &side, varies);
		bpfcode_jump(c, b->skip);
	} else {
		enter_on_stack(b, side.table.value_bytes);
		write_start(b, &side, false);
		insert_from_stack(b, &side, no_room);
	}
	bpfcode_here(c, no_room);
	spanprog_count(b, &side, SPANMAPS_NO_ROOM);
	bpfcode_jump(c, b->skip);
	/* Its room on the stack is that of the other way. */
	b->stack_top = top;
	if (unwanted_replace(span))
		replace_unwanted(b, &side, unwanted);
	bpfcode_here(c, b->lost);
	return 0;
}
