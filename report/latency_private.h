/*
 * What the files of the latency breakdown share.  Nobody else includes this.
 */
#ifndef REPORT_LATENCY_PRIVATE_H
#define REPORT_LATENCY_PRIVATE_H

#include "format/arena.h"
#include "format/intern.h"
#include "report/latency.h"

/* All distributions together. */
#define LATENCY_VALUES_BYTES (6u << 20)
/* All pairs of threads and rows that are told apart when a thread has several rows. */
#define LATENCY_MAX_PAIRS (1u << 19)

/* What was found out about a task: a name that a thread had. */
struct latency_task {
	uint32_t thread;	/* 0: not known yet */
	uint32_t row;		/* the last that it was met in, + 1; 0: none yet */
	uint32_t comm;		/* string, + 1; 0: not known yet */
};

/* What was seen of a thread; its tasks are the names it had. */
struct latency_thread {
	uint64_t first_ns, last_ns, told_ns;
	uint32_t row;		/* the last it was in, + 1; 0: none yet */
	uint32_t newest;	/* spans: its newest wait */
	uint32_t heads;		/* spans: of latency_split.c */
	uint32_t pending;	/* spans: those that wait for its next record, + 1 */
	bool is_shared;		/* has several rows */
};

struct latency {
	struct query *query;
	struct trace *trace;
	struct latency_opts opts;
	struct profile_keys own_keys;
	bool of_processes;
	struct groups *groups;
	uint32_t *group_of;		/* by row of a batch */
	size_t group_cap;

	struct latency_story story;
	struct latency_story_names names;
	struct latency_thread *threads;	/* [0] is of unknown tasks */
	uint32_t nr_threads, cap_threads;
	struct latency_task *tasks;
	uint32_t nr_tasks;
	struct intern_pairs pairs;

	struct latency_row *rows, total;
	uint32_t nr_rows, cap_rows;
	struct latency_wait *waits;
	const struct latency_wait **sorted_waits;
	uint32_t nr_waits, cap_waits;
	size_t values_bytes;
	struct latency_values gone;	/* stands for those that were given back; empty */
	struct latency_tops tops;
	struct latency_remarks remarks;
	uint64_t first_ns, last_ns;	/* asked for */
	bool is_sliced;			/* not all of the trace */
	uint64_t nr_stories;		/* records */
};

/* Groups of a batch's rows, in group_of; numbers of groups are those of the latency's rows. */
int latency_threads_groups(struct latency *l, struct query_batch *b);
int latency_threads_add(struct latency *l);
/* Number of the task's thread; UINT32_MAX: out of memory. */
uint32_t latency_threads_of(struct latency *l, uint32_t task);
/* String with the name of the task, or 0. */
uint32_t latency_threads_comm(struct latency *l, uint32_t task);
/* The thread has something in the row, which is made if it is new. */
int latency_threads_meet(struct latency *l, uint32_t thread, uint32_t group, uint32_t task);

/* The thread of a task, which has something in the row: if both are known; else NULL. */
static inline struct latency_thread *latency_threads_met(struct latency *l, uint32_t task,
							 uint32_t group)
{
	struct latency_thread *t;

	if (task >= l->nr_tasks || l->tasks[task].row != group + 1)
		return NULL;
	t = &l->threads[l->tasks[task].thread];
	t->row = group + 1;
	return t;
}

int latency_sums_new_value(struct latency *l, struct latency_values **to, uint64_t value);
/* Adds to a distribution that is made if there is none. */
static inline int latency_sums_value(struct latency *l, struct latency_values **to,
				     uint64_t value)
{
	if (*to && latency_values_add(*to, value))
		return 0;
	return latency_sums_new_value(l, to, value);
}

/* Those of a row for one reason, until the next one is looked for; NULL: out of memory. */
struct latency_wait *latency_sums_wait(struct latency *l, uint32_t group, uint8_t reason,
				       bool idle);
/*
 * Blocked so long, so many times.  A value of the distribution is added apart: a whole
 * wait; of a span, what all its waits are in sum.
 */
void latency_sums_blocked(struct latency *l, uint32_t group, struct latency_wait *wait,
			  uint64_t ns, uint64_t count);
/* So much of it was where the piece tells, and ended by whom; count is not 0. */
int latency_sums_top(struct latency *l, const struct latency_wait *wait,
		     const struct latency_piece *p, uint64_t ns, uint32_t count);
/* The wall clock of the row grows, if the sum of all can hold it. */
static inline bool latency_sums_wall(struct latency *l, struct latency_row *row, uint64_t ns)
{
	if (ns > UINT64_MAX - l->total.wall_ns) {
		l->remarks.nr_overflow++;
		return false;
	}
	l->total.wall_ns += ns;
	row->wall_ns += ns;
	return true;
}

/* The waits of each row, the longest first. */
void latency_sums_sort(struct latency *l);

int latency_whole(struct latency *l, struct diag *d);
int latency_spans(struct latency *l, struct diag *d);

#endif
