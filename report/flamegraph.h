/*
 * A flame graph as one SVG file: it shows without JavaScript, as an image does,
 * and with it (in a browser) can be searched, zoomed and turned over.  It needs
 * nothing from anywhere else.
 */
#ifndef REPORT_FLAMEGRAPH_H
#define REPORT_FLAMEGRAPH_H

#include "report/output.h"
#include "report/stacksum.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flamegraph_opts {
	struct stacksum_opts sum;
	const char *title, *subtitle;	/* NULL: made from the trace */
	uint32_t width_px;		/* of the picture */
	uint32_t frame_px;		/* height of one frame */
	double min_width;		/* of a frame, px or percent; negative: as it fits */
	bool min_width_percent;
	bool icicle;			/* root on top */
	bool reverse;			/* innermost frames next to the root */
};

/* 1200 px wide, by comm, nothing chosen. */
void flamegraph_opts_init(struct flamegraph_opts *opts);
int flamegraph_write(struct query *q, const struct flamegraph_opts *opts, struct output *o,
		     struct stacksum_left_out *left_out, struct diag *d);

/* The least width that is drawn, of so much in all; and in pixels, when it is laid out. */
uint64_t flamegraph_min_width(const struct flamegraph_opts *opts, uint64_t total);
double flamegraph_min_px(const struct flamegraph_opts *opts, uint64_t laid_out, uint64_t total);
/* How many boxes are drawn; 0: any number. */
size_t flamegraph_max_boxes(const struct flamegraph_opts *opts);

#endif
