/* /proc as it is, and as odd as it can be. */
#define _GNU_SOURCE
#include "record/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void test_stat(void **state)
{
	struct procfs_task t;

	(void)state;
	assert_int_equal(procfs_parse_stat(&t, "7 (a) S 4 (b\n) R 3 1 1 0 -1 4194304 1 2 3 4 5 "
					   "6 7 8 20 0 1 0 250 99 99"), 0);
	assert_string_equal(t.comm, "a) S 4 (b\n");
	assert_int_equal(t.state, 'R');
	assert_int_equal(t.parent_pid, 3);
	assert_false(t.kernel_thread);
	assert_int_equal(t.start_ns, 250 * (1000000000ull / (uint64_t)sysconf(_SC_CLK_TCK)));
	assert_int_equal(procfs_parse_stat(&t, "2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 "
					   "0 0 20 0 1 0 0 0 0"), 0);
	assert_true(t.kernel_thread);
	assert_int_equal(procfs_parse_stat(&t, ""), -EBADMSG);
	assert_int_equal(procfs_parse_stat(&t, "1 (x"), -EBADMSG);
	assert_int_equal(procfs_parse_stat(&t, ")("), -EBADMSG);
	assert_int_equal(procfs_parse_stat(&t, "1 (x) S 1"), -EBADMSG);
}

static void check_cgroup(const char *text, const char *expected)
{
	char *copy = strdup(text), path[64];

	procfs_parse_cgroup(path, sizeof(path), copy);
	assert_string_equal(path, expected);
	free(copy);
}

static void test_cgroup(void **state)
{
	(void)state;
	check_cgroup("0::/system.slice/x.service\n", "/system.slice/x.service");
	check_cgroup("0::/\n", "/");
	check_cgroup("5:cpu,cpuacct:/a\n4:memory:/a/b\n1:name=systemd:/\n0::/\n", "/a/b");
	check_cgroup("4:memory:/docker/1234567\n0::/user\n", "/user");
	check_cgroup("0::/a:b/c (deleted)\n", "/a:b/c");
	check_cgroup("", "");
	check_cgroup("nonsense\n3:only\n", "");
	check_cgroup("0::/0123456789012345678901234567890123456789012345678901234567890123456789",
		     "/01234567890123456789012345678901234567890123456789012345678901");
}

static void test_self(void **state)
{
	uint32_t pid = (uint32_t)getpid();
	char expected[4096] = "";
	struct procfs_task t;
	FILE *f;

	(void)state;
	assert_int_equal(prctl(PR_SET_NAME, "o) R (dd\n"), 0);
	assert_int_equal(procfs_read_task(&t, pid, pid), 0);
	assert_string_equal(t.comm, "o) R (dd\n");
	assert_int_equal(t.pid, pid);
	assert_int_equal(t.tid, pid);
	assert_int_equal(t.parent_pid, (uint32_t)getppid());
	assert_false(t.kernel_thread);
	assert_int_equal(t.state, 'R');
	assert_true(t.start_ns > 0);
	f = fopen("/proc/self/cmdline", "r");
	assert_non_null(f);
	assert_int_equal(fread(expected, 1, sizeof(expected), f), t.cmdline_bytes);
	fclose(f);
	assert_memory_equal(t.cmdline, expected, t.cmdline_bytes);
	assert_true(t.cmdline_bytes && !t.cmdline[t.cmdline_bytes - 1]);
}

/* A child that is still there, but has nothing left; then one that is gone. */
static void test_zombie_and_gone(void **state)
{
	struct procfs_task t;
	siginfo_t info;
	pid_t pid = fork();
	uint32_t gone;

	(void)state;
	if (!pid)
		_exit(0);
	assert_true(pid > 0);
	gone = (uint32_t)pid;
	assert_int_equal(waitid(P_PID, gone, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(procfs_read_task(&t, gone, gone), 0);
	assert_int_equal(t.state, 'Z');
	assert_int_equal(t.cmdline_bytes, 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(procfs_read_task(&t, gone, gone), -ESRCH);
	assert_int_equal(procfs_read_cgroup(t.cgroup, sizeof(t.cgroup), gone), -ESRCH);
	assert_int_equal(procfs_each_tid(gone, NULL, NULL), -ESRCH);
	assert_int_equal(procfs_each_map(gone, NULL, NULL), -ESRCH);
}

static int find_number(void *ctx, uint32_t number)
{
	return number == *(uint32_t *)ctx;
}

static int count_number(void *ctx, uint32_t number)
{
	struct procfs_task t;

	if (!procfs_read_task(&t, number, number)) {
		assert_true(t.comm[0] || number);
		assert_true(t.cmdline_bytes <= sizeof(t.cmdline));
		++*(size_t *)ctx;
	}
	return 0;
}

static void test_lists(void **state)
{
	uint32_t pid = (uint32_t)getpid();
	size_t nr = 0;

	(void)state;
	assert_int_equal(procfs_each_pid(find_number, &pid), 1);
	assert_int_equal(procfs_each_tid(pid, find_number, &pid), 1);
	assert_int_equal(procfs_each_pid(count_number, &nr), 0);
	assert_true(nr > 0);
}

struct wanted {
	const char *path;
	uint64_t start;
	struct procfs_map found;
	char found_path[256];
};

static int find_map(void *ctx, const struct procfs_map *m)
{
	struct wanted *w = ctx;

	assert_true(m->prot & PROT_EXEC);
	if (m->start != w->start)
		return 0;
	w->found = *m;
	snprintf(w->found_path, sizeof(w->found_path), "%s", m->path);
	return 1;
}

/* A mapped file whose name has blanks, a newline and something like an escape. */
static void test_maps(void **state)
{
	char path[] = "/tmp/a b\n-x w-XXXXXX";
	int fd = mkstemp(path);
	struct wanted w = { 0 };
	char deleted[64];
	void *at;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 12288), 0);
	at = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 8192);
	if (at == MAP_FAILED)
		skip();
	w.start = (uintptr_t)at;
	assert_int_equal(procfs_each_map((uint32_t)getpid(), find_map, &w), 1);
	assert_string_equal(w.found_path, path);
	assert_int_equal(w.found.end - w.found.start, 4096);
	assert_int_equal(w.found.offset, 8192);
	assert_int_equal(w.found.prot, PROT_READ | PROT_EXEC);
	assert_true(w.found.inode);
	unlink(path);
	assert_int_equal(procfs_each_map((uint32_t)getpid(), find_map, &w), 1);
	snprintf(deleted, sizeof(deleted), "%s (deleted)", path);
	assert_string_equal(w.found_path, deleted);
	munmap(at, 4096);
	close(fd);
}

static void test_cost(void **state)
{
	uint64_t user_ns, system_ns, later_user_ns, later_system_ns;

	(void)state;
	procfs_self_cost(&user_ns, &system_ns);
	for (;;) {
		getppid();
		procfs_self_cost(&later_user_ns, &later_system_ns);
		if (later_user_ns + later_system_ns > user_ns + system_ns)
			break;
	}
	assert_true(later_user_ns >= user_ns);
	assert_true(later_system_ns >= system_ns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stat),
		cmocka_unit_test(test_cgroup),
		cmocka_unit_test(test_self),
		cmocka_unit_test(test_zombie_and_gone),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_maps),
		cmocka_unit_test(test_cost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
