/*
 * Filters run in the kernel: a raw tracepoint program that only has the filter is
 * given contexts that stand for records.
 */
#include "record/probeprog.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <cmocka.h>

#include "tests/unit/random_expr.h"

#define LOG_BYTES (1u << 20)
#define CONTEXT_WORDS 12

/*
 * The context: n0 to n7, then the addresses of s0 and s1 in this process; s2 lies
 * in the context itself, which is kernel memory; s3 is the name of the thread.
 */
struct record {
	struct rx_values values;
	unsigned int vars[64];
};

static const struct {
	uint8_t size;
	bool is_signed;
} numbers[RX_NUMBERS] = {
	{ 8, false }, { 8, true }, { 4, false }, { 4, true },
	{ 2, false }, { 2, true }, { 1, false }, { 1, true },
};

static struct probe_value value_of(unsigned int var, uint8_t space)
{
	struct probe_value v = { .result = RESULT_NUMBER, .nr_steps = 1, .size = 8 };

	if (var < RX_NUMBERS) {
		v.size = numbers[var].size;
		v.is_signed = numbers[var].is_signed;
		v.steps[0] = (struct fetch_step) { FETCH_CTX, v.size, 0, v.is_signed, var * 8 };
	} else if (var < RX_NUMBERS + 2) {
		v.result = RESULT_STRING;
		v.space = space;
		v.max_bytes = PROBE_STRING_BYTES;
		v.steps[0] = (struct fetch_step) { FETCH_CTX, 8, 0, false, var * 8 };
	} else if (var == RX_NUMBERS + 2) {
		v.result = RESULT_STRING;
		v.space = space == SPACE_ANY ? SPACE_ANY : SPACE_KERNEL;
		v.max_bytes = 16;
		v.steps[0] = (struct fetch_step) { FETCH_CTX_ADDRESS, 0, 0, false, 10 * 8 };
	} else {
		v.result = RESULT_COMM;
		v.nr_steps = 0;
		v.max_bytes = 16;
	}
	return v;
}

/* The filter as a program that returns 1 for records it lets through. */
struct program {
	struct expr *e;
	unsigned int vars[64];
	int fd;
};

static int build(struct program *prog, uint8_t space, struct diag *d, struct bpfcode *code)
{
	struct probe_value values[64];
	struct probe_variant variant = {
		.filter_values = values, .prog_type = BPF_PROG_TYPE_RAW_TRACEPOINT,
	};
	struct probe p = { .filter = prog->e };
	struct probeprog_builder b = { .probe = &p, .variant = &variant };
	struct bpfcode *c = &b.code;
	int err;

	for (size_t i = 0; i < expr_nr_vars(prog->e); i++)
		values[i] = value_of(prog->vars[i], space);
	bpfcode_init(c);
	b.skip = bpfcode_label(c);
	b.slot = probeprog_stack(&b, 8);
	bpfcode_op(c, BPF_MOV, BPF_REG_6, BPF_REG_1);
	bpfcode_call(c, BPF_FUNC_get_current_pid_tgid);
	bpfcode_op(c, BPF_MOV, BPF_REG_7, BPF_REG_0);
	bpfcode_jump_imm(c, BPF_JEQ, BPF_REG_7, 0, b.skip);
	err = probefilter_emit(&b, d);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_0, 1);
	bpfcode_exit(c);
	bpfcode_here(c, b.skip);
	bpfcode_op_imm(c, BPF_MOV, BPF_REG_0, 0);
	bpfcode_exit(c);
	if (!err)
		err = bpfcode_finish(c);
	*code = *c;
	return err;
}

static int load(struct program *prog, uint8_t space, struct diag *d)
{
	static char log[LOG_BYTES];
	LIBBPF_OPTS(bpf_prog_load_opts, opts);
	struct bpfcode code;
	int err = build(prog, space, d, &code);

	prog->fd = -1;
	if (!err) {
		prog->fd = bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "filter", "GPL",
					 code.insns, code.nr, &opts);
		err = prog->fd < 0 ? -errno : 0;
	}
	if (prog->fd < 0 && !d->text[0]) {
		opts.log_buf = log;
		opts.log_size = sizeof(log);
		opts.log_level = 1;
		bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "filter", "GPL", code.insns, code.nr,
			      &opts);
		diag_set(d, err, "%s", strlen(log) > 400 ? log + strlen(log) - 400 : log);
	}
	bpfcode_release(&code);
	return err;
}

static int open_program(struct program *prog, const char *text, uint8_t space, struct diag *d)
{
	int err = expr_parse(&prog->e, text, d);

	if (err)
		return err;
	err = expr_bind(prog->e, rx_resolve, prog->vars, NULL, d);
	if (!err)
		err = load(prog, space, d);
	if (err)
		expr_free(prog->e);
	return err;
}

static void close_program(struct program *prog)
{
	close(prog->fd);
	expr_free(prog->e);
}

static bool passes(const struct program *prog, const struct rx_values *v)
{
	uint64_t context[CONTEXT_WORDS] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = context, .ctx_size_in = sizeof(context));

	for (size_t i = 0; i < RX_NUMBERS; i++)
		context[i] = v->numbers[i];
	context[8] = (uintptr_t)v->texts[0];
	context[9] = (uintptr_t)v->texts[1];
	memcpy(&context[10], v->texts[2], 16);
	prctl(PR_SET_NAME, v->texts[3]);
	if (bpf_prog_test_run_opts(prog->fd, &opts))
		fail_msg("cannot run a program: %s", strerror(errno));
	return opts.retval;
}

static struct expr_value get(void *ctx, uint32_t var)
{
	const struct record *r = ctx;
	unsigned int v = r->vars[var];

	if (v < RX_NUMBERS)
		return (struct expr_value) { .number = r->values.numbers[v] };
	return (struct expr_value) {
		.text = r->values.texts[v - RX_NUMBERS],
		.len_bytes = strlen(r->values.texts[v - RX_NUMBERS]),
	};
}

/* What a field of that size holds. */
static void narrow(struct rx_values *v)
{
	for (size_t i = 0; i < RX_NUMBERS; i++) {
		int bits = 64 - 8 * numbers[i].size;

		v->numbers[i] <<= bits;
		v->numbers[i] = numbers[i].is_signed ?
				(uint64_t)((int64_t)v->numbers[i] >> bits) : v->numbers[i] >> bits;
	}
}

static bool can_run(void)
{
	struct rx_values v = { .texts = { "" } };
	uint64_t context[CONTEXT_WORDS] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = context, .ctx_size_in = sizeof(context));
	struct diag d = { "" };
	struct program prog;
	int err;

	(void)v;
	err = open_program(&prog, "n0 == 0", SPACE_USER, &d);
	if (err == -EPERM || err == -EACCES) {
		print_message("no right to load BPF programs\n");
		return false;
	}
	assert_int_equal(err, 0);
	err = bpf_prog_test_run_opts(prog.fd, &opts);
	if (err)
		print_message("the kernel cannot run a program for tests\n");
	close_program(&prog);
	return !err;
}

/* --- random ones ----------------------------------------------------------------------- */

static void agrees_with_expr_true(void **state)
{
	struct rx *x = calloc(1, sizeof(*x));
	size_t nr_true = 0, nr = 0;

	(void)state;
	if (!can_run())
		skip();
	x->state = 0xfedcba987654321;
	for (int i = 0; i < 400; i++) {
		struct program prog;
		struct diag d = { "" };
		struct record r;

		rx_expression(x, 1 + (unsigned int)i % 4);
		if (open_program(&prog, x->source, i % 3 ? SPACE_ANY : SPACE_USER, &d))
			fail_msg("%s: %s", x->source, d.text);
		memcpy(r.vars, prog.vars, sizeof(r.vars));
		for (int k = 0; k < 20; k++, nr++) {
			bool expected;

			rx_values(x, &r.values);
			narrow(&r.values);
			expected = expr_true(prog.e, get, &r);
			if (passes(&prog, &r.values) != expected)
				fail_msg("%s: the kernel says %d", x->source, !expected);
			nr_true += expected;
		}
		close_program(&prog);
	}
	assert_in_range(nr_true, nr / 4, nr - nr / 4);
	free(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_expr_true),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
