/*
 * What the parts of the heat map share: what was counted, and how it is laid out.
 */
#ifndef REPORT_HEATMAP_PRIVATE_H
#define REPORT_HEATMAP_PRIVATE_H

#include "report/groups.h"
#include "report/heatgrid.h"
#include "report/heatmap.h"
#include "report/measure.h"

#define HEATMAP_NO_PANEL UINT32_MAX

/* An event of the trace; not drawn if it has nothing that could be. */
struct heatmap_event {
	struct measure measure;
	bool drawn;
};

struct heatmap {
	const struct heatmap_opts *opts;
	struct query *query;
	struct heatmap_event *events;
	size_t nr_events;
	const struct heatmap_event *lead;	/* that gives the axes their names */
	uint32_t other_events;
	struct heatgrid grid;		/* x: ns since start_ns */
	uint64_t start_ns;
	struct measure_scratch *scratch;
	bool is_tally, is_log;
	uint64_t below, above;		/* records beyond the limits of values */
	uint64_t idle;			/* samples of idle CPUs, which use none */
	uint64_t others;		/* records of events that are not drawn */

	struct groups *groups;
	struct profile_keys no_keys;
	uint32_t *row_groups;		/* of a batch */
	size_t row_groups_cap;
	struct heatmap_group {
		uint64_t count;
		uint32_t panel;		/* of the grid, or HEATMAP_NO_PANEL */
	} *by_group;
	size_t nr_groups, groups_cap;
	uint32_t *order;		/* groups that are drawn, the largest first */
	size_t nr_drawn;
};

/* --- heatmap_read.c ------------------------------------------------------------- */

/* h is zero but for opts and query.  heatmap_release() also after a failure. */
int heatmap_read(struct heatmap *h, struct diag *d);
void heatmap_release(struct heatmap *h);

/* --- heatmap_events.c ----------------------------------------------------------- */

/* What the event's records are, or NULL when they are not in the picture. */
const struct heatmap_event *heatmap_event(struct heatmap *h, const struct trace_event *e);
/* Chooses among the events that the trace is known to have. */
int heatmap_events_choose(struct heatmap *h, struct diag *d);
/* -EINVAL with d set when nothing that was met could be drawn. */
int heatmap_events_check(struct heatmap *h, struct diag *d);

/* --- heatmap_layout.c ----------------------------------------------------------- */

#define HEATMAP_LEVELS 12

/* How it stands on paper.  Rows and columns are counted from those that are shown first. */
struct heatmap_layout {
	uint32_t width_px, map_width_px, map_height_px;
	uint32_t nr_across, nr_down;	/* maps */
	int64_t first_x, first_y;	/* cells of the grid's axes */
	uint32_t nr_columns, nr_rows;
	double cell_x_px, cell_y_px;
	/* Colours: the greatest amount of each level, and which colour it has. */
	uint64_t most[HEATMAP_LEVELS];
	uint8_t colour[HEATMAP_LEVELS];
	size_t nr_levels;
	bool count_log;
	uint64_t total, max;		/* of all maps drawn; of one cell */
};

/* Columns that fit into the width of the picture; it may be drawn with fewer. */
uint32_t heatmap_layout_columns(const struct heatmap_opts *opts);
uint32_t heatmap_layout_rows(const struct heatmap_opts *opts);
/* Also merges the cells of the grid to what fits. */
int heatmap_layout(struct heatmap *h, struct heatmap_layout *l);
/* What a cell shows: a count; of utilization, thousandths. */
uint64_t heatmap_layout_amount(const struct heatmap *h, const struct heatmap_layout *l,
			       size_t map, uint32_t column, uint32_t row);
size_t heatmap_layout_level(const struct heatmap_layout *l, uint64_t amount);
/* How many columns a cell takes to the left: what a tally's interval covers, else 1. */
uint32_t heatmap_layout_wide(const struct heatmap *h, const struct heatmap_layout *l,
			     size_t map, uint32_t column);

/* --- heatmap_choice.c ----------------------------------------------------------- */

/* What chose the records of the picture, as words of a shell: all but --time and --filter. */
void heatmap_choice_options(const struct heatmap *h, struct bytebuf *to);
/* A filter that is true of the group's records; false when there is none that says it. */
bool heatmap_choice_group(const struct heatmap *h, uint32_t group, struct bytebuf *to);

/* --- heatmap_data.c ------------------------------------------------------------- */

/* What the script needs to know, as JSON. */
#define HEATMAP_TIME_TEXT 48

/* The first and the last nanosecond of a stretch of time, ns since the start, for --time. */
void heatmap_data_from(char to[HEATMAP_TIME_TEXT], const struct heatmap *h, int64_t at);
void heatmap_data_to(char to[HEATMAP_TIME_TEXT], const struct heatmap *h, int64_t last);
/* A value as a filter reads it. */
void heatmap_data_value(struct bytebuf *to, int64_t v, const char *unit);
/* Of the values on the y axis. */
const char *heatmap_data_unit(const struct heatmap *h);
int heatmap_data(struct heatmap *h, const struct heatmap_layout *l, struct bytebuf *to);

/* --- heatmap_notes.c ------------------------------------------------------------ */

/* What is not in the picture, or not what it may seem. */
void heatmap_notes(const struct heatmap *h, const struct heatmap_layout *l, struct bytebuf *to);

/* --- heatmap_cells.c ------------------------------------------------------------ */

/* In units of cells, the first row at 0.5. */
void heatmap_cells(const struct heatmap *h, const struct heatmap_layout *l, struct output *o,
		   size_t map);
/* Where records were lost: a stripe above the cells. */
void heatmap_cells_lost(const struct heatmap *h, const struct heatmap_layout *l,
			struct output *o);

/* --- heatmap_axes.c ------------------------------------------------------------- */

/* Lines, and numbers beside them. */
void heatmap_axes_x(const struct heatmap *h, const struct heatmap_layout *l, struct output *o,
		    bool numbers);
void heatmap_axes_y(const struct heatmap *h, const struct heatmap_layout *l, struct output *o,
		    bool numbers);
/* Cells of one number each, such as CPUs, have it beside their middle. */
bool heatmap_axes_one_each(const struct heatmap *h);

/* --- heatmap_svg.c -------------------------------------------------------------- */

struct heatmap_picture {
	struct heatmap *h;
	const struct heatmap_layout *layout;
	const char *title, *subtitle;	/* raw text */
	const char *quality;		/* the line that every view ends with */
};

int heatmap_svg(const struct heatmap_picture *p, struct output *o);

#endif
