#define _GNU_SOURCE
#include "record/kfuncprobe.h"

#include <asm/ptrace.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "record/btfpath.h"
#include "record/kernelbtf.h"
#include "record/probe_private.h"

/* --- registers ------------------------------------------------------------------------ */

struct reg {
	const char *name;
	int offset;		/* in the context of a kprobe's program */
};

/*
 * Calling conventions: psABI of x86-64 and AAPCS64.  A breakpoint on x86-64 is one
 * byte long and has been passed.
 */
#if defined(__x86_64__)
#define REG(name, member) { name, offsetof(struct pt_regs, member) }
#define IP_OFFSET offsetof(struct pt_regs, rip)
#define IP_BEHIND 1
#define RESULT_OFFSET offsetof(struct pt_regs, rax)
#define STACK_OFFSET offsetof(struct pt_regs, rsp)
#define STACK_POPPED 8		/* by the return: the return address */
static const struct reg registers[] = {
	REG("ax", rax), REG("bx", rbx), REG("cx", rcx), REG("dx", rdx), REG("si", rsi),
	REG("di", rdi), REG("bp", rbp), REG("sp", rsp), REG("r8", r8), REG("r9", r9),
	REG("r10", r10), REG("r11", r11), REG("r12", r12), REG("r13", r13), REG("r14", r14),
	REG("r15", r15),
};
static const int arguments[] = {
	offsetof(struct pt_regs, rdi), offsetof(struct pt_regs, rsi),
	offsetof(struct pt_regs, rdx), offsetof(struct pt_regs, rcx),
	offsetof(struct pt_regs, r8), offsetof(struct pt_regs, r9),
};
#elif defined(__aarch64__)
#define X(n) { "x" #n, 8 * (n) }
#define IP_OFFSET offsetof(struct user_pt_regs, pc)
#define IP_BEHIND 0
#define RESULT_OFFSET 0
#define STACK_OFFSET offsetof(struct user_pt_regs, sp)
#define STACK_POPPED 0
static const struct reg registers[] = {
	X(0), X(1), X(2), X(3), X(4), X(5), X(6), X(7), X(8), X(9), X(10), X(11), X(12), X(13),
	X(14), X(15), X(16), X(17), X(18), X(19), X(20), X(21), X(22), X(23), X(24), X(25),
	X(26), X(27), X(28), X(29), X(30), { "sp", offsetof(struct user_pt_regs, sp) },
};
static const int arguments[] = { 0, 8, 16, 24, 32, 40, 48, 56 };
#else
#error "the registers of kprobes are known for x86-64 and arm64"
#endif

#define NR_ARGUMENTS (sizeof(arguments) / sizeof(*arguments))
#define NR_REGISTERS (sizeof(registers) / sizeof(*registers))
#define NR_RAW 6		/* arg0 to arg5 */

static void load(struct probe_value *v, int64_t offset)
{
	memset(v, 0, sizeof(*v));
	v->result = RESULT_NUMBER;
	v->size = 8;
	v->hint = HINT_HEX;
	v->steps[0] = (struct fetch_step){ .op = FETCH_CTX, .size = 8, .value = offset };
	v->nr_steps = 1;
}

/* --- where the probe is ------------------------------------------------------------------ */

static void code_constant(struct probe_value *out, uint64_t address)
{
	out->steps[0] = (struct fetch_step){
		.op = FETCH_CONSTANT, .value = (int64_t)address,
	};
	out->nr_steps = 1;
}

static int lookup_address(const struct kfuncprobe *k, struct probe_value *out, struct diag *d)
{
	struct kfuncs found = { 0 };
	uint64_t address = 0;
	int err = kfuncs_find(&found, k->module, k->function, false, d);

	if (!err && found.nr == 1)
		address = found.list[0].address;
	kfuncs_release(&found);
	if (err)
		return err;
	if (!address)
		return diag_set(d, -EINVAL, "'func': this kernel does not tell where '%s' is",
				k->function);
	code_constant(out, address);
	return 0;
}

static int find_func(const struct kfuncprobe *k, const struct probe_variant *v,
		     struct probe_value *out, struct diag *d)
{
	const struct kfunc *place = v->private;

	load(out, 0);
	out->hint = HINT_HEX;
	out->is_pointer = true;
	out->is_code = true;
	out->space = SPACE_KERNEL;
	if (k->has_func_ip && !k->has_offset) {
		out->steps[0] = (struct fetch_step){ .op = FETCH_FUNC_IP };
		return 0;
	}
	if (place) {
		code_constant(out, place->address);
		return 0;
	}
	if (k->way == KFUNC_FENTRY || (k->is_return && !k->is_glob))
		return lookup_address(k, out, d);
	if (k->is_return)
		return diag_set(d, -EINVAL, "'func': this kernel does not tell at a return "
				"which function it is of");
	out->steps[0].value = IP_OFFSET;
	if (IP_BEHIND)
		out->steps[out->nr_steps++] = (struct fetch_step){
			.op = FETCH_ADD, .value = -IP_BEHIND,
		};
	return 0;
}

/* --- arguments -------------------------------------------------------------------------------- */

/* Of fentry and fexit.  What may not be loaded can still be copied. */
static void load_context(const struct kfuncprobe *k, uint32_t slot, struct probe_value *out)
{
	load(out, (int64_t)slot * 8);
	if (slot < 32 && k->refused_slots & 1u << slot) {
		out->steps[0] = (struct fetch_step){
			.op = FETCH_CTX_ADDRESS, .value = (int64_t)slot * 8,
		};
		out->steps[1] = (struct fetch_step){ .op = FETCH_KERNEL, .size = 8 };
		out->nr_steps = 2;
	}
}

/* Sets out to the 64 bits of a slot of arguments. */
static int load_slot(const struct kfuncprobe *k, uint32_t slot, const char *name,
		     struct probe_value *out, struct diag *d)
{
	if (k->way != KFUNC_FENTRY && slot >= NR_ARGUMENTS)
		return diag_set(d, -EINVAL, "'%s' of '%s' is passed on the stack, where a kprobe "
				"does not see it", name, k->function);
	if (k->way == KFUNC_FENTRY)
		load_context(k, slot, out);
	else
		load(out, arguments[slot]);
	return 0;
}

static int check_has_arguments(const struct kfuncprobe *k, const char *name, struct diag *d)
{
	if (k->has_offset)
		return diag_set(d, -EINVAL, "'%s': in the middle of a function there are only "
				"registers", name);
	if (!k->is_return || k->way == KFUNC_FENTRY)
		return 0;
	return diag_set(d, -EINVAL, "'%s': arguments are known at the entry only, since '%s' is "
			"probed by a kprobe here: record kprobe:%s", name, k->function,
			k->function);
}

static int find_argument(const struct kfuncprobe *k, int index, const char *name,
			 struct probe_value *out, struct diag *d)
{
	uint32_t type = btftypes_member_at(k->types, k->prototype, (uint32_t)index).type;
	int err = check_has_arguments(k, name, d);

	if (!err)
		err = load_slot(k, btfpath_slot(k->types, k->prototype, (uint32_t)index), name,
				out, d);
	if (err)
		return err;
	out->result = 0;
	out->hint = HINT_DECIMAL;
	return btfpath_walk(k->types, type, name + btfpath_root(name), name, out, d);
}

/* "arg0" to "arg5": of the type that the prototype says, if it is known. */
static int find_numbered(const struct kfuncprobe *k, const char *name, struct probe_value *out,
			 struct diag *d)
{
	size_t n = btfpath_root(name);
	int index, err;

	if (n != 4 || strncmp(name, "arg", 3) != 0 || name[3] < '0' || name[3] > '9')
		return -ENOENT;
	index = name[3] - '0';
	if (k->prototype && !k->is_glob) {
		uint32_t nr = btftypes_nr_members(k->types, k->prototype);

		if ((uint32_t)index >= nr)
			return diag_set(d, -EINVAL, "'%s': '%s' has %u arguments", name,
					k->function, nr);
		return find_argument(k, index, name, out, d);
	}
	err = check_has_arguments(k, name, d);
	if (err)
		return err;
	if (name[n])
		return diag_set(d, -EINVAL, "'%s': the type of %.4s is not known", name, name);
	if (index >= NR_RAW)
		return -ENOENT;
	return load_slot(k, (uint32_t)index, name, out, d);
}

static int find_retval(const struct kfuncprobe *k, const char *name, struct probe_value *out,
		       struct diag *d)
{
	uint32_t type = 0, slot = 0;
	bool is_typed = k->prototype && !k->is_glob;

	if (!k->is_return)
		return diag_set(d, -EINVAL, "'%s' is known at the return only: record "
				"kretprobe:%s", name, k->function);
	if (is_typed) {
		type = btftypes_target(k->types, k->prototype);
		slot = btfpath_slot(k->types, k->prototype,
				    btftypes_nr_members(k->types, k->prototype));
		if (!btftypes_strip(k->types, type))
			return diag_set(d, -EINVAL, "'%s' returns nothing", k->function);
	}
	if (k->way == KFUNC_FENTRY)
		load_context(k, slot, out);
	else
		load(out, (int64_t)RESULT_OFFSET);
	if (is_typed) {
		out->result = 0;
		out->hint = HINT_DECIMAL;
		return btfpath_walk(k->types, type, name + btfpath_root(name), name, out, d);
	}
	/* Most functions return a number, an errno if it is negative. */
	out->hint = HINT_DECIMAL;
	out->is_signed = true;
	return name[btfpath_root(name)] ? -ENOENT : 0;
}

static int find_register(const struct kfuncprobe *k, const char *name, struct probe_value *out)
{
	if (!k->has_offset)
		return -ENOENT;
	for (size_t i = 0; i < NR_REGISTERS; i++) {
		if (!strcmp(registers[i].name, name)) {
			load(out, registers[i].offset);
			return 0;
		}
	}
	return -ENOENT;
}

/* --- names ---------------------------------------------------------------------------------------- */

static bool is_root(const char *source, const char *name)
{
	size_t n = strlen(name);

	return btfpath_root(source) == n && !strncmp(source, name, n);
}

/* The running thread is described by the kernel's types, whatever is probed. */
static int find_curtask(const struct kfuncprobe *k, const char *name, struct probe_value *out,
			struct diag *d)
{
	struct btftypes *types;
	int err;

	if (!is_root(name, "curtask"))
		return -ENOENT;
	if (k->types)
		return btfpath_curtask(k->types, name, out, d);
	err = btftypes_get(&types, NULL, d);
	if (err)
		return err;
	err = btfpath_curtask(types, name, out, d);
	btftypes_put(types);
	return err;
}

int kfuncvalues_find(const struct probe *p, const struct probe_variant *v, const char *name,
		     struct probe_value *out, struct diag *d)
{
	const struct kfuncprobe *k = p->private;
	int index, err;

	if (k->prototype && !k->is_glob && !k->has_offset) {
		index = btfpath_argument(k->types, k->prototype, name);
		if (index >= 0)
			return find_argument(k, index, name, out, d);
	}
	if (!strcmp(name, "func"))
		return find_func(k, v, out, d);
	if (is_root(name, "retval"))
		return find_retval(k, name, out, d);
	err = find_register(k, name, out);
	if (err == -ENOENT)
		err = find_numbered(k, name, out, d);
	if (err == -ENOENT)
		err = find_curtask(k, name, out, d);
	if (err == -ENOENT && !k->types && !k->is_glob && !k->is_return && !k->has_offset &&
	    probe_builtin(name, out) == -ENOENT)
		return diag_set(d, -EINVAL, "'%s' has no field '%s': the kernel does not tell the "
				"types of '%s' (in " KERNELBTF_PATH "); write arg0 to arg%d", p->name,
				name, k->function, NR_RAW - 1);
	return err;
}

/*
 * A trampoline calls the programs of the entry and of the return from one stack frame, in
 * which their context lies.  Probes of many places by one link see other registers.
 */
int kfuncvalues_frame(const struct probe *p, const struct probe_variant *v,
		      struct probe_value *out)
{
	const struct kfuncprobe *k = p->private;

	(void)v;
	if (k->has_offset || k->way == KFUNC_MULTI)
		return -EOPNOTSUPP;
	load(out, STACK_OFFSET);
	if (k->way == KFUNC_FENTRY)
		out->steps[0] = (struct fetch_step){ .op = FETCH_CTX_ADDRESS };
	else if (k->is_return && STACK_POPPED)
		out->steps[out->nr_steps++] = (struct fetch_step){
			.op = FETCH_ADD, .value = -STACK_POPPED,
		};
	return 0;
}

static int name_arguments(const struct kfuncprobe *k, bool usual, probe_name_fn fn, void *ctx)
{
	uint32_t nr = btftypes_nr_members(k->types, k->prototype);
	char numbered[16];
	int err = 0;

	for (uint32_t i = 0; i < nr && !err; i++) {
		struct btftypes_member m = btftypes_member_at(k->types, k->prototype, i);

		/* What is passed on the stack cannot be had without fentry. */
		if (usual && (!btfpath_is_scalar(k->types, m.type) ||
			      (k->way != KFUNC_FENTRY &&
			       btfpath_slot(k->types, k->prototype, i) >= NR_ARGUMENTS)))
			continue;
		snprintf(numbered, sizeof(numbered), "arg%u", i);
		if (*m.name || i < 10)
			err = fn(ctx, *m.name ? m.name : numbered);
	}
	return err;
}

static int name_raw(probe_name_fn fn, void *ctx)
{
	char name[16];
	int err = 0;

	for (int i = 0; i < NR_RAW && !err; i++) {
		snprintf(name, sizeof(name), "arg%d", i);
		err = fn(ctx, name);
	}
	return err;
}

static bool has_retval(const struct kfuncprobe *k, bool usual)
{
	uint32_t type;

	if (!k->is_return)
		return false;
	if (!k->prototype || k->is_glob)
		return true;
	type = btftypes_target(k->types, k->prototype);
	return usual ? btfpath_is_scalar(k->types, type) : btftypes_strip(k->types, type) != 0;
}

int kfuncvalues_names(const struct probe *p, bool usual, probe_name_fn fn, void *ctx)
{
	const struct kfuncprobe *k = p->private;
	bool is_typed = k->prototype && !k->is_glob;
	int err = 0;

	if (k->is_glob || k->has_offset || !usual)
		err = fn(ctx, "func");
	if (!err && has_retval(k, usual))
		err = fn(ctx, "retval");
	for (size_t i = 0; !err && !usual && k->has_offset && i < NR_REGISTERS; i++)
		err = fn(ctx, registers[i].name);
	if (err || k->has_offset || (k->is_return && (usual || k->way != KFUNC_FENTRY)))
		return err;
	if (is_typed)
		return name_arguments(k, usual, fn, ctx);
	return usual ? 0 : name_raw(fn, ctx);
}
