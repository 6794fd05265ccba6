/* The program of a span's end: it takes what the start left and makes it a record or a tally. */
#include "record/spanprog_private.h"

#include "record/tally.h"

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
	bpfcode_load(c, 8, BPF_REG_2, BPF_REG_2, SPANPROG_AT(time_ns));
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
	bpfcode_load(c, 4, BPF_REG_2, BPF_REG_3, SPANPROG_AT(var_bytes));
	bpfcode_jump_imm(c, BPF_JEQ, BPF_REG_2, 0, none);
	bpfcode_jump_imm(c, BPF_JGT, BPF_REG_2, (int32_t)bytes, none);
	bpfcode_op_imm(c, BPF_ADD, BPF_REG_3, (int32_t)spanprog_fixed_bytes(span));
	bpfcode_op(c, BPF_MOV, BPF_REG_1, BPF_REG_9);
	bpfcode_op(c, BPF_ADD, BPF_REG_1, BPF_REG_8);
	bpfcode_op(c, BPF_ADD, BPF_REG_8, BPF_REG_2);
	bpfcode_op_imm(c, BPF_AND, BPF_REG_8, (int32_t)(sink->mask & ~7u));
	bpfcode_call(c, BPF_FUNC_probe_read_kernel);
	bpfcode_here(c, none);
}

static void write_record(struct probeprog_builder *b, const struct spanprog *side,
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
		bpfcode_load(c, 8, BPF_REG_1, BPF_REG_3, SPANPROG_AT(task));
		bpfcode_store(c, 8, BPF_REG_9, offsetof(struct probe_record, tid), BPF_REG_1);
	}
	for (uint32_t at = SPANPROG_IMAGE_OFFSET; at < spanprog_fixed_bytes(span); at += 8) {
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

int spanprog_end(struct probeprog_builder *b, struct diag *d)
{
	const struct probe_span *span = b->probe->span;
	struct spanprog side = { .span = span };
	struct bpfcode *c = &b->code;
	struct probeprog_sink sink = {
		.varies = probeprog_fields_vary(b->probe) || probeprog_fields_vary(span->start),
		.fixed_bytes = (uint32_t)(sizeof(struct probe_record) + b->probe->fixed_bytes + 7) &
			       ~7u,
		.max_bytes = (uint32_t)probeprog_max_bytes(b->probe),
	};
	int leave = b->skip, drop = bpfcode_label(c), none = bpfcode_label(c);
	int backwards = bpfcode_label(c), err = spanprog_require(b, d);

	if (err)
		return err;
	spanmaps_table(b->env->spans, b->index, &side.table);
	spanprog_key(b, &side);
	spanprog_find(b, &side, none);
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
	spanprog_free(b, &side, leave);
	b->skip = leave;
	bpfcode_here(c, none);
	if (tells_of_ends(b, span)) {
		if (!span->end_is_anyones)
			probeprog_target_require(b);
		spanprog_count(b, &side, SPANMAPS_NO_START);
	}
	bpfcode_jump(c, leave);
	bpfcode_here(c, backwards);
	spanprog_count(b, &side, SPANMAPS_BACKWARDS);
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
