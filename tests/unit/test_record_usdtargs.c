/* Operands of static probes, of this machine's kind. */
#include "record/usdtargs.h"

#include "record/userregs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static bool find_symbol(void *ctx, const char *name, size_t len_bytes, uint64_t *address)
{
	(void)ctx;
	*address = 0x5000;
	return len_bytes == 7 && !memcmp(name, "counter", 7);
}

/* "s32 ctx(112)4s", "u64 ctx(32)8u add(24<<3) user(-8)8u", or why it cannot be read. */
static const char *told(const struct usdtarg *arg)
{
	static const char *const names[] = {
		[FETCH_CTX] = "ctx", [FETCH_ADD_CTX] = "add", [FETCH_CONSTANT] = "is",
		[FETCH_USER] = "user",
	};
	static char text[256];
	size_t len;

	if (arg->why)
		return arg->why;
	len = (size_t)snprintf(text, sizeof(text), "%c%u", arg->value.is_signed ? 's' : 'u',
			       arg->value.size * 8u);
	for (uint32_t i = 0; i < arg->value.nr_steps; i++) {
		const struct fetch_step *s = &arg->value.steps[i];

		len += (size_t)snprintf(text + len, sizeof(text) - len, " %s(%lld", names[s->op],
					(long long)s->value);
		if (s->op == FETCH_ADD_CTX)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "<<%u)", s->shift);
		else if (s->op == FETCH_CONSTANT)
			len += (size_t)snprintf(text + len, sizeof(text) - len, ")");
		else
			len += (size_t)snprintf(text + len, sizeof(text) - len, ")%u%c", s->size,
						s->is_signed ? 's' : 'u');
	}
	return text;
}

static int at(const char *name)
{
	struct userreg r;

	assert_true(userregs_find(&r, name, strlen(name)));
	return r.offset;
}

/* The wanted text has %d for the offsets of up to two registers. */
static void check(const char *operand, const char *wanted, const char *first, const char *second)
{
	struct usdtargs args;
	char text[256];

	/* What is wanted is one of this file's own texts. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
	snprintf(text, sizeof(text), wanted, first ? at(first) : 0, second ? at(second) : 0);
#pragma GCC diagnostic pop
	usdtargs_parse(&args, operand, 0x1000, find_symbol, NULL);
	assert_int_equal(args.nr, 1);
	assert_string_equal(told(&args.list[0]), text);
}

#define UNKNOWN "is described in a way that is not understood"

#if defined(__x86_64__)

static void operands(void **state)
{
	(void)state;
	check("-4@%edi", "s32 ctx(%d)4s", "rdi", NULL);
	check("8@%rax", "u64 ctx(%d)8u", "rax", NULL);
	check("1@%dil", "u8 ctx(%d)1u", "rdi", NULL);
	check("1@%ah", "u8 ctx(%d)1u", "ah", NULL);
	check("-2@%r11w", "s16 ctx(%d)2s", "r11", NULL);
	/* No more is known than the register holds, or than the argument is. */
	check("4@%rsi", "u32 ctx(%d)4u", "rsi", NULL);
	check("8@%ecx", "u64 ctx(%d)4u", "rcx", NULL);
	check("%rbx", "u64 ctx(%d)8u", "rbx", NULL);
	check("8@$5", "u64 is(5)", NULL, NULL);
	check("-4@$-1", "s32 is(-1)", NULL, NULL);
	check("4@$-1", "u32 is(4294967295)", NULL, NULL);
	check("-1@$255", "s8 is(-1)", NULL, NULL);
	check("8@$0xffffffffffffffff", "u64 is(-1)", NULL, NULL);
	check("4@-20(%rbp)", "u32 ctx(%d)8u user(-20)4u", "rbp", NULL);
	check("-8@(%rax)", "s64 ctx(%d)8u user(0)8s", "rax", NULL);
	check("8@16+4(%rsp)", "u64 ctx(%d)8u user(20)8u", "rsp", NULL);
	check("8@(%rax,%rbx,8)", "u64 ctx(%d)8u add(%d<<3) user(0)8u", "rax", "rbx");
	check("2@-6(%rcx,%r12)", "u16 ctx(%d)8u add(%d<<0) user(-6)2u", "rcx", "r12");
	check("4@64(,%rdx,4)", "u32 is(%d) add(%d<<2) user(64)4u", NULL, "rdx");
	check("-4@counter(%rip)", "s32 ctx(%d)8u user(16384)4s", "rip", NULL);
	check("-4@16+counter(%rip)", "s32 ctx(%d)8u user(16400)4s", "rip", NULL);
	check("-4@counter+16(%rip)", "s32 ctx(%d)8u user(16400)4s", "rip", NULL);
}

static void refused(void **state)
{
	static const char *const unknown[] = {
		"3@%eax", "4@", "@%eax", "4@%eax,%ebx", "8@$", "8@$counter", "8@8(%rip)",
		"8@counter(%rax)", "8@(%rax", "8@(%rax,%rbx,3)", "8@(%eax)", "8@%fs:40",
		"8@(%rax,%rbx,8", "8@99999999999999999999(%rax)", "x@%rax", "4@4",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(unknown) / sizeof(*unknown); i++) {
		struct usdtargs args;

		usdtargs_parse(&args, unknown[i], 0x1000, find_symbol, NULL);
		if (args.nr != 1 || !args.list[0].why)
			fail_msg("'%s' is understood", unknown[i]);
	}
	check("8f@%rax", "is a floating-point number", NULL, NULL);
	check("8@%xmm0", "is in a register that is not for integers", NULL, NULL);
	check("4@other(%rip)", "is in a variable that has no symbol", NULL, NULL);
}

#define TWO "-4@%edi 8@(%rax,%rbx,8)"

#else

static void operands(void **state)
{
	(void)state;
	check("-4@w0", "s32 ctx(%d)4s", "x0", NULL);
	check("8@x19", "u64 ctx(%d)8u", "x19", NULL);
	check("4@x2", "u32 ctx(%d)4u", "x2", NULL);
	check("-4@-5", "s32 is(-5)", NULL, NULL);
	check("4@[sp, 60]", "u32 ctx(%d)8u user(60)4u", "sp", NULL);
	check("-8@[x29,-16]", "s64 ctx(%d)8u user(-16)8s", "x29", NULL);
	check("8@[x0]", "u64 ctx(%d)8u user(0)8u", "x0", NULL);
	check("8@[x0, x1]", "u64 ctx(%d)8u add(%d<<0) user(0)8u", "x0", "x1");
	check("8@[x0, x1, lsl 3]", "u64 ctx(%d)8u add(%d<<3) user(0)8u", "x0", "x1");
}

static void refused(void **state)
{
	(void)state;
	check("8@[x0", UNKNOWN, NULL, NULL);
	check("8@[x0, w1, sxtw 3]", UNKNOWN, NULL, NULL);
	check("8@x31", UNKNOWN, NULL, NULL);
	check("8f@d0", "is a floating-point number", NULL, NULL);
}

#define TWO "-4@w0 8@[sp, 8]"

#endif

static void lists(void **state)
{
	struct usdtargs args;
	char many[512] = "";

	(void)state;
	usdtargs_parse(&args, "", 0, NULL, NULL);
	assert_int_equal(args.nr, 0);
	usdtargs_parse(&args, "  " TWO " ", 0, NULL, NULL);
	assert_int_equal(args.nr, 2);
	assert_null(args.list[0].why);
	assert_null(args.list[1].why);
	assert_false(args.is_relative);
	for (int i = 0; i < 20; i++)
		strcat(many, "8@");
	for (int i = 0; i < 20; i++)
		strcat(many, " 8@");
	usdtargs_parse(&args, many, 0, NULL, NULL);
	assert_int_equal(args.nr, USDTARGS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(operands), cmocka_unit_test(refused), cmocka_unit_test(lists),
	};

	return cmocka_run_group_tests_name("arguments of static probes", tests, NULL, NULL);
}
