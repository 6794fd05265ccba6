/*
 * Records summed by stack: how often, or with how much weight, each group of
 * records was seen with each stack.  It keeps ids only, so it can follow a pipe
 * whose names come later, and its size follows the number of different stacks,
 * not of records.
 */
#ifndef REPORT_STACKSUM_H
#define REPORT_STACKSUM_H

#include "format/trace.h"
#include "report/chain.h"
#include "report/query.h"
#include "report/stacklevels.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stacksum_opts {
	/*
	 * What is summed apart: report/stacklevels.h; NULL: by comm, and, where several
	 * events are summed, by event.
	 */
	const char *by;
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
	bool idle;		/* with the waits of threads that merely wait for work */
	/* So many wakeups that led to the end of a wait: report/chain.h. */
	uint32_t hops;
	/*
	 * All the time of threads, from the event with ROLE_SLICE, in parts (enum
	 * stacksum_part); where there are samples in ns, time on a CPU is theirs.
	 */
	bool wall;
};

/* What a thread did, in a sum of all its time. */
enum stacksum_part {
	STACKSUM_WHOLE,		/* no such sum */
	STACKSUM_ON_CPU,
	STACKSUM_WAITING,	/* for a CPU */
	STACKSUM_BLOCKED,
	STACKSUM_SKIPPED,	/* in waits too short for records of their own */
	STACKSUM_NR_PARTS,
};

const char *stacksum_part_name(enum stacksum_part part);

struct stacksum_entry {
	uint32_t group;		/* of stacksum_groups(), or STACKLEVELS_NO_GROUP */
	uint32_t stack;		/* 0: none */
	uint32_t chain;		/* 0: none */
	uint32_t part;		/* enum stacksum_part */
	uint64_t records;
	uint64_t count;		/* records, or what was summed; never 0 */
};

struct stacksum;

int stacksum_new(struct stacksum **out, struct query *q, const struct stacksum_opts *opts);
void stacksum_free(struct stacksum *s);
/* Reads all records of the query.  Once.  -EINVAL: no event has the field, or the like. */
int stacksum_read(struct stacksum *s, struct diag *d);

/* Sorted by group, part, stack, chain; each once.  Valid until stacksum_free(). */
const struct stacksum_entry *stacksum_entries(const struct stacksum *s, size_t *nr);
/* One past the last entry of the group and part that start at `begin`. */
size_t stacksum_group_end(const struct stacksum *s, size_t begin);
const struct stacklevels *stacksum_levels(const struct stacksum *s);
struct groups *stacksum_groups(const struct stacksum *s);
uint32_t stacksum_nr_groups(const struct stacksum *s);
/* Whether entries have parts. */
bool stacksum_has_parts(const struct stacksum *s);
/* NULL without hops. */
const struct chains *stacksum_chains(const struct stacksum *s);
/* Sum of all counts. */
uint64_t stacksum_total(const struct stacksum *s);
uint64_t stacksum_records(const struct stacksum *s);
/* Names of the events that were summed, with commas, or ""; until stacksum_free(). */
const char *stacksum_event_names(const struct stacksum *s);
/* The name of the first of them, or NULL; the trace's. */
const char *stacksum_event(const struct stacksum *s);
/* What the sum counts: "samples", or the unit of what was summed. */
const char *stacksum_unit(const struct stacksum *s);
/*
 * The field that was summed, or NULL: records were counted, or what samples stand for was
 * summed up.
 */
const char *stacksum_measure(const struct stacksum *s);
struct stacksum_left_out {
	bool is_all;		/* nothing has a weight, or nothing was left */
	uint32_t events;	/* others with stacks, or with sums of another kind */
	uint64_t negative;	/* values that have no width */
	uint64_t idle, idle_records;	/* waits for work, in the unit of the sum */
	uint64_t ended;		/* chains: it is not known what their last waker waited for */
	uint64_t overflow;	/* records that are not in full: the sum is full */
	uint64_t no_room;	/* chains that are cut: there were too many different ones */
	char unit[64];
};

struct stacksum_left_out stacksum_left_out(const struct stacksum *s);

#endif
