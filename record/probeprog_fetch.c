/*
 * How a number or an address is got.  The value under way is in r0; only reads by a
 * helper need more.
 */
#include "record/probeprog_private.h"

#include <stddef.h>

#include "record/spanmaps.h"
#include "record/tally.h"

/* Arguments and registers; the verifier wants 8 bytes where that is how they lie. */
static bool context_is_words(const struct probeprog_builder *b)
{
	return b->variant->prog_type != BPF_PROG_TYPE_TRACEPOINT;
}

static void load_context(struct probeprog_builder *b, const struct fetch_step *s)
{
	struct bpfcode *c = &b->code;

	if (context_is_words(b) && s->value % 8 == 0) {
		bpfcode_load(c, 8, BPF_REG_0, BPF_REG_6, (int16_t)s->value);
	} else {
		bpfcode_load(c, s->size, BPF_REG_0, BPF_REG_6, (int16_t)s->value);
		if (s->is_signed)
			bpfcode_extend(c, BPF_REG_0, s->size, true);
		return;
	}
	if (s->size < 8)
		bpfcode_forget(c, BPF_REG_0);
	bpfcode_extend(c, BPF_REG_0, s->size, s->is_signed);
}

/* r0 + a constant; numbers of any size. */
static void add_constant(struct bpfcode *c, int64_t value)
{
	if (!value)
		return;
	if (value == (int32_t)value) {
		bpfcode_op_imm(c, BPF_ADD, BPF_REG_0, (int32_t)value);
	} else {
		bpfcode_const(c, BPF_REG_1, (uint64_t)value);
		bpfcode_op(c, BPF_ADD, BPF_REG_0, BPF_REG_1);
	}
}

static void load_memory(struct probeprog_builder *b, const struct fetch_step *s)
{
	bool kernel = s->op == FETCH_KERNEL;
	struct bpfcode *c = &b->code;

	add_constant(c, s->value);
	bpfcode_op(c, BPF_MOV, BPF_REG_3, BPF_REG_0);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_2, s->size);
	bpfcode_op(c, BPF_MOV, BPF_REG_1, BPF_REG_10);
	bpfcode_op_imm(c, BPF_ADD, BPF_REG_1, b->slot);
	/* It clears what it cannot read. */
	bpfcode_call(c, kernel ? BPF_FUNC_probe_read_kernel : BPF_FUNC_probe_read_user);
	bpfcode_load(c, s->size, BPF_REG_0, BPF_REG_10, b->slot);
	if (s->is_signed)
		bpfcode_extend(c, BPF_REG_0, s->size, true);
}

/* The verifier may want to see that the pointer is not NULL. */
static void load_typed(struct probeprog_builder *b, const struct fetch_step *s)
{
	struct bpfcode *c = &b->code;
	int load = bpfcode_label(c), done = bpfcode_label(c);

	bpfcode_jump_imm(c, BPF_JNE, BPF_REG_0, 0, load);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_0, 0);
	bpfcode_jump(c, done);
	bpfcode_here(c, load);
	bpfcode_load(c, s->size, BPF_REG_0, BPF_REG_0, (int16_t)s->value);
	if (s->is_signed)
		bpfcode_extend(c, BPF_REG_0, s->size, true);
	bpfcode_here(c, done);
}

/* Its lower half is the distance of the data, its upper half their length. */
static void data_location(struct probeprog_builder *b, const struct fetch_step *s)
{
	struct bpfcode *c = &b->code;

	bpfcode_load(c, 4, BPF_REG_0, BPF_REG_6, (int16_t)s->value);
	bpfcode_op_imm(c, BPF_AND, BPF_REG_0, 0xffff);
	/* A relative one counts from behind itself. */
	if (s->op == FETCH_REL_LOC)
		bpfcode_op_imm(c, BPF_ADD, BPF_REG_0, (int32_t)s->value + 4);
	bpfcode_op(c, BPF_MOV, BPF_REG_1, BPF_REG_6);
	bpfcode_op(c, BPF_ADD, BPF_REG_1, BPF_REG_0);
	bpfcode_op(c, BPF_MOV, BPF_REG_0, BPF_REG_1);
	bpfcode_forget(c, BPF_REG_0);
}

static void extract_bits(struct bpfcode *c, const struct fetch_step *s)
{
	int left = 64 - s->shift - s->size, right = 64 - s->size;

	if (left > 0)
		bpfcode_op_imm(c, BPF_LSH, BPF_REG_0, left);
	if (right > 0)
		bpfcode_op_imm(c, s->is_signed ? BPF_ARSH : BPF_RSH, BPF_REG_0, right);
}

static void fetch_identity(struct probeprog_builder *b, const struct fetch_step *s)
{
	struct bpfcode *c = &b->code;

	switch (s->op) {
	case FETCH_PID:
		bpfcode_op(c, BPF_MOV, BPF_REG_0, BPF_REG_7);
		bpfcode_op_imm(c, BPF_RSH, BPF_REG_0, 32);
		break;
	case FETCH_TID:
		bpfcode_op32(c, BPF_MOV, BPF_REG_0, BPF_REG_7);
		break;
	case FETCH_UID:
		bpfcode_call(c, BPF_FUNC_get_current_uid_gid);
		bpfcode_op32(c, BPF_MOV, BPF_REG_0, BPF_REG_0);
		break;
	case FETCH_GID:
		bpfcode_call(c, BPF_FUNC_get_current_uid_gid);
		bpfcode_op_imm(c, BPF_RSH, BPF_REG_0, 32);
		break;
	case FETCH_CPU:
		bpfcode_call(c, BPF_FUNC_get_smp_processor_id);
		break;
	case FETCH_CGROUP:
		bpfcode_call(c, BPF_FUNC_get_current_cgroup_id);
		break;
	case FETCH_CURRENT:
		bpfcode_call(c, BPF_FUNC_get_current_task);
		break;
	case FETCH_FUNC_IP:
		bpfcode_op(c, BPF_MOV, BPF_REG_1, BPF_REG_6);
		bpfcode_call(c, BPF_FUNC_get_func_ip);
		break;
	}
}

static void fetch_age(struct probeprog_builder *b)
{
	struct bpfcode *c = &b->code;
	int done = bpfcode_label(c);

	bpfcode_jump_imm(c, BPF_JEQ, BPF_REG_0, 0, done);
	bpfcode_store(c, 8, BPF_REG_10, b->slot, BPF_REG_0);
	bpfcode_call(c, BPF_FUNC_ktime_get_ns);
	bpfcode_load(c, 8, BPF_REG_1, BPF_REG_10, b->slot);
	bpfcode_op(c, BPF_SUB, BPF_REG_0, BPF_REG_1);
	bpfcode_here(c, done);
}

/* What was kept of the start of a span lies as in a record. */
static void fetch_start(struct probeprog_builder *b, const struct fetch_step *s)
{
	struct bpfcode *c = &b->code;

	bpfcode_load(c, 8, BPF_REG_0, BPF_REG_10, b->start);
	bpfcode_load(c, s->size, BPF_REG_0, BPF_REG_0,
		     (int16_t)(offsetof(struct spanmaps_start, data) + (size_t)s->value));
	if (s->is_signed)
		bpfcode_extend(c, BPF_REG_0, s->size, true);
}

static void fetch_step(struct probeprog_builder *b, const struct fetch_step *s)
{
	struct bpfcode *c = &b->code;

	switch (s->op) {
	case FETCH_CTX:
		load_context(b, s);
		break;
	case FETCH_CTX_ADDRESS:
		bpfcode_op(c, BPF_MOV, BPF_REG_0, BPF_REG_6);
		bpfcode_op_imm(c, BPF_ADD, BPF_REG_0, (int32_t)s->value);
		bpfcode_forget(c, BPF_REG_0);
		break;
	case FETCH_ADD_CTX:
		bpfcode_load(c, 8, BPF_REG_1, BPF_REG_6, (int16_t)s->value);
		bpfcode_forget(c, BPF_REG_1);
		if (s->shift)
			bpfcode_op_imm(c, BPF_LSH, BPF_REG_1, s->shift);
		bpfcode_op(c, BPF_ADD, BPF_REG_0, BPF_REG_1);
		break;
	case FETCH_DATA_LOC:
	case FETCH_REL_LOC:
		data_location(b, s);
		break;
	case FETCH_CONSTANT:
		bpfcode_const(c, BPF_REG_0, (uint64_t)s->value);
		break;
	case FETCH_ADD:
		add_constant(c, s->value);
		break;
	case FETCH_KERNEL:
	case FETCH_USER:
		load_memory(b, s);
		break;
	case FETCH_TYPED:
		load_typed(b, s);
		break;
	case FETCH_BITS:
		extract_bits(c, s);
		break;
	case FETCH_AGE:
		fetch_age(b);
		break;
	case FETCH_KERNEL_STACK:
		tallyprog_stack(b, 0);
		break;
	case FETCH_USER_STACK:
		tallyprog_stack(b, BPF_F_USER_STACK);
		break;
	case FETCH_START:
		fetch_start(b, s);
		break;
	case FETCH_DURATION:
		bpfcode_load(c, 8, BPF_REG_0, BPF_REG_10, b->duration);
		break;
	default:
		fetch_identity(b, s);
	}
}

static void fetch_steps(struct probeprog_builder *b, const struct fetch_step *steps, uint32_t nr)
{
	bool typed = b->variant->prog_type == BPF_PROG_TYPE_TRACING;

	for (uint32_t i = 0; i < nr; i++) {
		const struct fetch_step *s = &steps[i];
		bool next_is_typed = i + 1 < nr && s[1].op == FETCH_TYPED;

		if (s->op == FETCH_IF_EQUAL) {
			int other = bpfcode_label(&b->code), done = bpfcode_label(&b->code);

			bpfcode_jump_imm(&b->code, BPF_JNE, BPF_REG_0, (int32_t)s->value, other);
			fetch_steps(b, s + 1, s->size);
			bpfcode_jump(&b->code, done);
			bpfcode_here(&b->code, other);
			fetch_steps(b, s + 1 + s->size, nr - i - 1 - s->size);
			bpfcode_here(&b->code, done);
			return;
		}
		fetch_step(b, s);
		/* With a pointer that may be NULL no arithmetic is allowed. */
		if (typed && (s->op == FETCH_CTX || s->op == FETCH_TYPED) && s->size == 8 &&
		    !next_is_typed)
			bpfcode_forget(&b->code, BPF_REG_0);
	}
}

void probeprog_fetch(struct probeprog_builder *b, const struct probe_value *v, int dst)
{
	fetch_steps(b, v->steps, v->nr_steps);
	if (!v->nr_steps)
		bpfcode_op_imm(&b->code, BPF_MOV, BPF_REG_0, 0);
	if (dst != BPF_REG_0)
		bpfcode_op(&b->code, BPF_MOV, dst, BPF_REG_0);
}

void probeprog_fetch_memory(struct probeprog_builder *b, enum probe_space space, int of_kernel,
			    int of_user)
{
	struct bpfcode *c = &b->code;
	int kernel, done;

	if (space != SPACE_ANY) {
		bpfcode_call(c, space == SPACE_KERNEL ? of_kernel : of_user);
		return;
	}
	kernel = bpfcode_label(c);
	done = bpfcode_label(c);
	bpfcode_jump_imm(c, BPF_JSLT, BPF_REG_3, 0, kernel);
	bpfcode_call(c, of_user);
	bpfcode_jump(c, done);
	bpfcode_here(c, kernel);
	bpfcode_call(c, of_kernel);
	bpfcode_here(c, done);
}
