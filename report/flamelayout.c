#include "report/flamelayout.h"

#include "report/calltree.h"
#include "report/flamelayout_ranks.h"
#include "report/flamelayout_reverse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *flamelayout_text(const struct frame_name *f, bool *in_brackets)
{
	const char *slash;

	*in_brackets = strcmp(f->symbol, "[unknown]") == 0 &&
		       strcmp(f->module, "[unknown]") != 0;
	if (!*in_brackets)
		return f->symbol;
	slash = strrchr(f->module, '/');
	return slash ? slash + 1 : f->module;
}

int flamelayout_compare_names(const struct frame_name *a, const struct frame_name *b)
{
	bool brackets;
	int order = strcmp(flamelayout_text(a, &brackets), flamelayout_text(b, &brackets));

	return order ? order : strcmp(a->module, b->module);
}

static int compare_boxes(const void *a, const void *b)
{
	const struct flame_box *x = a, *y = b;

	if (x->depth != y->depth)
		return x->depth < y->depth ? -1 : 1;
	return x->start < y->start ? -1 : x->start > y->start;
}

/* --- nodes wide enough to be drawn ------------------------------------------ */

struct kept {
	struct flamelayout_node *nodes;
	size_t nr, cap;
	uint64_t left_out;
	bool more_left_out;
};

static int keep(struct kept *k, uint32_t parent, const struct flame_box *box)
{
	size_t cap = k->cap ? k->cap * 2 : 1024;
	struct flamelayout_node *nodes;

	if (k->nr == k->cap) {
		nodes = realloc(k->nodes, cap * sizeof(*nodes));
		if (!nodes)
			return -ENOMEM;
		k->nodes = nodes;
		k->cap = cap;
	}
	k->nodes[k->nr++] = (struct flamelayout_node) { parent, *box };
	return 0;
}

/* The frames of a tree below `top`; the parents of a wide node are wide, too. */
static int keep_wide(struct kept *k, struct calltree *tree, uint32_t top, uint64_t min_width)
{
	size_t nr;
	const struct calltree_node *nodes = calltree_nodes(tree, &nr);
	uint32_t *index = malloc(nr * sizeof(*index));
	uint32_t top_depth = k->nodes[top].box.depth;
	int err = index ? 0 : -ENOMEM;

	if (index)
		index[0] = top;
	for (size_t i = 1; i < nr && !err; i++) {
		const struct calltree_node *n = &nodes[i];

		if (n->total < min_width || n->depth + top_depth > FLAMELAYOUT_MAX_DEPTH) {
			k->left_out++;
			continue;
		}
		index[i] = (uint32_t)k->nr;
		err = keep(k, index[n->parent], &(struct flame_box) {
			.width = n->total, .records = n->records, .depth = n->depth + top_depth,
			.name = n->name, .kind = n->kind, .hop = n->hop });
	}
	free(index);
	return err;
}

/* --- levels of groups ------------------------------------------------------- */

struct grouping {
	struct kept *kept;
	struct calltree *tree;
	const struct stacksum *sums;
	const struct flamelayout_opts *opts;
	struct flamelayout_run *runs;
	size_t nr_runs, nr_levels;
	uint32_t *tops;		/* by level from 1: the node of the last run, or NONE */
};

#define NONE UINT32_MAX

/* All runs that stand on the same box of that level as the i-th does. */
static struct flame_box level_box(const struct grouping *g, size_t i, size_t level)
{
	struct flame_box box = flamelayout_level_box(g->sums, &g->runs[i], level);

	box.depth = (uint32_t)level + 1;
	for (size_t k = i; k < g->nr_runs; k++) {
		if (k > i && flamelayout_same_levels(g->sums, &g->runs[k - 1], &g->runs[k]) <= level)
			break;
		box.width += g->runs[k].total;
		box.records += g->runs[k].records;
	}
	return box;
}

/* The node that the run's stacks stand on, or NONE: it is too narrow. */
static int keep_levels(struct grouping *g, size_t i, uint32_t *top)
{
	size_t same = i ? flamelayout_same_levels(g->sums, &g->runs[i - 1], &g->runs[i]) : 0;
	int err = 0;

	for (size_t level = same; level < g->nr_levels && !err; level++) {
		uint32_t parent = level ? g->tops[level - 1] : 0;
		struct flame_box box;

		g->tops[level] = NONE;
		if (parent == NONE)
			continue;
		box = level_box(g, i, level);
		if (box.width < g->opts->min_width) {
			g->kept->left_out++;
			continue;
		}
		g->tops[level] = (uint32_t)g->kept->nr;
		err = keep(g->kept, parent, &box);
	}
	*top = g->nr_levels ? g->tops[g->nr_levels - 1] : 0;
	return err;
}

static int keep_run(struct grouping *g, size_t i)
{
	const struct flamelayout_run *run = &g->runs[i];
	size_t nr;
	const struct stacksum_entry *e = stacksum_entries(g->sums, &nr);
	uint32_t top;
	int err = keep_levels(g, i, &top);

	if (err)
		return err;
	calltree_clear(g->tree);
	err = calltree_add(g->tree, &e[run->begin], run->end - run->begin);
	if (err || top != NONE)
		return err ? err : keep_wide(g->kept, g->tree, top, g->opts->min_width);
	calltree_nodes(g->tree, &nr);
	g->kept->left_out += nr - 1;
	return 0;
}

/* --- outermost frames next to the root -------------------------------------- */

struct place {
	uint32_t depth, parent, kind, rank, node;
};

static int compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->depth != y->depth)
		return x->depth < y->depth ? -1 : 1;
	if (x->parent != y->parent)
		return x->parent < y->parent ? -1 : 1;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return x->rank < y->rank ? -1 : x->rank > y->rank;
}

static void place_boxes(struct flame_layout *out, const struct kept *k,
			const struct place *places, uint64_t *next)
{
	/* next[node] is where its next child starts. */
	next[0] = 0;
	for (size_t i = 0; i < k->nr; i++) {
		const struct flamelayout_node *n = &k->nodes[places[i].node];
		struct flame_box *box = &out->boxes[out->nr++];

		*box = n->box;
		box->start = next[n->parent];
		if (places[i].node)
			next[n->parent] += box->width;
		next[places[i].node] = box->start;
	}
	out->left_out = k->left_out;
	out->more_left_out = k->more_left_out;
}

/* Levels of groups are kept in their order. */
static struct place place_of(const struct kept *k, const struct flamelayout_ranks *ranks,
			     size_t i)
{
	const struct flamelayout_node *n = &k->nodes[i];

	return (struct place) {
		.depth = n->box.depth, .parent = n->parent, .kind = n->box.kind,
		.rank = !i ? 0 : flamelayout_ranks_get(ranks, &n->box, (uint32_t)i),
		.node = (uint32_t)i,
	};
}

static int lay_out(struct flame_layout *out, const struct kept *k, struct names *names,
		   const struct stacksum *sums)
{
	struct place *places = malloc(k->nr * sizeof(*places));
	uint64_t *next = malloc(k->nr * sizeof(*next));
	struct flamelayout_ranks ranks;
	int err;

	out->boxes = malloc(k->nr * sizeof(*out->boxes));
	err = flamelayout_ranks_make(&ranks, k->nodes, k->nr, names, stacksum_chains(sums));
	if (!places || !next || !out->boxes)
		err = -ENOMEM;
	if (!err) {
		for (size_t i = 0; i < k->nr; i++)
			places[i] = place_of(k, &ranks, i);
		qsort(places, k->nr, sizeof(*places), compare_places);
		place_boxes(out, k, places, next);
	}
	flamelayout_ranks_release(&ranks);
	free(places);
	free(next);
	return err;
}

static uint32_t node_name(void *ctx, uint32_t group, enum calltree_kind kind, uint32_t id)
{
	(void)group;
	if (kind == CALLTREE_FRAME)
		return names_frame(ctx, id)->symbol_id;
	return kind == CALLTREE_WAKER ? id : 1;
}

static int keep_all(struct kept *k, const struct trace *t, struct names *names,
		    const struct stacksum *sums, const struct flamelayout_opts *opts)
{
	struct grouping g = {
		.kept = k, .sums = sums, .opts = opts, .nr_levels = flamelayout_nr_levels(sums) };
	int err;

	err = calltree_new(&g.tree, &(struct calltree_opts) {
		.trace = t, .chains = stacksum_chains(sums), .min_width = opts->min_width,
		.name = node_name, .ctx = names });
	if (err)
		return err;
	g.runs = flamelayout_runs(sums, &g.nr_runs);
	g.tops = calloc(g.nr_levels + 1, sizeof(*g.tops));
	err = g.runs && g.tops ? keep(k, 0, &(struct flame_box) {
		.width = stacksum_total(sums), .records = stacksum_records(sums) }) : -ENOMEM;
	for (size_t i = 0; i < g.nr_runs && !err; i++)
		err = keep_run(&g, i);
	k->more_left_out = calltree_cut(g.tree) + calltree_narrow(g.tree) > 0;
	k->left_out += calltree_cut(g.tree) + calltree_narrow(g.tree);
	free(g.runs);
	free(g.tops);
	calltree_free(g.tree);
	return err;
}

static int lay_out_forward(struct flame_layout *out, const struct trace *t, struct names *names,
			   const struct stacksum *sums, const struct flamelayout_opts *opts)
{
	struct kept k = { .nodes = NULL };
	int err = keep_all(&k, t, names, sums, opts);

	if (!err)
		err = lay_out(out, &k, names, sums);
	free(k.nodes);
	return err;
}

static int compare_widths(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? 1 : *x > *y ? -1 : 0;
}

/* A parent is as wide as its children or wider, so what is kept stands on boxes. */
static int keep_widest(struct flame_layout *l, size_t max_boxes)
{
	uint64_t *widths;
	size_t nr = 0;

	if (!max_boxes || l->nr <= max_boxes)
		return 0;
	widths = malloc(l->nr * sizeof(*widths));
	if (!widths)
		return -ENOMEM;
	for (size_t i = 0; i < l->nr; i++)
		widths[i] = l->boxes[i].width;
	qsort(widths, l->nr, sizeof(*widths), compare_widths);
	l->min_width = widths[max_boxes] + 1;
	free(widths);
	for (size_t i = 0; i < l->nr; i++)
		if (i == 0 || l->boxes[i].width >= l->min_width)
			l->boxes[nr++] = l->boxes[i];
	l->left_out += l->nr - nr;
	l->nr = nr;
	return 0;
}

int flamelayout_finish(struct flame_layout *l, size_t max_boxes)
{
	if (l->nr)
		qsort(l->boxes, l->nr, sizeof(*l->boxes), compare_boxes);
	return keep_widest(l, max_boxes);
}

int flamelayout_build(struct flame_layout *out, const struct trace *t, struct names *names,
		      const struct stacksum *sums, const struct flamelayout_opts *opts)
{
	int err;

	*out = (struct flame_layout) { .boxes = NULL };
	if (opts->reverse)
		err = flamelayout_reverse(out, t, names, sums, opts);
	else
		err = lay_out_forward(out, t, names, sums, opts);
	out->min_width = opts->min_width;
	if (!err)
		err = flamelayout_finish(out, opts->max_boxes);
	if (err)
		flamelayout_release(out);
	return err;
}

void flamelayout_release(struct flame_layout *l)
{
	free(l->boxes);
	*l = (struct flame_layout) { .boxes = NULL };
}
