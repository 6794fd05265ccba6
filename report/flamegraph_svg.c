#include "report/flamegraph_svg.h"

#include "report/digits.h"
#include "report/escape.h"
#include "report/flamebox.h"
#include "report/flamegraph.css.h"
#include "report/flamegraph.js.h"
#include "report/number.h"
#include "report/textcut.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define TITLE_Y 30
#define SUBTITLE_Y 50
#define DETAILS_Y 72
#define FRAMES_Y 82		/* where the frames begin */
#define FOOT_LINE_PX 18
/* Counts above it are drawn on a grid: a viewer's numbers have 24 bits. */
#define MAX_GRID ((uint64_t)1 << 22)
/* Widths of characters, as parts of the font size. */
#define MONO_CELL 0.602
#define TITLE_CELL_PX 11.2
#define TEXT_CELL_PX 6.4

struct drawing {
	const struct flamegraph_picture *p;
	struct output *o;
	struct bytebuf *to;	/* of the output */
	struct bytebuf name;	/* of the box at hand, without control characters */
	char class[FLAMEBOX_CLASS_BYTES];
	const char *mark;
	uint64_t total, grid;
	uint32_t inner_px, row_px;
	uint32_t nr_rows;	/* in sight: something in them is a pixel wide */
	bool used[FLAMEBOX_NR_PALETTES];
};

static void put(struct drawing *d, const char *text)
{
	bytebuf_text(d->to, text);
}

/* --- names ----------------------------------------------------------------- */

/* The class of a box in the style sheet; its name is in d->name, its mark in d->mark. */
static const char *name_box(struct drawing *d, const struct flame_box *box)
{
	const struct flamegraph_skin *skin = d->p->skin;

	d->mark = "";
	bytebuf_clear(&d->name);
	if (skin)
		return skin->name(skin->ctx, box, &d->name, &d->mark);
	d->used[flamebox_name(d->p->sums, d->p->names, box, &d->name, d->class)] = true;
	return d->class;
}

/* d->name, cut with an ellipsis to so many cells. */
static void put_cut_name(struct drawing *d, size_t cells)
{
	bool all;
	size_t len = textcut_fitting(d->name.data, d->name.len, cells, &all);

	escape_xml(d->to, (const char *)d->name.data, len);
	if (!all)
		put(d, "\xe2\x80\xa6");
}

static void put_cut(struct drawing *d, const char *text, double cells)
{
	bytebuf_clear(&d->name);
	escape_terminal(&d->name, text, strlen(text));
	if (d->name.len)
		put_cut_name(d, cells < 8 ? 8 : (size_t)cells);
}

/* "12.3 ms, 34 times, on average 361 us, 5.00 %" */
static void put_count(struct drawing *d, const struct flame_box *box)
{
	const char *unit = stacksum_unit(d->p->sums);
	char number[NUMBER_BYTES], text[128];

	if (box->width == 1 && strcmp(unit, "samples") == 0)
		unit = "sample";
	number_unit(number, box->width, unit);
	escape_xml(d->to, number, strlen(number));
	if (stacksum_measure(d->p->sums) && box->records) {
		snprintf(text, sizeof(text), ", %s time%s, on average ",
			 number_grouped(number, box->records), box->records == 1 ? "" : "s");
		put(d, text);
		number_unit(number, box->width / box->records, unit);
		escape_xml(d->to, number, strlen(number));
	}
	snprintf(text, sizeof(text), ", %.2f %%", number_percent(box->width, d->total));
	put(d, text);
}

/* --- frames ---------------------------------------------------------------- */

/* In whole numbers: the same on every machine. */
static uint64_t on_grid(const struct drawing *d, uint64_t count)
{
	uint64_t total = d->total;

	if (d->grid == total)
		return count;
	for (; count > UINT64_MAX / MAX_GRID; count >>= 1)
		total >>= 1;
	return count * d->grid / total;
}

static int64_t row_y(const struct drawing *d, uint32_t depth)
{
	int64_t row = d->p->opts->icicle ? (int64_t)depth : (int64_t)d->nr_rows - 1 - depth;

	return row * d->row_px;
}

/* Deeper rows are needles: they come in sight when JavaScript zooms in. */
static uint32_t rows_in_sight(const struct drawing *d)
{
	const struct flame_layout *l = d->p->layout;
	uint32_t nr = 1;

	for (size_t i = 0; i < l->nr; i++)
		if ((double)l->boxes[i].width * d->inner_px >= (double)d->total)
			nr = l->boxes[i].depth + 1;
	return nr;
}

static void put_box(struct drawing *d, const struct flame_box *box)
{
	uint64_t x = on_grid(d, box->start);
	uint64_t width = on_grid(d, box->start + box->width) - x;
	const char *class = name_box(d, box);

	put(d, "<rect x=\"");
	digits_put(d->to, x);
	put(d, "\" width=\"");
	digits_put(d->to, width ? width : 1);
	put(d, "\" height=\"");
	digits_put(d->to, d->row_px - 1);
	put(d, "\" class=\"");
	put(d, class);
	if (*d->mark) {
		put(d, "\" data-mark=\"");
		put(d, d->mark);
	}
	put(d, "\"><title>");
	escape_xml(d->to, (const char *)d->name.data, d->name.len);
	put(d, "\n");
	if (d->p->skin)
		d->p->skin->tell(d->p->skin->ctx, box, d->to);
	else
		put_count(d, box);
	put(d, "</title></rect>\n");
	output_settle(d->o);
}

static void put_frames(struct drawing *d)
{
	const struct flame_layout *l = d->p->layout;

	output_format(d->o, "<g clip-path=\"url(#c)\">\n<g id=\"f\" transform=\"translate(%d %d) "
		      "scale(%.9g 1)\">\n", FLAMEGRAPH_MARGIN_PX, FRAMES_Y,
		      d->inner_px / (double)d->grid);
	for (size_t i = 0; i < l->nr; i++) {
		if (i == 0 || l->boxes[i].depth != l->boxes[i - 1].depth)
			output_format(d->o, "%s<g transform=\"translate(0 %" PRId64 ")\">\n",
				      i ? "</g>\n" : "", row_y(d, l->boxes[i].depth));
		put_box(d, &l->boxes[i]);
	}
	put(d, "</g>\n</g>\n</g>\n");
}

/* What JavaScript would write, for viewers without it. */
static void put_labels(struct drawing *d)
{
	const struct flame_layout *l = d->p->layout;
	double font_px = d->row_px * 0.7;

	output_format(d->o, "<g id=\"t\" font-size=\"%.1f\" transform=\"translate(%d %d)\">\n",
		      font_px, FLAMEGRAPH_MARGIN_PX, FRAMES_Y);
	for (size_t i = 0; i < l->nr; i++) {
		const struct flame_box *box = &l->boxes[i];
		double scale = d->inner_px / (double)d->total;
		double cells = (box->width * scale - 6) / (font_px * MONO_CELL);

		if (cells < 2 || box->depth >= d->nr_rows)
			continue;
		name_box(d, box);
		if (!*d->mark && cells < 3)
			continue;
		output_format(d->o, "<text x=\"%.1f\" y=\"%.1f\">", box->start * scale + 3,
			      row_y(d, box->depth) + d->row_px * 0.72);
		put(d, d->mark);
		put(d, *d->mark && cells >= 5 ? " " : "");
		if (!*d->mark || cells >= 5)
			put_cut_name(d, (size_t)cells - (*d->mark ? 3 : 0));
		put(d, "</text>\n");
		output_settle(d->o);
	}
	put(d, "</g>\n");
}

/* In the only row, beside its label, which JavaScript writes. */
static void put_empty(struct drawing *d)
{
	double label_px = d->row_px * 0.7 * MONO_CELL * strlen("all") + 16;

	output_format(d->o, "<text class=\"d\" id=\"empty\" x=\"%d\" y=\"%.1f\" "
		      "pointer-events=\"none\">", FLAMEGRAPH_MARGIN_PX + (int)label_px,
		      FRAMES_Y + d->row_px * 0.75);
	put_cut(d, d->p->empty, (d->inner_px - label_px) / TEXT_CELL_PX);
	put(d, "</text>\n");
}

/* --- around them ----------------------------------------------------------- */

static void put_button(struct drawing *d, const char *id, const char *label, int right_px,
		       int width_px)
{
	output_format(d->o, "<g id=\"%s\" class=\"b\" role=\"button\" tabindex=\"0\" "
		      "transform=\"translate(%d 14)\"><rect width=\"%d\" height=\"22\" rx=\"4\"/>"
		      "<text x=\"%d\" y=\"15\">%s</text></g>\n", id,
		      (int)d->p->opts->width_px - FLAMEGRAPH_MARGIN_PX - right_px, width_px,
		      width_px / 2, label);
}

static void put_header(struct drawing *d)
{
	int right_px = (int)d->p->opts->width_px - FLAMEGRAPH_MARGIN_PX;

	output_format(d->o, "<text class=\"h\" x=\"%d\" y=\"%d\">", FLAMEGRAPH_MARGIN_PX, TITLE_Y);
	put_cut(d, d->p->title, (d->inner_px - 470.0) / TITLE_CELL_PX);
	output_format(d->o, "</text>\n<text x=\"%d\" y=\"%d\">", FLAMEGRAPH_MARGIN_PX, SUBTITLE_Y);
	put_cut(d, d->p->subtitle ? d->p->subtitle : "", (d->inner_px - 180.0) / TEXT_CELL_PX);
	output_format(d->o, "</text>\n<text class=\"d\" id=\"d\" x=\"%d\" y=\"%d\"></text>\n"
		      "<text class=\"d e\" id=\"m\" x=\"%d\" y=\"%d\"></text>\n"
		      "<foreignObject class=\"b\" id=\"s\" x=\"%d\" y=\"14\" width=\"200\" "
		      "height=\"22\"></foreignObject>\n", FLAMEGRAPH_MARGIN_PX, DETAILS_Y, right_px,
		      SUBTITLE_Y, right_px - 448);
	put_button(d, "search", "Search", 240, 62);
	put_button(d, "icicle", d->p->opts->icicle ? "Flames" : "Icicles", 170, 78);
	put_button(d, "reset", "Reset zoom", 84, 84);
}

/* Where it begins. */
static int put_legend(struct drawing *d, uint32_t y)
{
	int x = (int)d->p->opts->width_px - FLAMEGRAPH_MARGIN_PX;

	for (int i = FLAMEBOX_NR_PALETTES - 1; i >= 0; i--) {
		char class[FLAMEBOX_CLASS_BYTES];
		const char *legend = flamebox_legend((enum flamebox_palette)i, class);

		if (!d->used[i] || !legend)
			continue;
		x -= (int)(strlen(legend) * TEXT_CELL_PX) + 28;
		output_format(d->o, "<rect class=\"%s\" x=\"%d\" y=\"%" PRIu32 "\" width=\"11\" "
			      "height=\"11\" rx=\"2\"/><text x=\"%d\" y=\"%" PRIu32 "\">%s</text>\n",
			      class, x, y - 10, x + 16, y, legend);
	}
	return x;
}

/* What happened and is not in the picture, to the same scale as the rest. */
static void put_lost(struct drawing *d, uint32_t y)
{
	double share = number_percent(d->p->lost, d->p->records + d->p->lost);
	double px = fmax(share / 100 * d->inner_px, 2);
	double text_x = FLAMEGRAPH_MARGIN_PX + (px < d->inner_px / 2.0 ? px : 0) + 6;
	char number[NUMBER_BYTES];

	output_format(d->o, "<rect x=\"%d\" y=\"%" PRIu32 "\" width=\"%.1f\" height=\"12\" "
		      "fill=\"url(#x)\" stroke=\"#b33\" stroke-width=\".6\"><title>[lost %s]</title>"
		      "</rect><text class=\"d\" x=\"%.1f\" y=\"%" PRIu32 "\">[lost %s] %s%.2f %% of "
		      "all samples are not in this picture</text>\n", FLAMEGRAPH_MARGIN_PX, y - 10,
		      px, number_grouped(number, d->p->lost), text_x, y, number,
		      share < 0.01 ? "less than " : "", fmax(share, 0.01));
}

static uint32_t hidden_rows(const struct drawing *d)
{
	return d->p->layout->boxes[d->p->layout->nr - 1].depth + 1 - d->nr_rows;
}

static void put_left_out(struct drawing *d, uint32_t y)
{
	uint64_t left_out = d->p->layout->left_out;
	uint32_t hidden = hidden_rows(d);
	char number[NUMBER_BYTES];

	output_format(d->o, "<text id=\"n\" x=\"%d\" y=\"%" PRIu32 "\">", FLAMEGRAPH_MARGIN_PX, y);
	if (left_out)
		output_format(d->o, "%s%s frame%s narrower than %.3g px left out",
			      number_grouped(number, left_out),
			      d->p->layout->more_left_out ? "+" : "",
			      left_out == 1 && !d->p->layout->more_left_out ? "" : "s",
			      flamegraph_min_px(d->p->opts, d->p->layout->min_width, d->p->total));
	if (hidden)
		output_format(d->o, "%s%" PRIu32 " row%s with nothing wider than 1 px show%s when "
			      "zoomed in", left_out ? "; " : "", hidden, hidden == 1 ? "" : "s",
			      hidden == 1 ? "s" : "");
	put(d, "</text>\n");
}

static void put_footer(struct drawing *d, uint32_t y)
{
	int legend_x;

	put(d, "<g id=\"foot\">\n");
	if (d->p->lost) {
		put_lost(d, y);
		y += FOOT_LINE_PX;
	}
	legend_x = put_legend(d, y);
	output_format(d->o, "<text x=\"%d\" y=\"%" PRIu32 "\">", FLAMEGRAPH_MARGIN_PX, y);
	put_cut(d, d->p->quality, (legend_x - 2.0 * FLAMEGRAPH_MARGIN_PX) / TEXT_CELL_PX);
	put(d, "</text>\n");
	if (d->p->layout->left_out || hidden_rows(d))
		put_left_out(d, y += FOOT_LINE_PX);
	if (d->p->skin) {
		output_format(d->o, "<g id=\"k\" transform=\"translate(%d %" PRIu32 ")\">\n",
			      FLAMEGRAPH_MARGIN_PX, y + FOOT_LINE_PX);
		d->p->skin->explain(d->p->skin->ctx, d->o);
		put(d, "</g>\n");
	}
	put(d, "</g>\n");
}

static void put_start(struct drawing *d, uint32_t height_px)
{
	const struct flamegraph_opts *opts = d->p->opts;
	uint32_t frames_px = d->nr_rows * d->row_px;

	output_format(d->o, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%" PRIu32 "\" height=\"%"
		      PRIu32 "\" viewBox=\"0 0 %" PRIu32 " %" PRIu32 "\" data-left=\"%d\" "
		      "data-top=\"%d\" data-inner=\"%" PRIu32 "\" data-row=\"%" PRIu32 "\" "
		      "data-rows=\"%" PRIu32 "\" data-width=\"%" PRIu32 "\" data-height=\"%" PRIu32
		      "\" data-icicle=\"%d\">\n<title>", opts->width_px, height_px, opts->width_px,
		      height_px, FLAMEGRAPH_MARGIN_PX, FRAMES_Y, d->inner_px, d->row_px, d->nr_rows,
		      opts->width_px, height_px, opts->icicle);
	put_cut(d, d->p->title, 200);
	put(d, "</title>\n<style>\n");
	put(d, flamegraph_css);
	if (d->p->skin)
		put(d, d->p->skin->css);
	output_format(d->o, "</style>\n<defs>\n<clipPath id=\"c\"><rect x=\"%d\" y=\"%d\" "
		      "width=\"%" PRIu32 "\" height=\"%" PRIu32 "\"/></clipPath>\n"
		      "<pattern id=\"x\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" "
		      "patternTransform=\"rotate(45)\"><rect width=\"6\" height=\"6\" "
		      "fill=\"#f6d5d5\"/><rect width=\"2\" height=\"6\" fill=\"#d66\"/></pattern>\n",
		      FLAMEGRAPH_MARGIN_PX, FRAMES_Y, d->inner_px, frames_px);
	if (d->p->skin)
		d->p->skin->define(d->p->skin->ctx, d->o, d->grid / (double)d->inner_px);
	put(d, "</defs>\n");
}

void flamegraph_svg(const struct flamegraph_picture *p, struct output *o)
{
	struct drawing d = { .p = p, .o = o, .to = output_buffer(o) };
	uint32_t foot_y;

	bytebuf_init(&d.name);
	d.total = p->total ? p->total : 1;
	d.grid = d.total > MAX_GRID ? MAX_GRID : d.total;
	d.inner_px = FLAMEGRAPH_INNER_PX(p->opts->width_px);
	d.row_px = p->opts->frame_px;
	d.nr_rows = rows_in_sight(&d);
	foot_y = FRAMES_Y + d.nr_rows * d.row_px + 22;
	put_start(&d, foot_y + (p->lost ? 3 : 2) * FOOT_LINE_PX +
		  (p->skin ? p->skin->explain_px : 0));
	put_header(&d);
	put_frames(&d);
	put_labels(&d);
	if (p->empty && *p->empty)
		put_empty(&d);
	put_footer(&d, foot_y);
	put(&d, "<script><![CDATA[\n");
	put(&d, flamegraph_js);
	put(&d, "]]></script>\n</svg>\n");
	bytebuf_release(&d.name);
}
