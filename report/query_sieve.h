/*
 * Which records of a block a query wants, by task, CPU, time and expression.
 * What depends on a task is decided once per task, not once per record; a column
 * that is one number is tested once per block.
 */
#ifndef REPORT_QUERY_SIEVE_H
#define REPORT_QUERY_SIEVE_H

#include "format/trace.h"
#include "report/query_expr.h"
#include "report/query_filter.h"
#include "report/query_list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Shared with query_filter.c, which makes and frees it. */
struct query_filter {
	struct query_ranges pids, tids, cpus;
	struct query_names comms, events;
	const struct trace_event **added;	/* wanted, whatever they are called */
	size_t nr_added;
	bool only_added;		/* besides those asked for by name */
	struct query_expr *expr;	/* or NULL */
	uint8_t *task_passes;		/* by task id */
	uint32_t nr_tasks, tasks_cap;
	uint64_t nr_task_blocks;	/* read when task_passes was filled */
	uint32_t *rows;
	size_t rows_cap;
};

/* The field, a number or, of "comm", text.  -1: there is none. */
int query_sieve_field(const struct trace_event *e, const char *name);
/* Other records than those of a tally are of CPU 0 if they have no such column. */
bool query_sieve_tells_cpu(const struct trace_event *e);

struct query_rows {
	const uint32_t *rows;	/* NULL: all of them; else borrowed until the next call */
	size_t nr;
};

/*
 * The rows of the block within the span that pass.  0, -EBADMSG when a column is
 * damaged, or -ENOMEM.
 */
int query_sieve_rows(struct query_filter *f, struct trace_batch *b,
		     const struct query_span *span, struct query_rows *out);

#endif
