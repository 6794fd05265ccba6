/* Programs and libraries by the names that users give them. */
#define _GNU_SOURCE
#include "record/libfind.h"

#include "record/ldcache.h"

#include <errno.h>
#include <link.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void names_of_libraries(void **state)
{
	static const char *const yes[][2] = {
		{ "libc.so.6", "libc.so.6" }, { "libc.so.6", "libc.so" }, { "libc.so.6", "libc" },
		{ "libc.so.6", "c" }, { "libc-2.31.so", "libc" }, { "libc-2.31.so", "c" },
		{ "libstdc++.so.6", "stdc++" }, { "libpython3.11.so.1.0", "python3.11" },
		{ "ld-linux-x86-64.so.2", "ld-linux-x86-64" }, { "libz.so", "z" },
	};
	static const char *const no[][2] = {
		{ "libcap.so.2", "c" }, { "libcap.so.2", "libc" }, { "libc.so.6", "libc.so.5" },
		{ "libc.a", "c" }, { "libc", "c" }, { "libc.so.6", "lib" }, { "libc.so.6", "" },
		{ "libc.sorry", "c" }, { "liblibc.so", "bc" }, { "libc.so.66", "libc.so.6" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(yes) / sizeof(*yes); i++)
		if (!ldcache_is_called(yes[i][0], yes[i][1]))
			fail_msg("'%s' is not called '%s'", yes[i][0], yes[i][1]);
	for (size_t i = 0; i < sizeof(no) / sizeof(*no); i++)
		if (ldcache_is_called(no[i][0], no[i][1]))
			fail_msg("'%s' is called '%s'", no[i][0], no[i][1]);
}

/* Where this program has its C library from. */
static int find_libc(struct dl_phdr_info *info, size_t size_bytes, void *ctx)
{
	(void)size_bytes;
	if (!strstr(info->dlpi_name, "/libc.so"))
		return 0;
	snprintf(ctx, PATH_MAX, "%s", info->dlpi_name);
	return 1;
}

static void check_same(const struct libfind_files *files, const char *path)
{
	struct stat a, b;

	assert_int_equal(files->nr, 1);
	assert_int_equal(fstat(files->list[0].fd, &a), 0);
	assert_int_equal(stat(path, &b), 0);
	if (a.st_ino != b.st_ino || a.st_dev != b.st_dev)
		fail_msg("found '%s' instead of '%s'", files->list[0].path, path);
}

static void expect(const char *name, enum libfind_sense sense, pid_t pid, const char *path)
{
	struct libfind_files files;
	struct diag d = { "" };
	int err = libfind_open(&files, name, sense, pid ? &pid : NULL, pid ? 1 : 0, &d);

	assert_string_equal(d.text, "");
	assert_int_equal(err, path ? 0 : -ENOENT);
	if (path)
		check_same(&files, path);
	libfind_release(&files);
}

static void libraries(void **state)
{
	char path[PATH_MAX] = "";

	(void)state;
	if (!dl_iterate_phdr(find_libc, path))
		skip();
	for (int own = 0; own < 2; own++) {
		pid_t pid = own ? getpid() : 0;

		expect("c", LIBFIND_LIBRARY, pid, path);
		expect("libc", LIBFIND_LIBRARY, pid, path);
		expect("libc.so.6", LIBFIND_LIBRARY, pid, path);
		expect("libc", LIBFIND_PROGRAM, pid, NULL);
		expect("no-such-library", LIBFIND_LIBRARY, pid, NULL);
		expect(path, LIBFIND_PROGRAM, pid, path);
		expect("", LIBFIND_PROGRAM, pid, NULL);
		expect("/no/such/file", LIBFIND_PROGRAM, pid, NULL);
	}
}

static void programs(void **state)
{
	(void)state;
	setenv("PATH", "/no/such/folder::/usr/bin:/bin", 1);
	expect("sh", LIBFIND_PROGRAM, 0, "/bin/sh");
	expect("sh", LIBFIND_PROGRAM, getpid(), "/bin/sh");
	/* The program that runs, though PATH does not lead to it. */
	expect("test_record_libfind", LIBFIND_PROGRAM, getpid(), "/proc/self/exe");
	expect("test_record_libfind", LIBFIND_PROGRAM, 0, NULL);
	expect("/proc/self/exe", LIBFIND_PROGRAM, 0, "/proc/self/exe");
}

static void what_is_wrong(void **state)
{
	char long_path[PATH_MAX + 16];
	struct libfind_files files;
	struct diag d = { "" };
	pid_t gone = 0x7ffffff0;

	(void)state;
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[0] = '/';
	long_path[sizeof(long_path) - 1] = '\0';
	assert_int_equal(libfind_open(&files, long_path, LIBFIND_PROGRAM, NULL, 0, &d),
			 -ENAMETOOLONG);
	assert_non_null(strstr(d.text, "too long"));
	libfind_release(&files);
	d.text[0] = '\0';
	assert_int_equal(libfind_open(&files, "libc", LIBFIND_LIBRARY, &gone, 1, &d), -ESRCH);
	assert_non_null(strstr(d.text, "is gone"));
	libfind_release(&files);
	d.text[0] = '\0';
	assert_int_equal(libfind_open(&files, "/dev/null", LIBFIND_PROGRAM, NULL, 0, &d), -EACCES);
	assert_non_null(strstr(d.text, "no regular file"));
	libfind_release(&files);
}

static void check_split(const char *what, const char *name, const char *rest)
{
	char *got_name = NULL;
	const char *got_rest = NULL;

	assert_int_equal(libfind_split(what, NULL, 0, &got_name, &got_rest), name ? 0 : -EINVAL);
	if (!name)
		return;
	assert_string_equal(got_name, name);
	assert_string_equal(got_rest, rest);
	free(got_name);
}

static void splits(void **state)
{
	char folder[] = "/tmp/test:libfind-XXXXXX", path[64], what[96];
	FILE *f;

	(void)state;
	check_split("libc:f", "libc", "f");
	check_split("./x:ns::f*", "./x", "ns::f*");
	check_split("python3:python:line", "python3", "python:line");
	check_split("/bin/sh:a:b", "/bin/sh", "a:b");
	check_split("/no/such:a:b", "/no/such", "a:b");
	check_split("nothing", NULL, NULL);
	check_split("a::b", NULL, NULL);
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/p", folder);
	f = fopen(path, "w");
	assert_non_null(f);
	fclose(f);
	snprintf(what, sizeof(what), "%s:f", path);
	check_split(what, path, "f");
	unlink(path);
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_libraries), cmocka_unit_test(libraries),
		cmocka_unit_test(programs), cmocka_unit_test(what_is_wrong),
		cmocka_unit_test(splits),
	};

	return cmocka_run_group_tests_name("programs and libraries", tests, NULL, NULL);
}
