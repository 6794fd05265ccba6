/*
 * Where the wall clock went, of threads or of spans: on a CPU, waiting for one, blocked
 * and why.  It is read from stories of threads (ROLE_SLICE, format/schema.h), whatever
 * they are called, and adds up: the parts of a row are its wall clock, to the nanosecond.
 *
 * Memory is bounded, but for about 60 bytes a task and 100 a group: distributions and stacks
 * for which there is no room are left out, and counted.
 */
#ifndef REPORT_LATENCY_H
#define REPORT_LATENCY_H

#include "format/diag.h"
#include "report/groups.h"
#include "report/latency_story.h"
#include "report/latency_tops.h"
#include "report/latency_values.h"
#include "report/query.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct latency_opts {
	/*
	 * What rows are of; must outlive the latency.  NULL: processes (spans: events).
	 */
	const struct profile_keys *keys;
	/* Of the spans of the events that the query wants; else of the whole lives of threads. */
	bool spans;
	/* Records were left out one by one (by CPU or expression): time between is no gap. */
	bool picked;
};

enum latency_column {
	LATENCY_ON_USER,	/* on a CPU, in the proportion of the kernel's ticks */
	LATENCY_ON_KERNEL,
	LATENCY_ON_CPU,		/* without ticks, and of spans: not split */
	LATENCY_INTERRUPTED,
	LATENCY_RUNQ,		/* waiting for a CPU */
	LATENCY_OFF_SKIPPED,	/* waits without a record of their own */
	LATENCY_UNEXPLAINED,
	LATENCY_NR_COLUMNS,
};

/* What a distribution of a row is of. */
enum latency_values_of {
	LATENCY_OF_SPANS,	/* durations of spans */
	LATENCY_OF_ON_CPU,	/* slices; of spans: what each was on a CPU, and so on */
	LATENCY_OF_INTERRUPTED,
	LATENCY_OF_RUNQ,
	LATENCY_NR_VALUES,
};

/* Blocked for one reason, in a row. */
struct latency_wait {
	uint32_t id;			/* of the tops */
	uint32_t next;			/* of the row, + 1; 0: the last */
	uint8_t reason;			/* of the names */
	bool idle;			/* it merely waited for something to do */
	uint64_t ns, count;
	struct latency_values *values;	/* NULL: none, or no room */
};

/* So many rows, of the first groups that come; one more is of all the other groups. */
#define LATENCY_MAX_ROWS (1u << 16)

struct latency_row {
	uint32_t group;			/* LATENCY_MAX_ROWS: of all the others */
	uint32_t task;			/* of processes: one of its tasks, for the name; or 0 */
	uint64_t wall_ns;
	uint64_t nr_threads, nr_spans;
	uint64_t ns[LATENCY_NR_COLUMNS];
	uint64_t blocked_ns, idle_ns;	/* sums of the waits: idle_ns is the idle ones' */
	uint64_t still_ns;		/* not idle, but blocked all through the recording */
	struct latency_values *values[LATENCY_NR_VALUES];	/* each may be NULL */
	const struct latency_wait **waits;	/* the longest first */
	size_t nr_waits;
	/* Private to latency.c. */
	double user_ticks, system_ticks;
	uint32_t first_wait;		/* + 1 */
};

/* What did not go as it should. */
struct latency_remarks {
	uint64_t nr_impossible;		/* parts that were longer than what they are part of */
	uint64_t nr_overflow;		/* records left out: the sum is larger than 64 bits */
	/* Waits that nobody was seen to end, and their sum: none of it counts as for a CPU. */
	uint64_t nr_unwoken, unwoken_ns;
	uint64_t overlap_ns;		/* that the records of a thread tell twice */
	uint64_t nr_no_room;		/* values without room in a distribution */
	uint64_t nr_cut;		/* began before the time range, and were cut there */
	uint64_t nr_no_task;		/* spans that do not tell whose they are */
	uint64_t nr_forgotten;		/* spans longer than the waits that are kept */
	uint64_t nr_early;		/* spans too many to wait for the end of the slice */
	uint64_t nr_more_groups;	/* that have no row of their own */
};

struct latency;

/*
 * Reads all records of the query.  -EINVAL with d set: no event tells a story, or there
 * are no spans.  Both must outlive the latency.
 */
int latency_new(struct latency **out, struct query *q, const struct latency_opts *opts,
		struct diag *d);
void latency_free(struct latency *l);

/* Those that were busy longest first: neither idle nor blocked all the time. */
const struct latency_row *latency_rows(const struct latency *l, size_t *nr);
/* The sum of all, without waits and distributions; threads count once. */
const struct latency_row *latency_total(const struct latency *l);
/* What the keys of rows are. */
struct groups *latency_groups(struct latency *l);
const struct profile_keys *latency_keys(const struct latency *l);
bool latency_is_of_processes(const struct latency *l);
struct latency_tops *latency_tops(struct latency *l);
const char *latency_reason(const struct latency *l, uint8_t reason);
void latency_get_remarks(const struct latency *l, struct latency_remarks *out);
/* The time that was looked at, within the trace. */
void latency_range(const struct latency *l, uint64_t *first_ns, uint64_t *last_ns);
/* The sum of a row's columns, LATENCY_NR_COLUMNS and all waits: its wall clock. */
uint64_t latency_sum(const struct latency_row *row);

#endif
