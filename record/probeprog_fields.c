/*
 * The fields and stacks of a record.  What has no size of its own goes behind the fixed
 * part, at r8, which is masked after each step: the verifier of older kernels forgets
 * what it knew of a number as soon as that is added to another one.
 */
#include "record/probeprog_private.h"

#define COMM_BYTES 16
#define STACK_BYTES (PROBE_MAX_STACK * 8)

static uint32_t round_up_8(uint32_t n)
{
	return (n + 7) & ~7u;
}

static void end_of_record(struct probeprog_builder *b, int dst)
{
	bpfcode_op(&b->code, BPF_MOV, dst, BPF_REG_9);
	bpfcode_op(&b->code, BPF_ADD, dst, BPF_REG_8);
}

/* What the verifier is to believe of a fill. */
static void limit_fill(struct probeprog_builder *b, const struct probeprog_sink *s, int reg)
{
	if (s->compares)
		bpfcode_jump_imm(&b->code, BPF_JGT, reg, (int32_t)s->most_bytes, b->skip);
	else
		bpfcode_op_imm(&b->code, BPF_AND, reg, (int32_t)s->mask);
}

/*
 * r8 += r0, which is at most piece_bytes, filled up to a multiple of 8, with zeros; r0 and
 * r1 are lost.
 */
static void advance(struct probeprog_builder *b, struct probeprog_sink *s, uint32_t piece_bytes)
{
	struct bpfcode *c = &b->code;

	s->most_bytes += round_up_8(piece_bytes);
	if (!s->clean) {
		bpfcode_op(c, BPF_MOV, BPF_REG_1, BPF_REG_8);
		bpfcode_op(c, BPF_ADD, BPF_REG_1, BPF_REG_0);
		limit_fill(b, s, BPF_REG_1);
		bpfcode_op(c, BPF_ADD, BPF_REG_1, BPF_REG_9);
		bpfcode_store_imm(c, 8, BPF_REG_1, 0, 0);
	}
	bpfcode_op_imm(c, BPF_ADD, BPF_REG_0, 7);
	bpfcode_op_imm(c, BPF_AND, BPF_REG_0, -8);
	bpfcode_op(c, BPF_ADD, BPF_REG_8, BPF_REG_0);
	limit_fill(b, s, BPF_REG_8);
}

/*
 * Kernels before 6.6 say 0 of an empty text of the user's, where others count its NUL:
 * r0 becomes at least 1.  A jump would double the verifier's work with each string.
 */
static void count_nul(struct bpfcode *c)
{
	bpfcode_op(c, BPF_MOV, BPF_REG_1, BPF_REG_0);
	bpfcode_op_imm(c, BPF_SUB, BPF_REG_1, 1);
	bpfcode_op_imm(c, BPF_RSH, BPF_REG_1, 63);
	bpfcode_op(c, BPF_ADD, BPF_REG_0, BPF_REG_1);
}

static void emit_string(struct probeprog_builder *b, struct probeprog_sink *s,
			const struct probe_value *v, uint32_t max_bytes, int16_t length_at)
{
	struct bpfcode *c = &b->code;
	int next = bpfcode_label(c);

	probeprog_fetch(b, v, BPF_REG_3);
	end_of_record(b, BPF_REG_1);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_2, (int32_t)max_bytes);
	probeprog_fetch_memory(b, v->space, BPF_FUNC_probe_read_kernel_str, BPF_FUNC_probe_read_user_str);
	bpfcode_store(c, 4, BPF_REG_9, length_at, BPF_REG_0);
	bpfcode_jump_imm(c, BPF_JSLT, BPF_REG_0, 0, next);
	count_nul(c);
	bpfcode_store(c, 4, BPF_REG_9, length_at, BPF_REG_0);
	advance(b, s, max_bytes);
	bpfcode_here(c, next);
}

static void emit_bytes(struct probeprog_builder *b, struct probeprog_sink *s,
		       const struct probe_value *v, uint32_t max_bytes, int16_t length_at)
{
	struct bpfcode *c = &b->code;
	int next = bpfcode_label(c), failed = bpfcode_label(c);

	probeprog_fetch(b, v, BPF_REG_3);
	end_of_record(b, BPF_REG_1);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_2, (int32_t)max_bytes);
	probeprog_fetch_memory(b, v->space, BPF_FUNC_probe_read_kernel, BPF_FUNC_probe_read_user);
	bpfcode_jump_imm(c, BPF_JSLT, BPF_REG_0, 0, failed);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_0, (int32_t)max_bytes);
	bpfcode_store(c, 4, BPF_REG_9, length_at, BPF_REG_0);
	advance(b, s, max_bytes);
	bpfcode_jump(c, next);
	bpfcode_here(c, failed);
	bpfcode_store(c, 4, BPF_REG_9, length_at, BPF_REG_0);
	bpfcode_here(c, next);
}

static void emit_data_location(struct probeprog_builder *b, struct probeprog_sink *s,
			       const struct probe_value *v, uint32_t max_bytes,
			       int16_t length_at)
{
	int16_t location_at = (int16_t)v->steps[v->nr_steps - 1].value;
	struct bpfcode *c = &b->code;
	int fits = bpfcode_label(c), next = bpfcode_label(c), failed = bpfcode_label(c);

	probeprog_fetch(b, v, BPF_REG_3);
	bpfcode_load(c, 4, BPF_REG_2, BPF_REG_6, location_at);
	bpfcode_op_imm(c, BPF_RSH, BPF_REG_2, 16);
	bpfcode_jump_imm(c, BPF_JLE, BPF_REG_2, (int32_t)max_bytes, fits);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_2, (int32_t)max_bytes);
	bpfcode_here(c, fits);
	bpfcode_store(c, 4, BPF_REG_9, length_at, BPF_REG_2);
	bpfcode_jump_imm(c, BPF_JEQ, BPF_REG_2, 0, next);
	end_of_record(b, BPF_REG_1);
	bpfcode_call(c, BPF_FUNC_probe_read_kernel);
	bpfcode_jump_imm(c, BPF_JSLT, BPF_REG_0, 0, failed);
	bpfcode_load(c, 4, BPF_REG_0, BPF_REG_9, length_at);
	advance(b, s, max_bytes);
	bpfcode_jump(c, next);
	bpfcode_here(c, failed);
	bpfcode_store(c, 4, BPF_REG_9, length_at, BPF_REG_0);
	bpfcode_here(c, next);
}

/*
 * The last byte that is not zero ends the name: found by halving, which is cheaper than
 * another call.  The helper fills up with zeros, but before kernel 6.2 not all of it.
 */
static void emit_comm(struct probeprog_builder *b, struct probeprog_sink *s,
		      int16_t length_at)
{
	struct bpfcode *c = &b->code;
	int found = bpfcode_label(c);

	end_of_record(b, BPF_REG_1);
	bpfcode_store_imm(c, 8, BPF_REG_1, 0, 0);
	bpfcode_store_imm(c, 8, BPF_REG_1, 8, 0);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_2, COMM_BYTES);
	bpfcode_call(c, BPF_FUNC_get_current_comm);
	end_of_record(b, BPF_REG_1);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_0, 8);
	bpfcode_load(c, 8, BPF_REG_2, BPF_REG_1, 8);
	bpfcode_jump_imm(c, BPF_JNE, BPF_REG_2, 0, found);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_0, 0);
	bpfcode_load(c, 8, BPF_REG_2, BPF_REG_1, 0);
	bpfcode_here(c, found);
	for (int bytes = 4; bytes; bytes /= 2) {
		int lower = bpfcode_label(c);

		bpfcode_op(c, BPF_MOV, BPF_REG_3, BPF_REG_2);
		bpfcode_op_imm(c, BPF_RSH, BPF_REG_3, 8 * bytes);
		bpfcode_jump_imm(c, BPF_JEQ, BPF_REG_3, 0, lower);
		bpfcode_op_imm(c, BPF_ADD, BPF_REG_0, bytes);
		bpfcode_op(c, BPF_MOV, BPF_REG_2, BPF_REG_3);
		bpfcode_here(c, lower);
	}
	/* One for the last byte, if there is any, and one for the NUL. */
	found = bpfcode_label(c);
	bpfcode_jump_imm(c, BPF_JEQ, BPF_REG_2, 0, found);
	bpfcode_op_imm(c, BPF_ADD, BPF_REG_0, 1);
	bpfcode_here(c, found);
	bpfcode_op_imm(c, BPF_ADD, BPF_REG_0, 1);
	bpfcode_store(c, 4, BPF_REG_9, length_at, BPF_REG_0);
	advance(b, s, COMM_BYTES);
}

static void emit_stack(struct probeprog_builder *b, struct probeprog_sink *s,
		       int32_t flags, uint32_t count_offset)
{
	struct bpfcode *c = &b->code;
	int failed = bpfcode_label(c);

	bpfcode_op(c, BPF_MOV, BPF_REG_1, BPF_REG_6);
	end_of_record(b, BPF_REG_2);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_3, STACK_BYTES);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_4, flags);
	bpfcode_call(c, BPF_FUNC_get_stack);
	bpfcode_jump_imm(c, BPF_JSLT, BPF_REG_0, 0, failed);
	bpfcode_op(c, BPF_ADD, BPF_REG_8, BPF_REG_0);
	s->most_bytes += STACK_BYTES;
	limit_fill(b, s, BPF_REG_8);
	bpfcode_op_imm(c, BPF_RSH, BPF_REG_0, 3);
	bpfcode_here(c, failed);
	bpfcode_store(c, 4, BPF_REG_9, (int16_t)(sizeof(struct probe_record) + count_offset),
		      BPF_REG_0);
}

void probeprog_fields_emit(struct probeprog_builder *b, struct probeprog_sink *s)
{
	const struct probe *p = b->probe;

	for (size_t i = 0; i < p->nr_fields; i++) {
		const struct probe_field *f = &p->fields[i];
		const struct probe_value *v = &b->variant->values[i];
		int16_t at = (int16_t)(sizeof(struct probe_record) + f->offset);

		switch (f->result) {
		case RESULT_STRING:
			emit_string(b, s, v, f->max_bytes, at);
			break;
		case RESULT_BYTES:
			emit_bytes(b, s, v, f->max_bytes, at);
			break;
		case RESULT_DATA_LOC_BYTES:
			emit_data_location(b, s, v, f->max_bytes, at);
			break;
		case RESULT_COMM:
			emit_comm(b, s, at);
			break;
		default:
			probeprog_fetch(b, v, BPF_REG_0);
			bpfcode_store(&b->code, f->size, BPF_REG_9, at, BPF_REG_0);
		}
	}
	if (p->kernel_stack)
		emit_stack(b, s, 0, p->kernel_count_offset);
	if (p->user_stack)
		emit_stack(b, s, BPF_F_USER_STACK, p->user_count_offset);
}

bool probeprog_fields_vary(const struct probe *p)
{
	for (size_t i = 0; i < p->nr_fields; i++)
		if (p->fields[i].result != RESULT_NUMBER)
			return true;
	return p->kernel_stack || p->user_stack;
}

size_t probeprog_fields_pieces_bytes(const struct probe *p)
{
	size_t bytes = (size_t)(p->kernel_stack + p->user_stack) * STACK_BYTES;

	for (size_t i = 0; i < p->nr_fields; i++) {
		if (p->fields[i].result == RESULT_COMM)
			bytes += COMM_BYTES;
		else if (p->fields[i].result != RESULT_NUMBER)
			bytes += round_up_8(p->fields[i].max_bytes);
	}
	return bytes;
}
