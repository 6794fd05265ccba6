/*
 * How long the spans of each thread took, event by event: the table of `perf trace -s`,
 * for spans of any kind.
 */
#ifndef REPORT_SPANSUM_H
#define REPORT_SPANSUM_H

#include "format/diag.h"
#include "report/histogram.h"
#include "report/output.h"
#include "report/query.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The spans of one event in one thread. */
struct spansum_row {
	const struct trace_event *event;
	uint32_t thread;
	bool has_result;
	uint64_t errors;	/* results of -4095 to -1 */
	struct histogram durations;	/* ns */
};

/* One thread, whatever it was called in the course of time. */
struct spansum_thread {
	uint32_t task;		/* its last name */
	uint64_t nr_spans;
	size_t first, nr_rows;	/* in the rows */
};

struct spansum {
	uint64_t nr_spans;
	struct spansum_thread *threads;	/* the most spans first */
	size_t nr_threads;
	struct spansum_row *rows;	/* of a thread: the longest in sum first */
	size_t nr_rows;
	/* Private to spansum.c from here on. */
	size_t cap_threads, cap_rows;
	uint32_t *by_task;	/* thread + 1; 0: not known yet */
	uint32_t nr_by_task;
	uint32_t *index;	/* row + 1 by thread and event; 0: free */
	size_t nr_index;
	struct trace *trace;
};

/*
 * -EINVAL with d set when no event has durations.  What it says of events lives as long
 * as the query.
 */
int spansum_make(struct spansum **out, struct query *q, struct diag *d);
void spansum_free(struct spansum *s);

/* Standard error of the mean in percent of it, as perf has it; 0 of fewer than two. */
double spansum_deviation(const struct spansum_row *row);

enum spansum_format { SPANSUM_TEXT, SPANSUM_JSON, SPANSUM_CSV };

/* `ns`: text has nanoseconds, too. */
void spansum_print(const struct spansum *s, struct query *q, struct output *o,
		   enum spansum_format format, bool ns);

#endif
