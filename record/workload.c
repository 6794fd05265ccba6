#include "record/workload.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TERMINATE_MS 5000
#define EXEC_FAILED_STATUS 127		/* as shells have it */

void workload_init(struct workload *w)
{
	*w = (struct workload){ .fd = -1 };
}

/*
 * Runs between fork and exec.  The recorder's handlers must not run here, and
 * what it blocks for itself is not the command's business.  Signals that were
 * ignored stay so (nohup), but for SIGPIPE, which the recorder ignores itself.
 */
static void reset_signals(void)
{
	struct sigaction action;
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++) {
		if (sigaction(sig, NULL, &action) < 0 || action.sa_handler == SIG_DFL)
			continue;
		if (action.sa_handler != SIG_IGN || sig == SIGPIPE)
			signal(sig, SIG_DFL);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void run_child(int fd, char **command)
{
	ssize_t n;
	char go;
	int err;

	reset_signals();
	do {
		n = read(fd, &go, 1);
	} while (n < 0 && errno == EINTR);
	if (n != 1)
		_exit(EXEC_FAILED_STATUS);
	execvp(command[0], command);
	err = errno;
	/* If the recorder is gone, nobody is left to be told. */
	send(fd, &err, sizeof(err), MSG_NOSIGNAL);
	_exit(EXEC_FAILED_STATUS);
}

int workload_fork(struct workload *w, char **command, struct diag *d)
{
	sigset_t all, old;
	int fds[2], err;

	/* Close-on-exec: an exec that works closes the child's end. */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return diag_set(d, -errno, "cannot start '%s': %s", command[0],
				strerror(errno));
	/* No handler of ours may run in the child before they are reset. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	w->pid = fork();
	err = -errno;
	if (!w->pid) {
		close(fds[0]);
		run_child(fds[1], command);
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	close(fds[1]);
	if (w->pid < 0) {
		w->pid = 0;
		close(fds[0]);
		return diag_set(d, err, "cannot start '%s': %s", command[0], strerror(-err));
	}
	w->fd = fds[0];
	w->name = command[0];
	return 0;
}

int workload_start(struct workload *w, struct diag *d)
{
	char reason[128];
	ssize_t n = 0;
	int err = 0;

	if (w->fd < 0)
		return 0;
	/* A child that somebody killed meanwhile counts as started. */
	if (send(w->fd, "g", 1, MSG_NOSIGNAL) == 1) {
		do {
			n = recv(w->fd, &err, sizeof(err), MSG_WAITALL);
		} while (n < 0 && errno == EINTR);
	}
	close(w->fd);
	w->fd = -1;
	if (n != sizeof(err))
		return 0;
	snprintf(reason, sizeof(reason), "%s", strerror(err));
	if (reason[0] >= 'A' && reason[0] <= 'Z')
		reason[0] = (char)(reason[0] - 'A' + 'a');
	return diag_set(d, -err, "cannot run '%s': %s", w->name, reason);
}

static pid_t wait_for(pid_t pid, int *wait_status, int flags)
{
	pid_t got;

	do {
		got = waitpid(pid, wait_status, flags);
	} while (got < 0 && errno == EINTR);
	return got;
}

bool workload_wait(struct workload *w, bool terminate, int *wait_status)
{
	const struct timespec pause = { .tv_nsec = 10000000 };
	pid_t got = 0;

	if (!w->pid)
		return false;
	if (!terminate) {
		got = wait_for(w->pid, wait_status, 0);
	} else {
		kill(w->pid, SIGTERM);
		/* A stopped command cannot heed it. */
		kill(w->pid, SIGCONT);
		for (int ms = 0; !got && ms < TERMINATE_MS; ms += 10) {
			got = wait_for(w->pid, wait_status, WNOHANG);
			if (!got)
				nanosleep(&pause, NULL);
		}
	}
	if (!got)
		return false;
	w->pid = 0;
	return got > 0;
}

void workload_release(struct workload *w)
{
	int status;

	if (w->fd >= 0) {
		close(w->fd);
		w->fd = -1;
		wait_for(w->pid, &status, 0);
		w->pid = 0;
	}
}
