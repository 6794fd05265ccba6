#include "report/flamediff_skin.h"

#include "report/escape.h"
#include "report/flamediff.css.h"
#include "report/number.h"
#include "report/textcut.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define TEXT_CELL_PX 6.4
#define LINE_PX 18
/* The explanation: what the base is, the scale of colours with its ticks, and hatching. */
#define SCALE_Y 22
#define TICKS_Y 33
#define HATCHES_Y 53
#define EXPLAIN_PX 66
#define NARROW_PX 740		/* where the hatches need a line each */
#define SCALE_X 66
#define SWATCH_PX 34

/* From which share of the whole on a difference has the next shade. */
static const double shades[] = { 0.1, 0.5, 2, 5 };

#define NR_SHADES (sizeof(shades) / sizeof(shades[0]))

enum change { CHANGE_NONE, CHANGE_GROWN, CHANGE_SHRUNK, CHANGE_NEW, CHANGE_GONE, CHANGE_WAY };

static const struct {
	const char *class, *mark;
	bool shades;
} looks[] = {
	[CHANGE_NONE] = { "same", "", false },
	[CHANGE_GROWN] = { "up", "\xe2\x96\xb2", true },
	[CHANGE_SHRUNK] = { "dn", "\xe2\x96\xbc", true },
	[CHANGE_NEW] = { "new", "+", false },
	[CHANGE_GONE] = { "gone", "\xc3\x97", false },
	[CHANGE_WAY] = { "way", "", false },
};

/* A class with its shade, for all there are. */
static const char *const shaded[2][NR_SHADES] = {
	{ "up1", "up2", "up3", "up4" }, { "dn1", "dn2", "dn3", "dn4" },
};

static double weight(const struct flamediff_skin *s, const struct flamediff_node *n,
		     enum flamediff_side side)
{
	return (double)n->amount[side] * s->pair->factor[side];
}

/* In percent of the whole. */
static double share(const struct flamediff_skin *s, double amount)
{
	return s->whole > 0 ? 100 * amount / s->whole : 0;
}

/* All, or what leads to something that only the other trace has. */
static bool is_above_sections(const struct flamediff_skin *s, const struct flame_box *box)
{
	return box->depth == 0 && s->shape->sections;
}

static enum change change_of(const struct flamediff_skin *s, const struct flame_box *box,
			     size_t *shade)
{
	const struct flamediff_node *n = &s->nodes[box->name];
	double more = weight(s, n, FLAMEDIFF_NEW) - weight(s, n, FLAMEDIFF_BASE);

	*shade = 0;
	if (is_above_sections(s, box) || (box->is_group && n->amount[s->shape->main]))
		return CHANGE_WAY;
	if (box->name && !n->amount[FLAMEDIFF_BASE])
		return CHANGE_NEW;
	if (box->name && !n->amount[FLAMEDIFF_NEW])
		return CHANGE_GONE;
	if (box->is_group)
		return CHANGE_WAY;
	if (share(s, fabs(more)) < shades[0])
		return CHANGE_NONE;
	while (*shade + 1 < NR_SHADES && share(s, fabs(more)) >= shades[*shade + 1])
		++*shade;
	return more > 0 ? CHANGE_GROWN : CHANGE_SHRUNK;
}

static const char *side_name(enum flamediff_side side)
{
	return side == FLAMEDIFF_NEW ? "the new trace" : "the base";
}

static enum flamediff_side other_side(const struct flamediff_skin *s)
{
	return s->shape->main == FLAMEDIFF_NEW ? FLAMEDIFF_BASE : FLAMEDIFF_NEW;
}

/* --- boxes ----------------------------------------------------------------- */

static const char *name(void *ctx, const struct flame_box *box, struct bytebuf *to,
			const char **mark)
{
	const struct flamediff_skin *s = ctx;
	const char *text;
	size_t shade;
	enum change change = change_of(s, box, &shade);

	*mark = looks[change].mark;
	if (box->name) {
		text = textpool_text(flamediff_tree_names(s->pair->tree),
				     s->nodes[box->name].name);
		escape_terminal(to, text, strlen(text));
	} else if (!s->shape->sections || box->depth == 0) {
		bytebuf_text(to, "all");
	} else {
		bytebuf_text(to, box->is_group ? "only in " : "all of ");
		bytebuf_text(to, side_name(box->is_group ? other_side(s) : s->shape->main));
	}
	if (looks[change].shades)
		return shaded[change == CHANGE_SHRUNK][shade];
	return looks[change].class;
}

static void put_amount(const struct flamediff_skin *s, struct bytebuf *to, double amount)
{
	char number[NUMBER_BYTES];
	const char *unit = s->unit;

	if (amount > 0.995 && amount < 1.005 && !strcmp(unit, "samples"))
		unit = "sample";
	number_value(number, fabs(amount) < 0.005 ? 0 : amount, unit);
	escape_xml(to, number, strlen(number));
}

static void put_with_share(const struct flamediff_skin *s, struct bytebuf *to, double amount)
{
	char text[32];

	put_amount(s, to, amount);
	snprintf(text, sizeof(text), " (%.2f %%)", share(s, amount));
	bytebuf_text(to, text);
}

static void put_both(const struct flamediff_skin *s, struct bytebuf *to,
		     const struct flamediff_node *n)
{
	double new = weight(s, n, FLAMEDIFF_NEW), base = weight(s, n, FLAMEDIFF_BASE);
	char text[48];

	bytebuf_text(to, "new ");
	put_with_share(s, to, new);
	bytebuf_text(to, ", base ");
	put_with_share(s, to, base);
	bytebuf_text(to, new < base ? ": \xe2\x88\x92" : ": +");
	put_amount(s, to, fabs(new - base));
	if (base > 0) {
		snprintf(text, sizeof(text), ", %s%.1f %%", new < base ? "\xe2\x88\x92" : "+",
			 100 * fabs(new - base) / base);
		bytebuf_text(to, text);
	}
}

static void tell(void *ctx, const struct flame_box *box, struct bytebuf *to)
{
	const struct flamediff_skin *s = ctx;
	const struct flamediff_node *n = &s->nodes[box->name];
	size_t shade;
	enum change change = change_of(s, box, &shade);

	if (change == CHANGE_WAY && box->is_group) {
		bytebuf_text(to, "leads to what is only in ");
		bytebuf_text(to, side_name(other_side(s)));
		bytebuf_text(to, ": ");
		put_with_share(s, to, (double)box->width * s->shape->unit_weight);
		return;
	}
	if (change == CHANGE_NEW) {
		bytebuf_text(to, "only in the new trace: ");
		put_with_share(s, to, weight(s, n, FLAMEDIFF_NEW));
	} else if (change == CHANGE_GONE) {
		bytebuf_text(to, "only in the base: ");
		put_with_share(s, to, weight(s, n, FLAMEDIFF_BASE));
	} else {
		put_both(s, to, n);
	}
}

/* --- what it means ---------------------------------------------------------- */

/* Stripes that are as wide on the screen as in a viewer that draws units as pixels. */
static void put_hatch(struct output *o, const char *id, const char *colours[2], int angle,
		      double units_per_px)
{
	output_format(o, "<pattern id=\"%s\" width=\"5\" height=\"5\" "
		      "patternUnits=\"userSpaceOnUse\"", id);
	if (units_per_px > 0)
		output_format(o, " data-angle=\"%d\" patternTransform=\"scale(%.9g 1) rotate(%d)\"",
			      angle, units_per_px, angle);
	else
		output_format(o, " patternTransform=\"rotate(%d)\"", angle);
	output_format(o, "><rect width=\"5\" height=\"5\" fill=\"%s\"/><rect width=\"1.6\" "
		      "height=\"5\" fill=\"%s\"/></pattern>\n", colours[0], colours[1]);
}

static void define(void *ctx, struct output *o, double units_per_px)
{
	const char *new[2] = { "#fef0df", "#f6b87c" }, *gone[2] = { "#e6f0f9", "#92bfe3" };

	(void)ctx;
	put_hatch(o, "hn", new, -45, units_per_px);
	put_hatch(o, "hg", gone, 45, units_per_px);
	put_hatch(o, "kn", new, -45, 0);
	put_hatch(o, "kg", gone, 45, 0);
}

static void put_swatch(struct output *o, const char *class, int x, int y, int width_px)
{
	output_format(o, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"11\"/>",
		      class, x, y - 10, width_px);
}

/* From shrunk on the left to grown on the right, with the shares where shades meet. */
static void put_scale(struct output *o, bool is_narrow)
{
	int x = SCALE_X;

	output_format(o, "<text x=\"0\" y=\"%d\">%s shrunk</text>", SCALE_Y,
		      looks[CHANGE_SHRUNK].mark);
	for (size_t i = 2 * NR_SHADES + 1; i-- > 0; x += SWATCH_PX) {
		bool down = i > NR_SHADES;
		const char *class = down ? shaded[1][i - NR_SHADES - 1]
					 : i == NR_SHADES ? looks[CHANGE_NONE].class
					 : shaded[0][NR_SHADES - 1 - i];

		put_swatch(o, class, x, SCALE_Y, SWATCH_PX);
		if (i)
			output_format(o, "<text class=\"tick\" x=\"%d\" y=\"%d\">%s%.3g</text>",
				      x + SWATCH_PX, TICKS_Y, down ? "\xe2\x88\x92" : "+",
				      shades[down ? i - NR_SHADES - 1 : NR_SHADES - i]);
	}
	output_format(o, "<text x=\"%d\" y=\"%d\">%s grown, in %% of all%s</text>\n", x + 8, SCALE_Y,
		      looks[CHANGE_GROWN].mark, is_narrow ? "" : ", with what it calls");
}

/* What stands in one of them only, and how much it is. */
static int put_alone(struct flamediff_skin *s, struct output *o, int x, int y,
		     enum flamediff_side side)
{
	enum change change = side == FLAMEDIFF_NEW ? CHANGE_NEW : CHANGE_GONE;
	struct bytebuf text;

	bytebuf_init(&text);
	bytebuf_text(&text, looks[change].mark);
	bytebuf_text(&text, " only in ");
	bytebuf_text(&text, side_name(side));
	bytebuf_text(&text, ": ");
	put_with_share(s, &text, s->alone[side]);
	put_swatch(o, looks[change].class, x, y, 22);
	output_format(o, "<text x=\"%d\" y=\"%d\">", x + 28, y);
	output_bytes(o, text.data, text.len);
	output_text(o, "</text>\n");
	x += 60 + (int)((double)text.len * TEXT_CELL_PX);
	bytebuf_release(&text);
	return x;
}

static void explain(void *ctx, struct output *o)
{
	struct flamediff_skin *s = ctx;
	struct bytebuf *to = output_buffer(o);
	size_t len, cells = (size_t)(s->inner_px / TEXT_CELL_PX);
	const char *quality = s->base_quality;
	bool all, is_narrow = s->inner_px < NARROW_PX;
	int x;

	len = textcut_fitting((const uint8_t *)quality, strlen(quality), cells, &all);
	bytebuf_text(to, "<text x=\"0\" y=\"0\">");
	escape_xml(to, quality, len);
	bytebuf_text(to, all ? "</text>\n" : "\xe2\x80\xa6</text>\n");
	put_scale(o, is_narrow);
	x = put_alone(s, o, 0, HATCHES_Y, FLAMEDIFF_BASE);
	put_alone(s, o, is_narrow ? 0 : x, HATCHES_Y + (is_narrow ? LINE_PX : 0), FLAMEDIFF_NEW);
}

/* Of what the other does not have, the nodes nearest to the root. */
static double alone(const struct flamediff_skin *s, size_t nr, enum flamediff_side side)
{
	enum flamediff_side other = side == FLAMEDIFF_NEW ? FLAMEDIFF_BASE : FLAMEDIFF_NEW;
	uint64_t sum = 0;

	for (size_t i = 0; i < nr; i++) {
		const struct flamediff_node *n = &s->nodes[i];

		if (!n->amount[other] && (!i || s->nodes[n->parent].amount[other]))
			sum += n->amount[side];
	}
	return (double)sum * s->pair->factor[side];
}

void flamediff_skin_init(struct flamediff_skin *s, size_t nr_nodes, struct flamegraph_skin *to)
{
	for (int side = 0; side < FLAMEDIFF_SIDES; side++) {
		s->whole = fmax(s->whole, weight(s, &s->nodes[0], (enum flamediff_side)side));
		s->alone[side] = alone(s, nr_nodes, (enum flamediff_side)side);
	}
	*to = (struct flamegraph_skin) {
		.ctx = s, .css = flamediff_css, .name = name, .tell = tell, .define = define,
		.explain = explain, .explain_px = EXPLAIN_PX + (s->inner_px < NARROW_PX ? LINE_PX : 0),
	};
}
