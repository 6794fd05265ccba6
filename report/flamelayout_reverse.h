/*
 * The part of flamelayout.h that stands stacks on their heads.
 */
#ifndef REPORT_FLAMELAYOUT_REVERSE_H
#define REPORT_FLAMELAYOUT_REVERSE_H

#include "report/flamelayout.h"

/* Boxes in no order. */
int flamelayout_reverse(struct flame_layout *out, const struct trace *t, struct names *names,
			const struct stacksum *sums, const struct flamelayout_opts *opts);
/*
 * The runs of entries, those of one group and part each, in the order of the picture.  To
 * be freed; NULL: no memory.
 */
struct flamelayout_run {
	uint32_t group, part;
	size_t begin, end;	/* entries */
	uint64_t total, records;
};

struct flamelayout_run *flamelayout_runs(const struct stacksum *sums, size_t *nr);
/* Of how many levels of groups and parts two runs are the same. */
size_t flamelayout_same_levels(const struct stacksum *sums, const struct flamelayout_run *a,
			       const struct flamelayout_run *b);
/* How many there are. */
size_t flamelayout_nr_levels(const struct stacksum *sums);
/* The box of one of them, without its place. */
struct flame_box flamelayout_level_box(const struct stacksum *sums,
				       const struct flamelayout_run *run, size_t level);
/* The order of siblings. */
int flamelayout_compare_names(const struct frame_name *a, const struct frame_name *b);

#endif
