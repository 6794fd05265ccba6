/*
 * Numbers on axes: which ones stand there, and how they are written.
 */
#ifndef REPORT_HEATMAP_TICKS_H
#define REPORT_HEATMAP_TICKS_H

#include "report/heataxis.h"

#include <stddef.h>
#include <stdint.h>

#define HEATMAP_TICKS_TEXT 40
#define HEATMAP_TICKS_MAX 64

struct heatmap_tick {
	double place;			/* in cells of the axis */
	char text[HEATMAP_TICKS_TEXT];
};

/* The stretch of an axis that is shown. */
struct heatmap_ticks_range {
	const struct heataxis *axis;
	int64_t first;			/* cell */
	uint32_t nr;			/* of cells */
	double cell_px, apart_px;	/* of a cell; of two numbers, at least */
	const char *unit;
};

/* Round numbers, ascending on a linear axis.  Returns how many, at most HEATMAP_TICKS_MAX. */
size_t heatmap_ticks(const struct heatmap_ticks_range *r, struct heatmap_tick *to);
/*
 * A number with its unit, "1.25 ms", exact enough to tell it from one that is `step` away;
 * the unit's size is that for `scale`.
 */
void heatmap_ticks_text(char to[HEATMAP_TICKS_TEXT], double v, double step, double scale,
			const char *unit);

#endif
