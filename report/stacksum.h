/*
 * Records summed by stack: how often, or with how much weight, each group of
 * tasks was seen with each stack.  It keeps ids only, so it can follow a pipe
 * whose names come later, and its size follows the number of different stacks,
 * not of records.
 */
#ifndef REPORT_STACKSUM_H
#define REPORT_STACKSUM_H

#include "format/trace.h"
#include "report/query.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Which tasks share a group. */
enum stacksum_by {
	STACKSUM_BY_NONE,	/* all of them */
	STACKSUM_BY_COMM,
	STACKSUM_BY_PID,	/* comm and process */
	STACKSUM_BY_TID,	/* comm, process and thread */
};

struct stacksum_opts {
	enum stacksum_by by;
	/*
	 * What is summed: this field, as in report/measure.h; without one, weights or
	 * durations if `weighted`, else durations and what tallies have, and of other
	 * records how many there are.
	 */
	const char *of;
	bool weighted;
	/*
	 * Sums what the query lets pass, whatever the event.  Otherwise only the
	 * first event with stacks counts: samples of two clocks make no sum.
	 */
	bool all_events;
};

struct stacksum_group {
	const char *comm;	/* raw bytes from the file; "" with BY_NONE */
	uint32_t pid, tid;	/* 0 where they do not matter */
};

struct stacksum_entry {
	uint32_t group;		/* 0 .. stacksum_nr_groups() - 1 */
	uint32_t stack;		/* 0: none */
	uint64_t count;		/* records, or what was summed; never 0 */
};

struct stacksum;

int stacksum_new(struct stacksum **out, struct query *q, const struct stacksum_opts *opts);
void stacksum_free(struct stacksum *s);
/* Reads all records of the query.  Once.  -EINVAL: no event has the field. */
int stacksum_read(struct stacksum *s, struct diag *d);

/* Sorted by group, then stack; each pair once.  Valid until stacksum_free(). */
const struct stacksum_entry *stacksum_entries(const struct stacksum *s, size_t *nr);
uint32_t stacksum_nr_groups(const struct stacksum *s);
const struct stacksum_group *stacksum_group(const struct stacksum *s, uint32_t group);
/* Sum of all counts. */
uint64_t stacksum_total(const struct stacksum *s);
uint64_t stacksum_records(const struct stacksum *s);
/* One past the last entry of the group that starts at `begin`. */
size_t stacksum_group_end(const struct stacksum *s, size_t begin);
/* Names of the events that were summed, the first of them, or NULL. */
const char *stacksum_event(const struct stacksum *s);
/* What the sum counts: "samples", or the unit of what was summed. */
const char *stacksum_unit(const struct stacksum *s);
struct stacksum_left_out {
	uint32_t events;	/* others with stacks, or with sums of another kind */
	uint64_t negative;	/* values that have no width */
};

struct stacksum_left_out stacksum_left_out(const struct stacksum *s);

#endif
