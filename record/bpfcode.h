/*
 * An assembler for BPF: appends instructions to a growing program, with labels for
 * jumps.  The first error (memory, too long, a jump too far or to an open label)
 * sticks and bpfcode_finish() tells it.
 */
#ifndef RECORD_BPFCODE_H
#define RECORD_BPFCODE_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bpfcode {
	struct bpf_insn *insns;
	size_t nr, cap;
	size_t *labels;			/* by label: instruction, SIZE_MAX while open */
	size_t nr_labels, cap_labels;
	struct bpfcode_jump *jumps;	/* to be patched */
	size_t nr_jumps, cap_jumps;
	int err;
};

void bpfcode_init(struct bpfcode *c);
void bpfcode_release(struct bpfcode *c);

/* Registers are BPF_REG_0 ...; op is BPF_ADD, BPF_MOV, ... on 64 bits. */
void bpfcode_op(struct bpfcode *c, int op, int dst, int src);
void bpfcode_op_imm(struct bpfcode *c, int op, int dst, int32_t imm);
void bpfcode_op32(struct bpfcode *c, int op, int dst, int src);
void bpfcode_op32_imm(struct bpfcode *c, int op, int dst, int32_t imm);
/* dst = any 64-bit constant, in one instruction or two. */
void bpfcode_const(struct bpfcode *c, int dst, uint64_t value);
/* size: bytes, 1 2 4 8 */
void bpfcode_load(struct bpfcode *c, unsigned int size, int dst, int src, int16_t offset);
void bpfcode_store(struct bpfcode *c, unsigned int size, int dst, int16_t offset, int src);
void bpfcode_store_imm(struct bpfcode *c, unsigned int size, int dst, int16_t offset,
		       int32_t imm);
/* BPF_ADD, BPF_XCHG, BPF_CMPXCHG (with r0) ... as BPF_STX | BPF_ATOMIC on 8 bytes. */
void bpfcode_atomic(struct bpfcode *c, int op, int dst, int16_t offset, int src);
/* Extends dst from size bytes. */
void bpfcode_extend(struct bpfcode *c, int dst, unsigned int size, bool is_signed);
/* dst keeps its number, but the verifier forgets what kind of pointer it was. */
void bpfcode_forget(struct bpfcode *c, int dst);
void bpfcode_map(struct bpfcode *c, int dst, int map_fd);
void bpfcode_map_value(struct bpfcode *c, int dst, int map_fd, uint32_t offset);
/* dst = what BTF knows under this id: a variable of the kernel. */
void bpfcode_type(struct bpfcode *c, int dst, uint32_t id);
void bpfcode_call(struct bpfcode *c, int helper);
void bpfcode_exit(struct bpfcode *c);

int bpfcode_label(struct bpfcode *c);		/* a new one, open */
void bpfcode_here(struct bpfcode *c, int label);	/* it is the next instruction */
void bpfcode_jump(struct bpfcode *c, int label);
/* op: BPF_JEQ, BPF_JSGT, BPF_JSET ... */
void bpfcode_jump_if(struct bpfcode *c, int op, int dst, int src, int label);
void bpfcode_jump_imm(struct bpfcode *c, int op, int dst, int32_t imm, int label);

/* Patches the jumps.  0 or the first error. */
int bpfcode_finish(struct bpfcode *c);

#endif
