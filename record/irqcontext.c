#include "record/irqcontext.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stddef.h>
#include <sys/user.h>
#include <unistd.h>

#include "record/btfpath.h"
#include "record/btftypes.h"

/*
 * Bits of the count, from include/linux/preempt.h of Linux.  Bit 8 says that a soft
 * interrupt is served; those above it, that somebody holds them off.
 */
#define IN_SOFT UINT32_C(0x00000100)
#define IN_HARD UINT32_C(0x000f0000)
#define IN_NMI UINT32_C(0x00f00000)
/* What a breakpoint in the kernel adds: one of each. */
#define TRAP UINT32_C(0x00110000)

/* Where x86 keeps it from Linux 6.2 to 6.14. */
#define HOT "pcpu_hot"
#define HOT_COUNT "preempt_count"

/* --- where it is ----------------------------------------------------------------------------- */

static int find_variable(struct cpuvar *count)
{
	int err = cpuvar_find_typed(count, "__preempt_count", NULL);

	return err == -ENOENT ? cpuvar_find_typed(count, HOT, HOT_COUNT) : err;
}

static int find_symbol(struct cpuvar *count)
{
	int err = cpuvar_find_symbol(count, "__preempt_count", NULL);

	return err == -ENOENT ? cpuvar_find_symbol(count, HOT, HOT_COUNT) : err;
}

static int find_in_task(struct irqcontext *i, const struct btftypes *types)
{
	struct probe_value v;

	if (btfpath_curtask(types, "curtask->thread_info." HOT_COUNT, &v, NULL) ||
	    v.nr_steps != 2 || v.steps[1].op != FETCH_KERNEL)
		return -ENOENT;
	i->task_offset = (uint32_t)v.steps[1].value;
	return 0;
}

/* Kernels built without the names of data (CONFIG_KALLSYMS_ALL) find none of the above. */
static int find_stack(struct irqcontext *i, const struct btftypes *types)
{
#ifdef __x86_64__
	/* As large as that of a thread. */
	uint32_t id = btftypes_find(types, "irq_stack", BTF_KIND_STRUCT);

	i->stack_bytes = (uint32_t)btftypes_size(types, id);
#else
	(void)types;
#endif
	return i->stack_bytes ? 0 : -ENOENT;
}

/* --- attempts --------------------------------------------------------------------------------- */

static int load(const struct irqcontext *i)
{
	const struct probe_variant v = { .prog_type = BPF_PROG_TYPE_RAW_TRACEPOINT };
	struct bpfcode c;
	int end, err, fd;

	bpfcode_init(&c);
	end = bpfcode_label(&c);
	bpfcode_op(&c, BPF_MOV, BPF_REG_6, BPF_REG_1);
	irqcontext_jump(&c, i, &v, -8, end);
	bpfcode_here(&c, end);
	bpfcode_op_imm(&c, BPF_MOV, BPF_REG_0, 0);
	bpfcode_exit(&c);
	err = bpfcode_finish(&c);
	if (!err) {
		fd = bpf_prog_load((enum bpf_prog_type)v.prog_type, "kymo_try", "GPL", c.insns,
				   c.nr, NULL);
		err = fd < 0 ? fd : 0;
		if (fd >= 0)
			close(fd);
	}
	bpfcode_release(&c);
	return err;
}

int irqcontext_try(struct irqcontext *out, enum irqcontext_way way)
{
	struct btftypes *types = NULL;
	int err;

	*out = (struct irqcontext){ .way = way };
	if (btftypes_get(&types, NULL, NULL))
		types = NULL;
	switch (way) {
	case IRQCONTEXT_VARIABLE:
		err = find_variable(&out->count);
		break;
	case IRQCONTEXT_TASK:
		err = types ? find_in_task(out, types) : -ENOENT;
		break;
	case IRQCONTEXT_SYMBOL:
		err = find_symbol(&out->count);
		break;
	case IRQCONTEXT_STACK:
		err = types ? find_stack(out, types) : -ENOENT;
		break;
	default:
		err = -ENOENT;
	}
	btftypes_put(types);
	if (!err)
		err = load(out);
	if (err)
		*out = (struct irqcontext){ 0 };
	return err;
}

int irqcontext_find(struct irqcontext *out)
{
	int err = irqcontext_try(out, IRQCONTEXT_VARIABLE);
	bool no_symbol = err == -ENXIO;		/* and /proc/kallsyms is long */

	if (err)
		err = irqcontext_try(out, IRQCONTEXT_TASK);
	if (err && !no_symbol)
		err = irqcontext_try(out, IRQCONTEXT_SYMBOL);
	return err ? irqcontext_try(out, IRQCONTEXT_STACK) : 0;
}

/* --- asking ---------------------------------------------------------------------------------- */

/* r0 = the count. */
static void read_count(struct bpfcode *c, const struct irqcontext *i, int16_t slot)
{
	if (i->way != IRQCONTEXT_TASK) {
		cpuvar_read(c, &i->count, slot);
		return;
	}
	bpfcode_call(c, BPF_FUNC_get_current_task);
	bpfcode_op(c, BPF_MOV, BPF_REG_3, BPF_REG_0);
	bpfcode_op_imm(c, BPF_ADD, BPF_REG_3, (int32_t)i->task_offset);
	cpuvar_read_at(c, 4, slot);
}

/* Attached by a breakpoint?  Programs of many functions at once are called by ftrace. */
static bool may_trap(const struct probe_variant *v)
{
	return v->prog_type == BPF_PROG_TYPE_KPROBE && !v->expected_attach_type;
}

static void jump_by_count(struct bpfcode *c, const struct irqcontext *i,
			  const struct probe_variant *v, int16_t slot, int label)
{
	int plain = bpfcode_label(c);

	read_count(c, i, slot);
	if (may_trap(v)) {
		bpfcode_op(c, BPF_MOV, BPF_REG_1, BPF_REG_0);
		bpfcode_op_imm(c, BPF_AND, BPF_REG_1, IN_NMI);
		bpfcode_jump_imm(c, BPF_JEQ, BPF_REG_1, 0, plain);
		bpfcode_op_imm(c, BPF_SUB, BPF_REG_0, TRAP);
	}
	bpfcode_here(c, plain);
	bpfcode_op_imm(c, BPF_AND, BPF_REG_0, IN_SOFT | IN_HARD | IN_NMI);
	bpfcode_jump_imm(c, BPF_JNE, BPF_REG_0, 0, label);
}

#ifdef __x86_64__
/* slot = where the stack was at the hit: a pointer of the user's if user code was hit. */
static void find_stack_pointer(struct bpfcode *c, const struct probe_variant *v, int16_t slot)
{
	const int16_t sp = offsetof(struct user_regs_struct, rsp);

	switch (v->prog_type) {
	case BPF_PROG_TYPE_TRACEPOINT:
		/* The kernel hides from programs what their context begins with. */
		bpfcode_op(c, BPF_MOV, BPF_REG_3, BPF_REG_6);
		cpuvar_read_at(c, 8, slot);
		bpfcode_op(c, BPF_MOV, BPF_REG_3, BPF_REG_0);
		bpfcode_op_imm(c, BPF_ADD, BPF_REG_3, sp);
		cpuvar_read_at(c, 8, slot);
		return;
	case BPF_PROG_TYPE_KPROBE:
		bpfcode_load(c, 8, BPF_REG_0, BPF_REG_6, sp);
		break;
	default:
		/* The arguments have been put on the stack. */
		bpfcode_op(c, BPF_MOV, BPF_REG_0, BPF_REG_6);
		bpfcode_forget(c, BPF_REG_0);
	}
	bpfcode_store(c, 8, BPF_REG_10, slot, BPF_REG_0);
}

/*
 * Interrupts have a stack of their own, but for hard ones that come upon user code: they
 * begin at the bottom of the thread's, where a system call would have left its number.
 */
static void jump_by_stack(struct bpfcode *c, const struct irqcontext *i,
			  const struct probe_variant *v, int16_t slot, int label)
{
	int own = bpfcode_label(c);

	find_stack_pointer(c, v, slot);
	bpfcode_load(c, 8, BPF_REG_1, BPF_REG_10, slot);
	bpfcode_jump_imm(c, BPF_JSGE, BPF_REG_1, 0, own);
	bpfcode_call(c, BPF_FUNC_get_current_task_btf);
	bpfcode_op(c, BPF_MOV, BPF_REG_1, BPF_REG_0);
	bpfcode_call(c, BPF_FUNC_task_pt_regs);
	bpfcode_forget(c, BPF_REG_0);
	bpfcode_op(c, BPF_MOV, BPF_REG_3, BPF_REG_0);
	bpfcode_load(c, 8, BPF_REG_1, BPF_REG_10, slot);
	bpfcode_op(c, BPF_SUB, BPF_REG_0, BPF_REG_1);
	bpfcode_jump_imm(c, BPF_JGE, BPF_REG_0, (int32_t)i->stack_bytes, label);
	bpfcode_op_imm(c, BPF_ADD, BPF_REG_3, offsetof(struct user_regs_struct, orig_rax));
	cpuvar_read_at(c, 8, slot);
	bpfcode_jump_imm(c, BPF_JSLT, BPF_REG_0, 0, label);
	bpfcode_here(c, own);
}
#endif

void irqcontext_jump(struct bpfcode *c, const struct irqcontext *i, const struct probe_variant *v,
		     int16_t slot, int label)
{
#ifdef __x86_64__
	if (i->way == IRQCONTEXT_STACK) {
		jump_by_stack(c, i, v, slot, label);
		return;
	}
#endif
	jump_by_count(c, i, v, slot, label);
}
