#include "record/syscalltp.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "record/bpfcode.h"
#include "record/btfpath.h"
#include "record/tpfields.h"
#include "record/tpraw.h"

#define NR_NUMBERS 512
#define NR_ARGS SYSCALLTP_NR_ARGS

/* How to tell a 32-bit program's call, and a call's number when it returns. */
#if defined(__x86_64__)
#define COMPAT_MEMBER "curtask->thread_info.status"
#define COMPAT_BITS 0x2		/* TS_COMPAT */
#define NUMBER_MEMBER "regs->orig_ax"
#define ARG_MEMBERS { "regs->di", "regs->si", "regs->dx", "regs->r10", "regs->r8", "regs->r9" }
#elif defined(__aarch64__)
#define COMPAT_MEMBER "curtask->thread_info.flags"
#define COMPAT_BITS 0x400000	/* TIF_32BIT */
#define NUMBER_MEMBER "regs->syscallno"
#define ARG_MEMBERS { "regs->orig_x0", "regs->regs[1]", "regs->regs[2]", "regs->regs[3]", \
		      "regs->regs[4]", "regs->regs[5]" }
#else
#define COMPAT_MEMBER ""
#define COMPAT_BITS 0
#define NUMBER_MEMBER ""
#define ARG_MEMBERS { "" }
#endif

static const char *const arg_members[NR_ARGS] = ARG_MEMBERS;

static const struct {
	unsigned int number;
	const char *name;
} numbers[] = {
#define SYSCALL(number, name) { number, #name },
#include "record/syscalltp_numbers.def"
#undef SYSCALL
	{ 0, NULL },
};

/* What is found out once. */
struct ways {
	bool is_tried;
	int err;
	struct tpraw enter, exit;
	struct probe_value args[NR_ARGS], exit_args[NR_ARGS], number, returned;
	struct fetch_step compat;	/* from the task_struct */
	bool has_typed_task;
};

static struct ways ways;

struct syscalltp_table {
	bool is_exit;
	int map_fd, prog_fd;
	bool used[NR_NUMBERS];
};

int syscalltp_find(struct syscalltp *out, const char *name)
{
	out->is_exit = !strncmp(name, "sys_exit_", 9);
	if (!out->is_exit && strncmp(name, "sys_enter_", 10))
		return -ENOENT;
	name += out->is_exit ? 9 : 10;
	for (size_t i = 0; numbers[i].name; i++) {
		if (strcmp(numbers[i].name, name))
			continue;
		out->number = numbers[i].number;
		return 0;
	}
	return -ENOENT;
}

const char *syscalltp_name_at(size_t i)
{
	return i < sizeof(numbers) / sizeof(*numbers) ? numbers[i].name : NULL;
}

/* --- the program that jumps ------------------------------------------------------------ */

/* r0 = the thread's word that tells. */
static void emit_compat(struct bpfcode *c, const struct ways *w)
{
	const struct fetch_step *s = &w->compat;

	if (w->has_typed_task) {
		bpfcode_call(c, BPF_FUNC_get_current_task_btf);
		bpfcode_load(c, s->size, BPF_REG_0, BPF_REG_0, (int16_t)s->value);
		return;
	}
	bpfcode_call(c, BPF_FUNC_get_current_task);
	bpfcode_op(c, BPF_MOV, BPF_REG_3, BPF_REG_0);
	bpfcode_op_imm(c, BPF_ADD, BPF_REG_3, (int32_t)s->value);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_2, s->size);
	bpfcode_op(c, BPF_MOV, BPF_REG_1, BPF_REG_10);
	bpfcode_op_imm(c, BPF_ADD, BPF_REG_1, -8);
	bpfcode_call(c, BPF_FUNC_probe_read_kernel);
	bpfcode_load(c, s->size, BPF_REG_0, BPF_REG_10, -8);
}

/* r3 = the number; negative ones are huge. */
static void emit_number(struct bpfcode *c, const struct ways *w, bool is_exit, int out)
{
	const struct fetch_step *s = &w->number.steps[1];

	bpfcode_load(c, 8, BPF_REG_3, BPF_REG_6, is_exit ? 0 : 8);
	if (!is_exit)
		return;
	/* Never NULL, which not every verifier knows. */
	bpfcode_jump_imm(c, BPF_JEQ, BPF_REG_3, 0, out);
	bpfcode_load(c, s->size, BPF_REG_3, BPF_REG_3, (int16_t)s->value);
}

static int load_program(const struct ways *w, bool is_exit, int map_fd)
{
	const struct tpraw *t = is_exit ? &w->exit : &w->enter;
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_TRACE_RAW_TP,
		    .attach_btf_id = t->attach_id);
	struct bpfcode c;
	int out, err, fd = -1;

	bpfcode_init(&c);
	out = bpfcode_label(&c);
	bpfcode_op(&c, BPF_MOV, BPF_REG_6, BPF_REG_1);
	emit_compat(&c, w);
	bpfcode_jump_imm(&c, BPF_JSET, BPF_REG_0, COMPAT_BITS, out);
	emit_number(&c, w, is_exit, out);
	bpfcode_jump_imm(&c, BPF_JGE, BPF_REG_3, NR_NUMBERS, out);
	bpfcode_op(&c, BPF_MOV, BPF_REG_1, BPF_REG_6);
	bpfcode_map(&c, BPF_REG_2, map_fd);
	bpfcode_call(&c, BPF_FUNC_tail_call);
	bpfcode_here(&c, out);
	bpfcode_op_imm(&c, BPF_MOV, BPF_REG_0, 0);
	bpfcode_exit(&c);
	err = bpfcode_finish(&c);
	if (!err)
		fd = bpf_prog_load(BPF_PROG_TYPE_TRACING, is_exit ? "kymo_sys_exit" :
				   "kymo_sys_enter", "GPL", c.insns, c.nr, &opts);
	bpfcode_release(&c);
	return err ? err : fd;
}

static int new_map(void)
{
	return bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "kymo_syscalls", sizeof(uint32_t),
			      sizeof(uint32_t), NR_NUMBERS, NULL);
}

/* --- what works here -------------------------------------------------------------------- */

static int find_values(struct ways *w)
{
	struct probe_value task;
	int err;

	w->enter.is_typed = true;
	w->exit.is_typed = true;
	for (size_t i = 0; i < NR_ARGS; i++) {
		err = tpraw_argument(&w->enter, arg_members[i], &w->args[i], NULL);
		if (!err)
			err = tpraw_argument(&w->exit, arg_members[i], &w->exit_args[i], NULL);
		if (err)
			return err;
	}
	err = tpraw_argument(&w->exit, "ret", &w->returned, NULL);
	if (!err)
		err = tpraw_argument(&w->exit, NUMBER_MEMBER, &w->number, NULL);
	if (!err)
		err = btfpath_curtask(w->enter.types, COMPAT_MEMBER, &task, NULL);
	if (err)
		return err;
	if (task.nr_steps != 2 || task.steps[1].op != FETCH_KERNEL ||
	    w->number.nr_steps != 2 || w->number.steps[1].op != FETCH_TYPED)
		return -EOPNOTSUPP;
	w->compat = task.steps[1];
	return 0;
}

/* A jump from one typed program to another, on both tracepoints. */
static int try_jump(struct ways *w, bool is_exit)
{
	const struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_TRACE_RAW_TP,
		    .attach_btf_id = is_exit ? w->exit.attach_id : w->enter.attach_id);
	int map_fd = new_map(), jump, to, err = 0;
	uint32_t zero = 0;

	if (map_fd < 0)
		return map_fd;
	jump = load_program(w, is_exit, map_fd);
	to = bpf_prog_load(BPF_PROG_TYPE_TRACING, "kymo_try", "GPL", nothing,
			   sizeof(nothing) / sizeof(*nothing), &opts);
	if (jump < 0 || to < 0)
		err = jump < 0 ? jump : to;
	else if (bpf_map_update_elem(map_fd, &zero, &to, BPF_ANY) < 0)
		err = -errno;
	if (jump >= 0)
		close(jump);
	if (to >= 0)
		close(to);
	close(map_fd);
	return err;
}

static int try_all(struct ways *w)
{
	int err = tpraw_find(&w->enter, "sys_enter");

	if (!err)
		err = tpraw_find(&w->exit, "sys_exit");
	if (!err)
		err = find_values(w);
	if (err)
		return err;
	w->has_typed_task = true;
	err = try_jump(w, false);
	if (err) {
		w->has_typed_task = false;
		err = try_jump(w, false);
	}
	return err ? err : try_jump(w, true);
}

int syscalltp_try(void)
{
	if (!ways.is_tried) {
		ways.err = numbers[0].name ? try_all(&ways) : -EOPNOTSUPP;
		ways.is_tried = true;
		if (ways.err) {
			tpraw_release(&ways.enter);
			tpraw_release(&ways.exit);
		}
	}
	return ways.err;
}

void syscalltp_describe(const struct syscalltp *s, struct probe_variant *v)
{
	v->prog_type = BPF_PROG_TYPE_TRACING;
	v->expected_attach_type = BPF_TRACE_RAW_TP;
	v->attach_btf_id = s->is_exit ? ways.exit.attach_id : ways.enter.attach_id;
}

/* --- values -------------------------------------------------------------------------------- */

/* The record's arguments: 8 bytes each, behind the number. */
static const struct probe_value *find_argument(const struct syscalltp *s,
					       const struct tpformat_field *field)
{
	uint32_t index = (field->offset - 16) / 8;

	if (field->offset < 16 || field->offset % 8 || field->size_bytes != 8 ||
	    field->shape != TPFORMAT_NUMBER)
		return NULL;
	if (s->is_exit)
		return index ? NULL : &ways.returned;
	return index < NR_ARGS ? &ways.args[index] : NULL;
}

int syscalltp_field(const struct syscalltp *s, const struct tpformat *f, const char *name,
		    struct probe_value *out)
{
	const struct tpformat_field *field = tpformat_find(f, name);
	const struct probe_value *value;

	if (!field)
		return -ENOENT;
	if (field->offset == 8 && field->size_bytes == 4) {
		memset(out, 0, sizeof(*out));
		out->steps[0] = (struct fetch_step){
			.op = FETCH_CONSTANT, .value = s->number,
		};
		out->nr_steps = 1;
		return 0;
	}
	if (field->shape == TPFORMAT_DYNAMIC_TEXT)
		field = tpfields_pointed(f, field);
	value = field ? find_argument(s, field) : NULL;
	if (!value)
		return -ENOENT;
	*out = *value;
	return 0;
}

int syscalltp_enter_argument(unsigned int index, struct probe_value *out)
{
	if (ways.err || index >= NR_ARGS)
		return -ENOENT;
	*out = ways.args[index];
	return 0;
}

int syscalltp_exit_argument(unsigned int index, struct probe_value *out)
{
	if (ways.err || index >= NR_ARGS)
		return -ENOENT;
	*out = ways.exit_args[index];
	return 0;
}

int syscalltp_exit_result(struct probe_value *out)
{
	if (ways.err)
		return -ENOENT;
	*out = ways.returned;
	return 0;
}

/* --- attaching -------------------------------------------------------------------------------- */

static int add_table(struct syscalltp_tables *tables, bool is_exit, struct attachset *a)
{
	struct syscalltp_table *list = realloc(tables->list, (tables->nr + 1) * sizeof(*list));
	int map_fd, prog_fd, fd;

	if (!list)
		return -ENOMEM;
	tables->list = list;
	map_fd = new_map();
	if (map_fd < 0)
		return map_fd;
	prog_fd = load_program(&ways, is_exit, map_fd);
	fd = prog_fd < 0 ? prog_fd : tpraw_attach(NULL, prog_fd);
	if (fd < 0) {
		if (prog_fd >= 0)
			close(prog_fd);
		close(map_fd);
		return fd;
	}
	memset(&list[tables->nr], 0, sizeof(*list));
	list[tables->nr].is_exit = is_exit;
	list[tables->nr].map_fd = map_fd;
	list[tables->nr].prog_fd = prog_fd;
	tables->nr++;
	/* The table is emptied when its last descriptor is closed. */
	return attachset_add(a, fd) || attachset_add(a, map_fd) ? -ENOMEM : 0;
}

int syscalltp_attach(const struct syscalltp *s, struct syscalltp_tables *tables, int prog_fd,
		     struct attachset *a)
{
	uint32_t number = s->number;
	size_t i;
	int err;

	for (i = 0; i < tables->nr; i++)
		if (tables->list[i].is_exit == s->is_exit && !tables->list[i].used[number])
			break;
	if (i == tables->nr) {
		err = add_table(tables, s->is_exit, a);
		if (err)
			return err;
	}
	if (bpf_map_update_elem(tables->list[i].map_fd, &number, &prog_fd, BPF_ANY) < 0)
		return -errno;
	tables->list[i].used[number] = true;
	return 0;
}

uint64_t syscalltp_missed(const struct syscalltp_tables *tables)
{
	uint64_t missed = 0;

	for (size_t i = 0; i < tables->nr; i++) {
		struct bpf_prog_info info = { 0 };
		uint32_t bytes = sizeof(info);

		if (!bpf_obj_get_info_by_fd(tables->list[i].prog_fd, &info, &bytes))
			missed += info.recursion_misses;
	}
	return missed;
}

void syscalltp_release(struct syscalltp_tables *tables)
{
	for (size_t i = 0; i < tables->nr; i++)
		close(tables->list[i].prog_fd);
	free(tables->list);
	memset(tables, 0, sizeof(*tables));
}
