#include "report/heatmap_private.h"

#include "report/escape.h"
#include "report/heatmap.css.h"
#include "report/heatmap.js.h"
#include "report/heatmap_place.h"
#include "report/heatmap_ticks.h"
#include "report/number.h"
#include "report/textcut.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MARGIN_PX 16
#define TITLE_Y 30
#define SUBTITLE_Y 50
#define DETAILS_Y 72
#define MAPS_Y 86
#define MAP_TITLE_PX 22
#define MAP_BELOW_PX 12		/* between rows of maps */
#define AXIS_PX 42		/* numbers and name of the time axis */
#define CONTROLS_PX 34
#define FOOT_LINE_PX 18
#define LEGEND_BOX_PX 22
#define LEGEND_PX (HEATMAP_LEVELS * LEGEND_BOX_PX)
/* Widths of characters. */
#define TITLE_CELL_PX 9.4
#define MAP_CELL_PX 7.0

struct drawing {
	const struct heatmap_picture *p;
	struct heatmap *h;
	const struct heatmap_layout *l;
	struct output *o;
	struct bytebuf *to;	/* of the output */
	struct bytebuf text;
	uint32_t title_px;	/* of each map */
	uint32_t maps_end;	/* y below all maps */
};

static void put(struct drawing *d, const char *text)
{
	bytebuf_text(d->to, text);
}

/* The text at hand, cut to a width; it is empty then. */
static void put_cut_text(struct drawing *d, double px, double cell_px)
{
	struct bytebuf clean;
	size_t len;
	bool all;

	bytebuf_init(&clean);
	escape_terminal(&clean, (const char *)d->text.data, d->text.len);
	len = textcut_fitting(clean.data, clean.len, px < 8 * cell_px ? 8 : (size_t)(px / cell_px),
			      &all);
	escape_xml(d->to, (const char *)clean.data, len);
	if (!all)
		put(d, "\xe2\x80\xa6");
	if (clean.err)
		d->to->err = clean.err;
	bytebuf_release(&clean);
	bytebuf_clear(&d->text);
}

static void put_cut(struct drawing *d, const char *text, double px, double cell_px)
{
	bytebuf_text(&d->text, text);
	put_cut_text(d, px, cell_px);
}

static const char *noun(const struct heatmap *h)
{
	if (h->is_tally || !h->lead)
		return "hits";
	return h->lead->measure.event->by_role[ROLE_WEIGHT] >= 0 ? "samples" : "records";
}

/* --- axes --------------------------------------------------------------------------- */

static void y_name(const struct drawing *d, char *to, size_t size_bytes)
{
	static const char *const fixed[] = {
		[HEATMAP_SUBSECOND] = "time since each second began",
		[HEATMAP_UTILIZATION] = "CPU",
	};
	const struct heatmap *h = d->h;

	if (h->opts->kind != HEATMAP_VALUES)
		snprintf(to, size_bytes, "%s", fixed[h->opts->kind]);
	else
		snprintf(to, size_bytes, "%.60s%s", h->lead ? h->lead->measure.name : "",
			 h->is_log ? " (log scale)" : "");
}

static void put_axis_names(struct drawing *d)
{
	char name[96];
	uint32_t middle = (MAPS_Y + d->maps_end) / 2;

	y_name(d, name, sizeof(name));
	output_format(d->o, "<text class=\"c\" transform=\"translate(16 %" PRIu32 ") rotate(-90)\">",
		      middle);
	put_cut(d, name, d->maps_end - MAPS_Y, HEATMAP_TEXT_CELL_PX);
	output_format(d->o, "</text>\n<text class=\"c\" x=\"%" PRIu32 "\" y=\"%" PRIu32 "\">"
		      "time since the start of the trace</text>\n",
		      (HEATMAP_LEFT_PX + d->l->width_px - HEATMAP_RIGHT_PX) / 2,
		      d->maps_end + 36);
}

/* --- maps --------------------------------------------------------------------------- */

/* "comm = cc1, cpu = 3", or, where that has no room, "cc1, 3". */
static void name_map(struct drawing *d, uint32_t group, double room)
{
	groups_put_all(d->h->groups, group, &d->text, FIELDTEXT_RAW);
	if ((double)d->text.len * MAP_CELL_PX <= room)
		return;
	bytebuf_clear(&d->text);
	for (size_t i = 0; i < d->h->opts->by->nr; i++) {
		bytebuf_text(&d->text, i ? ", " : "");
		groups_put(d->h->groups, group, i, &d->text, FIELDTEXT_RAW);
	}
}

static void put_map_title(struct drawing *d, size_t map)
{
	struct heatmap_group *g = &d->h->by_group[d->h->order[map]];
	char number[NUMBER_BYTES], count[80];
	uint64_t all = 0;
	double room;

	for (size_t i = 0; i < d->h->nr_groups; i++)
		all += d->h->by_group[i].count;
	snprintf(count, sizeof(count), "%s %s, %.1f %%", number_grouped(number, g->count),
		 noun(d->h), number_percent(g->count, all));
	put(d, "<text class=\"g\" x=\"0\" y=\"-6\">");
	room = d->l->map_width_px - (double)strlen(count) * HEATMAP_TEXT_CELL_PX - 8;
	name_map(d, d->h->order[map], room);
	put_cut_text(d, room, MAP_CELL_PX);
	output_format(d->o, "</text><text class=\"e\" x=\"%" PRIu32 "\" y=\"-6\">%s</text>\n",
		      d->l->map_width_px, count);
}

static void put_map(struct drawing *d, size_t map)
{
	uint32_t across = (uint32_t)map % d->l->nr_across, down = (uint32_t)map / d->l->nr_across;
	bool x_numbers = map + d->l->nr_across >= d->h->nr_drawn, y_numbers = across == 0;

	output_format(d->o, "<g class=\"map\" tabindex=\"0\" data-x=\"%d\" data-y=\"%d\" "
		      "transform=\"translate(%" PRIu32 " %" PRIu32 ")\">\n", x_numbers, y_numbers,
		      HEATMAP_LEFT_PX + across * (d->l->map_width_px + HEATMAP_GAP_PX),
		      MAPS_Y + d->title_px +
		      down * (d->l->map_height_px + d->title_px + MAP_BELOW_PX));
	if (d->title_px && d->h->nr_drawn)
		put_map_title(d, map);
	put(d, "<g class=\"t\">\n");
	heatmap_axes_x(d->h, d->l, d->o, x_numbers);
	heatmap_axes_y(d->h, d->l, d->o, y_numbers);
	output_format(d->o, "</g>\n<g clip-path=\"url(#c)\"><g class=\"z\" "
		      "transform=\"matrix(%.9g 0 0 %.9g 0 %" PRIu32 ")\">"
		      "<g class=\"cells\" transform=\"translate(0 .5)\">\n", d->l->cell_x_px,
		      -d->l->cell_y_px, d->l->map_height_px);
	if (d->h->nr_drawn)
		heatmap_cells(d->h, d->l, d->o, map);
	put(d, "</g>\n");
	heatmap_cells_lost(d->h, d->l, d->o);
	output_format(d->o, "</g></g>\n<rect class=\"f\" width=\"%" PRIu32 "\" height=\"%" PRIu32
		      "\"/>\n", d->l->map_width_px, d->l->map_height_px);
	if (!d->h->grid.x.used || !d->h->nr_drawn)
		output_format(d->o, "<text class=\"c\" x=\"%" PRIu32 "\" y=\"%" PRIu32 "\">"
			      "no records to draw</text>\n", d->l->map_width_px / 2,
			      d->l->map_height_px / 2);
	put(d, "</g>\n");
}

/* --- around them -------------------------------------------------------------------- */

static void put_amount(struct drawing *d, uint64_t v)
{
	char text[NUMBER_BYTES];

	if (d->h->opts->kind == HEATMAP_UTILIZATION)
		output_format(d->o, "%" PRIu64 " %%", v / 10);
	else if (v < 100000)
		output_format(d->o, "%s", number_grouped(text, v));
	else
		output_format(d->o, "%s k", number_grouped(text, v / 1000));
}

/* What a colour means: the greatest amount of every third, and the least of all. */
static void put_legend(struct drawing *d)
{
	size_t nr = d->l->nr_levels, every = nr > 6 ? 3 : nr > 3 ? 2 : 1;
	uint32_t x = d->l->width_px - MARGIN_PX - (uint32_t)nr * LEGEND_BOX_PX;
	uint64_t before = 0;

	if (!nr)
		return;
	output_format(d->o, "<g transform=\"translate(%" PRIu32 " 14)\">\n<text class=\"e\" x=\"%zu\" "
		      "y=\"10\">", x, nr * LEGEND_BOX_PX);
	if (d->h->opts->kind == HEATMAP_UTILIZATION)
		put(d, "share of a CPU's time");
	else
		output_format(d->o, "%s in a cell%s", noun(d->h),
			      d->l->count_log ? " (log scale)" : "");
	put(d, "</text>\n");
	for (size_t i = 0; i < nr; i++) {
		output_format(d->o, "<rect class=\"b%u\" x=\"%zu\" y=\"17\" width=\"%d\" height=\"12\">"
			      "<title>", (unsigned int)d->l->colour[i], i * LEGEND_BOX_PX,
			      LEGEND_BOX_PX);
		if (before + 1 < d->l->most[i]) {
			put_amount(d, before + (d->h->opts->kind != HEATMAP_UTILIZATION));
			put(d, " \xe2\x80\x93 ");
		}
		put_amount(d, d->l->most[i]);
		put(d, "</title></rect>");
		if ((nr - 1 - i) % every == 0) {
			output_format(d->o, "<text class=\"e\" x=\"%zu\" y=\"42\">",
				      (i + 1) * LEGEND_BOX_PX);
			put_amount(d, d->l->most[i]);
			put(d, "</text>");
		}
		put(d, "\n");
		before = d->l->most[i];
	}
	put(d, "</g>\n");
}

static void put_header(struct drawing *d)
{
	double room = d->l->width_px - 3.0 * MARGIN_PX - LEGEND_PX;

	output_format(d->o, "<text class=\"h\" x=\"%d\" y=\"%d\">", MARGIN_PX, TITLE_Y);
	put_cut(d, d->p->title, room, TITLE_CELL_PX);
	output_format(d->o, "</text>\n<text x=\"%d\" y=\"%d\">", MARGIN_PX, SUBTITLE_Y);
	put_cut(d, d->p->subtitle, room, HEATMAP_TEXT_CELL_PX);
	output_format(d->o, "</text>\n<text class=\"d\" id=\"d\" x=\"%d\" y=\"%d\"></text>\n",
		      MARGIN_PX, DETAILS_Y);
	put_legend(d);
}

static void put_button(struct drawing *d, const char *id, const char *label, uint32_t right_px,
		       int width_px, uint32_t y)
{
	output_format(d->o, "<g id=\"%s\" class=\"b off\" role=\"button\" tabindex=\"0\" "
		      "transform=\"translate(%" PRIu32 " %" PRIu32 ")\"><rect width=\"%d\" "
		      "height=\"22\" rx=\"4\"/><text x=\"%d\" y=\"15\">%s</text></g>\n", id,
		      d->l->width_px - HEATMAP_RIGHT_PX - right_px, y, width_px, width_px / 2, label);
}

static void put_controls(struct drawing *d, uint32_t y)
{
	output_format(d->o, "<foreignObject class=\"b\" id=\"s\" x=\"%d\" y=\"%" PRIu32 "\" "
		      "width=\"%" PRIu32 "\" height=\"22\"></foreignObject>\n", HEATMAP_LEFT_PX, y,
		      d->l->width_px - HEATMAP_LEFT_PX - HEATMAP_RIGHT_PX - 222);
	put_button(d, "copy", "Copy", 216, 52, y);
	put_button(d, "zoom", "Zoom in", 158, 68, y);
	put_button(d, "reset", "Reset zoom", 84, 84, y);
}

static void put_footer(struct drawing *d, uint32_t y)
{
	double room = d->l->width_px - 2.0 * MARGIN_PX;

	output_format(d->o, "<text id=\"q\" x=\"%d\" y=\"%" PRIu32 "\">", MARGIN_PX, y);
	put_cut(d, d->p->quality, room, HEATMAP_TEXT_CELL_PX);
	output_format(d->o, "</text>\n<text id=\"n\" x=\"%d\" y=\"%" PRIu32 "\">", MARGIN_PX,
		      y + FOOT_LINE_PX);
	heatmap_notes(d->h, d->l, &d->text);
	put_cut_text(d, room, HEATMAP_TEXT_CELL_PX);
	put(d, "</text>\n");
}

static void put_start(struct drawing *d, uint32_t height_px)
{
	const struct heatmap_layout *l = d->l;

	output_format(d->o, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%" PRIu32 "\" height=\"%"
		      PRIu32 "\" viewBox=\"0 0 %" PRIu32 " %" PRIu32 "\" data-width=\"%" PRIu32
		      "\" data-height=\"%" PRIu32 "\" data-one=\"%d\" data-noun=\"%s\">\n<title>",
		      l->width_px, height_px, l->width_px, height_px, l->map_width_px,
		      l->map_height_px, heatmap_axes_one_each(d->h), noun(d->h));
	put_cut(d, d->p->title, 2000, HEATMAP_TEXT_CELL_PX);
	put(d, "</title>\n<style>\n");
	put(d, heatmap_css);
	output_format(d->o, "</style>\n<defs>\n<clipPath id=\"c\"><rect width=\"%" PRIu32 "\" "
		      "height=\"%" PRIu32 "\"/></clipPath>\n</defs>\n", l->map_width_px,
		      l->map_height_px);
}

/* Inside CDATA: JSON has '>' only in strings, where it can be written in another way. */
static void put_json(struct drawing *d, const struct bytebuf *json)
{
	const uint8_t *at = json->data, *end = json->data + json->len, *next;

	for (; at < end; at = next + 1) {
		next = memchr(at, '>', (size_t)(end - at));
		if (!next)
			next = end;
		bytebuf_put(d->to, at, (size_t)(next - at));
		put(d, next < end ? "\\u003e" : "");
		output_settle(d->o);
	}
}

static int put_data(struct drawing *d)
{
	struct bytebuf json;
	int err;

	bytebuf_init(&json);
	err = heatmap_data(d->h, d->l, &json);
	put(d, "<metadata id=\"data\"><![CDATA[");
	if (!err)
		put_json(d, &json);
	put(d, "]]></metadata>\n<script><![CDATA[\n");
	put(d, heatmap_js);
	put(d, "]]></script>\n</svg>\n");
	bytebuf_release(&json);
	return err;
}

int heatmap_svg(const struct heatmap_picture *p, struct output *o)
{
	const struct heatmap_layout *l = p->layout;
	struct drawing d = {
		.p = p, .h = p->h, .l = l, .o = o, .to = output_buffer(o),
		.title_px = p->h->opts->by ? MAP_TITLE_PX : 0,
	};
	uint32_t y;
	int err;

	bytebuf_init(&d.text);
	d.maps_end = MAPS_Y + l->nr_down * (l->map_height_px + d.title_px) +
		     (l->nr_down - 1) * MAP_BELOW_PX;
	y = d.maps_end + AXIS_PX + CONTROLS_PX;
	put_start(&d, y + 2 * FOOT_LINE_PX);
	put_header(&d);
	for (size_t i = 0; i < (p->h->nr_drawn ? p->h->nr_drawn : 1); i++)
		put_map(&d, i);
	put_axis_names(&d);
	put_controls(&d, d.maps_end + AXIS_PX + 2);
	put_footer(&d, y + 8);
	err = put_data(&d);
	if (!err)
		err = d.text.err;
	bytebuf_release(&d.text);
	return err;
}
