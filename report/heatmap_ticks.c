#include "report/heatmap_ticks.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* --- writing ------------------------------------------------------------------------ */

struct size {
	double least;		/* from which on it is used */
	double one;
	const char *name;
};

static const struct size times[] = {
	{ 1e9, 1e9, "s" }, { 1e6, 1e6, "ms" }, { 1e3, 1e3, "us" }, { 0, 1, "ns" },
};
static const struct size sizes[] = {
	{ 0x1p60, 0x1p60, "EiB" }, { 0x1p50, 0x1p50, "PiB" }, { 0x1p40, 0x1p40, "TiB" },
	{ 0x1p30, 0x1p30, "GiB" }, { 0x1p20, 0x1p20, "MiB" }, { 1024, 1024, "KiB" },
	{ 0, 1, "B" },
};
static const struct size counts[] = {
	{ 1e19, 1e18, "E" }, { 1e16, 1e15, "P" }, { 1e13, 1e12, "T" }, { 1e10, 1e9, "G" },
	{ 1e7, 1e6, "M" }, { 0, 1, "" },
};

static const struct size *size_for(double scale, const char *unit)
{
	const struct size *s = counts;

	if (!strcmp(unit, "ns"))
		s = times;
	else if (!strcmp(unit, "B"))
		s = sizes;
	while (fabs(scale) < s->least)
		s++;
	return s;
}

/* Digits after the point: all that the step has, or one more than tell it apart. */
static int decimals(double step)
{
	double power = 1;
	int nr = 0;

	for (; nr < 9; nr++, power *= 10) {
		double digits = step * power;

		if (digits >= 10 || (digits > 0.5 && fabs(digits - round(digits)) < 1e-6))
			break;
	}
	return nr;
}

/* Commas between groups of three digits. */
static void group(char *text)
{
	size_t start = *text == '-', len = strcspn(text, ".");

	for (size_t i = len; i > start + 3; ) {
		i -= 3;
		memmove(text + i + 1, text + i, strlen(text + i) + 1);
		text[i] = ',';
	}
}

void heatmap_ticks_text(char to[HEATMAP_TICKS_TEXT], double v, double step, double scale,
			const char *unit)
{
	const struct size *s = size_for(scale, unit);
	bool is_plain = strcmp(unit, "ns") && strcmp(unit, "B");
	char digits[HEATMAP_TICKS_TEXT - 16];

	/* Room for a comma in each three digits. */
	snprintf(digits, sizeof(digits) - 6, "%.*f",
		 v == 0 ? 0 : decimals(step / s->one), v == 0 ? 0 : v / s->one);
	group(digits);
	snprintf(to, HEATMAP_TICKS_TEXT, "%s%s%s%s%.7s", digits, *s->name ? " " : "", s->name,
		 is_plain && *unit ? " " : "", is_plain ? unit : "");
}

/* --- choosing ----------------------------------------------------------------------- */

static double round_step(double least, bool binary)
{
	double step = 1;

	if (binary) {
		while (step < least)
			step *= 2;
		return step;
	}
	while (step * 10 < least)
		step *= 10;
	if (step >= least)
		return step;
	return step * 2 >= least ? step * 2 : step * 5 >= least ? step * 5 : step * 10;
}

static size_t linear(const struct heatmap_ticks_range *r, struct heatmap_tick *to)
{
	double width = (double)r->axis->width;
	double low = (double)r->first * width, high = low + r->nr * width;
	double step = round_step(width * r->apart_px / r->cell_px, !strcmp(r->unit, "B"));
	double scale = fmax(fabs(low), fabs(high));
	size_t nr = 0;

	for (double v = ceil(low / step) * step; v <= high && nr < HEATMAP_TICKS_MAX; v += step) {
		heatmap_ticks_text(to[nr].text, fabs(v) < step / 2 ? 0 : v, step, scale, r->unit);
		to[nr++].place = v / width;
	}
	return nr;
}

struct marks {
	const struct heatmap_ticks_range *range;
	struct heatmap_tick *to;
	size_t nr;
};

/* Where there is room for it. */
static void mark(struct marks *m, double v)
{
	const struct heatmap_ticks_range *r = m->range;
	double place = heataxis_place(r->axis, v);

	if (place < (double)r->first || place > (double)r->first + r->nr ||
	    m->nr == HEATMAP_TICKS_MAX)
		return;
	for (size_t i = 0; i < m->nr; i++)
		if (fabs(m->to[i].place - place) * r->cell_px < r->apart_px)
			return;
	heatmap_ticks_text(m->to[m->nr].text, v, fabs(v) > 1 ? fabs(v) : 1, v, r->unit);
	m->to[m->nr++].place = place;
}

static void mark_both(struct marks *m, double v)
{
	mark(m, v);
	mark(m, -v);
}

/* Whether there is room for more between v and factor * v. */
static bool is_wide(const struct marks *m, double v, double factor)
{
	const struct heataxis *a = m->range->axis;

	return (heataxis_place(a, factor * v) - heataxis_place(a, v)) * m->range->cell_px >=
	       3.4 * m->range->apart_px;
}

/* Where the range is so short that no round number is in it: limits of cells. */
static size_t limits(const struct heatmap_ticks_range *r, struct heatmap_tick *to)
{
	uint32_t every = (uint32_t)ceil(r->apart_px / r->cell_px);
	size_t nr = 0;

	for (uint32_t i = 0; i <= r->nr && nr < HEATMAP_TICKS_MAX; i += every) {
		double low = (double)heataxis_low(r->axis, r->first + i);
		double step = (double)heataxis_high(r->axis, r->first + i) - low + 1;

		heatmap_ticks_text(to[nr].text, low, step, low, r->unit);
		to[nr++].place = (double)r->first + i;
	}
	return nr;
}

/* Thousands first, then tens, then what lies between; likewise with powers of two. */
static size_t logarithmic(const struct heatmap_ticks_range *r, struct heatmap_tick *to)
{
	bool binary = !strcmp(r->unit, "B");
	struct marks m = { .range = r, .to = to };

	mark(&m, 0);
	for (double v = 1; v < 1e19; v *= binary ? 1024 : 1000)
		mark_both(&m, v);
	for (double v = 1; v < 1e19; v *= binary ? 32 : 10)
		mark_both(&m, v);
	for (double v = 1; v < 1e19 && binary; v *= 2)
		mark_both(&m, v);
	for (double v = 1; v < 1e19 && !binary; v *= 10) {
		if (!is_wide(&m, v, 10))
			continue;
		mark_both(&m, 5 * v);
		mark_both(&m, 2 * v);
	}
	return m.nr > 1 ? m.nr : limits(r, to);
}

size_t heatmap_ticks(const struct heatmap_ticks_range *r, struct heatmap_tick *to)
{
	return r->axis->kind == HEATAXIS_LOG ? logarithmic(r, to) : linear(r, to);
}
