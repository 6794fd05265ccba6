/*
 * Whom to record: the whole machine, CPUs, processes, threads, or a command
 * that record starts itself.
 */
#ifndef RECORD_TARGET_H
#define RECORD_TARGET_H

#include "format/diag.h"
#include "record/workload.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct target {
	bool all;		/* -a, -C or -G: whole CPUs */
	bool some_cpus;		/* -C */
	int *cpus;		/* online CPUs, or those of -C; sorted */
	size_t nr_cpus;
	int *tids;		/* -t, the threads of -p, or the command's; sorted */
	size_t nr_tids;
	pid_t *pids;		/* -p, the owners of -t, or the command's */
	size_t nr_pids;
	bool threads_only;	/* -t */
	int cgroup_fd;		/* -G: its folder; -1: any */
	pid_t child;		/* the command that is recorded, or 0 */
	/* private */
	bool opened;
	struct workload workload;
	struct target_watch *watches;
	size_t nr_watches;
	int done_fd;
};

struct target_opts {
	bool all;
	const char *cpu_list;			/* "1,3-5", or NULL */
	const char *pid_list, *tid_list;	/* "12,345", or NULL */
	const char *cgroup;			/* -G: its path below the cgroup2 mount */
	char **command;				/* NULL-terminated, or NULL; outlives it */
};

/*
 * Finds the threads; forks the command, which waits for target_start().
 * -ESRCH, -EINVAL, ... with a sentence in d.  Release it in any case.
 */
int target_open(struct target *t, const struct target_opts *opts, struct diag *d);
/*
 * Reads the thread lists of -p again.  1 when there are threads that were not
 * there before, which were born while events were attached, else 0.
 */
int target_refresh_tids(struct target *t, struct diag *d);
/* Lets the command exec.  -ENOENT and so on, with the sentence, if it cannot. */
int target_start(struct target *t, struct diag *d);
/*
 * An fd that polls readable when something that was to be recorded has gone:
 * target_is_done() tells whether it was the last.  -1 with -a/-C and no
 * command.  Kernels before 6.9 cannot watch single threads (-t): there it
 * stays silent, and target_is_done() is to be asked now and then.
 */
int target_done_fd(const struct target *t);
bool target_is_done(struct target *t);
/*
 * Waits for the command, if any; true with its wait status.  With terminate,
 * sends it SIGTERM first and gives up on it after some seconds.
 */
bool target_wait(struct target *t, bool terminate, int *wait_status);
/* Harmless on zeroed memory. */
void target_release(struct target *t);

#endif
