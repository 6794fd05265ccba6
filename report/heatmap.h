/*
 * A heat map as one SVG file: time from left to right, a value, the place within a
 * second or the CPU from bottom to top, and how much there was as colour.  It shows
 * without JavaScript, as an image does; in a browser one can point at cells, zoom, and
 * drag over a region to get the options that choose its records in every view.
 *
 * Memory does not grow with the trace: cells start narrow and become wider as it goes
 * on.  Every cell holds all the records between its limits and no others.
 */
#ifndef REPORT_HEATMAP_H
#define REPORT_HEATMAP_H

#include "report/output.h"
#include "report/profile_keys.h"
#include "report/query.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum heatmap_kind {
	HEATMAP_VALUES,		/* how many records had the value then */
	HEATMAP_SUBSECOND,	/* seconds, by the time since each began */
	HEATMAP_UTILIZATION,	/* share of the time of each CPU that records cover */
};

enum heatmap_scale { HEATMAP_USUAL, HEATMAP_LINEAR, HEATMAP_LOG };

struct heatmap_opts {
	enum heatmap_kind kind;
	const char *of;			/* field, or NULL for the usual one */
	const struct profile_keys *by;	/* a map for each group; NULL: one of everything */
	uint32_t max_maps;		/* of groups: the largest ones */
	enum heatmap_scale scale;	/* of values; usual: log for times */
	enum heatmap_scale count_scale;	/* of colours; usual: log if counts differ much */
	bool has_least, has_most;
	int64_t least, most;		/* values beyond are counted apart */
	const char *title, *subtitle;	/* NULL: made from the trace */
	uint32_t width_px, height_px;	/* of the picture; of a map, 0: as it fits */
	/* What chose the records: it is a part of the options that a region leads to. */
	const struct query_opts *chosen;
};

/* 1200 px wide, values, nothing chosen. */
void heatmap_opts_init(struct heatmap_opts *opts);
/* *other_events is how many events that could be drawn were left out. */
int heatmap_write(struct query *q, const struct heatmap_opts *opts, struct output *o,
		  uint32_t *other_events, struct diag *d);

#endif
