#include "report/heatmap_private.h"
#include "report/heatmap_place.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Cells are not smaller than that and, where there are few, not larger. */
#define CELL_PX 4
#define LARGEST_PX 24
#define WIDEST_SECOND_PX 60
#define LARGEST_CPU_PX 20
#define MAP_PX 400
#define SMALL_MAP_PX 130
#define NARROW_PX 900
/* Counts that differ by more than that, from the mean to the most, want a log scale. */
#define WIDELY 6

/* --- room --------------------------------------------------------------------------- */

static uint32_t inner_px(const struct heatmap_opts *opts, uint32_t nr_across)
{
	uint32_t gaps = (nr_across - 1) * HEATMAP_GAP_PX;

	return (opts->width_px - HEATMAP_LEFT_PX - HEATMAP_RIGHT_PX - gaps) / nr_across;
}

static uint32_t most_across(const struct heatmap_opts *opts)
{
	return opts->width_px < NARROW_PX ? 2 : 3;
}

static bool is_small(const struct heatmap_opts *opts)
{
	return opts->by && opts->max_maps > 1;
}

static uint32_t height_px(const struct heatmap_opts *opts)
{
	if (opts->height_px)
		return opts->height_px;
	return is_small(opts) ? SMALL_MAP_PX : MAP_PX;
}

uint32_t heatmap_layout_columns(const struct heatmap_opts *opts)
{
	return inner_px(opts, is_small(opts) ? most_across(opts) : 1) / CELL_PX;
}

uint32_t heatmap_layout_rows(const struct heatmap_opts *opts)
{
	return height_px(opts) / CELL_PX;
}

static void arrange(const struct heatmap *h, struct heatmap_layout *l)
{
	uint32_t nr = h->nr_drawn ? (uint32_t)h->nr_drawn : 1;

	l->width_px = h->opts->width_px;
	l->map_height_px = height_px(h->opts);
	l->nr_across = most_across(h->opts);
	if (nr < l->nr_across)
		l->nr_across = nr;
	if (nr == 4)
		l->nr_across = 2;
	l->nr_down = (nr + l->nr_across - 1) / l->nr_across;
	l->map_width_px = inner_px(h->opts, l->nr_across);
}

/* --- cells -------------------------------------------------------------------------- */

/* One digit and zeros, none of them odd but 1 and 5. */
static bool is_round(uint64_t v)
{
	while (v % 10 == 0)
		v /= 10;
	return v == 1 || v == 5 || (v < 10 && v % 2 == 0);
}

/* Linear cells of a round width, as many as there is room for. */
static void merge(struct heataxis *a, uint32_t room)
{
	const struct heataxis narrow = *a;
	uint64_t times = 1;

	if (a->kind != HEATAXIS_LINEAR || a->fixed)
		return;
	while (heataxis_nr(a) > room && narrow.width < UINT64_MAX / 64 / (times + 1)) {
		do {
			times++;
		} while (!is_round(times * narrow.width));
		*a = narrow;
		heataxis_multiply(a, times);
	}
}

/* Few rows are shown amid empty ones, so that they are no bars. */
static void pad_rows(const struct heatmap *h, struct heatmap_layout *l)
{
	uint32_t fewest = l->map_height_px / LARGEST_PX;
	int64_t first = l->first_y;

	if (l->nr_rows >= fewest)
		return;
	if (first >= INT64_MIN + (int64_t)fewest)
		l->first_y -= (fewest - l->nr_rows) / 2;
	if (first >= 0 && l->first_y < 0)
		l->first_y = 0;
	l->nr_rows = fewest;
	/* Numbers end somewhere. */
	if (l->first_y > INT64_MAX - (int64_t)fewest)
		l->first_y = INT64_MAX - (int64_t)fewest;
	while (heataxis_low(&h->grid.y, l->first_y + fewest - 1) == INT64_MAX)
		l->first_y--;
}

static void rows_of_cpus(struct heatmap *h, struct heatmap_layout *l)
{
	const char *text = trace_host(query_trace(h->query), "cpus");
	unsigned long nr = text && !h->opts->chosen->cpus ? strtoul(text, NULL, 10) : 0;
	uint32_t px;

	if (nr > l->nr_rows && nr <= 1024 && l->first_y == 0)
		l->nr_rows = (uint32_t)nr;
	px = MAP_PX / l->nr_rows;
	if (px > LARGEST_CPU_PX)
		px = LARGEST_CPU_PX;
	if (!h->opts->height_px)
		l->map_height_px = (px > CELL_PX ? px : CELL_PX) * l->nr_rows;
}

static int fit_axes(struct heatmap *h, struct heatmap_layout *l)
{
	struct heataxis x = h->grid.x, y = h->grid.y;
	int err;

	if (!x.used) {
		heataxis_use(&x, 0);
		heataxis_use(&y, h->is_log ? 1000000 : 0);
		h->grid.x = x;
		h->grid.y = y;
	}
	/* An axis that would begin near 0 begins there. */
	if (y.kind == HEATAXIS_LINEAR && y.first > 0 && y.first <= y.last / 2)
		y.first = 0;
	merge(&x, l->map_width_px / CELL_PX);
	if (h->opts->kind == HEATMAP_VALUES)
		merge(&y, l->map_height_px / CELL_PX);
	err = heatgrid_move(&h->grid, &x, &y);
	l->first_x = x.first;
	l->first_y = y.first;
	l->nr_columns = (uint32_t)heataxis_nr(&x);
	l->nr_rows = (uint32_t)heataxis_nr(&y);
	return err;
}

/* --- colours ------------------------------------------------------------------------ */

static uint64_t level_most(const struct heatmap_layout *l, size_t i)
{
	double part = (double)(i + 1) / HEATMAP_LEVELS;

	if (i + 1 == HEATMAP_LEVELS)
		return l->max;
	if (l->count_log)
		return (uint64_t)(exp(log((double)l->max) * part) + 0.5);
	return (uint64_t)ceil((double)l->max * part);
}

/* Few different counts have few colours, far apart. */
static void make_levels(struct heatmap_layout *l)
{
	uint64_t before = 0;

	l->nr_levels = 0;
	for (size_t i = 0; i < HEATMAP_LEVELS && l->max; i++) {
		uint64_t most = level_most(l, i);

		if (most <= before)
			continue;
		l->most[l->nr_levels++] = before = most;
	}
	for (size_t i = 0; i < l->nr_levels; i++)
		l->colour[i] = (uint8_t)(l->nr_levels == 1 ? HEATMAP_LEVELS / 2 :
					 i * (HEATMAP_LEVELS - 1) / (l->nr_levels - 1));
}

static void levels_of_counts(const struct heatmap *h, struct heatmap_layout *l)
{
	double sum = 0, nr = 0;

	for (size_t i = 0; i < h->nr_drawn; i++) {
		for (uint32_t x = 0; x < l->nr_columns; x++) {
			for (uint32_t y = 0; y < l->nr_rows; y++) {
				uint64_t v = heatmap_layout_amount(h, l, i, x, y);

				nr += v != 0;
				sum += (double)v;
				l->max = v > l->max ? v : l->max;
			}
		}
	}
	l->total = (uint64_t)sum;
	l->count_log = h->opts->count_scale == HEATMAP_LOG ||
		(h->opts->count_scale == HEATMAP_USUAL && (double)l->max * nr > sum * WIDELY);
	make_levels(l);
}

#define SHARE_LEVELS 10

static void levels_of_shares(struct heatmap_layout *l)
{
	l->max = 1000;
	l->nr_levels = SHARE_LEVELS;
	for (size_t i = 0; i < SHARE_LEVELS; i++) {
		l->most[i] = 1000 * (i + 1) / SHARE_LEVELS;
		l->colour[i] = (uint8_t)(i * (HEATMAP_LEVELS - 1) / (SHARE_LEVELS - 1));
	}
}

int heatmap_layout(struct heatmap *h, struct heatmap_layout *l)
{
	uint32_t fewest;
	int err;

	*l = (struct heatmap_layout) { 0 };
	arrange(h, l);
	err = fit_axes(h, l);
	if (err)
		return err;
	if (h->opts->kind == HEATMAP_VALUES)
		pad_rows(h, l);
	if (h->opts->kind == HEATMAP_UTILIZATION)
		rows_of_cpus(h, l);
	if (h->opts->kind == HEATMAP_UTILIZATION)
		levels_of_shares(l);
	else
		levels_of_counts(h, l);
	fewest = l->map_width_px /
		(h->opts->kind == HEATMAP_SUBSECOND ? WIDEST_SECOND_PX : LARGEST_PX);
	if (l->nr_columns < fewest)
		l->nr_columns = fewest;
	l->cell_x_px = (double)l->map_width_px / l->nr_columns;
	l->cell_y_px = (double)l->map_height_px / l->nr_rows;
	return 0;
}

/* --- what cells show ---------------------------------------------------------------- */

/* How long a column was recorded, ns. */
static uint64_t time_of(const struct heatmap *h, const struct heatmap_layout *l,
			uint32_t column)
{
	int64_t low = heataxis_low(&h->grid.x, l->first_x + column);
	int64_t last = heataxis_high(&h->grid.x, l->first_x + column);

	if (low < h->grid.least_x)
		low = h->grid.least_x;
	if (last > h->grid.most_x)
		last = h->grid.most_x;
	return last >= low ? (uint64_t)last - (uint64_t)low + 1 : 1;
}

static uint32_t panel_of(const struct heatmap *h, size_t map)
{
	return h->by_group[h->order[map]].panel;
}

uint64_t heatmap_layout_amount(const struct heatmap *h, const struct heatmap_layout *l,
			       size_t map, uint32_t column, uint32_t row)
{
	uint64_t v = heatgrid_count(&h->grid, panel_of(h, map), l->first_x + column,
				    l->first_y + row);
	double share;

	if (h->opts->kind != HEATMAP_UTILIZATION || !v)
		return v;
	share = fmin(1000 * (double)v / (double)time_of(h, l, column), 1e15);
	return share < 1 ? 1 : (uint64_t)(share + 0.5);
}

size_t heatmap_layout_level(const struct heatmap_layout *l, uint64_t amount)
{
	size_t i = 0;

	while (i + 1 < l->nr_levels && amount > l->most[i])
		i++;
	return i;
}

uint32_t heatmap_layout_wide(const struct heatmap *h, const struct heatmap_layout *l,
			     size_t map, uint32_t column)
{
	int64_t at = l->first_x + column;
	uint32_t panel = panel_of(h, map), wide = 1;
	uint64_t length = heatgrid_interval_at(&h->grid, panel, at);
	uint64_t most = length / h->grid.x.width + (length % h->grid.x.width != 0);

	while (wide < most && wide <= column &&
	       !heatgrid_interval_at(&h->grid, panel, at - wide))
		wide++;
	return wide;
}
