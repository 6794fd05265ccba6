#include "record/target.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Literals as argv: nobody writes into them. */
#pragma GCC diagnostic ignored "-Wdiscarded-qualifiers"

static void expect_refusal(const struct target_opts *opts, int err, const char *text)
{
	struct diag d = { "" };
	struct target t;

	assert_int_equal(target_open(&t, opts, &d), err);
	assert_string_equal(d.text, text);
	target_release(&t);
}

static void refuses_with_one_sentence(void **state)
{
	(void)state;
	expect_refusal(&(struct target_opts){ .pid_list = "4194999" }, -ESRCH,
		       "no process 4194999");
	expect_refusal(&(struct target_opts){ .tid_list = "4194999" }, -ESRCH,
		       "no thread 4194999");
	expect_refusal(&(struct target_opts){ .pid_list = "1,x" }, -EINVAL,
		       "bad list of processes '1,x' (such as 12,345)");
	expect_refusal(&(struct target_opts){ .tid_list = "" }, -EINVAL,
		       "bad list of threads '' (such as 12,345)");
	expect_refusal(&(struct target_opts){ .cpu_list = "0-" }, -EINVAL,
		       "bad list of CPUs '0-' (such as 0,2-3)");
	expect_refusal(&(struct target_opts){ .cpu_list = "60000" }, -ENODEV,
		       "no CPU 60000 is online");
	expect_refusal(&(struct target_opts){ .all = true, .pid_list = "1" }, -EINVAL,
		       "processes, threads and whole CPUs exclude each other");
	expect_refusal(&(struct target_opts){ 0 }, -EINVAL,
		       "nothing to record: no command, process, thread or CPU");
}

static void whole_machine_has_its_cpus(void **state)
{
	struct target t;

	(void)state;
	assert_int_equal(target_open(&t, &(struct target_opts){ .all = true }, NULL), 0);
	assert_true(t.all);
	assert_int_equal(t.nr_cpus, sysconf(_SC_NPROCESSORS_ONLN));
	assert_int_equal(target_done_fd(&t), -1);
	assert_false(target_is_done(&t));
	assert_int_equal(target_start(&t, NULL), 0);
	target_release(&t);
	assert_int_equal(target_open(&t, &(struct target_opts){ .cpu_list = "0" }, NULL), 0);
	assert_true(t.all);
	assert_int_equal(t.nr_cpus, 1);
	target_release(&t);
	target_release(&t);
}

/* Opens and starts it; its status. */
static int run_command(char **command)
{
	struct target t;
	struct pollfd done;
	int status = -1;

	assert_int_equal(target_open(&t, &(struct target_opts){ .command = command }, NULL), 0);
	assert_true(t.child > 0);
	assert_int_equal(t.nr_tids, 1);
	assert_int_equal(t.tids[0], t.child);
	assert_false(target_is_done(&t));
	assert_int_equal(target_start(&t, NULL), 0);
	done = (struct pollfd){ .fd = target_done_fd(&t), .events = POLLIN };
	assert_true(done.fd >= 0);
	assert_int_equal(poll(&done, 1, 30000), 1);
	assert_true(target_is_done(&t));
	/* Seen once, it is not announced again. */
	assert_int_equal(poll(&done, 1, 0), 0);
	assert_true(target_is_done(&t));
	assert_true(target_wait(&t, true, &status));
	assert_false(target_wait(&t, true, &status));
	target_release(&t);
	return status;
}

static void command_runs_and_its_status_comes_back(void **state)
{
	(void)state;
	assert_int_equal(WEXITSTATUS(run_command((char *[]){ "true", NULL })), 0);
	assert_int_equal(WEXITSTATUS(run_command((char *[]){ "sh", "-c", "exit 7", NULL })), 7);
	assert_int_equal(WTERMSIG(run_command((char *[]){ "sh", "-c", "kill -9 $$", NULL })), 9);
}

static void handler(int sig)
{
	(void)sig;
}

static void command_has_clean_signals_and_files(void **state)
{
	/*
	 * Signals blocked, ignored and caught as /proc shows them, and open files.
	 * make(1) leaves the two that are private to libc ignored.
	 */
	char *command[] = { "sh", "-c",
		"grep -q 'SigBlk:\t0000000000000000' /proc/self/status && "
		"grep -q 'SigIgn:\t0000000[01][08]0000001' /proc/self/status && "
		"test -z \"$(ls /proc/self/fd | grep -v '^[0123]$')\"", NULL };
	sigset_t some, old;

	(void)state;
	/* Whoever runs the tests may ignore other signals and leave files open. */
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	for (int fd = 3; fd < 1024; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, handler);
	sigemptyset(&some);
	sigaddset(&some, SIGTERM);
	sigprocmask(SIG_BLOCK, &some, &old);
	assert_int_equal(run_command(command), 0);
	sigprocmask(SIG_SETMASK, &old, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	signal(SIGINT, SIG_DFL);
}

static void command_that_cannot_run_is_named(void **state)
{
	char *missing[] = { "/nonexistent/program", NULL }, *folder[] = { "/", NULL };
	struct target_opts opts = { .command = missing };
	struct diag d = { "" };
	struct target t;
	int status;

	(void)state;
	assert_int_equal(target_open(&t, &opts, &d), 0);
	assert_int_equal(target_start(&t, &d), -ENOENT);
	assert_string_equal(d.text,
			    "cannot run '/nonexistent/program': no such file or directory");
	assert_true(target_wait(&t, true, &status));
	target_release(&t);
	opts.command = folder;
	d.text[0] = '\0';
	assert_int_equal(target_open(&t, &opts, &d), 0);
	assert_int_equal(target_start(&t, &d), -EACCES);
	assert_string_equal(d.text, "cannot run '/': permission denied");
	target_release(&t);
	waitpid(-1, &status, 0);
}

static void command_that_never_starts_goes_away(void **state)
{
	char *command[] = { "sleep", "1000", NULL };
	struct target t;
	pid_t child;

	(void)state;
	assert_int_equal(target_open(&t, &(struct target_opts){ .command = command }, NULL), 0);
	child = t.child;
	target_release(&t);
	assert_int_equal(kill(child, 0), -1);
	assert_int_equal(errno, ESRCH);
}

static void running_command_is_terminated(void **state)
{
	char *command[] = { "sleep", "1000", NULL };
	struct target t;
	int status;

	(void)state;
	assert_int_equal(target_open(&t, &(struct target_opts){ .command = command }, NULL), 0);
	assert_int_equal(target_start(&t, NULL), 0);
	assert_true(target_wait(&t, true, &status));
	assert_int_equal(WTERMSIG(status), SIGTERM);
	target_release(&t);
}

static void *wait_for_end(void *lock)
{
	pthread_mutex_lock(lock);
	pthread_mutex_unlock(lock);
	return NULL;
}

static void threads_of_processes_are_found(void **state)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_t first, second;
	struct target t;
	char pid[16];

	(void)state;
	snprintf(pid, sizeof(pid), "%d", getpid());
	pthread_mutex_lock(&lock);
	assert_int_equal(pthread_create(&first, NULL, wait_for_end, &lock), 0);
	assert_int_equal(target_open(&t, &(struct target_opts){ .pid_list = pid }, NULL), 0);
	assert_int_equal(t.nr_pids, 1);
	assert_int_equal(t.pids[0], getpid());
	assert_true(t.nr_tids >= 2);
	assert_int_equal(target_refresh_tids(&t, NULL), 0);
	assert_int_equal(pthread_create(&second, NULL, wait_for_end, &lock), 0);
	assert_int_equal(target_refresh_tids(&t, NULL), 1);
	assert_int_equal(target_refresh_tids(&t, NULL), 0);
	assert_false(target_is_done(&t));
	target_release(&t);
	pthread_mutex_unlock(&lock);
	pthread_join(first, NULL);
	pthread_join(second, NULL);
}

static void *tell_and_wait(void *arg)
{
	int *fds = arg;
	int tid = (int)syscall(SYS_gettid);
	char byte;

	if (write(fds[1], &tid, sizeof(tid)) != sizeof(tid))
		return NULL;
	return read(fds[2], &byte, 1) == 1 ? NULL : arg;
}

static void end_of_a_thread_is_seen(void **state)
{
	int fds[4], tid;
	struct target t;
	pthread_t thread;
	char list[16];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(pipe(fds + 2), 0);
	assert_int_equal(pthread_create(&thread, NULL, tell_and_wait, fds), 0);
	assert_int_equal(read(fds[0], &tid, sizeof(tid)), sizeof(tid));
	snprintf(list, sizeof(list), "%d", tid);
	assert_int_equal(target_open(&t, &(struct target_opts){ .tid_list = list }, NULL), 0);
	assert_int_equal(t.nr_tids, 1);
	assert_int_equal(t.tids[0], tid);
	assert_int_equal(t.pids[0], getpid());
	assert_false(target_is_done(&t));
	assert_int_equal(write(fds[3], "x", 1), 1);
	pthread_join(thread, NULL);
	/* Joined is a moment before gone. */
	while (!target_is_done(&t))
		sched_yield();
	target_release(&t);
	for (int i = 0; i < 4; i++)
		close(fds[i]);
}

static void several_processes_are_awaited(void **state)
{
	struct pollfd done;
	pid_t children[2];
	struct target t;
	char list[32];
	int status;

	(void)state;
	for (int i = 0; i < 2; i++) {
		children[i] = fork();
		if (!children[i]) {
			pause();
			_exit(0);
		}
	}
	snprintf(list, sizeof(list), "%d,%d", children[0], children[1]);
	assert_int_equal(target_open(&t, &(struct target_opts){ .pid_list = list }, NULL), 0);
	done = (struct pollfd){ .fd = target_done_fd(&t), .events = POLLIN };
	for (int i = 0; i < 2; i++) {
		kill(children[i], SIGKILL);
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_int_equal(poll(&done, 1, 30000), 1);
		assert_int_equal(target_is_done(&t), i == 1);
		assert_int_equal(poll(&done, 1, 0), 0);
	}
	target_release(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_with_one_sentence),
		cmocka_unit_test(whole_machine_has_its_cpus),
		cmocka_unit_test(command_runs_and_its_status_comes_back),
		cmocka_unit_test(command_has_clean_signals_and_files),
		cmocka_unit_test(command_that_cannot_run_is_named),
		cmocka_unit_test(command_that_never_starts_goes_away),
		cmocka_unit_test(running_command_is_terminated),
		cmocka_unit_test(threads_of_processes_are_found),
		cmocka_unit_test(end_of_a_thread_is_seen),
		cmocka_unit_test(several_processes_are_awaited),
	};

	return cmocka_run_group_tests_name("record/target", tests, NULL, NULL);
}
