/*
 * The command that record starts itself: forked early, so that events can be
 * attached to it, and held back until workload_start().
 */
#ifndef RECORD_WORKLOAD_H
#define RECORD_WORKLOAD_H

#include "format/diag.h"

#include <stdbool.h>
#include <sys/types.h>

struct workload {
	pid_t pid;		/* 0: none, or its status was taken */
	int fd;			/* to the child until it execs; else -1 */
	const char *name;	/* borrowed from the command line */
};

void workload_init(struct workload *w);
int workload_fork(struct workload *w, char **command, struct diag *d);
/* -errno of exec if it fails; the child is gone then, its status 127. */
int workload_start(struct workload *w, struct diag *d);
/*
 * True with its wait status once it has ended.  With terminate it gets SIGTERM
 * first, and a few seconds to heed it.
 */
bool workload_wait(struct workload *w, bool terminate, int *wait_status);
/* A command that was never started goes away; one that runs is left alone. */
void workload_release(struct workload *w);

#endif
