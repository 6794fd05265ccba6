/*
 * The key of a hit, and what is measured of it.
 */
#include "record/tallyprog_private.h"

#include <errno.h>
#include <stddef.h>

#include "record/spanmaps.h"
#include "record/tally.h"
#include "record/tallymaps.h"

#define COMM_BYTES 16
/* What was kept of the start of a span lies as in a record. */
#define START_OFFSET(offset) ((int16_t)(offsetof(struct spanmaps_start, data) + (offset)))
#define START_IMAGE ((int32_t)(offsetof(struct spanmaps_start, data) + 8))

static const struct probe_field *field_of(const struct probe *p, const struct tally_field *f)
{
	return f->of_start ? &p->span->start->fields[f->index] : &p->fields[f->index];
}

/* r0 = the number as a reader of its record would see it. */
static void fetch_number(struct probeprog_builder *b, const struct tally_field *f)
{
	const struct probe_field *field = field_of(b->probe, f);
	struct probe_value kept = {
		.steps = { { .op = FETCH_START, .size = field->size,
			     .is_signed = field->is_signed, .value = field->offset } },
		.nr_steps = 1,
	};

	probeprog_fetch(b, f->of_start ? &kept : &b->variant->values[f->index], BPF_REG_0);
	bpfcode_extend(&b->code, BPF_REG_0, field->size, field->is_signed);
}

static void clear(struct bpfcode *c, int16_t at, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i += 8)
		bpfcode_store_imm(c, 8, BPF_REG_10, (int16_t)(at + (int)i), 0);
}

static void key_address(struct bpfcode *c, int16_t at)
{
	bpfcode_op(c, BPF_MOV, BPF_REG_1, BPF_REG_10);
	bpfcode_op_imm(c, BPF_ADD, BPF_REG_1, at);
}

/* Reads to the key; what cannot be read is zero. */
static void read_memory(struct probeprog_builder *b, const struct tally_field *f, int16_t at)
{
	const struct probe_value *v = &b->variant->values[f->index];
	bool text = v->result == RESULT_STRING;
	int of_kernel = text ? BPF_FUNC_probe_read_kernel_str : BPF_FUNC_probe_read_kernel;
	int of_user = text ? BPF_FUNC_probe_read_user_str : BPF_FUNC_probe_read_user;
	uint32_t bytes = text ? f->key_bytes : field_of(b->probe, f)->max_bytes;
	struct bpfcode *c = &b->code;

	clear(c, at, f->key_bytes);
	probeprog_fetch(b, v, BPF_REG_3);
	key_address(c, at);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_2, (int32_t)bytes);
	probeprog_fetch_memory(b, v->space, of_kernel, of_user);
}

/*
 * A text of the start of a span: behind the fixed part of what was kept of it, after
 * those of the fields before; r0 becomes its address.
 */
static void find_start_text(struct probeprog_builder *b, const struct tally_field *f)
{
	const struct probe_span *span = b->probe->span;
	struct bpfcode *c = &b->code;

	bpfcode_load(c, 8, BPF_REG_0, BPF_REG_10, b->start);
	bpfcode_op(c, BPF_MOV, BPF_REG_2, BPF_REG_0);
	bpfcode_forget(c, BPF_REG_2);
	bpfcode_op_imm(c, BPF_ADD, BPF_REG_2, START_IMAGE + (int32_t)span->image_bytes);
	for (uint32_t i = 0; i < f->index; i++) {
		const struct probe_field *before = &span->start->fields[i];
		int none = bpfcode_label(c);

		if (before->result == RESULT_NUMBER)
			continue;
		bpfcode_load(c, 4, BPF_REG_1, BPF_REG_0, START_OFFSET(before->offset));
		bpfcode_extend(c, BPF_REG_1, 4, true);
		bpfcode_jump_imm(c, BPF_JSLT, BPF_REG_1, 0, none);
		bpfcode_op_imm(c, BPF_ADD, BPF_REG_1, 7);
		bpfcode_op_imm(c, BPF_AND, BPF_REG_1, -8);
		bpfcode_op(c, BPF_ADD, BPF_REG_2, BPF_REG_1);
		bpfcode_here(c, none);
	}
}

/* Nothing, if it could not be read at the start: nothing stands there then. */
static void read_start_text(struct probeprog_builder *b, const struct tally_field *f, int16_t at)
{
	const struct probe_field *field = field_of(b->probe, f);
	bool text = field->result != RESULT_BYTES;
	uint32_t bytes = text ? f->key_bytes : field->max_bytes;
	struct bpfcode *c = &b->code;
	int unread = bpfcode_label(c), fits = bpfcode_label(c);

	clear(c, at, f->key_bytes);
	find_start_text(b, f);
	bpfcode_op(c, BPF_MOV, BPF_REG_3, BPF_REG_2);
	bpfcode_load(c, 4, BPF_REG_2, BPF_REG_0, START_OFFSET(field->offset));
	bpfcode_extend(c, BPF_REG_2, 4, true);
	bpfcode_jump_imm(c, BPF_JSLT, BPF_REG_2, 0, unread);
	bpfcode_jump_imm(c, BPF_JLE, BPF_REG_2, (int32_t)bytes, fits);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_2, (int32_t)bytes);
	bpfcode_here(c, fits);
	key_address(c, at);
	bpfcode_call(c, text ? BPF_FUNC_probe_read_kernel_str : BPF_FUNC_probe_read_kernel);
	bpfcode_here(c, unread);
}

static void read_comm(struct bpfcode *c, int16_t at)
{
	/* Before kernel 6.2 the helper does not fill all of it up with zeros. */
	clear(c, at, COMM_BYTES);
	key_address(c, at);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_2, COMM_BYTES);
	bpfcode_call(c, BPF_FUNC_get_current_comm);
}

static void call_get_stackid(struct probeprog_builder *b, int map_fd, uint64_t flags)
{
	bpfcode_op(&b->code, BPF_MOV, BPF_REG_1, BPF_REG_6);
	bpfcode_map(&b->code, BPF_REG_2, map_fd);
	bpfcode_const(&b->code, BPF_REG_3, flags);
	bpfcode_call(&b->code, BPF_FUNC_get_stackid);
}

void tallyprog_stack(struct probeprog_builder *b, uint64_t flags)
{
	const struct tallymaps *m = b->tally->maps;
	struct bpfcode *c = &b->code;
	int done = bpfcode_label(c);

	call_get_stackid(b, m->stacks_fd[0], flags);
	bpfcode_jump_imm(c, BPF_JNE, BPF_REG_0, -EEXIST, done);
	call_get_stackid(b, m->stacks_fd[1], flags);
	bpfcode_jump_imm(c, BPF_JSLT, BPF_REG_0, 0, done);
	bpfcode_op_imm(c, BPF_OR, BPF_REG_0, TALLYMAPS_SECOND_STACK);
	bpfcode_here(c, done);
}

void tallyprog_key(struct probeprog_builder *b, int16_t key, int lost)
{
	const struct tally *t = b->probe->tally;
	struct bpfcode *c = &b->code;

	if (t->maps->key_skip)
		bpfcode_store_imm(c, 8, BPF_REG_10, key, (int32_t)t->owner);
	key = (int16_t)(key + (int)t->maps->key_skip);
	for (size_t i = 0; i < t->nr_by; i++) {
		const struct tally_field *f = &t->by[i];
		const struct probe_field *field = field_of(b->probe, f);
		int16_t at = (int16_t)(key + (int)f->key_offset);

		if (field->result == RESULT_NUMBER) {
			fetch_number(b, f);
			/* No room for the stack: it would be taken for another one. */
			if (field->is_stack)
				bpfcode_jump_imm(c, BPF_JEQ, BPF_REG_0, -EEXIST, lost);
			bpfcode_store(c, 8, BPF_REG_10, at, BPF_REG_0);
		} else if (f->of_start) {
			read_start_text(b, f, at);
		} else if (field->result == RESULT_COMM) {
			read_comm(c, at);
		} else {
			read_memory(b, f, at);
		}
	}
}

void tallyprog_value(struct probeprog_builder *b)
{
	static const struct probe_value duration = {
		.steps = { { .op = FETCH_DURATION } }, .nr_steps = 1,
	};
	const struct tally *t = b->probe->tally;

	if (t->measure == TALLY_DURATION)
		probeprog_fetch(b, &duration, BPF_REG_0);
	else
		fetch_number(b, &t->value);
	bpfcode_op(&b->code, BPF_MOV, BPF_REG_9, BPF_REG_0);
}
