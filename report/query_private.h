/*
 * What the files of a query share.  Nobody else includes this.
 */
#ifndef REPORT_QUERY_PRIVATE_H
#define REPORT_QUERY_PRIVATE_H

#include "report/query.h"
#include "report/query_filter.h"
#include "report/query_spans.h"
#include "report/query_time.h"

struct query {
	struct trace *trace;
	struct query_opts asked;
	struct query_filter *filter;
	struct query_spans *spans;	/* made of raw records; NULL: none */
	struct query_time time;
	bool started;			/* start_ns is known */
	uint64_t start_ns;
	uint64_t first_ns, last_ns;	/* asked for, inclusive */
	bool read;			/* record blocks were read before */
	bool reads_on;			/* past last_ns */
	bool gives_all;			/* batches of which no row passed, too */
	query_event_fn keeps;		/* or NULL */
	uint64_t records, frames, unresolved, truncated_stacks;
	uint64_t cut_spans, cut_ns;
	uint64_t negative_before;	/* differences, when reading began */
};

/* Which blocks are read. */
bool query_wants_block(void *ctx, const struct trace_event *e);

#endif
