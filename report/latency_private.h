/*
 * What the files of the latency breakdown share.  Nobody else includes this.
 */
#ifndef REPORT_LATENCY_PRIVATE_H
#define REPORT_LATENCY_PRIVATE_H

#include "format/arena.h"
#include "format/intern.h"
#include "report/latency.h"

/* All distributions together. */
#define LATENCY_VALUES_BYTES (12u << 20)
/* All pairs of threads and rows that are told apart when a thread has several rows. */
#define LATENCY_MAX_PAIRS (1u << 19)

/* What was seen of a thread; its tasks are the names it had. */
struct latency_thread {
	uint64_t first_ns, last_ns, told_ns;
	uint32_t row;		/* the last it was in, + 1; 0: none yet */
	uint32_t newest;	/* spans: its newest wait */
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
	uint32_t *thread_of_task;	/* 0: not known yet */
	uint32_t nr_by_task;
	struct intern_pairs pairs;

	struct latency_row *rows, total;
	uint32_t nr_rows, cap_rows;
	struct latency_wait *waits;
	const struct latency_wait **sorted_waits;
	uint32_t nr_waits, cap_waits;
	size_t values_bytes;
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
/* The thread has something in the row, which is made if it is new. */
int latency_threads_meet(struct latency *l, uint32_t thread, uint32_t group, uint32_t task);

/* Adds to a distribution that is made if there is none. */
int latency_sums_value(struct latency *l, struct latency_values **to, uint64_t value);
/* Blocked so long, as the piece tells. */
int latency_sums_wait(struct latency *l, uint32_t group, const struct latency_piece *p,
		      uint64_t ns);
/* A value of the distribution: a whole wait; of a span, what all its waits are in sum. */
int latency_sums_wait_value(struct latency *l, uint32_t group, uint8_t reason, bool idle,
			    uint64_t value);
/* The wall clock of the row grows, if the sum of all can hold it. */
bool latency_sums_wall(struct latency *l, struct latency_row *row, uint64_t ns);
/* The waits of each row, the longest first. */
void latency_sums_sort(struct latency *l);

int latency_whole(struct latency *l, struct diag *d);
int latency_spans(struct latency *l, struct diag *d);

#endif
