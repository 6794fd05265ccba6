#include "report/heatmap_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_NS INT64_C(1000000000)
#define SUBSECOND_ROW_NS 20000000
#define SUBSECOND_ROWS 50
#define MAX_CPUS 4096
/* Cells of time are not narrower: nobody looks for less, and it saves growing. */
#define NARROWEST_NS 1000
/*
 * While counting, cells are up to so many times as narrow as in the picture.  They grow
 * by 2 or 5 at once: so enough are left, and of a width that divides the final one.
 */
#define FINER 5
/* Groups are counted by cell while it is not known yet which are the largest. */
#define FIRST_PANELS 64

/* --- numbers ---------------------------------------------------------------------- */

/* A number of an axis. */
static int64_t limited(uint64_t v, bool is_signed)
{
	return !is_signed && v > INT64_MAX ? INT64_MAX : (int64_t)v;
}

static int64_t since_start(const struct heatmap *h, uint64_t time_ns)
{
	if (time_ns >= h->start_ns)
		return limited(time_ns - h->start_ns, false);
	return -limited(h->start_ns - time_ns, false);
}

static size_t row_at(const struct query_batch *b, size_t i)
{
	return b->rows ? b->rows[i] : i;
}

/* --- the three kinds --------------------------------------------------------------- */

/* What is at hand of a batch. */
struct reading {
	struct heatmap *h;
	struct query_batch *b;
	const struct measure *measure;
	struct measure_rows rows;
	const uint64_t *times;
	const uint64_t *cpus, *tasks;	/* utilization only */
};

struct kind {
	void (*axes)(const struct heatmap *h, struct heataxis *x, struct heataxis *y);
	int (*columns)(struct reading *r);	/* that it needs besides; may be NULL */
	int (*add)(struct reading *r, size_t row, uint32_t panel, uint64_t count);
};

static void axes_of_values(const struct heatmap *h, struct heataxis *x, struct heataxis *y)
{
	heataxis_init_linear(x, NARROWEST_NS, FINER * heatmap_layout_columns(h->opts));
	if (h->is_log)
		heataxis_init_log(y, heatmap_layout_rows(h->opts));
	else
		heataxis_init_linear(y, 1, FINER * heatmap_layout_rows(h->opts));
}

/* The axis reaches to where the interval began, so that there is room to draw it. */
static int add_interval(struct heatgrid *g, uint32_t panel, int64_t x, int64_t v, uint64_t length)
{
	int64_t begin;
	int err = 0;

	if (!length || length > INT64_MAX / 2 || x < -INT64_MAX / 2)
		return 0;
	begin = x - (int64_t)length + 1;
	if (begin < g->least_x)
		err = heatgrid_add(g, panel, begin, v, 0);
	return err ? err : heatgrid_interval(g, panel, x, length);
}

static int add_value(struct reading *r, size_t row, uint32_t panel, uint64_t count)
{
	struct heatmap *h = r->h;
	int64_t v = limited(r->rows.values[row], r->measure->is_signed);
	int64_t x = since_start(h, r->times[row]);
	int err;

	if (h->opts->has_least && v < h->opts->least) {
		h->below += count;
		return 0;
	}
	if (h->opts->has_most && v > h->opts->most) {
		h->above += count;
		return 0;
	}
	err = heatgrid_add(&h->grid, panel, x, v, count);
	if (!err && r->rows.intervals)
		err = add_interval(&h->grid, panel, x, v, r->rows.intervals[row]);
	return err;
}

static void axes_of_subsecond(const struct heatmap *h, struct heataxis *x, struct heataxis *y)
{
	heataxis_init_linear(x, SECOND_NS, FINER * heatmap_layout_columns(h->opts));
	heataxis_init_linear(y, SUBSECOND_ROW_NS, SUBSECOND_ROWS);
	heataxis_use(y, 0);
	heataxis_use(y, SECOND_NS - 1);
}

static int add_subsecond(struct reading *r, size_t row, uint32_t panel, uint64_t count)
{
	int64_t x = since_start(r->h, r->times[row]);
	int64_t rest = x % SECOND_NS;

	return heatgrid_add(&r->h->grid, panel, x, rest < 0 ? rest + SECOND_NS : rest, count);
}

static void axes_of_utilization(const struct heatmap *h, struct heataxis *x, struct heataxis *y)
{
	/* A span is added to every column that it covers: fewer of them. */
	heataxis_init_linear(x, NARROWEST_NS, 2 * heatmap_layout_columns(h->opts));
	heataxis_init_linear(y, 1, MAX_CPUS);
	y->fixed = true;
}

static int utilization_columns(struct reading *r)
{
	const struct trace_event *e = r->b->event;

	r->cpus = trace_column(r->b->batch, (uint32_t)e->by_role[ROLE_CPU]);
	if (e->by_role[ROLE_TASK] >= 0)
		r->tasks = trace_column(r->b->batch, (uint32_t)e->by_role[ROLE_TASK]);
	return r->cpus && (r->tasks || e->by_role[ROLE_TASK] < 0) ? 0 : -EBADMSG;
}

/* A sample on an idle CPU says that nothing ran. */
static bool is_idle(const struct reading *r, size_t row)
{
	const struct trace_task *task;

	if (!r->tasks || r->measure->field == r->b->event->by_role[ROLE_DURATION])
		return false;
	task = trace_task(r->h->query ? query_trace(r->h->query) : NULL, (uint32_t)r->tasks[row]);
	return task && (task->flags & TASK_IDLE);
}

/* The time up to the record, but for what lies before the trace. */
static int add_covered(struct reading *r, size_t row, uint32_t panel, uint64_t count)
{
	struct heatgrid *g = &r->h->grid;
	int64_t end = since_start(r->h, r->times[row]);
	int64_t length = limited(r->rows.values[row], r->measure->is_signed);
	int64_t at = length > end ? 0 : end - length, part;
	int err;

	(void)count;
	if (r->cpus[row] >= MAX_CPUS) {
		r->h->above++;
		return 0;
	}
	if (is_idle(r, row)) {
		r->h->idle++;
		length = 0;
	}
	if (length <= 0 || at >= end)
		return heatgrid_add(g, panel, end, (int64_t)r->cpus[row], 0);
	/* The axis reaches to its end at once. */
	err = heatgrid_add(g, panel, end - 1, (int64_t)r->cpus[row], 0);
	for (; at < end && !err; at += part) {
		part = heataxis_high(&g->x, heataxis_cell(&g->x, at)) - at + 1;
		if (part > end - at)
			part = end - at;
		err = heatgrid_add(g, panel, at, (int64_t)r->cpus[row], (uint64_t)part);
	}
	return err;
}

static const struct kind kinds[] = {
	[HEATMAP_VALUES] = { axes_of_values, NULL, add_value },
	[HEATMAP_SUBSECOND] = { axes_of_subsecond, NULL, add_subsecond },
	[HEATMAP_UTILIZATION] = { axes_of_utilization, utilization_columns, add_covered },
};

/* --- groups ------------------------------------------------------------------------ */

static int reserve_rows(struct heatmap *h, size_t nr)
{
	uint32_t *grown;

	if (nr <= h->row_groups_cap)
		return 0;
	grown = realloc(h->row_groups, nr * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	h->row_groups = grown;
	h->row_groups_cap = nr;
	return 0;
}

/* Groups that were never met before: the first ones get a panel at once. */
static int meet_groups(struct heatmap *h)
{
	size_t nr = groups_nr(h->groups), cap = h->groups_cap;
	struct heatmap_group *grown;

	if (nr <= h->nr_groups)
		return 0;
	while (cap < nr)
		cap = cap ? 2 * cap : FIRST_PANELS;
	if (cap > h->groups_cap) {
		grown = realloc(h->by_group, cap * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		h->by_group = grown;
		h->groups_cap = cap;
	}
	for (; h->nr_groups < nr; h->nr_groups++)
		h->by_group[h->nr_groups] = (struct heatmap_group) {
			.panel = h->nr_groups < FIRST_PANELS ? (uint32_t)h->nr_groups
							     : HEATMAP_NO_PANEL,
		};
	return heatgrid_panels(&h->grid, nr < FIRST_PANELS ? nr : FIRST_PANELS);
}

static int find_groups(struct heatmap *h, struct query_batch *b)
{
	int err = reserve_rows(h, b->nr);

	if (!err)
		err = groups_of(h->groups, b, h->row_groups);
	return err ? err : meet_groups(h);
}

/* --- reading ----------------------------------------------------------------------- */

static bool is_log(const struct heatmap *h)
{
	if (h->opts->scale != HEATMAP_USUAL)
		return h->opts->scale == HEATMAP_LOG;
	return !h->lead || !strcmp(h->lead->measure.unit, "ns");
}

/* The first block that is drawn tells when the trace starts, and what is measured; or nothing. */
static void begin(struct heatmap *h)
{
	struct heataxis x, y;

	h->start_ns = query_start_ns(h->query);
	h->is_log = h->opts->kind == HEATMAP_VALUES && is_log(h);
	h->is_tally = h->lead && h->lead->measure.is_tally;
	kinds[h->opts->kind].axes(h, &x, &y);
	heatgrid_release(&h->grid);
	heatgrid_init(&h->grid, &x, &y);
}

static int get_columns(struct reading *r)
{
	const struct kind *k = &kinds[r->h->opts->kind];
	int err = measure_rows(r->measure, r->b, r->h->scratch, &r->rows);

	if (err)
		return err;
	r->times = trace_column(r->b->batch, (uint32_t)r->b->event->by_role[ROLE_TIME]);
	if (!r->times)
		return -EBADMSG;
	if (!r->rows.values && k->add != add_subsecond)
		return -EBADMSG;
	return k->columns ? k->columns(r) : 0;
}

static int add_rows(struct reading *r)
{
	const struct kind *k = &kinds[r->h->opts->kind];
	struct heatmap *h = r->h;
	int err = 0;

	for (size_t i = 0; i < r->b->nr && !err; i++) {
		size_t row = row_at(r->b, i);
		uint64_t count = r->rows.counts ? r->rows.counts[row] : 1;
		struct heatmap_group *group = &h->by_group[h->row_groups[i]];

		group->count += count;
		if (group->panel != HEATMAP_NO_PANEL)
			err = k->add(r, row, group->panel, count);
	}
	return err;
}

static int add_batch(void *ctx, struct query_batch *b)
{
	struct heatmap *h = ctx;
	const struct heatmap_event *e = heatmap_event(h, b->event);
	struct reading r = { .h = h, .b = b };
	int err;

	if (!e) {
		h->others += b->nr;
		return 0;
	}
	r.measure = &e->measure;
	if (!h->grid.x.limit)
		begin(h);
	err = get_columns(&r);
	if (!err)
		err = find_groups(h, b);
	if (!err)
		err = add_rows(&r);
	if (err != -EBADMSG)
		return err;
	trace_damaged(b->batch);
	return 0;
}

/* --- the largest groups -------------------------------------------------------------- */

static bool is_before(const struct heatmap *h, uint32_t a, uint32_t b)
{
	uint64_t count_a = h->by_group[a].count, count_b = h->by_group[b].count;

	return count_a != count_b ? count_a > count_b : groups_compare(h->groups, a, b) < 0;
}

static int choose_groups(struct heatmap *h)
{
	size_t most = h->opts->max_maps, at;

	free(h->order);
	h->nr_drawn = 0;
	h->order = malloc((most + 1) * sizeof(*h->order));
	if (!h->order)
		return -ENOMEM;
	for (uint32_t i = 0; i < h->nr_groups; i++) {
		if (h->nr_drawn == most && !is_before(h, i, h->order[most - 1]))
			continue;
		at = h->nr_drawn < most ? h->nr_drawn++ : most - 1;
		for (; at && is_before(h, i, h->order[at - 1]); at--)
			h->order[at] = h->order[at - 1];
		h->order[at] = i;
	}
	return 0;
}

/* Whether a group is among the largest that was not counted by cell. */
static bool misses_group(const struct heatmap *h)
{
	for (size_t i = 0; i < h->nr_drawn; i++)
		if (h->by_group[h->order[i]].panel == HEATMAP_NO_PANEL)
			return true;
	return false;
}

/* Reads again, and counts only the groups that are drawn. */
static int read_again(struct heatmap *h, struct diag *d)
{
	int err;

	for (size_t i = 0; i < h->nr_groups; i++)
		h->by_group[i] = (struct heatmap_group) { .panel = HEATMAP_NO_PANEL };
	for (size_t i = 0; i < h->nr_drawn; i++)
		h->by_group[h->order[i]].panel = (uint32_t)i;
	h->below = h->above = h->idle = h->others = 0;
	begin(h);
	err = heatgrid_panels(&h->grid, h->nr_drawn);
	return err ? err : query_each_batch(h->query, add_batch, h, d);
}

static int read_largest(struct heatmap *h, struct diag *d)
{
	int err = choose_groups(h);

	if (err || !misses_group(h))
		return err;
	if (trace_is_stream(query_trace(h->query)))
		return diag_set(d, -ENOSPC, "there are %zu groups: of so many the largest are found "
				"in a file, not on a pipe (write it to a file first)", h->nr_groups);
	return read_again(h, d);
}

int heatmap_read(struct heatmap *h, struct diag *d)
{
	int err = measure_scratch_new(&h->scratch);

	if (!err)
		err = groups_new(&h->groups, h->opts->by ? h->opts->by : &h->no_keys);
	if (!err)
		err = groups_begin(h->groups, query_trace(h->query), d);
	if (!err)
		err = heatmap_events_choose(h, d);
	if (!err)
		err = query_each_batch(h->query, add_batch, h, d);
	if (!err)
		err = heatmap_events_check(h, d);
	if (!err && !h->grid.x.limit)
		begin(h);
	return err ? err : read_largest(h, d);
}

void heatmap_release(struct heatmap *h)
{
	heatgrid_release(&h->grid);
	measure_scratch_free(h->scratch);
	groups_free(h->groups);
	free(h->events);
	free(h->row_groups);
	free(h->by_group);
	free(h->order);
}
