/*
 * Where the boxes of a difference stand.  The graph is that of one of the two traces,
 * and to the same scale, in a section of its own on the right, stands what the other one
 * has alone, on the functions that lead to it.  Without anything of the kind there are no
 * sections.
 *
 * Of a box the name is the node of the tree, and is_group tells the section.
 */
#ifndef REPORT_FLAMEDIFF_LAYOUT_H
#define REPORT_FLAMEDIFF_LAYOUT_H

#include "report/flamediff_tree.h"
#include "report/flamegraph.h"
#include "report/flamelayout.h"

struct flamediff_shape {
	enum flamediff_side main;	/* whose widths the graph has */
	/* What a unit of each trace weighs in the comparison. */
	double factor[FLAMEDIFF_SIDES];
	/* Filled in: */
	uint64_t total;			/* width of all */
	double unit_weight;		/* what a unit of width weighs */
	bool sections;			/* depth 1 are the two sections */
};

/* Of a tree that is summed up. */
int flamediff_layout(struct flame_layout *out, const struct flamediff_tree *t,
		     struct flamediff_shape *shape, const struct flamegraph_opts *opts);

#endif
