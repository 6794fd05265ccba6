/*
 * The event "sched" as the file describes it, and its parts: a record of the whole is one
 * of "offcpu" (the wait), "blocked" (the wait without the part in which it could have
 * run), "runq" (that part), "oncpu" (the slice before the wait) and "wakeup" (who ended
 * it), as far as it has them.
 */
#ifndef RECORD_SCHEDDESC_H
#define RECORD_SCHEDDESC_H

#include "format/schema.h"

#include <stdbool.h>
#include <stddef.h>

/* Columns of the whole; what follows SCHED_EDGE is there on demand. */
enum sched_column {
	SCHED_COLUMN_TIME, SCHED_COLUMN_CPU, SCHED_COLUMN_TASK,
	SCHED_COLUMN_OFFCPU, SCHED_COLUMN_RUNQ, SCHED_COLUMN_ONCPU,
	SCHED_COLUMN_USER, SCHED_COLUMN_SYSTEM, SCHED_COLUMN_IRQ,
	SCHED_COLUMN_FROM_CPU, SCHED_COLUMN_STATE, SCHED_COLUMN_REASON, SCHED_COLUMN_IDLE,
	SCHED_COLUMN_WAKER, SCHED_COLUMN_WAKER_CPU, SCHED_COLUMN_CONTEXT,
	SCHED_COLUMN_EDGE, SCHED_COLUMN_SKIPPED,
	SCHED_COLUMN_STACK, SCHED_COLUMN_WAKER_STACK,	/* with stacks */
	SCHED_NR_COLUMNS,
};

/* Why a thread was blocked.  Numbers are part of files: new ones come at the end. */
enum sched_reason {
	SCHED_REASON_NONE,		/* it was not: it could have run all the time */
	SCHED_REASON_OTHER,
	SCHED_REASON_DISK,
	SCHED_REASON_NETWORK,
	SCHED_REASON_LOCK,		/* of the kernel: mutex, rwsem */
	SCHED_REASON_FUTEX,
	SCHED_REASON_SLEEP,		/* timers: nanosleep and the like */
	SCHED_REASON_PIPE,		/* pipes, FIFOs, terminals, sockets of this machine */
	SCHED_REASON_PAGE_FAULT,
	SCHED_REASON_POLL,		/* poll, select, epoll: any of many */
	SCHED_REASON_CHILD,		/* wait4 and the like, vfork */
	SCHED_REASON_WORK,		/* threads of the kernel without work */
	SCHED_REASON_UNKNOWN,		/* no kernel stack to tell it from */
	SCHED_NR_REASONS,
};

/* The whole: its first description, without or with stacks.  Static memory. */
const struct event_desc *scheddesc_whole(bool stacks);
/* The name as one of these has it, else NULL. */
const char *scheddesc_name(const char *name);
/* What the event, or that part, is about: one line. */
const char *scheddesc_summary(const char *name);
/* Its parts one by one, NULL past the last. */
const struct event_desc *scheddesc_part(bool stacks, size_t i);

#endif
