/*
 * What the files of distributions share.  Nobody else includes this.
 */
#ifndef REPORT_HIST_PRIVATE_H
#define REPORT_HIST_PRIVATE_H

#include "format/arena.h"
#include "format/buckets.h"
#include "format/intern.h"
#include "report/hist.h"
#include "report/measure.h"

#define HIST_NR_BUCKETS (2 * BUCKETS_LAST + 1)
#define HIST_WHY_BYTES 400
/* The usual unit of times: that of bcc's tools, which suits what is not very short. */
#define HIST_USUAL_UNIT "us"

struct hist_work {
	struct hist_table shown;
	struct intern_pairs cells;	/* interval, group: the cell's number + 1 */
	uint32_t cap;
	bool whole[HIST_NR_BUCKETS];	/* by bucket + BUCKETS_LAST */
};

/* Events of the query that is added now. */
struct hist_chosen {
	const struct trace_event *event;
	struct measure measure;
	struct hist_work *table;	/* NULL: left out */
};

struct hist {
	const struct hist_opts *opts;
	struct groups *groups;
	struct measure_scratch *scratch;
	struct arena texts;
	struct hist_work **tables;
	size_t nr_tables;
	struct hist_chosen *chosen;
	size_t nr_chosen;
	uint32_t *group_of;		/* by row of a batch */
	size_t group_cap;
	uint64_t start_ns;
	size_t nr_left_out;
	char why[HIST_WHY_BYTES];
	struct query *query;
};

#endif
