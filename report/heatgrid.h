/*
 * Counts by cells of two axes, for several panels that share them.  The axes grow as
 * numbers come, in any order; memory is that of the limits of the axes, not of what is
 * counted.
 */
#ifndef REPORT_HEATGRID_H
#define REPORT_HEATGRID_H

#include "report/heataxis.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heatgrid_panel {
	uint64_t **columns;	/* by cell of x from base_x on; NULL: empty */
	uint64_t *intervals;	/* the longest that ended in it; NULL: none anywhere */
	uint64_t total;
};

struct heatgrid {
	struct heataxis x, y;
	struct heatgrid_panel *panels;
	size_t nr_panels, cap;
	/* Numbers that were met; of x and y.  Without meaning as long as x is not used. */
	int64_t least_x, most_x, least_y, most_y;
	/* Private from here on. */
	int64_t base_x, base_y;		/* cells that stand in the first place */
	size_t room_x, room_y;		/* cells there is place for */
	int64_t at_low, at_high;	/* numbers of the column at hand */
	size_t at;
};

/* Axes as they were initialised. */
void heatgrid_init(struct heatgrid *g, const struct heataxis *x, const struct heataxis *y);
void heatgrid_release(struct heatgrid *g);
/* Panels 0 to nr - 1 are there from now on.  0 or -ENOMEM. */
int heatgrid_panels(struct heatgrid *g, size_t nr);
/* 0 or -ENOMEM. */
int heatgrid_add(struct heatgrid *g, size_t panel, int64_t x, int64_t y, uint64_t count);
/* The column of x ends an interval of such a length, for tallies. */
int heatgrid_interval(struct heatgrid *g, size_t panel, int64_t x, uint64_t length);
/* All that was counted, anew on other axes: cells of theirs hold whole cells. */
int heatgrid_move(struct heatgrid *g, const struct heataxis *x, const struct heataxis *y);

/* By cells of the axes. */
uint64_t heatgrid_count(const struct heatgrid *g, size_t panel, int64_t x, int64_t y);
uint64_t heatgrid_interval_at(const struct heatgrid *g, size_t panel, int64_t x);

#endif
