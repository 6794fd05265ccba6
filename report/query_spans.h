/*
 * Spans made of the raw records of two events of a trace: paired by the rules by which
 * they are paired when recording, and handed out as batches of an event of their own.
 *
 * A start replaces one that waits under the same key.  The record's time is the end's; its
 * task is the start's, its stack the end's if a key is the thread and else the start's,
 * unless the words `task` and `stack` among the fields of a side say otherwise.  Memory
 * is bounded: starts that find no room are counted.
 */
#ifndef REPORT_QUERY_SPANS_H
#define REPORT_QUERY_SPANS_H

#include "format/diag.h"
#include "format/trace.h"
#include "report/query_filter.h"
#include "report/query_spanspec.h"

#include <stdbool.h>
#include <stdint.h>

struct query_spans;

/* Takes over the list, also on failure; both are used until query_spans_free(). */
int query_spans_new(struct query_spans **out, struct query_spanspecs *specs,
		    struct query_filter *f, struct diag *d);
void query_spans_free(struct query_spans *s);

/*
 * Looks for the events in the trace, and adds those that are made of them.  What cannot be
 * found yet may come later on a pipe; `last` says that nothing comes.
 */
int query_spans_resolve(struct query_spans *s, struct trace *t, bool last, struct diag *d);
/* Whether spans are made of its records. */
bool query_spans_needs(const struct query_spans *s, const struct trace_event *e);
/* Whether it is made here, so that no block of the file can be of it. */
bool query_spans_makes(const struct query_spans *s, const struct trace_event *e);

/* Not 0: stop, and return it. */
typedef int (*query_spans_emit_fn)(void *ctx, struct trace_batch *b);

/* Starts over.  Spans that end, or starts that wait, outside of `range` count nowhere. */
int query_spans_begin(struct query_spans *s, query_spans_emit_fn emit, void *ctx);
/*
 * Takes the next block of the trace, of whatever event, and hands out the spans that are
 * known by then.  Their batches hold nothing back (safe_ns is 0), but the last of them
 * does if `promises`: it has the block's safe_ns.
 */
int query_spans_add(struct query_spans *s, struct trace_batch *b,
		    const struct query_span *range, bool promises, struct diag *d);
/* Hands out what is left. */
int query_spans_finish(struct query_spans *s, const struct query_span *range, struct diag *d);

struct query_spans_counts {
	uint64_t no_start, no_end;	/* within the range and the CPUs asked for */
	uint64_t lost;			/* no room, or ends before their starts */
};

void query_spans_get_counts(const struct query_spans *s, struct query_spans_counts *out);

#endif
