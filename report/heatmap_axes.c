#include "report/heatmap_private.h"

#include "report/heatmap_place.h"
#include "report/heatmap_ticks.h"

#include <inttypes.h>
#include <string.h>

/* Numbers stand at least that far apart. */
#define X_APART_PX 84
#define Y_APART_PX 15
#define Y_LINEAR_APART_PX 28

void heatmap_axes_x(const struct heatmap *h, const struct heatmap_layout *l, struct output *o,
		    bool numbers)
{
	const struct heatmap_ticks_range range = {
		.axis = &h->grid.x, .first = l->first_x, .nr = l->nr_columns,
		.cell_px = l->cell_x_px, .apart_px = X_APART_PX, .unit = "ns",
	};
	struct heatmap_tick ticks[HEATMAP_TICKS_MAX];
	size_t nr = heatmap_ticks(&range, ticks);

	for (size_t i = 0; i < nr; i++) {
		double x = (ticks[i].place - (double)l->first_x) * l->cell_x_px;

		/* A number stays clear of the next map's. */
		double most = l->map_width_px + HEATMAP_GAP_PX / 3.0 -
			      (double)strlen(ticks[i].text) * HEATMAP_TEXT_CELL_PX / 2;

		output_format(o, "<path d=\"M%.1f 0v%" PRIu32 "\"/>", x,
			      l->map_height_px + (numbers ? 5 : 0));
		if (numbers)
			output_format(o, "<text x=\"%.1f\" y=\"%" PRIu32 "\">%s</text>",
				      x < most ? x : most, l->map_height_px + 18,
				      ticks[i].text);
		output_text(o, "\n");
	}
}

bool heatmap_axes_one_each(const struct heatmap *h)
{
	return h->grid.y.kind == HEATAXIS_LINEAR && h->grid.y.width == 1;
}

void heatmap_axes_y(const struct heatmap *h, const struct heatmap_layout *l, struct output *o,
		    bool numbers)
{
	const struct heatmap_ticks_range range = {
		.axis = &h->grid.y, .first = l->first_y, .nr = l->nr_rows,
		.cell_px = l->cell_y_px, .unit = heatmap_data_unit(h),
		.apart_px = h->is_log || heatmap_axes_one_each(h) ? Y_APART_PX : Y_LINEAR_APART_PX,
	};
	struct heatmap_tick ticks[HEATMAP_TICKS_MAX];
	size_t nr = heatmap_ticks(&range, ticks);

	for (size_t i = 0; i < nr; i++) {
		double place = ticks[i].place - (double)l->first_y + 0.5 * heatmap_axes_one_each(h);
		double y = l->map_height_px - place * l->cell_y_px;

		if (place > l->nr_rows)
			continue;
		output_format(o, "<path d=\"M%d %.1fH%" PRIu32 "\"/>", numbers ? -5 : 0, y,
			      l->map_width_px);
		if (numbers)
			output_format(o, "<text class=\"e\" x=\"-9\" y=\"%.1f\">%s</text>",
				      y + 4, ticks[i].text);
		output_text(o, "\n");
	}
}
