#include "report/heatmap_private.h"

#include "report/digits.h"
#include "report/escape.h"
#include "report/heatmap_place.h"
#include "report/heatmap_ticks.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SECOND_NS UINT64_C(1000000000)

struct data {
	struct heatmap *h;
	const struct heatmap_layout *l;
	struct bytebuf *to;
	struct bytebuf text;
};

static void put(struct data *d, const char *text)
{
	bytebuf_text(d->to, text);
}

static void put_string(struct data *d, const char *text, size_t len)
{
	put(d, "\"");
	escape_json(d->to, text, len);
	put(d, "\"");
}

static void put_text(struct data *d)
{
	put_string(d, (const char *)d->text.data, d->text.len);
	bytebuf_clear(&d->text);
}

/* --- bounds of time ----------------------------------------------------------------- */

/* Seconds with `places` digits; relative to the start unless it lies before. */
static void time_text(char to[HEATMAP_TIME_TEXT], const struct heatmap *h, int64_t at, int places)
{
	uint64_t ns = at < 0 ? h->start_ns - -(uint64_t)at : (uint64_t)at;
	char rest[16];

	snprintf(rest, sizeof(rest), "%09" PRIu64, ns % SECOND_NS);
	snprintf(to, HEATMAP_TIME_TEXT, "%s%" PRIu64 ".%.*s", at < 0 ? "" : "+", ns / SECOND_NS,
		 places, rest);
}

void heatmap_data_from(char to[HEATMAP_TIME_TEXT], const struct heatmap *h, int64_t at)
{
	size_t len;

	time_text(to, h, at, 9);
	for (len = strlen(to); to[len - 1] == '0'; len--)
		to[len - 1] = '\0';
	if (to[len - 1] == '.')
		to[len - 1] = '\0';
}

/* With six digits a bound covers the rest of its microsecond. */
void heatmap_data_to(char to[HEATMAP_TIME_TEXT], const struct heatmap *h, int64_t last)
{
	uint64_t clock = h->start_ns + (uint64_t)last;
	bool is_whole = last < 0 ? clock % 1000 == 999 : (uint64_t)last % 1000 == 999;

	time_text(to, h, last, is_whole ? 6 : 9);
}

static void put_times(struct data *d)
{
	const struct heatgrid *g = &d->h->grid;
	bool clip = d->h->opts->chosen->time != NULL;
	char text[HEATMAP_TIME_TEXT];

	put(d, "\"x\":{\"from\":[");
	for (uint32_t i = 0; i < d->l->nr_columns; i++) {
		int64_t low = heataxis_low(&g->x, d->l->first_x + i);

		heatmap_data_from(text, d->h, clip && low < g->least_x ? g->least_x : low);
		put(d, i ? "," : "");
		put_string(d, text, strlen(text));
	}
	put(d, "],\"to\":[");
	for (uint32_t i = 0; i < d->l->nr_columns; i++) {
		int64_t high = heataxis_high(&g->x, d->l->first_x + i);

		heatmap_data_to(text, d->h, clip && high > g->most_x ? g->most_x : high);
		put(d, i ? "," : "");
		put_string(d, text, strlen(text));
	}
	put(d, "],");
}

/* --- bounds of values --------------------------------------------------------------- */

void heatmap_data_value(struct bytebuf *to, int64_t v, const char *unit)
{
	static const struct {
		const char *of;
		int64_t one;
		const char *name;
	} units[] = {
		{ "ns", 1000000000, "s" }, { "ns", 1000000, "ms" }, { "ns", 1000, "us" },
		{ "B", 1 << 30, "G" }, { "B", 1 << 20, "M" }, { "B", 1024, "K" },
	};

	for (size_t i = 0; v && i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(units[i].of, unit) || v % units[i].one)
			continue;
		digits_put_signed(to, v / units[i].one);
		bytebuf_text(to, units[i].name);
		return;
	}
	digits_put_signed(to, v);
}

static void bound(struct data *d, const char *op, int64_t v)
{
	const struct measure *m = &d->h->lead->measure;

	bytebuf_text(&d->text, m->name);
	bytebuf_text(&d->text, op);
	heatmap_data_value(&d->text, v, m->unit);
}

static void from_value(struct data *d, int64_t v)
{
	const struct heatmap_opts *opts = d->h->opts;

	if (opts->has_least && v < opts->least)
		v = opts->least;
	if (v != INT64_MIN && (v || d->h->lead->measure.is_signed))
		bound(d, " >= ", v);
}

static void to_value(struct data *d, int64_t v)
{
	const struct heatmap_opts *opts = d->h->opts;

	if (opts->has_most && v > opts->most)
		bound(d, " <= ", opts->most);
	else if (v != INT64_MAX)
		bound(d, " < ", v + 1);
}

static void put_rows(struct data *d)
{
	const struct heataxis *y = &d->h->grid.y;
	bool values = d->h->opts->kind == HEATMAP_VALUES && d->h->lead;

	put(d, "\"y\":{\"from\":[");
	for (uint32_t i = 0; i < d->l->nr_rows; i++) {
		if (values)
			from_value(d, heataxis_low(y, d->l->first_y + i));
		else
			digits_put_signed(&d->text, heataxis_low(y, d->l->first_y + i));
		put(d, i ? "," : "");
		put_text(d);
	}
	put(d, "],\"to\":[");
	for (uint32_t i = 0; i < d->l->nr_rows; i++) {
		if (values)
			to_value(d, heataxis_high(y, d->l->first_y + i));
		else
			digits_put_signed(&d->text, heataxis_high(y, d->l->first_y + i) + 1);
		put(d, i ? "," : "");
		put_text(d);
	}
	put(d, "],");
}

/* --- labels of edges ---------------------------------------------------------------- */

static void put_labels(struct data *d, const struct heataxis *a, int64_t first, uint32_t nr,
		       const char *unit)
{
	char text[HEATMAP_TICKS_TEXT];

	put(d, "\"label\":[");
	for (uint32_t i = 0; i <= nr; i++) {
		int64_t v = heataxis_low(a, first + i);
		double step = (double)heataxis_high(a, first + i) - (double)v + 1;

		heatmap_ticks_text(text, (double)v, step, (double)v, unit);
		put(d, i ? "," : "");
		put_string(d, text, strlen(text));
	}
	put(d, "]}");
}

const char *heatmap_data_unit(const struct heatmap *h)
{
	if (h->opts->kind == HEATMAP_SUBSECOND)
		return "ns";
	return h->opts->kind == HEATMAP_VALUES && h->lead ? h->lead->measure.unit : "";
}

/* --- options ------------------------------------------------------------------------ */

static void put_options(struct data *d)
{
	const char *filter = d->h->opts->chosen->filter;

	heatmap_choice_options(d->h, &d->text);
	put(d, "\"options\":");
	put_text(d);
	put(d, ",\"filter\":");
	if (filter) {
		bytebuf_text(&d->text, "(");
		bytebuf_text(&d->text, filter);
		bytebuf_text(&d->text, ")");
	}
	put_text(d);
}

/* --- maps --------------------------------------------------------------------------- */

/* What only records of the group have; null when it cannot be said. */
static void put_group_filter(struct data *d, uint32_t group)
{
	if (heatmap_choice_group(d->h, group, &d->text))
		put_text(d);
	else
		put(d, "null");
	bytebuf_clear(&d->text);
}

/*
 * Columns that have something, separated by ';': how far the column is from the last
 * one, and (of tallies) '/' and the columns it is wide; then rows, each by its distance
 * from the one below, and after '*' what it shows unless that is 1.
 */
static void put_cells(struct data *d, size_t map)
{
	uint32_t last_column = 0;
	bool first = true;

	put(d, "\"");
	for (uint32_t x = 0; x < d->l->nr_columns; x++) {
		uint32_t last_row = 0, wide;
		bool empty = true;

		for (uint32_t y = 0; y < d->l->nr_rows; y++) {
			uint64_t v = heatmap_layout_amount(d->h, d->l, map, x, y);

			if (!v)
				continue;
			if (empty) {
				put(d, first ? "" : ";");
				digits_put(d->to, x - last_column);
				wide = heatmap_layout_wide(d->h, d->l, map, x);
				if (wide > 1) {
					put(d, "/");
					digits_put(d->to, wide);
				}
				last_column = x;
				first = empty = false;
			}
			put(d, " ");
			digits_put(d->to, y - last_row);
			last_row = y;
			if (v == 1)
				continue;
			put(d, "*");
			digits_put(d->to, v);
		}
	}
	put(d, "\"");
}

static void put_map(struct data *d, size_t map)
{
	uint32_t group = d->h->order[map];

	put(d, map ? ",\n{\"filter\":" : "\n{\"filter\":");
	put_group_filter(d, group);
	put(d, ",\"total\":");
	digits_put(d->to, d->h->grid.panels[d->h->by_group[group].panel].total);
	put(d, ",\"cells\":");
	put_cells(d, map);
	put(d, "}");
}

int heatmap_data(struct heatmap *h, const struct heatmap_layout *l, struct bytebuf *to)
{
	static const char *const names[] = {
		[HEATMAP_VALUES] = "values", [HEATMAP_SUBSECOND] = "subsecond",
		[HEATMAP_UTILIZATION] = "utilization",
	};
	struct data d = { .h = h, .l = l, .to = to };
	int err;

	bytebuf_init(&d.text);
	put(&d, "{\"kind\":");
	put_string(&d, names[h->opts->kind], strlen(names[h->opts->kind]));
	put(&d, ",\"tally\":");
	put(&d, h->is_tally ? "true" : "false");
	/* A filter knows whole numbers only. */
	put(&d, ",\"exact\":");
	put(&d, h->lead && h->lead->measure.field >= 0 && h->opts->kind == HEATMAP_VALUES &&
		h->lead->measure.event->fields[h->lead->measure.field].type == FIELD_FLOAT ?
		"false" : "true");
	put(&d, ",\"limited\":");
	put(&d, h->opts->has_least || h->opts->has_most ? "true" : "false");
	put(&d, ",\"timed\":");
	put(&d, h->opts->chosen->time ? "true" : "false");
	put(&d, ",\"cpus\":");
	put(&d, h->opts->chosen->cpus ? "true" : "false");
	put(&d, ",\"second\":");
	put(&d, h->grid.x.width == SECOND_NS ? "true" : "false");
	put(&d, ",");
	put_options(&d);
	put(&d, ",\n");
	put_times(&d);
	put_labels(&d, &h->grid.x, l->first_x, l->nr_columns, "ns");
	put(&d, ",\n");
	put_rows(&d);
	put_labels(&d, &h->grid.y, l->first_y, l->nr_rows, heatmap_data_unit(h));
	put(&d, ",\n\"maps\":[");
	for (size_t i = 0; i < h->nr_drawn; i++)
		put_map(&d, i);
	put(&d, "]}");
	err = d.text.err ? d.text.err : to->err;
	bytebuf_release(&d.text);
	return err;
}
