/*
 * Splits spans by what their threads did: how long each was on a CPU, waited for one, was
 * blocked and why, and in sum where, and who ended it.  A span that many waits lie in, and
 * a wait that lies in many spans, cost little more than one.
 */
#ifndef REPORT_LATENCY_SPLIT_H
#define REPORT_LATENCY_SPLIT_H

#include "report/latency_private.h"
#include "report/latency_waits.h"

struct latency_split;

int latency_split_new(struct latency_split **out, struct latency *l);
void latency_split_free(struct latency_split *s);
/*
 * The thread's next wait.  What it tells of a time that others told of before it is what
 * holds.
 */
int latency_split_wait(struct latency_split *s, uint32_t thread, const struct latency_piece *p);
/* A span of the thread, by what is known of it; adds it to the row.  Thread 0 is unknown. */
int latency_split_span(struct latency_split *s, uint32_t thread, uint32_t group,
		       uint64_t start_ns, uint64_t end_ns);
/* Once, at the end. */
int latency_split_finish(struct latency_split *s);

#endif
