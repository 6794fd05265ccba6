/*
 * What changed between two traces, as a flame graph of both: stacks are compared by the
 * names of their frames, weights after they were brought to one scale.
 */
#ifndef REPORT_FLAMEDIFF_H
#define REPORT_FLAMEDIFF_H

#include "format/diag.h"
#include "report/flamediff_tree.h"
#include "report/flamegraph.h"
#include "report/folded.h"

#include <stdbool.h>

/* What the weights of the base are multiplied by, to compare with those of the new trace. */
enum flamediff_normalize {
	FLAMEDIFF_BY_TIME,	/* how much longer the new one was recorded */
	FLAMEDIFF_BY_TOTAL,	/* as much as makes the sums of both equal */
	FLAMEDIFF_BY_NOTHING,
};

/* One of the two traces. */
struct flamediff_input {
	struct query *query;
	const char *path;
	const char *time;	/* the query's, or NULL */
};

struct flamediff_opts {
	struct flamediff_input inputs[FLAMEDIFF_SIDES];
	enum flamediff_normalize normalize;
	enum flamediff_side width_of;	/* whose widths the graph has */
};

struct flamediff_result {
	struct stacksum_left_out left_out[FLAMEDIFF_SIDES];
	bool empty[FLAMEDIFF_SIDES];
	bool same;		/* not a stack differs, nor what it weighs */
};

/* -EINVAL: they cannot be compared; d says why. */
int flamediff_write(const struct flamediff_opts *opts, const struct flamegraph_opts *graph,
		    struct output *o, struct flamediff_result *result, struct diag *d);

#endif
