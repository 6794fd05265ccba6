#include "report/hist.h"

#include "report/hist_private.h"

#include <errno.h>
#include <stdlib.h>

#define SHORT_UNIT "ns"
#define SHORT_NS 10000

struct groups *hist_groups(struct hist *h)
{
	return h->groups;
}

size_t hist_nr_tables(const struct hist *h)
{
	return h->nr_tables;
}

const struct hist_table *hist_table_at(const struct hist *h, size_t i)
{
	return &h->tables[i]->shown;
}

size_t hist_left_out(const struct hist *h, const char **why)
{
	*why = h->why;
	return h->nr_left_out;
}

/* qsort() passes nothing on, so the groups lie beside the cells. */
struct ordered {
	const struct hist *hist;
	struct hist_cell cell;
};

static int compare_cells(const void *va, const void *vb)
{
	const struct ordered *a = va, *b = vb;
	const struct histogram *x = &a->cell.values, *y = &b->cell.values;

	if (a->cell.interval != b->cell.interval)
		return a->cell.interval < b->cell.interval ? -1 : 1;
	if (!x->is_signed && (x->sum < y->sum || x->sum > y->sum))
		return x->sum > y->sum ? -1 : 1;
	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return groups_compare(a->hist->groups, a->cell.group, b->cell.group);
}

static int sort_cells(struct hist *h, struct hist_table *t)
{
	struct ordered *list = malloc((t->nr_cells + 1) * sizeof(*list));

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < t->nr_cells; i++)
		list[i] = (struct ordered) { h, t->cells[i] };
	qsort(list, t->nr_cells, sizeof(*list), compare_cells);
	t->count = 0;
	for (size_t i = 0; i < t->nr_cells; i++) {
		t->cells[i] = list[i].cell;
		t->count += t->cells[i].values.count;
	}
	free(list);
	return 0;
}

/*
 * Half of all values are shorter than what the usual unit tells apart: the rows of ns are
 * whole buckets, so nothing that was counted by value is needed for them.
 */
static int choose_unit(const struct hist_opts *o, struct hist_work *t)
{
	struct histogram all;
	int err = 0;

	if (!t->shown.is_time || o->shape.unit || o->shape.kind != HISTSHAPE_LOG2)
		return 0;
	histogram_init(&all, t->shown.rows.is_signed);
	for (size_t i = 0; i < t->shown.nr_cells && !err; i++)
		err = histogram_merge(&all, &t->shown.cells[i].values);
	if (!err && all.count && histogram_percentile(&all, 0.5) < SHORT_NS) {
		t->shown.rows.shape.unit = histshape_find_unit(SHORT_UNIT);
		t->shown.rows.scale = 1;
	}
	histogram_release(&all);
	return err;
}

int hist_finish(struct hist *h)
{
	int err = 0;

	for (size_t i = 0; i < h->nr_tables && !err; i++) {
		err = choose_unit(h->opts, h->tables[i]);
		if (!err)
			err = sort_cells(h, &h->tables[i]->shown);
	}
	return err;
}

struct collector {
	const struct histrows *rows;
	struct slots to;
};

static int collect_bucket(void *ctx, int32_t bucket, uint64_t count)
{
	struct collector *c = ctx;

	if (!histrows_whole(c->rows, bucket))
		return 0;
	return slots_add(&c->to, histrows_of_bucket(c->rows, bucket), count);
}

struct slot *hist_rows(const struct hist_table *t, const struct hist_cell *c, size_t *nr)
{
	struct collector all = { .rows = &t->rows };
	/* Rows of ns came after the values: nothing is split in them. */
	bool is_split = t->rows.shape.kind != HISTSHAPE_LOG2 || t->rows.scale > 1;
	struct slot *list = NULL;
	int err = histogram_each(&c->values, collect_bucket, &all);

	for (uint32_t i = 0; i < c->split.nr_slots && is_split && !err; i++)
		err = slots_add(&all.to, c->split.table[i].key, c->split.table[i].count);
	if (!err)
		list = slots_sorted(&all.to);
	*nr = all.to.nr_used;
	slots_release(&all.to);
	return list;
}
