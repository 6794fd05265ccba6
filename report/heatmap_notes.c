#include "report/heatmap_private.h"

#include "report/number.h"

#include <stdlib.h>

/* A picture in which nearly all is in a corner. */
#define NEARLY_ALL 0.99
#define CORNER 20		/* the part of it that is one */
#define FEWEST 40		/* cells of an axis on which that says anything */

static void begin(struct bytebuf *to)
{
	bytebuf_text(to, to->len ? "; " : "");
}

static void put_count(struct bytebuf *to, uint64_t nr, const char *what)
{
	char number[NUMBER_BYTES];

	if (!nr)
		return;
	begin(to);
	bytebuf_text(to, number_grouped(number, nr));
	bytebuf_text(to, " ");
	bytebuf_text(to, what);
}

/* The shortest stretch that holds nearly all; false if it is long, too. */
static bool find_corner(const double *sums, uint32_t nr, uint32_t *first, uint32_t *last)
{
	double all = 0, sum = 0;
	uint32_t from = 0, shortest = nr;

	for (uint32_t i = 0; i < nr; i++)
		all += sums[i];
	for (uint32_t i = 0; i < nr; i++) {
		sum += sums[i];
		while (sum - sums[from] >= NEARLY_ALL * all && from < i)
			sum -= sums[from++];
		if (sum < NEARLY_ALL * all || i - from >= shortest)
			continue;
		shortest = i - from;
		*first = from;
		*last = i;
	}
	return all > 0 && shortest + 1 <= nr / CORNER;
}

static void add_sums(const struct heatmap *h, const struct heatmap_layout *l, double *columns,
		     double *rows)
{
	for (size_t i = 0; i < h->nr_drawn; i++) {
		for (uint32_t x = 0; x < l->nr_columns; x++) {
			for (uint32_t y = 0; y < l->nr_rows; y++) {
				double v = (double)heatmap_layout_amount(h, l, i, x, y);

				columns[x] += v;
				rows[y] += v;
			}
		}
	}
}

/* How to see it: far away from the rest lie records that draw the axes out. */
static void put_corners(const struct heatmap *h, const struct heatmap_layout *l,
			struct bytebuf *to)
{
	double *sums = calloc((size_t)l->nr_columns + l->nr_rows, sizeof(*sums));
	char from[HEATMAP_TIME_TEXT], until[HEATMAP_TIME_TEXT];
	uint32_t first, last;

	if (!sums)
		return;
	add_sums(h, l, sums, sums + l->nr_columns);
	if (heataxis_nr(&h->grid.x) >= FEWEST && find_corner(sums, l->nr_columns, &first, &last)) {
		heatmap_data_from(from, h, heataxis_low(&h->grid.x, l->first_x + first));
		heatmap_data_to(until, h, heataxis_high(&h->grid.x, l->first_x + last));
		begin(to);
		bytebuf_text(to, "99 % lie within --time ");
		bytebuf_text(to, from);
		bytebuf_text(to, ",");
		bytebuf_text(to, until);
	}
	if (h->opts->kind == HEATMAP_VALUES && !h->is_log && heataxis_nr(&h->grid.y) >= FEWEST &&
	    find_corner(sums + l->nr_columns, l->nr_rows, &first, &last)) {
		begin(to);
		bytebuf_text(to, "99 % lie within --range ");
		heatmap_data_value(to, heataxis_low(&h->grid.y, l->first_y + first),
				   heatmap_data_unit(h));
		bytebuf_text(to, ",");
		heatmap_data_value(to, heataxis_high(&h->grid.y, l->first_y + last),
				   heatmap_data_unit(h));
		bytebuf_text(to, " (or see --log)");
	}
	free(sums);
}

void heatmap_notes(const struct heatmap *h, const struct heatmap_layout *l, struct bytebuf *to)
{
	bool shares = h->opts->kind == HEATMAP_UTILIZATION;

	put_count(to, h->nr_groups - h->nr_drawn, "smaller maps not shown");
	put_count(to, h->others, "of other events not drawn");
	put_count(to, h->below, "below the range not drawn");
	put_count(to, h->above, shares ? "on CPUs beyond 4,095 not drawn"
				       : "above the range not drawn");
	put_count(to, h->idle, "samples of idle CPUs count as idle");
	if (h->is_tally) {
		begin(to);
		bytebuf_text(to, "a cell of a tally is as wide as its interval");
	}
	put_corners(h, l, to);
}
