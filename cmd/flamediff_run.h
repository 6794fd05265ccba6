/*
 * kymo flamegraph --diff: its options, the opening of the base, and what is said of the
 * two traces.
 */
#ifndef CMD_FLAMEDIFF_RUN_H
#define CMD_FLAMEDIFF_RUN_H

#include "cmd/query_options.h"
#include "report/flamediff.h"

#include <stdbool.h>

struct flamediff_run {
	const char *base;		/* NULL: no difference is asked for */
	enum flamediff_normalize normalize;
	enum flamediff_side width_of;
	bool normalize_chosen;
	const char *diff_only;		/* an option given that makes no sense alone */
	bool base_damaged;		/* filled in: the exit status tells it */
};

void flamediff_run_init(struct flamediff_run *r);
int flamediff_run_set_normalize(struct flamediff_run *r, const char *arg);
int flamediff_run_set_width_of(struct flamediff_run *r, const char *arg);
/* EXIT_USAGE after a complaint when the options do not fit together. */
int flamediff_run_check(struct flamediff_run *r, const struct view_opts *view, bool is_folded);
/* The new trace is `q`.  With `folded` text, else a picture.  0 or -errno with d set. */
int flamediff_run_write(struct flamediff_run *r, const struct view_opts *view, struct query *q,
			const struct flamegraph_opts *graph, const struct folded_opts *folded,
			struct output *o, struct diag *d);

#endif
