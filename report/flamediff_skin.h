/*
 * How a difference looks: colours, marks and words of its boxes, and what they mean.
 * Orange has grown and blue has shrunk, for every eye; marks and hatching tell the same
 * where there are no colours.
 */
#ifndef REPORT_FLAMEDIFF_SKIN_H
#define REPORT_FLAMEDIFF_SKIN_H

#include "report/flamediff_layout.h"
#include "report/flamediff_read.h"
#include "report/flamegraph_svg.h"

struct flamediff_skin {
	const struct flamediff_pair *pair;
	const struct flamediff_shape *shape;
	const struct flamediff_node *nodes;
	const char *unit;
	const char *base_quality;	/* the line that views of the base end with */
	uint32_t inner_px;
	double whole;		/* what shares are of: the larger sum, as it compares */
	/* What one of them has alone, in all: as it compares. */
	double alone[FLAMEDIFF_SIDES];
};

/* `to` refers to `skin`. */
void flamediff_skin_init(struct flamediff_skin *skin, size_t nr_nodes,
			 struct flamegraph_skin *to);

#endif
