#include "record/probeprog_private.h"

#include <stddef.h>

/* Leaves unless the map has the key (32 bits, in r0) with a value other than 0. */
static void require_in_map(struct probeprog_builder *b, int map_fd)
{
	struct bpfcode *c = &b->code;

	bpfcode_store(c, 4, BPF_REG_10, b->slot, BPF_REG_0);
	bpfcode_map(c, BPF_REG_1, map_fd);
	bpfcode_op(c, BPF_MOV, BPF_REG_2, BPF_REG_10);
	bpfcode_op_imm(c, BPF_ADD, BPF_REG_2, b->slot);
	bpfcode_call(c, BPF_FUNC_map_lookup_elem);
	bpfcode_jump_imm(c, BPF_JEQ, BPF_REG_0, 0, b->skip);
	bpfcode_load(c, 1, BPF_REG_0, BPF_REG_0, 0);
	bpfcode_jump_imm(c, BPF_JEQ, BPF_REG_0, 0, b->skip);
}

/* One comparison for each run of neighbours. */
void probeprog_target_require_cpu(struct probeprog_builder *b)
{
	const struct probeprog_target *t = &b->env->target;
	struct bpfcode *c = &b->code;
	int chosen;

	if (!t->cpus)
		return;
	chosen = bpfcode_label(c);
	bpfcode_call(c, BPF_FUNC_get_smp_processor_id);
	for (size_t i = 0, last; i < t->nr_cpus; i = last + 1) {
		for (last = i; last + 1 < t->nr_cpus && t->cpus[last + 1] == t->cpus[last] + 1;)
			last++;
		bpfcode_op(c, BPF_MOV, BPF_REG_1, BPF_REG_0);
		bpfcode_op_imm(c, BPF_SUB, BPF_REG_1, t->cpus[i]);
		/* Unsigned, so that what lies before the run is far behind it. */
		bpfcode_jump_imm(c, BPF_JLE, BPF_REG_1, (int32_t)(last - i), chosen);
	}
	bpfcode_jump(c, b->skip);
	bpfcode_here(c, chosen);
}

static void require_cgroup(struct probeprog_builder *b)
{
	struct bpfcode *c = &b->code;

	bpfcode_map(c, BPF_REG_1, b->env->target.cgroup_fd);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_2, 0);
	bpfcode_call(c, BPF_FUNC_current_task_under_cgroup);
	bpfcode_jump_imm(c, BPF_JNE, BPF_REG_0, 1, b->skip);
}

void probeprog_target_identify(struct probeprog_builder *b)
{
	struct bpfcode *c = &b->code;

	bpfcode_call(c, BPF_FUNC_get_current_pid_tgid);
	bpfcode_op(c, BPF_MOV, BPF_REG_7, BPF_REG_0);
	if (b->variant->prog_type == BPF_PROG_TYPE_PERF_EVENT && !b->env->target.idle)
		bpfcode_jump_imm(c, BPF_JEQ, BPF_REG_7, 0, b->skip);
}

static void process_id(struct bpfcode *c)
{
	bpfcode_op(c, BPF_MOV, BPF_REG_0, BPF_REG_7);
	bpfcode_op_imm(c, BPF_RSH, BPF_REG_0, 32);
}

/* Samples are what an interrupt finds: of them it says nothing. */
static bool knows_irqs(const struct probeprog_builder *b)
{
	return b->env->target.irqs.way != IRQCONTEXT_UNKNOWN && !b->variant->sleepable &&
	       b->variant->prog_type != BPF_PROG_TYPE_PERF_EVENT;
}

/*
 * What the recorder does would be recorded for ever.  An interrupt that comes while it
 * runs is no doing of its own: it belongs to a request of somebody else, or to nobody.
 */
static void leave_out_recorder(struct probeprog_builder *b)
{
	const struct probeprog_target *t = &b->env->target;
	struct bpfcode *c = &b->code;
	int wanted = bpfcode_label(c);

	process_id(c);
	bpfcode_jump_imm(c, BPF_JNE, BPF_REG_0, (int32_t)t->not_pid, wanted);
	if (knows_irqs(b))
		irqcontext_jump(c, &t->irqs, b->variant, b->slot, wanted);
	bpfcode_jump(c, b->skip);
	bpfcode_here(c, wanted);
}

void probeprog_target_require(struct probeprog_builder *b)
{
	const struct probeprog_target *t = &b->env->target;
	struct bpfcode *c = &b->code;

	if (t->not_pid)
		leave_out_recorder(b);
	if (t->traced_fd >= 0) {
		process_id(c);
		require_in_map(b, t->traced_fd);
	}
	if (t->traced_tids_fd >= 0) {
		bpfcode_op(c, BPF_MOV, BPF_REG_0, BPF_REG_7);
		require_in_map(b, t->traced_tids_fd);
	}
	probeprog_target_require_cpu(b);
	if (t->cgroup_fd >= 0)
		require_cgroup(b);
}
