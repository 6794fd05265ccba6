/*
 * The two sides of a span.  The start leaves its time, its thread and its part of the
 * record in a table (record/spanmaps.h); the end takes it from there.  While the start
 * is written, r9 is the entry, or the place on the BPF stack where it is put together,
 * and r8 the number of bytes of it that are filled: as in a record.
 *
 * What has no size of its own would need a place of its own first, so such an entry is
 * inserted empty and written in place.  Two starts of one key at once, which no end
 * could tell apart, may then mix: the reader of records never believes a length.
 */
#include "record/probeprog_private.h"

#include <errno.h>
#include <stddef.h>

#include "record/spanmaps.h"
#include "record/tally.h"

#define MAX_STACK_START 200	/* put together on the program's stack of 512 bytes */
#define AT(member) ((int16_t)offsetof(struct spanmaps_start, member))
#define IMAGE_OFFSET (sizeof(struct spanmaps_start) + 8)	/* behind the duration */

_Static_assert(sizeof(struct spanmaps_start) == sizeof(struct probe_record),
	       "a start lies as in a record");

static uint32_t fixed_bytes(const struct probe_span *span)
{
	return (uint32_t)IMAGE_OFFSET + span->image_bytes;
}

/* --- tables ------------------------------------------------------------------------------- */

struct span_side {
	const struct probe_span *span;
	struct spanmaps_table table;
	int16_t key;		/* slot of the stack */
};

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

static void build_key(struct probeprog_builder *b, struct span_side *side)
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

/* r1 = the table, r2 = the address of the key. */
static void point_at_key(struct probeprog_builder *b, const struct span_side *side)
{
	bpfcode_map(&b->code, BPF_REG_1, side->table.fd);
	bpfcode_op(&b->code, BPF_MOV, BPF_REG_2, BPF_REG_10);
	bpfcode_op_imm(&b->code, BPF_ADD, BPF_REG_2, side->key);
}

static void call_lookup(struct probeprog_builder *b, const struct span_side *side)
{
	point_at_key(b, side);
	bpfcode_call(&b->code, BPF_FUNC_map_lookup_elem);
}

static void add_one(struct probeprog_builder *b, int to)
{
	bpfcode_op_imm(&b->code, BPF_MOV, BPF_REG_2, 1);
	bpfcode_atomic(&b->code, BPF_ADD, to, 0, BPF_REG_2);
}

/* r1 and r2 are lost. */
static void count(struct probeprog_builder *b, const struct span_side *side, uint32_t what)
{
	bpfcode_map_value(&b->code, BPF_REG_1, side->table.counts_fd,
			  b->index * SPANMAPS_COUNTS_BYTES + 8 * what);
	add_one(b, BPF_REG_1);
}

/* For the probe whose start it was; the entry is in r0 and stays there. */
static void count_replaced(struct probeprog_builder *b, const struct span_side *side)
{
	struct bpfcode *c = &b->code;

	if (!side->table.is_shared) {
		count(b, side, SPANMAPS_REPLACED);
		return;
	}
	bpfcode_load(c, 4, BPF_REG_3, BPF_REG_0, AT(probe));
	bpfcode_op_imm(c, BPF_AND, BPF_REG_3, (int32_t)side->table.counts_mask);
	bpfcode_op_imm(c, BPF_MUL, BPF_REG_3, SPANMAPS_COUNTS_BYTES);
	bpfcode_map_value(c, BPF_REG_1, side->table.counts_fd, 8 * SPANMAPS_REPLACED);
	bpfcode_op(c, BPF_ADD, BPF_REG_1, BPF_REG_3);
	add_one(b, BPF_REG_1);
}

/* --- what waits --------------------------------------------------------------------------- */

/* Goes on with the start in b->start, or to none. */
static void find_start(struct probeprog_builder *b, const struct span_side *side, int none)
{
	struct bpfcode *c = &b->code;

	call_lookup(b, side);
	bpfcode_jump_imm(c, BPF_JEQ, BPF_REG_0, 0, none);
	b->start = probeprog_stack(b, 8);
	bpfcode_store(c, 8, BPF_REG_10, b->start, BPF_REG_0);
	bpfcode_load(c, 8, BPF_REG_1, BPF_REG_0, AT(time_ns));
	bpfcode_jump_imm(c, BPF_JEQ, BPF_REG_1, 0, none);
	if (side->table.is_shared) {
		bpfcode_load(c, 4, BPF_REG_1, BPF_REG_0, AT(probe));
		bpfcode_jump_imm(c, BPF_JNE, BPF_REG_1, (int32_t)b->index, none);
	}
	/* One that ended may have had the number that another process's thread has now. */
	if (side->span->by_thread) {
		bpfcode_load(c, 8, BPF_REG_1, BPF_REG_0, AT(task));
		bpfcode_jump_if(c, BPF_JNE, BPF_REG_1, BPF_REG_7, none);
	}
}

static void free_start(struct probeprog_builder *b, const struct span_side *side, int next)
{
	struct bpfcode *c = &b->code;
	int remove = bpfcode_label(c);

	if (side->table.stays) {
		bpfcode_load(c, 8, BPF_REG_1, BPF_REG_10, b->start);
		bpfcode_load(c, 8, BPF_REG_2, BPF_REG_1, SPANMAPS_STAYS_OFFSET);
		bpfcode_jump_imm(c, BPF_JEQ, BPF_REG_2, 0, remove);
		bpfcode_store_imm(c, 8, BPF_REG_1, AT(time_ns), 0);
		bpfcode_jump(c, next);
		bpfcode_here(c, remove);
	}
	point_at_key(b, side);
	bpfcode_call(c, BPF_FUNC_map_delete_elem);
	bpfcode_jump(c, next);
}

/* Leaves if the hit is no start or end at all: it takes nobody's start away. */
static int require_condition(struct probeprog_builder *b, struct diag *d)
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

/* --- the start ---------------------------------------------------------------------------- */

/*
 * The entry in r0 is new: unless there are enough of those already, it stays.  Its thread
 * is noted once, for the sweeper.
 */
static void let_stay(struct probeprog_builder *b, const struct span_side *side, int enough)
{
	const struct spanmaps_table *t = &side->table;
	struct bpfcode *c = &b->code;

	bpfcode_store(c, 8, BPF_REG_0, AT(task), BPF_REG_7);
	bpfcode_map_value(c, BPF_REG_1, t->counts_fd, t->staying_offset);
	bpfcode_load(c, 8, BPF_REG_2, BPF_REG_1, 0);
	bpfcode_jump_imm(c, BPF_JGE, BPF_REG_2, (int32_t)t->most_staying, enough);
	add_one(b, BPF_REG_1);
	bpfcode_store_imm(c, 8, BPF_REG_0, SPANMAPS_STAYS_OFFSET, 1);
}

/* r9 = the entry of the key, inserted if there is none, without a time. */
static void enter_in_place(struct probeprog_builder *b, const struct span_side *side, int no_room)
{
	struct bpfcode *c = &b->code;
	int found = bpfcode_label(c), ready = bpfcode_label(c);

	call_lookup(b, side);
	bpfcode_jump_imm(c, BPF_JNE, BPF_REG_0, 0, found);
	point_at_key(b, side);
	bpfcode_map_value(c, BPF_REG_3, side->table.zeros_fd, 0);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_4, BPF_NOEXIST);
	bpfcode_call(c, BPF_FUNC_map_update_elem);
	call_lookup(b, side);
	bpfcode_jump_imm(c, BPF_JEQ, BPF_REG_0, 0, no_room);
	if (side->table.stays)
		let_stay(b, side, ready);
	bpfcode_jump(c, ready);
	bpfcode_here(c, found);
	bpfcode_load(c, 8, BPF_REG_1, BPF_REG_0, AT(time_ns));
	bpfcode_jump_imm(c, BPF_JEQ, BPF_REG_1, 0, ready);
	bpfcode_store_imm(c, 8, BPF_REG_0, AT(time_ns), 0);
	count_replaced(b, side);
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

static void insert_from_stack(struct probeprog_builder *b, const struct span_side *side,
			      int no_room)
{
	struct bpfcode *c = &b->code;

	for (int again = 0; again < 2; again++) {
		point_at_key(b, side);
		bpfcode_op(c, BPF_MOV, BPF_REG_3, BPF_REG_9);
		bpfcode_op_imm(c, BPF_MOV, BPF_REG_4, again ? BPF_ANY : BPF_NOEXIST);
		bpfcode_call(c, BPF_FUNC_map_update_elem);
		bpfcode_jump_imm(c, BPF_JEQ, BPF_REG_0, 0, b->skip);
		if (again)
			break;
		/* The kernel calls the map's own function, which returns an int. */
		bpfcode_extend(c, BPF_REG_0, 4, true);
		bpfcode_jump_imm(c, BPF_JNE, BPF_REG_0, -EEXIST, no_room);
		count(b, side, SPANMAPS_REPLACED);
	}
}

/* Fields, thread, and last the time, so that the span is without what all that costs. */
static void write_start(struct probeprog_builder *b, const struct span_side *side, bool varies)
{
	const struct spanmaps_table *t = &side->table;
	struct bpfcode *c = &b->code;
	struct probeprog_sink sink = {
		.varies = varies, .compares = true,
		.fixed_bytes = fixed_bytes(side->span), .most_bytes = fixed_bytes(side->span),
	};

	if (varies)
		bpfcode_op_imm(c, BPF_MOV, BPF_REG_8, (int32_t)sink.fixed_bytes);
	probeprog_fields_emit(b, &sink);
	if (varies) {
		bpfcode_op_imm(c, BPF_SUB, BPF_REG_8, (int32_t)sink.fixed_bytes);
		bpfcode_store(c, 4, BPF_REG_9, AT(var_bytes), BPF_REG_8);
	}
	if (t->is_shared)
		bpfcode_store_imm(c, 4, BPF_REG_9, AT(probe), (int32_t)b->index);
	bpfcode_store(c, 8, BPF_REG_9, AT(task), BPF_REG_7);
	bpfcode_call(c, BPF_FUNC_ktime_get_ns);
	bpfcode_store(c, 8, BPF_REG_9, AT(time_ns), BPF_REG_0);
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

static void replace_unwanted(struct probeprog_builder *b, struct span_side *side, int unwanted)
{
	bpfcode_here(&b->code, unwanted);
	build_key(b, side);
	find_start(b, side, b->skip);
	count_replaced(b, side);
	free_start(b, side, b->skip);
}

int probeprog_span_start(struct probeprog_builder *b, const struct probe_span *span,
			 struct diag *d)
{
	bool varies = probeprog_fields_vary(span->start);
	struct span_side side = { .span = span };
	struct bpfcode *c = &b->code;
	int no_room = bpfcode_label(c), unwanted = bpfcode_label(c);
	int err = require_condition(b, d);
	int16_t top;

	if (!err)
		err = choose_start(b, span, unwanted, d);
	if (err)
		return err;
	top = b->stack_top;
	spanmaps_table(b->env->spans, b->index, &side.table);
	build_key(b, &side);
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
	count(b, &side, SPANMAPS_NO_ROOM);
	bpfcode_jump(c, b->skip);
	/* Its room on the stack is that of the other way. */
	b->stack_top = top;
	if (unwanted_replace(span))
		replace_unwanted(b, &side, unwanted);
	bpfcode_here(c, b->lost);
	return 0;
}

/* --- the end ------------------------------------------------------------------------------ */

/* Whether the thread is one to be recorded was asked at the start, if it is the same. */
static void require_target(struct probeprog_builder *b, const struct probe_span *span)
{
	if (span->end_is_anyones)
		return;
	if (span->by_thread)
		probeprog_target_require_cpu(b);
	else
		probeprog_target_require(b);
}

static void require_duration(struct probeprog_builder *b, const struct probe_span *span)
{
	struct bpfcode *c = &b->code;

	if (span->min_ns) {
		bpfcode_const(c, BPF_REG_2, span->min_ns);
		bpfcode_jump_if(c, BPF_JLT, BPF_REG_1, BPF_REG_2, b->skip);
	}
	if (span->max_ns) {
		bpfcode_const(c, BPF_REG_2, span->max_ns);
		bpfcode_jump_if(c, BPF_JGT, BPF_REG_1, BPF_REG_2, b->skip);
	}
}

static void measure(struct probeprog_builder *b, const struct probe_span *span,
		    const struct probeprog_sink *sink, int backwards)
{
	struct bpfcode *c = &b->code;

	b->duration = probeprog_stack(b, 8);
	bpfcode_load(c, 8, BPF_REG_1, BPF_REG_10, sink->time);
	bpfcode_load(c, 8, BPF_REG_2, BPF_REG_10, b->start);
	bpfcode_load(c, 8, BPF_REG_2, BPF_REG_2, AT(time_ns));
	bpfcode_op(c, BPF_SUB, BPF_REG_1, BPF_REG_2);
	bpfcode_jump_imm(c, BPF_JSLT, BPF_REG_1, 0, backwards);
	bpfcode_store(c, 8, BPF_REG_10, b->duration, BPF_REG_1);
	require_duration(b, span);
}

/* Behind the fixed part of the record: the pieces of the start. */
static void copy_pieces(struct probeprog_builder *b, const struct probe_span *span,
			struct probeprog_sink *sink)
{
	uint32_t bytes = (uint32_t)probeprog_fields_pieces_bytes(span->start);
	struct bpfcode *c = &b->code;
	int none = bpfcode_label(c);

	bpfcode_load(c, 8, BPF_REG_3, BPF_REG_10, b->start);
	bpfcode_load(c, 4, BPF_REG_2, BPF_REG_3, AT(var_bytes));
	bpfcode_jump_imm(c, BPF_JEQ, BPF_REG_2, 0, none);
	bpfcode_jump_imm(c, BPF_JGT, BPF_REG_2, (int32_t)bytes, none);
	bpfcode_op_imm(c, BPF_ADD, BPF_REG_3, (int32_t)fixed_bytes(span));
	bpfcode_op(c, BPF_MOV, BPF_REG_1, BPF_REG_9);
	bpfcode_op(c, BPF_ADD, BPF_REG_1, BPF_REG_8);
	bpfcode_op(c, BPF_ADD, BPF_REG_8, BPF_REG_2);
	bpfcode_op_imm(c, BPF_AND, BPF_REG_8, (int32_t)(sink->mask & ~7u));
	bpfcode_call(c, BPF_FUNC_probe_read_kernel);
	bpfcode_here(c, none);
}

static void write_record(struct probeprog_builder *b, const struct span_side *side,
			 struct probeprog_sink *sink)
{
	const struct probe_span *span = side->span;
	struct bpfcode *c = &b->code;

	probeprog_sink_reserve(b, sink);
	bpfcode_load(c, 8, BPF_REG_1, BPF_REG_10, b->duration);
	bpfcode_store(c, 8, BPF_REG_9, sizeof(struct probe_record) + PROBE_DURATION_OFFSET,
		      BPF_REG_1);
	bpfcode_load(c, 8, BPF_REG_3, BPF_REG_10, b->start);
	if (!span->task_of_end && !span->by_thread) {
		bpfcode_load(c, 8, BPF_REG_1, BPF_REG_3, AT(task));
		bpfcode_store(c, 8, BPF_REG_9, offsetof(struct probe_record, tid), BPF_REG_1);
	}
	for (uint32_t at = IMAGE_OFFSET; at < fixed_bytes(span); at += 8) {
		bpfcode_load(c, 8, BPF_REG_1, BPF_REG_3, (int16_t)at);
		bpfcode_store(c, 8, BPF_REG_9, (int16_t)at, BPF_REG_1);
	}
	if (probeprog_fields_vary(span->start))
		copy_pieces(b, span, sink);
	probeprog_fields_emit(b, sink);
	probeprog_sink_commit(b, sink);
}

/* An end whose start was left out, since it was someone else's, says nothing. */
static bool tells_of_ends(const struct probeprog_builder *b, const struct probe_span *span)
{
	const struct probeprog_target *t = &b->env->target;
	bool all = t->traced_fd < 0 && t->traced_tids_fd < 0 && t->cgroup_fd < 0;

	return !span->starts_are_chosen && !t->cpus && (span->by_thread || all);
}

int probeprog_span_end(struct probeprog_builder *b, struct diag *d)
{
	const struct probe_span *span = b->probe->span;
	struct span_side side = { .span = span };
	struct bpfcode *c = &b->code;
	struct probeprog_sink sink = {
		.varies = probeprog_fields_vary(b->probe) || probeprog_fields_vary(span->start),
		.fixed_bytes = (uint32_t)(sizeof(struct probe_record) + b->probe->fixed_bytes + 7) &
			       ~7u,
		.max_bytes = (uint32_t)probeprog_max_bytes(b->probe),
	};
	int leave = b->skip, drop = bpfcode_label(c), none = bpfcode_label(c);
	int backwards = bpfcode_label(c), err = require_condition(b, d);

	if (err)
		return err;
	spanmaps_table(b->env->spans, b->index, &side.table);
	build_key(b, &side);
	find_start(b, &side, none);
	b->skip = drop;
	require_target(b, span);
	probeprog_sink_begin(b, &sink);
	measure(b, span, &sink, backwards);
	err = b->probe->filter ? probeprog_filter(b, d) : 0;
	if (err)
		return err;
	if (b->tally)
		tallyprog_emit(b);
	else
		write_record(b, &side, &sink);
	bpfcode_here(c, drop);
	free_start(b, &side, leave);
	b->skip = leave;
	bpfcode_here(c, none);
	if (tells_of_ends(b, span)) {
		if (!span->end_is_anyones)
			probeprog_target_require(b);
		count(b, &side, SPANMAPS_NO_START);
	}
	bpfcode_jump(c, leave);
	bpfcode_here(c, backwards);
	count(b, &side, SPANMAPS_BACKWARDS);
	bpfcode_jump(c, drop);
	if (!b->tally) {
		bpfcode_here(c, b->lost);
		b->skip = drop;
		probeprog_sink_count_lost(b);
		b->skip = leave;
		bpfcode_jump(c, drop);
	}
	return 0;
}
