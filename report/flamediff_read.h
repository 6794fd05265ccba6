/*
 * Two traces read into one tree, and how their weights compare.
 */
#ifndef REPORT_FLAMEDIFF_READ_H
#define REPORT_FLAMEDIFF_READ_H

#include "report/flamediff.h"

struct flamediff_pair {
	const struct flamediff_opts *opts;
	struct flamediff_tree *tree;
	struct folded_sums sums[FLAMEDIFF_SIDES];
	uint64_t length_ns[FLAMEDIFF_SIDES];	/* how long was recorded, of what was asked for */
	double factor[FLAMEDIFF_SIDES];		/* of weights; that of the new trace is 1 */
	/* What the factor is, for the reader: "base x 1.500: per second of recording ...". */
	char scale_text[160];
};

/*
 * -EINVAL: they cannot be compared.  `reverse` as in the tree.  Afterwards
 * flamediff_read_release(), also on failure.
 */
int flamediff_read(struct flamediff_pair *p, const struct flamediff_opts *opts,
		   const struct folded_opts *folded, bool reverse,
		   struct flamediff_result *result, struct diag *d);
void flamediff_read_release(struct flamediff_pair *p);

#endif
