#define _GNU_SOURCE
#include "record/syscallargs.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "format/schema.h"
#include "record/syscallargs_names.h"
#include "report/valuenames.h"

/* The value as a view would show it by its names: "A|B", or "" if it has none. */
static const char *shown(const char *call, const char *arg, uint64_t v)
{
	static char text[256];
	struct syscallargs a;
	struct valuenames n;
	const char *name;
	size_t len, at = 0;

	text[0] = 0;
	assert_true(syscallargs_find(call, arg, &a));
	valuenames_begin(&n, a.values, v);
	while (valuenames_next(&n, &name, &len))
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%.*s", at ? "|" : "",
				       (int)len, name);
	if (n.is_flags && n.rest)
		snprintf(text + at, sizeof(text) - at, "|%#llx", (unsigned long long)n.rest);
	return text;
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(shown("openat", "flags", O_RDONLY | O_CLOEXEC), "RDONLY|CLOEXEC");
	assert_string_equal(shown("openat", "flags", O_RDWR | O_CREAT | O_TRUNC),
			    "RDWR|CREAT|TRUNC");
	assert_string_equal(shown("open", "flags", O_WRONLY | O_SYNC), "WRONLY|SYNC");
	assert_string_equal(shown("open", "flags", O_WRONLY | O_DSYNC), "WRONLY|DSYNC");
	assert_string_equal(shown("openat", "flags", O_RDWR | O_TMPFILE), "RDWR|TMPFILE");
	assert_string_equal(shown("openat", "flags", O_DIRECTORY), "RDONLY|DIRECTORY");
	assert_string_equal(shown("openat", "flags", 0x40000000), "RDONLY|0x40000000");
	assert_string_equal(shown("openat", "dfd", (uint64_t)AT_FDCWD), "CWD");
	assert_string_equal(shown("openat", "dfd", 3), "");
	assert_string_equal(shown("mmap", "prot", PROT_READ | PROT_EXEC), "READ|EXEC");
	assert_string_equal(shown("mmap", "prot", PROT_NONE), "NONE");
	assert_string_equal(shown("mmap", "flags", MAP_PRIVATE | MAP_ANONYMOUS),
			    "PRIVATE|ANONYMOUS");
	assert_string_equal(shown("mmap", "flags", MAP_SHARED_VALIDATE), "SHARED_VALIDATE");
	assert_string_equal(shown("socket", "type", SOCK_STREAM | SOCK_CLOEXEC),
			    "STREAM|CLOEXEC");
	assert_string_equal(shown("socket", "family", AF_INET6), "INET6");
	assert_string_equal(shown("futex", "op", 0x80), "WAIT|PRIVATE");
	assert_string_equal(shown("futex", "op", 0x189), "WAIT_BITSET|PRIVATE|CLOCK_REALTIME");
	assert_string_equal(shown("kill", "sig", 15), "TERM");
	assert_string_equal(shown("clone", "clone_flags", 0x1200011),
			    "CHILD_CLEARTID|CHILD_SETTID|SIGCHLD");
	assert_string_equal(shown("access", "mode", 4), "R");
	assert_string_equal(shown("access", "mode", 0), "F");
	assert_string_equal(shown("fcntl", "cmd", F_GETFL), "GETFL");
	assert_string_equal(shown("getrusage", "who", (uint64_t)-1), "CHILDREN");
	assert_string_equal(shown("chown", "user", 0xffffffff), "-1");
	assert_string_equal(shown("newfstatat", "flag", AT_EMPTY_PATH), "EMPTY_PATH");
}

static void expect_kind(const char *call, const char *arg, bool is_string, uint8_t size,
			bool is_signed, uint8_t hint)
{
	struct syscallargs a;

	assert_true(syscallargs_find(call, arg, &a));
	assert_int_equal(a.is_string, is_string);
	assert_int_equal(a.size, size);
	assert_int_equal(a.is_signed, is_signed);
	assert_int_equal(a.hint, hint);
	assert_int_equal(a.is_string, a.max_bytes > 0);
}

static void test_kinds(void **state)
{
	struct syscallargs a;

	(void)state;
	expect_kind("openat", "filename", true, 8, false, HINT_DECIMAL);
	assert_true(syscallargs_find("openat", "filename", &a));
	assert_int_equal(a.class, CLASS_PATH);
	expect_kind("setxattr", "name", true, 8, false, HINT_DECIMAL);
	expect_kind("newuname", "name", false, 8, false, HINT_HEX);
	/* Of bytes that need not end with a NUL. */
	assert_false(syscallargs_find("write", "buf", &a));
	expect_kind("umask", "mask", false, 2, false, HINT_OCTAL);
	expect_kind("pipe2", "fildes", false, 8, false, HINT_HEX);
	assert_false(syscallargs_find("mbind", "mode", &a));
	expect_kind("access", "mode", false, 4, false, HINT_DECIMAL);
	expect_kind("read", "fd", false, 4, true, HINT_DECIMAL);
	expect_kind("mmap", "fd", false, 4, true, HINT_DECIMAL);
	expect_kind("read", "ret", false, 8, true, HINT_ERRNO);
	expect_kind("mmap", "ret", false, 8, true, HINT_HEX);
	expect_kind("unknown_call", "flags", false, 4, false, HINT_HEX);
	assert_false(syscallargs_find("read", "count", &a));
	assert_false(syscallargs_find("unknown_call", "what", &a));
	assert_true(syscallargs_are_gone_after("execve"));
	assert_false(syscallargs_are_gone_after("exec"));
}

static void test_types(void **state)
{
	static const struct {
		const char *type;
		uint8_t size, hint;
		bool is_signed, is_pointer;
	} types[] = {
		{ "int", 4, HINT_DECIMAL, true, false },
		{ "const clockid_t", 4, HINT_DECIMAL, true, false },
		{ "unsigned int", 4, HINT_DECIMAL, false, false },
		{ "unsigned", 4, HINT_DECIMAL, false, false },
		{ "umode_t", 2, HINT_OCTAL, false, false },
		{ "size_t", 8, HINT_DECIMAL, false, false },
		{ "loff_t", 8, HINT_DECIMAL, true, false },
		{ "unsigned long", 8, HINT_HEX, false, false },
		{ "const char *", 8, HINT_HEX, false, true },
		{ "const char *const *", 8, HINT_HEX, false, true },
		{ "const enum landlock_rule_type", 4, HINT_DECIMAL, false, false },
		{ "aio_context_t", 8, HINT_HEX, false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct syscallargs a;

		syscallargs_of_type(types[i].type, &a);
		assert_int_equal(a.size, types[i].size);
		assert_int_equal(a.hint, types[i].hint);
		assert_int_equal(a.is_signed, types[i].is_signed);
		assert_int_equal(a.is_pointer, types[i].is_pointer);
		assert_false(a.is_string);
	}
}

/* Every set can be read again as it was meant: names without blanks, a bounded text. */
static void test_texts(void **state)
{
	(void)state;
	assert_null(syscallargs_names(NAMES_none));
	for (int set = NAMES_none + 1; set < NAMES_MAX; set++) {
		const char *text = syscallargs_names((enum syscallargs_names)set);
		size_t nr_entries = 0;

		assert_non_null(text);
		assert_ptr_equal(text, syscallargs_names((enum syscallargs_names)set));
		assert_true(strlen(text) < VALUENAMES_MAX_BYTES);
		for (const char *c = text + 1; *c; nr_entries++) {
			char word[128];
			size_t len = strcspn(c, " ");

			assert_true(len > 2 && len < sizeof(word));
			snprintf(word, sizeof(word), "%.*s", (int)len, c);
			assert_non_null(strchr(word, '='));
			assert_null(strchr(strchr(word, '=') + 1, '='));
			c += len + (c[len] == ' ');
		}
		assert_true(nr_entries > 0);
	}
}

/* -1: the running kernel has no such call; else whether it has such an argument. */
static int kernel_has(const char *call, const char *arg)
{
	char path[256], line[512], wanted[128];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/tracing/events/syscalls/sys_enter_%s/format",
		 call);
	snprintf(wanted, sizeof(wanted), " %s;", arg);
	f = fopen(path, "r");
	if (!f)
		return -1;
	while (!found && fgets(line, sizeof(line), f))
		found = strstr(line, "field:") && strstr(line, wanted);
	fclose(f);
	return found;
}

static void check_row(const char *calls, const char *arg)
{
	bool known = false, found = false;
	char copy[512], *rest, *call;

	snprintf(copy, sizeof(copy), "%s", calls);
	for (rest = copy; (call = strtok_r(rest, ",", &rest));) {
		int has = kernel_has(call, arg);

		known |= has >= 0;
		found |= has > 0;
	}
	if (known && !found)
		fail_msg("no call of '%s' has an argument '%s'", calls, arg);
}

/* Each row's arguments are those of calls that the running kernel has. */
static void test_rows_are_real(void **state)
{
	static const struct {
		const char *calls, *args;
	} rows[] = {
#define A(calls, args, kind, names) { calls, args },
#include "record/syscallargs.def"
#undef A
	};

	(void)state;
	if (kernel_has("openat", "filename") < 1)
		skip();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char args[512], *rest, *arg;

		if (!strcmp(rows[i].calls, "*") || !strcmp(rows[i].args, "ret"))
			continue;
		snprintf(args, sizeof(args), "%s", rows[i].args);
		for (rest = args; (arg = strtok_r(rest, ",", &rest));)
			check_row(rows[i].calls, arg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_rows_are_real),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
