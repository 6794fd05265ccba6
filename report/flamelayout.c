#include "report/flamelayout.h"

#include "report/calltree.h"
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

int flamelayout_compare_groups(const struct stacksum_group *a, const struct stacksum_group *b)
{
	int order = strcmp(a->comm, b->comm);

	if (order)
		return order;
	if (a->pid != b->pid)
		return a->pid < b->pid ? -1 : 1;
	return a->tid < b->tid ? -1 : a->tid > b->tid;
}

static int compare_boxes(const void *a, const void *b)
{
	const struct flame_box *x = a, *y = b;

	if (x->depth != y->depth)
		return x->depth < y->depth ? -1 : 1;
	return x->start < y->start ? -1 : x->start > y->start;
}

/* --- nodes wide enough to be drawn ------------------------------------------ */

struct node {
	uint32_t parent;	/* index; the root is its own */
	uint32_t name, depth;
	bool is_group;
	uint64_t total;
};

struct kept {
	struct node *nodes;
	size_t nr, cap;
	uint64_t left_out;
};

static int keep(struct kept *k, const struct node *n)
{
	size_t cap = k->cap ? k->cap * 2 : 1024;
	struct node *nodes;

	if (k->nr == k->cap) {
		nodes = realloc(k->nodes, cap * sizeof(*nodes));
		if (!nodes)
			return -ENOMEM;
		k->nodes = nodes;
		k->cap = cap;
	}
	k->nodes[k->nr++] = *n;
	return 0;
}

/* The frames of a tree below `top`; the parents of a wide node are wide, too. */
static int keep_wide(struct kept *k, struct calltree *tree, uint32_t top, uint64_t min_width)
{
	size_t nr;
	const struct calltree_node *nodes = calltree_nodes(tree, &nr);
	uint32_t *index = malloc(nr * sizeof(*index));
	uint32_t top_depth = k->nodes[top].depth;
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
		err = keep(k, &(struct node) {
			.parent = index[n->parent], .name = n->name, .total = n->total,
			.depth = n->depth + top_depth });
	}
	free(index);
	return err;
}

static int keep_group(struct kept *k, struct calltree *tree, const struct stacksum_entry *e,
		      size_t nr, const struct flamelayout_opts *opts)
{
	uint32_t top = 0;
	uint64_t total = 0;
	size_t nr_nodes;
	int err;

	calltree_clear(tree);
	err = calltree_add(tree, e, nr);
	if (err || !opts->groups)
		return err ? err : keep_wide(k, tree, 0, opts->min_width);
	for (size_t i = 0; i < nr; i++)
		total += e[i].count;
	if (total < opts->min_width) {
		calltree_nodes(tree, &nr_nodes);
		k->left_out += nr_nodes;
		return 0;
	}
	top = (uint32_t)k->nr;
	err = keep(k, &(struct node) {
		.name = e->group, .is_group = true, .depth = 1, .total = total });
	return err ? err : keep_wide(k, tree, top, opts->min_width);
}

/* --- the order of names ---------------------------------------------------- */

struct ranked {
	const struct frame_name *frame;
	const struct stacksum_group *group;
	uint32_t name;
};

static int compare_ranked(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	/* Groups and frames are never siblings. */
	if (x->group || y->group) {
		if (!x->group || !y->group)
			return x->group ? -1 : 1;
		return flamelayout_compare_groups(x->group, y->group);
	}
	return flamelayout_compare_names(x->frame, y->frame);
}

/* Ranks of groups by number, then of symbols by id. */
struct ranks {
	uint32_t *list;
	uint32_t nr_groups;
};

static uint32_t *rank_of(const struct ranks *r, const struct node *n)
{
	return &r->list[n->is_group ? n->name : r->nr_groups + n->name];
}

static int rank_names(struct ranks *r, const struct kept *k, struct names *names,
		      const struct stacksum *sums)
{
	struct ranked *ranked = malloc(k->nr * sizeof(*ranked));
	size_t nr_ranked = 0;

	r->nr_groups = stacksum_nr_groups(sums);
	r->list = calloc((size_t)r->nr_groups + names_nr_symbols(names) + 1, sizeof(*r->list));
	if (!r->list || !ranked) {
		free(ranked);
		return -ENOMEM;
	}
	for (size_t i = 1; i < k->nr; i++) {
		const struct node *n = &k->nodes[i];

		if (*rank_of(r, n))
			continue;
		*rank_of(r, n) = 1;
		ranked[nr_ranked++] = (struct ranked) {
			.group = n->is_group ? stacksum_group(sums, n->name) : NULL,
			.frame = n->is_group ? NULL : names_symbol(names, n->name),
			.name = n->is_group ? n->name : r->nr_groups + n->name,
		};
	}
	if (nr_ranked)
		qsort(ranked, nr_ranked, sizeof(*ranked), compare_ranked);
	for (size_t i = 0; i < nr_ranked; i++)
		r->list[ranked[i].name] = (uint32_t)i;
	free(ranked);
	return 0;
}

/* --- outermost frames next to the root -------------------------------------- */

struct place {
	uint32_t depth, parent, rank, node;
};

static int compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->depth != y->depth)
		return x->depth < y->depth ? -1 : 1;
	if (x->parent != y->parent)
		return x->parent < y->parent ? -1 : 1;
	return x->rank < y->rank ? -1 : x->rank > y->rank;
}

static void place_boxes(struct flame_layout *out, const struct kept *k,
			const struct place *places, uint64_t *next)
{
	/* next[node] is where its next child starts. */
	next[0] = 0;
	for (size_t i = 0; i < k->nr; i++) {
		const struct node *n = &k->nodes[places[i].node];
		uint64_t start = next[n->parent];

		if (places[i].node)
			next[n->parent] += n->total;
		next[places[i].node] = start;
		out->boxes[out->nr++] = (struct flame_box) {
			.start = start, .width = n->total, .depth = n->depth,
			.name = n->name, .is_group = n->is_group,
		};
	}
	out->left_out = k->left_out;
}

static int lay_out(struct flame_layout *out, const struct kept *k, struct names *names,
		   const struct stacksum *sums)
{
	struct place *places = malloc(k->nr * sizeof(*places));
	uint64_t *next = malloc(k->nr * sizeof(*next));
	struct ranks ranks = { .list = NULL };
	int err;

	out->boxes = malloc(k->nr * sizeof(*out->boxes));
	err = places && next && out->boxes ? 0 : -ENOMEM;
	if (!err)
		err = rank_names(&ranks, k, names, sums);
	if (!err) {
		for (size_t i = 0; i < k->nr; i++) {
			const struct node *n = &k->nodes[i];

			places[i] = (struct place) {
				n->depth, n->parent, i ? *rank_of(&ranks, n) : 0, (uint32_t)i };
		}
		qsort(places, k->nr, sizeof(*places), compare_places);
		place_boxes(out, k, places, next);
	}
	free(ranks.list);
	free(places);
	free(next);
	return err;
}

static uint32_t frame_name(void *ctx, uint32_t group, uint32_t frame_id)
{
	(void)group;
	return names_frame(ctx, frame_id)->symbol_id;
}

static int keep_all(struct kept *k, const struct trace *t, struct names *names,
		    const struct stacksum *sums, const struct flamelayout_opts *opts)
{
	struct calltree *tree;
	size_t nr, end;
	const struct stacksum_entry *e = stacksum_entries(sums, &nr);
	int err;

	err = calltree_new(&tree, t, frame_name, names);
	if (err)
		return err;
	err = keep(k, &(struct node) { .total = stacksum_total(sums) });
	for (size_t i = 0; i < nr && !err; i = end) {
		end = stacksum_group_end(sums, i);
		err = keep_group(k, tree, &e[i], end - i, opts);
	}
	calltree_free(tree);
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
