#include "report/folded.h"

#include "report/folded_private.h"
#include "report/digits.h"
#include "report/folded_order.h"
#include "report/stackquality.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char no_stack[] = "[no stack]";

/* --- lines ----------------------------------------------------------------- */

static void put_line(struct folded *f, uint64_t count)
{
	if (!f->path.err)
		f->stopped = f->line(f->line_ctx, (const char *)f->path.data, f->path.len, count);
}

static void put_text(struct folded *f, const char *text)
{
	bytebuf_text(&f->path, text);
}

static int put_items(struct folded *f, const struct folded_items *items,
		     const struct calltree_node *nodes)
{
	size_t depth = 0;

	f->levels[0] = (struct level) { .item = items->first[0], .path_len = f->path.len };
	while (!f->path.err && !f->stopped) {
		struct level *l = &f->levels[depth];
		const struct folded_item *item = &items->list[l->item];

		f->path.len = l->path_len;
		if (l->item == items->nr || item->parent != l->parent) {
			if (depth-- == 0)
				break;
			continue;
		}
		l->item++;
		put_text(f, textpool_text(f->pool, nodes[item->node].name));
		if (!item->goes_on) {
			put_line(f, nodes[item->node].self);
			continue;
		}
		put_text(f, ";");
		f->levels[++depth] = (struct level) {
			items->first[item->node], item->node, f->path.len };
	}
	return f->path.err ? f->path.err : f->stopped;
}

/* What has a stack, of all parts with one label. */
static int put_stacks(struct folded *f, const struct part *parts, size_t nr)
{
	const struct calltree_node *nodes;
	const struct stacksum_entry *e;
	struct folded_items items;
	size_t nr_nodes;
	int err = 0;

	e = stacksum_entries(f->sums, &nr_nodes);
	calltree_clear(f->tree);
	for (size_t i = 0; i < nr && !err; i++)
		err = calltree_add(f->tree, &e[parts[i].begin], parts[i].end - parts[i].begin);
	if (err)
		return err;
	nodes = calltree_nodes(f->tree, &nr_nodes);
	if (f->give_tree)
		return f->give_tree(f->line_ctx, &(struct folded_tree) {
			textpool_text(f->pool, parts[0].label), nodes, nr_nodes, f->pool });
	err = folded_order_nodes(&items, nodes, nr_nodes, f->ranks);
	if (err)
		return err;
	bytebuf_clear(&f->path);
	put_text(f, textpool_text(f->pool, parts[0].label));
	if (f->path.len)
		put_text(f, ";");
	err = put_items(f, &items, nodes);
	folded_order_release(&items);
	return err;
}

static uint64_t count_stackless(const struct folded *f, const struct part *parts, size_t nr)
{
	size_t nr_entries;
	const struct stacksum_entry *e = stacksum_entries(f->sums, &nr_entries);
	uint64_t count = 0;

	for (size_t i = 0; i < nr; i++)
		for (size_t k = parts[i].begin; k < parts[i].end; k++)
			if (!e[k].chain && !trace_stack(f->trace, e[k].stack))
				count += e[k].count;
	return count;
}

static void put_stackless(struct folded *f, const struct part *parts, size_t nr)
{
	uint64_t count = count_stackless(f, parts, nr);

	if (!count)
		return;
	bytebuf_clear(&f->path);
	put_text(f, textpool_text(f->pool, parts[0].label));
	if (!f->path.len)
		put_text(f, no_stack);
	put_line(f, count);
}

/* --- groups ---------------------------------------------------------------- */

/* The parts of one label, as the end or the beginning of lines. */
struct piece {
	uint32_t rank;
	size_t part, nr;
	bool goes_on;
};

static int compare_parts(const void *a, const void *b)
{
	const struct part *x = a, *y = b;

	return x->label < y->label ? -1 : x->label > y->label;
}

static int compare_pieces(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	return x->rank < y->rank ? -1 : x->rank > y->rank;
}

static size_t find_pieces(const struct folded *f, struct piece *pieces)
{
	size_t nr = 0;

	for (size_t i = 0, end; i < f->nr_parts; i = end) {
		uint32_t label = f->parts[i].label;

		for (end = i; end < f->nr_parts && f->parts[end].label == label; end++)
			;
		for (int goes_on = 0; goes_on < 2; goes_on++)
			pieces[nr++] = (struct piece) {
				f->ranks[label * 2 + goes_on], i, end - i, goes_on };
	}
	if (nr)
		qsort(pieces, nr, sizeof(*pieces), compare_pieces);
	return nr;
}

static int put_all(struct folded *f)
{
	struct piece *pieces = malloc((f->nr_parts * 2 + 1) * sizeof(*pieces));
	size_t nr;
	int err = 0;

	if (!pieces)
		return -ENOMEM;
	if (f->nr_parts)
		qsort(f->parts, f->nr_parts, sizeof(*f->parts), compare_parts);
	nr = find_pieces(f, pieces);
	for (size_t i = 0; i < nr && !err; i++) {
		const struct part *parts = &f->parts[pieces[i].part];

		if (pieces[i].goes_on)
			err = put_stacks(f, parts, pieces[i].nr);
		else
			put_stackless(f, parts, pieces[i].nr);
		if (!err)
			err = f->path.err ? f->path.err : f->stopped;
	}
	free(pieces);
	return err;
}

/* --- all ------------------------------------------------------------------- */

static int folded_init(struct folded *f)
{
	int err;

	f->levels = malloc((CALLTREE_MAX_DEPTH + 2) * sizeof(*f->levels));
	if (!f->levels)
		return -ENOMEM;
	err = names_new(&f->names, f->trace);
	if (!err)
		err = folded_texts_make(f);
	if (!err)
		err = calltree_new(&f->tree, &(struct calltree_opts) {
			.trace = f->trace, .chains = stacksum_chains(f->sums),
			.borders = f->opts->delimited, .name = folded_texts_name, .ctx = f });
	if (err)
		return err;
	f->ranks = folded_order_names(f->pool);
	return f->ranks ? 0 : -ENOMEM;
}

static void folded_release(struct folded *f)
{
	calltree_free(f->tree);
	textpool_free(f->pool);
	free(f->parts);
	free(f->ranks);
	free(f->levels);
	free(f->frame_name);
	free(f->waker_name);
	bytebuf_release(&f->path);
	stacksum_free(f->sums);
	names_free(f->names);
}

int folded_each(struct query *q, const struct folded_opts *opts, folded_line_fn line, void *ctx,
		struct folded_sums *sums, struct diag *d)
{
	return folded_trees(q, opts, NULL, line, ctx, sums, d);
}

int folded_trees(struct query *q, const struct folded_opts *opts, folded_tree_fn tree,
		 folded_line_fn line, void *ctx, struct folded_sums *sums, struct diag *d)
{
	struct folded f = {
		.opts = opts, .query = q, .trace = query_trace(q), .line = line, .line_ctx = ctx,
		.give_tree = tree };
	int err;

	*sums = (struct folded_sums) { .unit = "samples" };
	bytebuf_init(&f.path);
	err = stacksum_new(&f.sums, q, &opts->sum);
	if (!err)
		err = stacksum_read(f.sums, d);
	if (!err)
		err = folded_init(&f);
	if (!err)
		err = stackquality_count(f.sums, f.names, q);
	if (!err) {
		*sums = (struct folded_sums) {
			.event = stacksum_event(f.sums), .unit = stacksum_unit(f.sums),
			.levels = stacksum_levels(f.sums)->nr + opts->sum.wall,
			.total = stacksum_total(f.sums), .records = stacksum_records(f.sums),
			.left_out = stacksum_left_out(f.sums),
		};
		err = put_all(&f);
		sums->left_out.no_room += calltree_cut(f.tree);
	}
	folded_release(&f);
	return err < 0 ? diag_set(d, err, "cannot fold stacks: %s", strerror(-err)) : err;
}

static int write_line(void *ctx, const char *stack, size_t len_bytes, uint64_t count)
{
	struct output *o = ctx;
	struct bytebuf *to = output_buffer(o);

	bytebuf_put(to, stack, len_bytes);
	bytebuf_put(to, " ", 1);
	digits_put(to, count);
	bytebuf_put(to, "\n", 1);
	output_settle(o);
	return output_error(o) ? 1 : 0;
}

int folded_write(struct query *q, const struct folded_opts *opts, struct output *o,
		 struct stacksum_left_out *left_out, struct diag *d)
{
	struct folded_sums sums;
	int err = folded_each(q, opts, write_line, o, &sums, d);

	*left_out = sums.left_out;
	return err < 0 ? err : 0;
}
