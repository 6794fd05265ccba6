#include "record/bpfcode.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

/* Loads the program and lets the kernel run it once: its result. */
static uint32_t run(struct bpfcode *c)
{
	uint8_t packet[64] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof(packet));
	static char log[65536];
	LIBBPF_OPTS(bpf_prog_load_opts, load, .log_buf = log, .log_size = sizeof(log),
		    .log_level = 1);
	int fd, err;

	bpfcode_exit(c);
	assert_int_equal(bpfcode_finish(c), 0);
	fd = bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, "test", "GPL", c->insns, c->nr, &load);
	if (fd < 0 && errno == EPERM) {
		bpfcode_release(c);
		print_message("# skip: not allowed to load BPF programs\n");
		skip();
	}
	if (fd < 0)
		fail_msg("%s", log);
	err = bpf_prog_test_run_opts(fd, &opts);
	close(fd);
	bpfcode_release(c);
	assert_int_equal(err, 0);
	return opts.retval;
}

/* The constant's two halves, one program for each. */
static void expect_constant(uint64_t value)
{
	for (int half = 0; half < 2; half++) {
		struct bpfcode c;

		bpfcode_init(&c);
		bpfcode_const(&c, BPF_REG_0, value);
		if (half)
			bpfcode_op_imm(&c, BPF_RSH, BPF_REG_0, 32);
		assert_int_equal(run(&c), (uint32_t)(value >> 32 * half));
	}
}

static void constants_arrive_whole(void **state)
{
	(void)state;
	expect_constant(0);
	expect_constant(1);
	expect_constant(0x7fffffff);
	expect_constant(0x80000000);
	expect_constant(0xffffffff);
	expect_constant(0x100000000);
	expect_constant(0x123456789abcdef0);
	expect_constant(UINT64_MAX);
	expect_constant(UINT64_MAX - 0x7fffffff);
	expect_constant(UINT64_MAX - 0x80000000);
}

static void expect_extended(uint64_t value, unsigned int size, bool is_signed, uint64_t wanted)
{
	for (int half = 0; half < 2; half++) {
		struct bpfcode c;

		bpfcode_init(&c);
		bpfcode_const(&c, BPF_REG_0, value);
		bpfcode_extend(&c, BPF_REG_0, size, is_signed);
		bpfcode_forget(&c, BPF_REG_0);
		if (half)
			bpfcode_op_imm(&c, BPF_RSH, BPF_REG_0, 32);
		assert_int_equal(run(&c), (uint32_t)(wanted >> 32 * half));
	}
}

static void numbers_are_extended(void **state)
{
	(void)state;
	expect_extended(0x1122334455667788, 1, false, 0x88);
	expect_extended(0x1122334455667788, 1, true, 0xffffffffffffff88);
	expect_extended(0x1122334455667788, 2, false, 0x7788);
	expect_extended(0x1122334455668788, 2, true, 0xffffffffffff8788);
	expect_extended(0x1122334485667788, 4, false, 0x85667788);
	expect_extended(0x1122334485667788, 4, true, 0xffffffff85667788);
	expect_extended(0x1122334455667788, 4, true, 0x55667788);
	expect_extended(0x8122334455667788, 8, false, 0x8122334455667788);
	expect_extended(0x8122334455667788, 8, true, 0x8122334455667788);
}

static void memory_is_read_and_written(void **state)
{
	struct bpfcode c;

	(void)state;
	bpfcode_init(&c);
	bpfcode_store_imm(&c, 8, BPF_REG_10, -8, 0);
	bpfcode_store_imm(&c, 4, BPF_REG_10, -8, 0x11223344);
	bpfcode_op_imm(&c, BPF_MOV, BPF_REG_1, 0x5566);
	bpfcode_store(&c, 1, BPF_REG_10, -8, BPF_REG_1);
	bpfcode_store(&c, 2, BPF_REG_10, -6, BPF_REG_1);
	bpfcode_op_imm(&c, BPF_MOV, BPF_REG_1, 1);
	bpfcode_atomic(&c, BPF_ADD, BPF_REG_10, -8, BPF_REG_1);
	bpfcode_load(&c, 4, BPF_REG_0, BPF_REG_10, -8);
	assert_int_equal(run(&c), 0x55663367);
}

/* Counts from 5 down to 0 with a jump back, and leaves with one forward. */
static void jumps_go_both_ways(void **state)
{
	struct bpfcode c;
	int again, out;

	(void)state;
	bpfcode_init(&c);
	again = bpfcode_label(&c);
	out = bpfcode_label(&c);
	bpfcode_op_imm(&c, BPF_MOV, BPF_REG_0, 0);
	bpfcode_op_imm(&c, BPF_MOV, BPF_REG_1, 5);
	bpfcode_op_imm(&c, BPF_MOV, BPF_REG_2, 0);
	bpfcode_here(&c, again);
	bpfcode_jump_if(&c, BPF_JEQ, BPF_REG_1, BPF_REG_2, out);
	bpfcode_op_imm(&c, BPF_ADD, BPF_REG_0, 7);
	bpfcode_op_imm(&c, BPF_SUB, BPF_REG_1, 1);
	bpfcode_jump(&c, again);
	bpfcode_here(&c, out);
	assert_int_equal(run(&c), 35);
}

static void expect_error(struct bpfcode *c, int err)
{
	assert_int_equal(bpfcode_finish(c), err);
	/* It sticks, and nothing is added any more. */
	bpfcode_exit(c);
	assert_int_equal(bpfcode_finish(c), err);
	bpfcode_release(c);
}

static void errors_stick(void **state)
{
	struct bpfcode c;
	int label;

	(void)state;
	bpfcode_init(&c);
	bpfcode_jump(&c, bpfcode_label(&c));
	expect_error(&c, -EINVAL);

	bpfcode_init(&c);
	bpfcode_load(&c, 3, BPF_REG_0, BPF_REG_10, -8);
	expect_error(&c, -EINVAL);

	bpfcode_init(&c);
	label = bpfcode_label(&c);
	bpfcode_jump(&c, label);
	for (int i = 0; i < 40000; i++)
		bpfcode_op_imm(&c, BPF_MOV, BPF_REG_0, 0);
	bpfcode_here(&c, label);
	expect_error(&c, -E2BIG);

	bpfcode_init(&c);
	for (int i = 0; i < 70000; i++)
		bpfcode_op_imm(&c, BPF_MOV, BPF_REG_0, 0);
	expect_error(&c, -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(constants_arrive_whole),
		cmocka_unit_test(numbers_are_extended),
		cmocka_unit_test(memory_is_read_and_written),
		cmocka_unit_test(jumps_go_both_ways),
		cmocka_unit_test(errors_stick),
	};

	return cmocka_run_group_tests_name("record/bpfcode", tests, NULL, NULL);
}
