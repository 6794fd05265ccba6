#include "cmd/pager.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile pid_t pager_pid;

static bool is_in_path(const char *program)
{
	const char *path = getenv("PATH");
	char file[4096];

	while (path && *path) {
		size_t len = strcspn(path, ":");

		snprintf(file, sizeof(file), "%.*s/%s", (int)len, path, program);
		if (!access(file, X_OK))
			return true;
		path += len + (path[len] == ':');
	}
	return false;
}

static const char *pager_command(void)
{
	const char *command = getenv("KYMO_PAGER");

	if (!command)
		command = getenv("PAGER");
	if (!command)
		command = is_in_path("less") ? "less" : "";
	if (!*command || !strcmp(command, "cat"))
		return NULL;
	return command;
}

/*
 * A pager that reads the keyboard must not outlive the program: the shell
 * would read the same keys.  close() and waitpid() may be called here.
 */
static void on_signal(int sig)
{
	int saved_errno = errno;

	close(STDOUT_FILENO);
	pager_finish();
	errno = saved_errno;
	signal(sig, SIG_DFL);
	raise(sig);
}

bool pager_start(void)
{
	static const int signals[] = { SIGHUP, SIGINT, SIGTERM, SIGQUIT };
	const char *command;
	int fds[2];
	pid_t pid;

	if (!isatty(STDOUT_FILENO))
		return false;
	command = pager_command();
	if (!command || pipe(fds))
		return false;
	fflush(stdout);
	pid = fork();
	if (pid < 0) {
		close(fds[0]);
		close(fds[1]);
		return false;
	}
	if (!pid) {
		dup2(fds[0], STDIN_FILENO);
		close(fds[0]);
		close(fds[1]);
		/* Leave at once if it fits on the screen; keep colours. */
		setenv("LESS", "FRX", 0);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	dup2(fds[1], STDOUT_FILENO);
	close(fds[0]);
	close(fds[1]);
	pager_pid = pid;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], on_signal);
	return true;
}

void pager_finish(void)
{
	pid_t pid = pager_pid;

	if (!pid)
		return;
	pager_pid = 0;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
}
