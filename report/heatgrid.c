#include "report/heatgrid.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM 64

void heatgrid_init(struct heatgrid *g, const struct heataxis *x, const struct heataxis *y)
{
	*g = (struct heatgrid) {
		.x = *x, .y = *y, .least_x = INT64_MAX, .most_x = INT64_MIN,
		.least_y = INT64_MAX, .most_y = INT64_MIN, .at_low = 1, .at_high = 0,
	};
}

static void release_panel(struct heatgrid_panel *p, size_t room_x)
{
	for (size_t i = 0; p->columns && i < room_x; i++)
		free(p->columns[i]);
	free(p->columns);
	free(p->intervals);
}

void heatgrid_release(struct heatgrid *g)
{
	for (size_t i = 0; i < g->nr_panels; i++)
		release_panel(&g->panels[i], g->room_x);
	free(g->panels);
	g->panels = NULL;
	g->nr_panels = g->cap = 0;
}

int heatgrid_panels(struct heatgrid *g, size_t nr)
{
	struct heatgrid_panel *grown;
	size_t cap = g->cap ? g->cap : 4;

	if (nr <= g->nr_panels)
		return 0;
	while (cap < nr)
		cap *= 2;
	if (cap > g->cap) {
		grown = realloc(g->panels, cap * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		g->panels = grown;
		g->cap = cap;
	}
	memset(g->panels + g->nr_panels, 0, (nr - g->nr_panels) * sizeof(*grown));
	g->nr_panels = nr;
	return 0;
}

/* --- places ----------------------------------------------------------------------- */

/* A base may lie beyond the limits of numbers; no cell that is in use does. */
static size_t index_of(int64_t cell, int64_t base)
{
	return (size_t)((uint64_t)cell - (uint64_t)base);
}

static bool has_place(int64_t cell, int64_t base, size_t room)
{
	return (uint64_t)cell - (uint64_t)base < room;
}

static int64_t cell_at(int64_t base, uint64_t i)
{
	return (int64_t)((uint64_t)base + i);
}

static uint64_t *counter(struct heatgrid *g, struct heatgrid_panel *p, size_t x, size_t y)
{
	if (!p->columns) {
		p->columns = calloc(g->room_x, sizeof(*p->columns));
		if (!p->columns)
			return NULL;
	}
	if (!p->columns[x]) {
		p->columns[x] = calloc(g->room_y, sizeof(*p->columns[x]));
		if (!p->columns[x])
			return NULL;
	}
	return &p->columns[x][y];
}

static uint64_t *interval(struct heatgrid *g, struct heatgrid_panel *p, size_t x)
{
	if (!p->intervals)
		p->intervals = calloc(g->room_x, sizeof(*p->intervals));
	return p->intervals ? &p->intervals[x] : NULL;
}

/* The axes of what is there, and where it stands. */
struct old {
	struct heataxis x, y;
	int64_t base_x, base_y;
	size_t room_x, room_y;
};

static size_t new_x(const struct heatgrid *g, const struct old *o, size_t i)
{
	int64_t low = heataxis_low(&o->x, cell_at(o->base_x, i));

	return index_of(heataxis_cell(&g->x, low), g->base_x);
}

static size_t new_y(const struct heatgrid *g, const struct old *o, size_t i)
{
	int64_t low = heataxis_low(&o->y, cell_at(o->base_y, i));

	return index_of(heataxis_cell(&g->y, low), g->base_y);
}

static int move_panel(struct heatgrid *g, const struct old *o, struct heatgrid_panel *p)
{
	const struct heatgrid_panel was = *p;
	uint64_t *to;
	int err = 0;

	p->columns = NULL;
	p->intervals = NULL;
	for (size_t i = 0; was.columns && i < o->room_x && !err; i++) {
		for (size_t j = 0; was.columns[i] && j < o->room_y && !err; j++) {
			if (!was.columns[i][j])
				continue;
			to = counter(g, p, new_x(g, o, i), new_y(g, o, j));
			if (to)
				*to += was.columns[i][j];
			else
				err = -ENOMEM;
		}
	}
	for (size_t i = 0; was.intervals && i < o->room_x && !err; i++) {
		if (!was.intervals[i])
			continue;
		to = interval(g, p, new_x(g, o, i));
		if (!to)
			err = -ENOMEM;
		else if (*to < was.intervals[i])
			*to = was.intervals[i];
	}
	release_panel(&(struct heatgrid_panel) { was.columns, was.intervals, 0 }, o->room_x);
	return err;
}

/* Room for the cells in use, and as much again on the side to which they grow. */
static void settle(const struct heataxis *a, int64_t *base, size_t *room)
{
	size_t nr = heataxis_nr(a), want = FIRST_ROOM;
	bool down = nr && *room && a->first < *base;

	while (want < nr + nr / 2)
		want *= 2;
	if (want > a->limit)
		want = a->limit > nr ? a->limit : nr;
	*room = want;
	*base = down ? cell_at(a->last, UINT64_C(1) - want) : a->first;
}

/* Moves everything from the axes `o` to those that the grid has now. */
static int move(struct heatgrid *g, const struct old *o)
{
	int err = 0;

	settle(&g->x, &g->base_x, &g->room_x);
	settle(&g->y, &g->base_y, &g->room_y);
	g->at_low = 1;
	g->at_high = 0;
	for (size_t i = 0; i < g->nr_panels; i++) {
		/* What is left after a failure is freed with the old room. */
		if (err)
			release_panel(&g->panels[i], o->room_x);
		if (err)
			g->panels[i] = (struct heatgrid_panel) { 0 };
		else
			err = move_panel(g, o, &g->panels[i]);
	}
	return err;
}

static struct old old_of(const struct heatgrid *g)
{
	return (struct old) { g->x, g->y, g->base_x, g->base_y, g->room_x, g->room_y };
}

int heatgrid_move(struct heatgrid *g, const struct heataxis *x, const struct heataxis *y)
{
	const struct old o = old_of(g);

	if (!g->x.used)
		return 0;
	g->x = *x;
	g->y = *y;
	return move(g, &o);
}

/* Makes room for a number on each axis. */
static int make_room(struct heatgrid *g, int64_t x, int64_t y)
{
	const struct old o = old_of(g);
	bool wider_x = heataxis_use(&g->x, x);
	bool wider_y = heataxis_use(&g->y, y);

	if (!wider_x && !wider_y && g->room_x &&
	    has_place(g->x.first, g->base_x, g->room_x) &&
	    has_place(g->x.last, g->base_x, g->room_x) &&
	    has_place(g->y.first, g->base_y, g->room_y) &&
	    has_place(g->y.last, g->base_y, g->room_y))
		return 0;
	return move(g, &o);
}

/* --- counting --------------------------------------------------------------------- */

static void seek_column(struct heatgrid *g, int64_t x)
{
	int64_t cell = heataxis_cell(&g->x, x);

	g->at = index_of(cell, g->base_x);
	g->at_low = heataxis_low(&g->x, cell);
	g->at_high = heataxis_high(&g->x, cell);
}

/* Records come nearly in the order of time: the column is that of the one before. */
static int seek(struct heatgrid *g, int64_t x, int64_t y)
{
	int err = 0;

	if (x < g->least_x || x > g->most_x || y < g->least_y || y > g->most_y) {
		err = make_room(g, x, y);
		g->least_x = x < g->least_x ? x : g->least_x;
		g->most_x = x > g->most_x ? x : g->most_x;
		g->least_y = y < g->least_y ? y : g->least_y;
		g->most_y = y > g->most_y ? y : g->most_y;
	}
	if (x < g->at_low || x > g->at_high)
		seek_column(g, x);
	return err;
}

int heatgrid_add(struct heatgrid *g, size_t panel, int64_t x, int64_t y, uint64_t count)
{
	struct heatgrid_panel *p = &g->panels[panel];
	uint64_t *to;
	int err = seek(g, x, y);

	if (err)
		return err;
	to = counter(g, p, g->at, index_of(heataxis_cell(&g->y, y), g->base_y));
	if (!to)
		return -ENOMEM;
	*to += count;
	p->total += count;
	return 0;
}

int heatgrid_interval(struct heatgrid *g, size_t panel, int64_t x, uint64_t length)
{
	uint64_t *to;

	if (x < g->at_low || x > g->at_high)
		seek_column(g, x);
	to = interval(g, &g->panels[panel], g->at);
	if (!to)
		return -ENOMEM;
	if (*to < length)
		*to = length;
	return 0;
}

/* --- reading ---------------------------------------------------------------------- */

uint64_t heatgrid_count(const struct heatgrid *g, size_t panel, int64_t x, int64_t y)
{
	const struct heatgrid_panel *p = &g->panels[panel];

	if (!p->columns || !has_place(x, g->base_x, g->room_x) ||
	    !has_place(y, g->base_y, g->room_y) || !p->columns[index_of(x, g->base_x)])
		return 0;
	return p->columns[index_of(x, g->base_x)][index_of(y, g->base_y)];
}

uint64_t heatgrid_interval_at(const struct heatgrid *g, size_t panel, int64_t x)
{
	const struct heatgrid_panel *p = &g->panels[panel];

	if (!p->intervals || !has_place(x, g->base_x, g->room_x))
		return 0;
	return p->intervals[index_of(x, g->base_x)];
}
