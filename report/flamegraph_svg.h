/*
 * The drawing of a flame graph that is laid out.
 */
#ifndef REPORT_FLAMEGRAPH_SVG_H
#define REPORT_FLAMEGRAPH_SVG_H

#include "report/flamegraph.h"
#include "report/flamelayout.h"

/* What is left of the width for frames. */
#define FLAMEGRAPH_MARGIN_PX 12
#define FLAMEGRAPH_INNER_PX(width_px) ((width_px) - 2 * FLAMEGRAPH_MARGIN_PX)

struct flamegraph_picture {
	const struct flamegraph_opts *opts;
	const struct flame_layout *layout;
	const struct stacksum *sums;
	struct names *names;
	const char *title, *subtitle;	/* raw text */
	const char *quality;		/* the line that every view ends with */
	uint64_t records, lost;
	double left_out_px;		/* frames narrower than this are not there */
};

void flamegraph_svg(const struct flamegraph_picture *p, struct output *o);

#endif
