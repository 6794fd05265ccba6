/*
 * --filter EXPR on records that were read: an expression bound to the fields of
 * each event.  Names that are no field of the event mean the same as when
 * recording: pid, tid, uid, comm, cpu, cgroup (its path), and also event, time (ns
 * since the trace began), duration, ppid, cmdline.  An event without a field that
 * is named has no record that passes.
 */
#ifndef REPORT_QUERY_EXPR_H
#define REPORT_QUERY_EXPR_H

#include "format/diag.h"
#include "format/trace.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct query_expr;

/* -EINVAL with d set when the text is no expression. */
int query_expr_new(struct query_expr **out, const char *text, struct diag *d);
void query_expr_free(struct query_expr *x);

typedef bool (*query_expr_event_fn)(void *ctx, const struct trace_event *e);
/*
 * -ENOENT or -EINVAL with d set when the expression fits none of the events that
 * are wanted: it names no field that they have, or a wrong type.
 */
int query_expr_check(struct query_expr *x, struct trace *t, query_expr_event_fn wanted,
		     void *ctx, struct diag *d);

/* Rows of a block: the first `nr` if `all`, else those listed. */
struct query_expr_rows {
	uint32_t *rows;		/* has room for all of the block */
	bool all;
	size_t nr;
};

/* Keeps those that pass.  0, -EBADMSG when a column is damaged, or -ENOMEM. */
int query_expr_sieve(struct query_expr *x, struct trace_batch *b, uint64_t start_ns,
		     struct query_expr_rows *r);

#endif
