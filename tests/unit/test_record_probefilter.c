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
	/* An emulated kernel takes a tenth of a second for each. */
	for (int i = 0; i < (getenv("KYMO_VM_KERNEL") ? 40 : 400); i++) {
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

/* --- text ------------------------------------------------------------------------------ */

static bool passes_at(const struct program *prog, uint64_t address)
{
	uint64_t context[CONTEXT_WORDS] = { [8] = address };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = context, .ctx_size_in = sizeof(context));

	assert_int_equal(bpf_prog_test_run_opts(prog->fd, &opts), 0);
	return opts.retval;
}

static const struct {
	bool passes;
	const char *filter;
	const char *text;
	size_t times;		/* how often the text is repeated */
} texts[] = {
	{ true, "s0 == 'abc'", "abc", 1 },
	{ false, "s0 == 'abc'", "ab", 1 },
	{ false, "s0 == 'abc'", "abcd", 1 },
	{ false, "s0 == 'abc'", "", 1 },
	{ false, "s0 == 'abc'", "abd", 1 },
	{ true, "s0 == 'abcdefghijklmno'", "abcdefghijklmno", 1 },
	{ false, "s0 == 'abcdefghijklmno'", "abcdefghijklmnx", 1 },
	{ false, "s0 == 'abcdefghijklmno'", "abcdefghxjklmno", 1 },
	{ true, "s0 == ''", "", 1 },
	{ false, "s0 == ''", "a", 1 },
	{ true, "s0", "a", 1 },
	{ false, "s0", "", 1 },
	{ true, "s0 ~ 'ab*'", "ab", 1 },
	{ true, "s0 ~ 'ab*'", "abc", 1 },
	{ true, "s0 ~ 'ab*'", "ab", 1000 },
	{ false, "s0 ~ 'ab*'", "a", 1 },
	{ false, "s0 ~ 'ab*'", "ba", 1000 },
	{ true, "s0 ~ '*c'", "abc", 50 },
	{ false, "s0 ~ '*b'", "abc", 50 },
	{ true, "s0 ~ '*.so*'", "/usr/lib/libc.so.6", 1 },
	{ true, "s0 ~ '/proc/*/status'", "/proc/1/status", 1 },
	{ false, "s0 ~ '/proc/*/status'", "/proc/1/stat", 1 },
	{ true, "s0 ~ '/proc/?/status'", "/proc/1/status", 1 },
	{ false, "s0 ~ '/proc/?/status'", "/proc/12/status", 1 },
	{ true, "s0 ~ '*a?c*'", "xaabxayc", 1 },
	{ true, "s0 ~ '\\xff*\\x01?'", "\xff\x80\x01\xff", 1 },
	/* of 63 characters */
	{ true, "s0 ~ 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789*x*'",
	  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_x", 1 },
	/* A kernel that stopped at the first 255 bytes would not see the difference. */
	{ false, "s0 == 's'", "s", 300 },
	{ true, "s0 > 'abc'", "abcd", 1 },
	{ true, "s0 < 'abc'", "abb", 100 },
	{ true, "s0 >= s0", "xyz", 10 },
};

static void tests_text(void **state)
{
	char text[4096];

	(void)state;
	if (!can_run())
		skip();
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct diag d = { "" };
		struct program prog;

		text[0] = '\0';
		for (size_t k = 0; k < texts[i].times; k++)
			strcat(text, texts[i].text);
		if (open_program(&prog, texts[i].filter, SPACE_ANY, &d))
			fail_msg("%s: %s", texts[i].filter, d.text);
		if (passes_at(&prog, (uintptr_t)text) != texts[i].passes)
			fail_msg("%s of %.40s", texts[i].filter, text);
		close_program(&prog);
	}
}

static void longest_text(void **state)
{
	char filter[512], text[512];
	struct diag d = { "" };
	struct program prog;

	(void)state;
	if (!can_run())
		skip();
	memset(text, 'a', sizeof(text));
	snprintf(filter, sizeof(filter), "s0 == '%.255s'", text);
	assert_int_equal(open_program(&prog, filter, SPACE_USER, &d), 0);
	assert_false(passes_at(&prog, (uintptr_t)text));
	text[256] = '\0';
	assert_false(passes_at(&prog, (uintptr_t)text));
	text[255] = '\0';
	assert_true(passes_at(&prog, (uintptr_t)text));
	text[254] = '\0';
	assert_false(passes_at(&prog, (uintptr_t)text));
	text[254] = 'b';
	assert_false(passes_at(&prog, (uintptr_t)text));
	close_program(&prog);
	/* Several such tests share their room. */
	text[254] = 'a';
	snprintf(filter, sizeof(filter), "s0 == '%.255s' && s0 ~ '*b*' && s1 > s0", text);
	assert_int_equal(open_program(&prog, filter, SPACE_USER, &d), 0);
	close_program(&prog);
}

/* What cannot be read is the empty text. */
static void unreadable_text(void **state)
{
	static const char *const empty[] = {
		"s0 == ''", "!s0", "s0 != 'a'", "s0 !~ 'a*'", "s0 ~ '*'", "s0 !~ '*a'", "s0 < 'a'",
	};
	struct diag d = { "" };
	struct program prog;

	(void)state;
	if (!can_run())
		skip();
	for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++) {
		assert_int_equal(open_program(&prog, empty[i], SPACE_ANY, &d), 0);
		assert_true(passes_at(&prog, 0));
		close_program(&prog);
	}
}

static const struct {
	const char *filter, *complaint;
} refused[] = {
	{ "s0 ~ '?aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'",
	  "filter, column 6: a pattern for the kernel has at most 63 characters" },
	{ "n0 && s0 == 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaa'",
	  "filter, column 7: the kernel compares text of at most 255 bytes" },
	{ "n1+(n1+(n1+(n1+(n1+(n1+(n1+(n1+(n1+(n1+(n1+(n1+(n1+(n1+(n1+(n1+(n1+(n1+n1"
	  "))))))))))))))))) == 1", "filter: too complicated for the kernel" },
};

static void refuses(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct diag d = { "" };
		struct program prog;

		assert_true(open_program(&prog, refused[i].filter, SPACE_USER, &d) < 0);
		if (!strstr(d.text, refused[i].complaint))
			fail_msg("%s", d.text);
	}
}

static void expect_patterns(const char *what, int var, int nr, bool loads)
{
	char filter[4096] = "n0 == 1";
	struct diag d = { "" };
	struct program prog;
	int err;

	for (int i = 0; i < nr; i++)
		sprintf(filter + strlen(filter), "||s%d~'*ab%dxyzuv?w'", var, i);
	err = open_program(&prog, filter, SPACE_ANY, &d);
	if (err && loads)
		fail_msg("%s: %s", what, d.text);
	assert_int_equal(err, loads ? 0 : -E2BIG);
	if (!err)
		close_program(&prog);
	else
		assert_non_null(strstr(d.text, "filter: too complicated for the kernel"));
}

/* Long chains are evaluated with no room of their own. */
static void long_chains(void **state)
{
	char filter[4096] = "n1 == 0";
	struct diag d = { "" };
	struct program prog;

	(void)state;
	if (!can_run())
		skip();
	for (int i = 1; i <= 150; i++)
		sprintf(filter + strlen(filter), "||n%d+%d==%d", i % 8, i, i + 200);
	assert_int_equal(open_program(&prog, filter, SPACE_USER, &d), 0);
	close_program(&prog);
	/* As many patterns as there may be: the kernel agrees. */
	expect_patterns("comm", 3, 50, true);
	expect_patterns("texts", 0, 5, true);
	expect_patterns("too many", 0, 6, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_expr_true),
		cmocka_unit_test(tests_text),
		cmocka_unit_test(longest_text),
		cmocka_unit_test(unreadable_text),
		cmocka_unit_test(refuses),
		cmocka_unit_test(long_chains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
