/*
 * Calls that lie in each other (events with a depth and a duration), in the layout of the
 * function_graph tracer: a line where a call starts and one where it ends, and a single
 * line for a call without others in it.
 *
 * Records come at the ends of calls.  Those of a thread are kept until its outermost call
 * has ended; of too many, what is there is printed.
 */
#ifndef REPORT_SCRIPT_GRAPH_H
#define REPORT_SCRIPT_GRAPH_H

#include "report/query.h"

#include <stdbool.h>

struct script;
struct script_graph;

/* Whether it has what the layout takes: thread, duration, depth. */
bool script_graph_takes(const struct trace_event *e);
int script_graph_new(struct script_graph **out, struct script *s);
void script_graph_free(struct script_graph *g);
/* 0 or -ENOMEM. */
int script_graph_add(struct script_graph *g, const struct query_record *r);
/* What is left: calls whose outermost one is not among the records. */
int script_graph_end(struct script_graph *g);

#endif
