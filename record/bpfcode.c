#include "record/bpfcode.h"

#include <errno.h>
#include <stdlib.h>

#define MAX_INSNS 65536
#define OPEN SIZE_MAX

struct bpfcode_jump {
	size_t insn;
	int label;
};

/* The list with room for one more, or NULL: the error sticks, and the list is as it was. */
static void *grow(struct bpfcode *c, void *list, size_t nr, size_t *cap, size_t elem_bytes)
{
	size_t more = *cap ? *cap * 2 : 64;
	void *bigger;

	if (c->err)
		return NULL;
	if (nr < *cap)
		return list;
	bigger = nr < MAX_INSNS ? realloc(list, more * elem_bytes) : NULL;
	if (bigger)
		*cap = more;
	else
		c->err = nr < MAX_INSNS ? -ENOMEM : -E2BIG;
	return bigger;
}

static void emit(struct bpfcode *c, int code, int dst, int src, int16_t off, int32_t imm)
{
	struct bpf_insn *insns = grow(c, c->insns, c->nr, &c->cap, sizeof(*insns));

	if (!insns)
		return;
	c->insns = insns;
	c->insns[c->nr++] = (struct bpf_insn){
		.code = (__u8)code, .dst_reg = (__u8)(dst & 15), .src_reg = (__u8)(src & 15),
		.off = off, .imm = imm,
	};
}

static int size_code(struct bpfcode *c, unsigned int size)
{
	switch (size) {
	case 1: return BPF_B;
	case 2: return BPF_H;
	case 4: return BPF_W;
	case 8: return BPF_DW;
	}
	if (!c->err)
		c->err = -EINVAL;
	return BPF_DW;
}

void bpfcode_init(struct bpfcode *c)
{
	*c = (struct bpfcode){ 0 };
}

void bpfcode_release(struct bpfcode *c)
{
	free(c->insns);
	free(c->labels);
	free(c->jumps);
	*c = (struct bpfcode){ 0 };
}

/* --- arithmetic and constants ------------------------------------------------------ */

void bpfcode_op(struct bpfcode *c, int op, int dst, int src)
{
	emit(c, BPF_ALU64 | op | BPF_X, dst, src, 0, 0);
}

void bpfcode_op_imm(struct bpfcode *c, int op, int dst, int32_t imm)
{
	emit(c, BPF_ALU64 | op | BPF_K, dst, 0, 0, imm);
}

void bpfcode_op32(struct bpfcode *c, int op, int dst, int src)
{
	emit(c, BPF_ALU | op | BPF_X, dst, src, 0, 0);
}

void bpfcode_op32_imm(struct bpfcode *c, int op, int dst, int32_t imm)
{
	emit(c, BPF_ALU | op | BPF_K, dst, 0, 0, imm);
}

static void load_imm64(struct bpfcode *c, int dst, int pseudo, uint32_t low, uint32_t high)
{
	emit(c, BPF_LD | BPF_DW | BPF_IMM, dst, pseudo, 0, (int32_t)low);
	emit(c, 0, 0, 0, 0, (int32_t)high);
}

void bpfcode_const(struct bpfcode *c, int dst, uint64_t value)
{
	/* An immediate operand is extended with its sign. */
	if ((uint64_t)(int64_t)(int32_t)value == value)
		bpfcode_op_imm(c, BPF_MOV, dst, (int32_t)value);
	else if (value == (uint32_t)value)
		bpfcode_op32_imm(c, BPF_MOV, dst, (int32_t)value);
	else
		load_imm64(c, dst, 0, (uint32_t)value, (uint32_t)(value >> 32));
}

void bpfcode_extend(struct bpfcode *c, int dst, unsigned int size, bool is_signed)
{
	int bits = 64 - 8 * (int)size;

	if (size == 8)
		return;
	if (is_signed) {
		bpfcode_op_imm(c, BPF_LSH, dst, bits);
		bpfcode_op_imm(c, BPF_ARSH, dst, bits);
	} else if (size == 4) {
		/* Operations on 32 bits clear the upper half. */
		bpfcode_op32(c, BPF_MOV, dst, dst);
	} else {
		bpfcode_op_imm(c, BPF_AND, dst, (1 << (8 * size)) - 1);
	}
}

void bpfcode_forget(struct bpfcode *c, int dst)
{
	/* "To the byte order the machine has": the verifier loses track, the machine does nothing. */
	int order = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? BPF_TO_LE : BPF_TO_BE;

	emit(c, BPF_ALU | BPF_END | order, dst, 0, 0, 64);
}

/* --- memory and maps ----------------------------------------------------------------- */

void bpfcode_load(struct bpfcode *c, unsigned int size, int dst, int src, int16_t offset)
{
	emit(c, BPF_LDX | BPF_MEM | size_code(c, size), dst, src, offset, 0);
}

void bpfcode_store(struct bpfcode *c, unsigned int size, int dst, int16_t offset, int src)
{
	emit(c, BPF_STX | BPF_MEM | size_code(c, size), dst, src, offset, 0);
}

void bpfcode_store_imm(struct bpfcode *c, unsigned int size, int dst, int16_t offset,
		       int32_t imm)
{
	emit(c, BPF_ST | BPF_MEM | size_code(c, size), dst, 0, offset, imm);
}

void bpfcode_atomic(struct bpfcode *c, int op, int dst, int16_t offset, int src)
{
	emit(c, BPF_STX | BPF_ATOMIC | BPF_DW, dst, src, offset, op);
}

void bpfcode_map(struct bpfcode *c, int dst, int map_fd)
{
	load_imm64(c, dst, BPF_PSEUDO_MAP_FD, (uint32_t)map_fd, 0);
}

void bpfcode_map_value(struct bpfcode *c, int dst, int map_fd, uint32_t offset)
{
	load_imm64(c, dst, BPF_PSEUDO_MAP_VALUE, (uint32_t)map_fd, offset);
}

void bpfcode_type(struct bpfcode *c, int dst, uint32_t id)
{
	load_imm64(c, dst, BPF_PSEUDO_BTF_ID, id, 0);
}

/* --- control --------------------------------------------------------------------------- */

void bpfcode_call(struct bpfcode *c, int helper)
{
	emit(c, BPF_JMP | BPF_CALL, 0, 0, 0, helper);
}

void bpfcode_exit(struct bpfcode *c)
{
	emit(c, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

int bpfcode_label(struct bpfcode *c)
{
	size_t *labels = grow(c, c->labels, c->nr_labels, &c->cap_labels, sizeof(*labels));

	if (!labels)
		return 0;
	c->labels = labels;
	c->labels[c->nr_labels] = OPEN;
	return (int)c->nr_labels++;
}

void bpfcode_here(struct bpfcode *c, int label)
{
	if (!c->err)
		c->labels[label] = c->nr;
}

static void note_jump(struct bpfcode *c, int label)
{
	struct bpfcode_jump *jumps = grow(c, c->jumps, c->nr_jumps, &c->cap_jumps,
					  sizeof(*jumps));

	if (!jumps)
		return;
	c->jumps = jumps;
	c->jumps[c->nr_jumps++] = (struct bpfcode_jump){ c->nr, label };
}

void bpfcode_jump(struct bpfcode *c, int label)
{
	note_jump(c, label);
	emit(c, BPF_JMP | BPF_JA, 0, 0, 0, 0);
}

void bpfcode_jump_if(struct bpfcode *c, int op, int dst, int src, int label)
{
	note_jump(c, label);
	emit(c, BPF_JMP | op | BPF_X, dst, src, 0, 0);
}

void bpfcode_jump_imm(struct bpfcode *c, int op, int dst, int32_t imm, int label)
{
	note_jump(c, label);
	emit(c, BPF_JMP | op | BPF_K, dst, 0, 0, imm);
}

int bpfcode_finish(struct bpfcode *c)
{
	for (size_t i = 0; !c->err && i < c->nr_jumps; i++) {
		const struct bpfcode_jump *jump = &c->jumps[i];
		size_t target = c->labels[jump->label];
		long distance = (long)target - (long)jump->insn - 1;

		if (target == OPEN)
			c->err = -EINVAL;
		else if (distance < INT16_MIN || distance > INT16_MAX)
			c->err = -E2BIG;
		else
			c->insns[jump->insn].off = (__s16)distance;
	}
	return c->err;
}
