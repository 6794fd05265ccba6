/*
 * What the names in a --filter mean for an event: its own fields, and what every
 * record has; private to query_expr.
 */
#ifndef REPORT_QUERY_EXPR_NAMES_H
#define REPORT_QUERY_EXPR_NAMES_H

#include "format/expr.h"
#include "report/query_expr.h"

#define QUERY_EXPR_NAMES_BYTES 360	/* of a list of names, in a message */

enum source_kind {
	/* Columns. */
	SOURCE_NUMBER, SOURCE_TIME, SOURCE_BUCKET, SOURCE_TEXT, SOURCE_FRAME, SOURCE_TASK_ID,
	SOURCE_EVENT,
	/* Of the task whose id is in the column. */
	SOURCE_PID, SOURCE_TID, SOURCE_UID, SOURCE_PPID, SOURCE_COMM, SOURCE_CMDLINE,
	SOURCE_CGROUP,
};

/* Where a name's value comes from; a constant column has a mask of 0. */
struct source {
	enum source_kind kind;
	int field;			/* -1: the value is 0 */
	const uint64_t *values;
	uint64_t constant;
	size_t mask;
};

/* Sets kind and field of *s.  -ENOENT: no such name; -EINVAL: nothing to be compared. */
int query_expr_names_find(const struct trace_event *e, const char *name, struct source *s,
			  enum expr_type *type);
/* "a, b, c, ...": each name once, of all events that are wanted. */
void query_expr_names_list(struct trace *t, query_expr_event_fn wanted, void *ctx,
			   char known[QUERY_EXPR_NAMES_BYTES]);

#endif
