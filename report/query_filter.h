/*
 * What a query wants: which events, and which of their records by task, CPU and
 * expression (query_sieve.h finds those in a block).
 */
#ifndef REPORT_QUERY_FILTER_H
#define REPORT_QUERY_FILTER_H

#include "format/diag.h"
#include "format/trace.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct query_opts;
struct query_filter;

/* -EINVAL with d set when a list cannot be understood. */
int query_filter_new(struct query_filter **out, const struct query_opts *opts, struct diag *d);
void query_filter_free(struct query_filter *f);

bool query_filter_event(struct query_filter *f, const struct trace_event *e);
/* Without names of events, those that are added are wanted, and not all. */
void query_filter_want_added(struct query_filter *f);
int query_filter_add_event(struct query_filter *f, const struct trace_event *e);
bool query_filter_cpu(const struct query_filter *f, uint64_t cpu);
/*
 * -ENOENT with a sentence that names the events of the trace when a name asked
 * for is none of them; the same of fields in the filter expression, and -EINVAL when
 * it takes text for numbers.
 */
int query_filter_check_events(struct query_filter *f, struct trace *t, struct diag *d);

/* Of the trace: when it starts, and what was asked for, inclusive. */
struct query_span {
	uint64_t start_ns, first_ns, last_ns;
};

#endif
