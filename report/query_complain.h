/*
 * Answers to a name that is none of the trace's events.
 */
#ifndef REPORT_QUERY_COMPLAIN_H
#define REPORT_QUERY_COMPLAIN_H

#include "format/diag.h"
#include "format/trace.h"

/*
 * Says that there is no such event, what to record to have it where that is known, and
 * which events there are; returns -ENOENT.
 */
int query_complain_event(const char *pattern, const struct trace *t, struct diag *d);

#endif
