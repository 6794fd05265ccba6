/*
 * What tracepoints see, in known numbers: system calls with known arguments and
 * results, signals, children.  Prints its process id and those of its children.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void nothing(int number)
{
	(void)number;
}

int main(int argc, char **argv)
{
	int calls = argc > 1 ? atoi(argv[1]) : 1000;

	prctl(PR_SET_NAME, "stimuli-named");
	printf("%d\n", getpid());
	for (int i = 0; i < calls; i++)
		syscall(SYS_getppid);
	for (int i = 0; i < 7; i++)
		syscall(SYS_openat, AT_FDCWD, "/nonexistent/kymo", O_RDONLY | O_CLOEXEC, i);
	for (int i = 0; i < 3; i++)
		syscall(SYS_lseek, 10001 + i, -(long)i, 20000);
	signal(SIGUSR1, nothing);
	for (int i = 0; i < 5; i++)
		kill(getpid(), SIGUSR1);
	for (int i = 0; i < 3; i++) {
		pid_t child = fork();

		if (child < 0)
			return 1;
		if (!child)
			_exit(0);
		printf("%d\n", child);
		while (waitpid(child, NULL, 0) < 0)
			;
	}
	return 0;
}
