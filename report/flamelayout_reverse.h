/*
 * The part of flamelayout.h that stands stacks on their heads.
 */
#ifndef REPORT_FLAMELAYOUT_REVERSE_H
#define REPORT_FLAMELAYOUT_REVERSE_H

#include "report/flamelayout.h"

/* Boxes in no order. */
int flamelayout_reverse(struct flame_layout *out, const struct trace *t, struct names *names,
			const struct stacksum *sums, const struct flamelayout_opts *opts);
/* The order of siblings. */
int flamelayout_compare_names(const struct frame_name *a, const struct frame_name *b);
int flamelayout_compare_groups(const struct stacksum_group *a, const struct stacksum_group *b);

#endif
