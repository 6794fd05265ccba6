#include "record/tpraw.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "record/btfpath.h"
#include "record/perfevent.h"

static const struct {
	const char *event, *field, *source, *source32;
} rows[] = {
#define TPRAW(event, field, source) { event, field, source, NULL },
#define TPRAW32(event, field, source, source32) { event, field, source, source32 },
#include "record/tpraw_fields.def"
#undef TPRAW
#undef TPRAW32
};

#define NR_ROWS (sizeof(rows) / sizeof(*rows))

/* --- attempts ----------------------------------------------------------------------------- */

#define LOAD(size, dst, src, offset) (struct bpf_insn){ \
	.code = BPF_LDX | BPF_MEM | (size), .dst_reg = (dst), .src_reg = (src), .off = (offset) }
#define JUMP_IF_ZERO(dst, by) (struct bpf_insn){ \
	.code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = (dst), .off = (by) }
#define RETURN_ZERO \
	(struct bpf_insn){ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 }, \
	(struct bpf_insn){ .code = BPF_JMP | BPF_EXIT }

static int try_typed(const struct btftypes *types, uint32_t attach_id,
		     const struct bpf_insn *insns, size_t nr)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_TRACE_RAW_TP,
		    .attach_btf_id = attach_id);
	int btf_fd = btftypes_kernel_fd(types, NULL), fd;

	if (btf_fd < 0)
		return btf_fd;
	opts.attach_btf_obj_fd = (uint32_t)btf_fd;
	fd = bpf_prog_load(BPF_PROG_TYPE_TRACING, "kymo_try", "GPL", insns, nr, &opts);
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

int tpraw_try_typed(const struct btftypes *types, uint32_t attach_id)
{
	const struct bpf_insn insns[] = { RETURN_ZERO };

	return try_typed(types, attach_id, insns, sizeof(insns) / sizeof(*insns));
}

int tpraw_try_untyped(void)
{
	const struct bpf_insn insns[] = { RETURN_ZERO };
	int fd = bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "kymo_try", "GPL", insns,
			       sizeof(insns) / sizeof(*insns), NULL);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

int tpraw_attach(const char *name, int prog_fd)
{
	int fd;

	do {
		fd = bpf_raw_tracepoint_open(name, prog_fd);
	} while (fd == -EMFILE && perfevent_raise_open_files());
	return fd;
}

static unsigned int size_code(unsigned int size_bytes)
{
	return size_bytes == 1 ? BPF_B : size_bytes == 2 ? BPF_H : size_bytes == 4 ? BPF_W : BPF_DW;
}

/* Whether a program may take these steps; each load of memory is tried as a typed one. */
static bool may_read(const struct tpraw *t, const struct probe_value *v)
{
	struct bpf_insn insns[2 * FETCH_MAX_STEPS + 2];
	size_t nr = 0;

	for (uint32_t i = 0; i < v->nr_steps; i++) {
		const struct fetch_step *s = &v->steps[i];

		if (s->op == FETCH_CTX) {
			insns[nr++] = LOAD(BPF_DW, BPF_REG_1, BPF_REG_1, (int16_t)s->value);
		} else if (s->op == FETCH_TYPED) {
			insns[nr++] = JUMP_IF_ZERO(BPF_REG_1, 1);
			insns[nr++] = LOAD(size_code(s->size), BPF_REG_1, BPF_REG_1,
					   (int16_t)s->value);
		}
	}
	memcpy(&insns[nr], (const struct bpf_insn[]){ RETURN_ZERO }, 2 * sizeof(*insns));
	return try_typed(t->types, t->attach_id, insns, nr + 2) == 0;
}

/*
 * Loads through pointers whose types the verifier knows take no helper, and some
 * arguments it does not hand out at all.  Only it can tell which: it is asked.
 */
static int read_typed(const struct tpraw *t, struct probe_value *v)
{
	struct probe_value typed = *v;
	bool any = false;

	if (v->steps[0].op != FETCH_CTX)
		return 0;
	for (uint32_t i = 0; i < typed.nr_steps; i++) {
		struct fetch_step *s = &typed.steps[i];

		if (s->op != FETCH_KERNEL || s->value != (int16_t)s->value)
			continue;
		s->op = FETCH_TYPED;
		any = true;
	}
	if (any && may_read(t, &typed)) {
		*v = typed;
		return 0;
	}
	return may_read(t, v) ? 0 : -EACCES;
}

/* --- tracepoints ----------------------------------------------------------------------------- */

/*
 * The type that programs are attached to has parameters without names on most
 * kernels; those of the functions that are made for each tracepoint have them.
 */
static uint32_t named_prototype(const struct btftypes *types, const char *name)
{
	static const char *const functions[] = { "__traceiter_", "__probestub_", "__bpf_trace_" };
	char text[160];

	for (size_t i = 0; i < sizeof(functions) / sizeof(*functions); i++) {
		uint32_t id;

		snprintf(text, sizeof(text), "%s%s", functions[i], name);
		id = btftypes_prototype(types, btftypes_find(types, text, BTF_KIND_FUNC));
		if (id)
			return id;
	}
	return 0;
}

static int find_in(struct tpraw *out, const char *module, const char *name)
{
	struct btftypes *types;
	char text[160];
	int err;

	err = btftypes_get(&types, module, NULL);
	if (err)
		return err;
	snprintf(text, sizeof(text), "btf_trace_%s", name);
	out->attach_id = btftypes_find(types, text, BTF_KIND_TYPEDEF);
	if (!out->attach_id || out->attach_id < (module ? btftypes_first_own(types) : 1)) {
		btftypes_put(types);
		return -ENOENT;
	}
	out->types = types;
	out->prototype = named_prototype(types, name);
	out->has_names = out->prototype != 0;
	if (!out->prototype)
		out->prototype = btftypes_prototype(types, out->attach_id);
	return 0;
}

struct search {
	const char *name;
	struct tpraw *found;
};

static int find_in_module(void *ctx, const char *module)
{
	struct search *s = ctx;

	return find_in(s->found, module, s->name) == 0;
}

int tpraw_find(struct tpraw *out, const char *name)
{
	struct search s = { name, out };
	int err;

	memset(out, 0, sizeof(*out));
	err = find_in(out, NULL, name);
	if (err != -ENOENT)
		return err;
	return btftypes_modules(find_in_module, &s) == 1 ? 0 : -ENOENT;
}

void tpraw_release(struct tpraw *t)
{
	btftypes_put(t->types);
	memset(t, 0, sizeof(*t));
}

int tpraw_argument(const struct tpraw *t, const char *source, struct probe_value *out,
		   struct diag *d)
{
	int err = btfpath_context_value(t->types, t->prototype, 1, source, out, d);

	if (err == -ENOENT)
		err = btfpath_curtask(t->types, source, out, d);
	return !err && t->is_typed ? read_typed(t, out) : err;
}

int tpraw_number(const struct tpraw *t, uint32_t index, struct probe_value *out)
{
	uint32_t nr = btftypes_nr_members(t->types, t->prototype);

	if (t->types && index + 1 >= nr)
		return -ENOENT;
	memset(out, 0, sizeof(*out));
	out->result = RESULT_NUMBER;
	out->size = 8;
	out->steps[0] = (struct fetch_step){ .op = FETCH_CTX, .size = 8, .value = 8 * index };
	out->nr_steps = 1;
	return t->is_typed ? read_typed(t, out) : 0;
}

/* --- fields ------------------------------------------------------------------------------------ */

bool tpraw_has_event(const char *event)
{
	for (size_t i = 0; i < NR_ROWS; i++)
		if (!strcmp(rows[i].event, event))
			return true;
	return false;
}

/* The code segment of 32-bit programs, from arch/x86/include/asm/segment.h of Linux. */
#define USER32_CS 0x23

static void append(struct probe_value *v, const struct probe_value *more)
{
	memcpy(&v->steps[v->nr_steps], more->steps, more->nr_steps * sizeof(*more->steps));
	v->nr_steps += more->nr_steps;
}

/*
 * Their system calls have the arguments in other registers.  (A 64-bit program can
 * make such a call, too, by an interrupt; nobody does, and its number means nothing.)
 */
static int by_segment(const struct tpraw *t, const char *source32, struct probe_value *v)
{
	struct probe_value other, whole;
	int err = tpraw_argument(t, "regs->cs", &whole, NULL);

	if (!err)
		err = tpraw_argument(t, source32, &other, NULL);
	if (err)
		return err;
	if (whole.nr_steps + 1 + other.nr_steps + v->nr_steps > FETCH_MAX_STEPS)
		return -E2BIG;
	whole.steps[whole.nr_steps++] = (struct fetch_step){
		.op = FETCH_IF_EQUAL, .size = (uint8_t)other.nr_steps, .value = USER32_CS,
	};
	append(&whole, &other);
	append(&whole, v);
	memcpy(v->steps, whole.steps, sizeof(v->steps));
	v->nr_steps = whole.nr_steps;
	return 0;
}

int tpraw_field(const struct tpraw *t, const char *event, const char *field,
		struct probe_value *out)
{
	for (size_t i = 0; i < NR_ROWS; i++) {
		if (strcmp(rows[i].event, event) || strcmp(rows[i].field, field) ||
		    tpraw_argument(t, rows[i].source, out, NULL))
			continue;
		return rows[i].source32 ? by_segment(t, rows[i].source32, out) : 0;
	}
	return -ENOENT;
}
