#include "report/heatmap_private.h"

#include <inttypes.h>

#define LOST_PX 5
#define MAX_LOST 256

struct run {
	uint32_t from, to;		/* columns; to is not in it */
};

static void put_run(struct output *o, const struct run *r, uint32_t row)
{
	if (r->from < r->to)
		output_format(o, "M%" PRIu32 " %" PRIu32 "h%" PRIu32, r->from, row,
			      r->to - r->from);
}

/* Cells of one level: lines as thick as a cell is high. */
static void put_level(const struct heatmap *h, const struct heatmap_layout *l, struct output *o,
		      size_t map, size_t level)
{
	bool first = true;

	for (uint32_t row = 0; row < l->nr_rows; row++) {
		struct run run = { 0, 0 };

		for (uint32_t column = 0; column < l->nr_columns; column++) {
			uint64_t v = heatmap_layout_amount(h, l, map, column, row);
			uint32_t from;

			if (!v || heatmap_layout_level(l, v) != level)
				continue;
			if (first)
				output_format(o, "<path class=\"l%u\" d=\"",
					      (unsigned int)l->colour[level]);
			first = false;
			from = column + 1 - heatmap_layout_wide(h, l, map, column);
			if (from != run.to) {
				put_run(o, &run, row);
				run.from = from;
			}
			run.to = column + 1;
		}
		put_run(o, &run, row);
		output_settle(o);
	}
	if (!first)
		output_text(o, "\"/>\n");
}

void heatmap_cells(const struct heatmap *h, const struct heatmap_layout *l, struct output *o,
		   size_t map)
{
	for (size_t level = 0; level < l->nr_levels; level++)
		put_level(h, l, o, map, level);
}

void heatmap_cells_lost(const struct heatmap *h, const struct heatmap_layout *l,
			struct output *o)
{
	const struct trace_loss *losses;
	size_t nr, shown = 0;
	double width = (double)h->grid.x.width, last = 0, height = LOST_PX / l->cell_y_px;

	losses = trace_losses(query_trace(h->query), &nr);
	for (size_t i = 0; i < nr && shown < MAX_LOST; i++) {
		const struct trace_loss *loss = &losses[i];
		double from = ((double)loss->first_ns - (double)h->start_ns) / width -
			      (double)l->first_x;
		double to = ((double)loss->last_ns - (double)h->start_ns) / width -
			    (double)l->first_x;

		if (loss->cause == LOSS_SIDEBAND || loss->cause == LOSS_NO_START ||
		    loss->cause == LOSS_NO_END || to < 0 || from > l->nr_columns ||
		    !h->grid.x.used)
			continue;
		from = from < last ? last : from;
		to = to > l->nr_columns ? l->nr_columns : to;
		to = to < from + 0.5 ? from + 0.5 : to;
		last = to;
		shown++;
		output_format(o, "<rect class=\"lost\" x=\"%.2f\" y=\"%.3f\" width=\"%.2f\" "
			      "height=\"%.3f\"><title>%" PRIu64 " lost</title></rect>\n", from,
			      l->nr_rows - height, to - from, height, loss->count);
	}
}
