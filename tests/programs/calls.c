/*
 * Known numbers of known calls: what a recording of this program must show.
 *
 *	calls getppid N | signals N | opens FOLDER N | children N | reads FILE N | threads N M
 *
 * Prints one line about what it did, for the test to compare with.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static long nr;

static void *call_getppid(void *arg)
{
	for (long i = 0; i < nr; i++)
		syscall(SYS_getppid);
	return arg;
}

static int do_threads(int nr_threads)
{
	pthread_t threads[64];

	if (nr_threads < 1 || nr_threads > 64)
		return 2;
	for (int i = 0; i < nr_threads; i++)
		if (pthread_create(&threads[i], NULL, call_getppid, NULL))
			return 1;
	for (int i = 0; i < nr_threads; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

/* A signal that is ignored. */
static int do_signals(void)
{
	signal(SIGURG, SIG_IGN);
	for (long i = 0; i < nr; i++)
		kill(getpid(), SIGURG);
	return 0;
}

static int do_opens(const char *folder)
{
	char path[512];

	for (long i = 0; i < nr; i++) {
		int fd;

		snprintf(path, sizeof(path), "%s/file-%ld", folder, i);
		fd = open(path, O_CREAT | O_RDWR | O_TRUNC | O_CLOEXEC, 0600 + (int)(i % 8));
		if (fd < 0)
			return 1;
		close(fd);
	}
	return 0;
}

static int do_reads(const char *path)
{
	char buffer[8192];
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		return 1;
	for (long i = 0; i < nr; i++)
		if (pread(fd, buffer, (size_t)i + 1, 0) < 0)
			return 1;
	close(fd);
	return 0;
}

static int do_children(void)
{
	for (long i = 0; i < nr; i++) {
		pid_t pid = fork();
		int status;

		if (pid < 0)
			return 1;
		if (!pid) {
			syscall(SYS_getppid);
			_exit((int)(i & 0x7f));
		}
		if (waitpid(pid, &status, 0) != pid || WEXITSTATUS(status) != (i & 0x7f))
			return 1;
		printf("%d ", (int)pid);
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	int ret = 2;

	nr = argc > 2 ? atol(argv[argc - 1]) : 0;
	if (!strcmp(what, "getppid"))
		ret = call_getppid(NULL) ? 1 : 0;
	else if (!strcmp(what, "threads") && argc > 3)
		ret = do_threads(atoi(argv[2]));
	else if (!strcmp(what, "signals"))
		ret = do_signals();
	else if (!strcmp(what, "opens") && argc > 3)
		ret = do_opens(argv[2]);
	else if (!strcmp(what, "reads") && argc > 3)
		ret = do_reads(argv[2]);
	else if (!strcmp(what, "children"))
		ret = do_children();
	printf("pid %d\n", (int)getpid());
	return ret;
}
