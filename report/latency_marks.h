/*
 * Where spans were blocked, when many waits lie in a span and a wait in many spans: the first
 * and the last wait of a span get a mark for its row, and once in a while all waits are gone
 * through, which counts the marks, and so in how many spans of which rows each wait lies.
 */
#ifndef REPORT_LATENCY_MARKS_H
#define REPORT_LATENCY_MARKS_H

#include "report/latency_private.h"
#include "report/latency_waits.h"

/* Of a wait and a row: so many spans begin and end with it. */
struct latency_mark {
	uint32_t group, next;
	uint32_t begin, end;
};

/* A row of which spans are open while marks are counted. */
struct latency_marks_open {
	uint32_t group, nr;
};

struct latency_marks {
	struct latency *l;
	struct latency_waits *waits;
	struct latency_mark *marks;	/* [0] is not used */
	uint32_t nr_marks, free_mark;
	struct latency_marks_open *open;
	size_t nr_open, cap_open;
	uint32_t *open_of;		/* by row: its index in open, + 1, or 0 */
	uint32_t nr_open_of;
	uint64_t nr_spans_open, nr_added;
	uint32_t nr_since;		/* waits since marks were counted */
};

/* Both must outlive the marks. */
int latency_marks_init(struct latency_marks *m, struct latency *l, struct latency_waits *w);
void latency_marks_release(struct latency_marks *m);
/* A wait comes: marks are counted before it makes one forgotten that has any. */
int latency_marks_wait(struct latency_marks *m);
/* A span of the row lies over all waits of a thread between these, and over both of them. */
int latency_marks_span(struct latency_marks *m, struct latency_kept *newest,
		       struct latency_kept *oldest, uint32_t group);
/* The thread's newest wait changes, or goes: what lies over it is counted, as it is now. */
int latency_marks_settle(struct latency_marks *m, struct latency_kept *newest);
/* Counts all, and so adds to the rows where they were blocked. */
int latency_marks_count(struct latency_marks *m);

#endif
