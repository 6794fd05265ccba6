/*
 * Whom to record: the whole machine, CPUs, processes, threads, or a command
 * that record starts itself.
 */
#ifndef RECORD_TARGET_H
#define RECORD_TARGET_H

#include "format/diag.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct target {
	bool all;		/* -a or -C: whole CPUs */
	int *cpus;		/* online CPUs, or those of -C */
	size_t nr_cpus;
	int *tids;		/* -t, the threads of -p, or the command's */
	size_t nr_tids;
	pid_t *pids;		/* -p, the owners of -t, or the command's */
	size_t nr_pids;
	pid_t child;		/* the command, or 0 */
	/* private */
	int go_fd, error_fd;
	int *pidfds;
};

struct target_opts {
	bool all;
	const char *cpu_list, *pid_list, *tid_list;	/* "1,3-5", or NULL */
	char **command;		/* NULL-terminated, or NULL */
};

/*
 * Finds the threads; forks the command, which waits for target_start().
 * -ESRCH, -EINVAL, ... with a sentence in d.
 */
int target_open(struct target *t, const struct target_opts *opts, struct diag *d);
/* Reads the thread lists of -p again: threads born while events were attached. */
int target_refresh_tids(struct target *t, struct diag *d);
/* Lets the command exec.  -ENOENT and so on, with the sentence, if it cannot. */
int target_start(struct target *t, struct diag *d);
/*
 * An fd that polls readable once everything that was to be recorded is gone
 * (an epoll set of pidfds), or -1 with -a/-C and no command.
 */
int target_done_fd(const struct target *t);
bool target_is_done(struct target *t);
/*
 * Waits for the command, if any; true with its wait status.  With terminate,
 * sends it SIGTERM first.
 */
bool target_wait(struct target *t, bool terminate, int *wait_status);
void target_release(struct target *t);

#endif
