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

/* --- the order of names ---------------------------------------------------- */

/* A name of a node that is wide enough to be drawn. */
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

static uint32_t *rank_of(const struct ranks *r, const struct calltree_node *n)
{
	return &r->list[n->is_group ? n->name : r->nr_groups + n->name];
}

static int rank_names(struct ranks *r, const struct calltree *tree, const uint32_t *kept,
		      size_t nr, struct names *names, const struct stacksum *sums)
{
	size_t nr_names, nr_ranked = 0;
	struct ranked *ranked;

	r->nr_groups = stacksum_nr_groups(sums);
	nr_names = (size_t)r->nr_groups + names_nr_symbols(names);
	r->list = calloc(nr_names + 1, sizeof(*r->list));
	ranked = malloc((nr + 1) * sizeof(*ranked));
	if (!r->list || !ranked) {
		free(ranked);
		return -ENOMEM;
	}
	for (size_t i = 0; i < nr; i++) {
		const struct calltree_node *n = &tree->nodes[kept[i]];

		if (*rank_of(r, n) || kept[i] == 0)
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

/* Indexes of the nodes that are wide enough; their parents are, too. */
static size_t choose(const struct calltree *tree, uint64_t min_width, uint32_t *kept)
{
	size_t nr = 1;

	kept[0] = 0;
	for (size_t i = 1; i < tree->nr; i++)
		if (tree->nodes[i].total >= min_width &&
		    tree->nodes[i].depth <= FLAMELAYOUT_MAX_DEPTH)
			kept[nr++] = (uint32_t)i;
	return nr;
}

static void place_boxes(struct flame_layout *out, const struct calltree *tree,
			struct place *places, size_t nr, uint64_t *next)
{
	/* next[node] is where its next child starts. */
	next[0] = 0;
	for (size_t i = 0; i < nr; i++) {
		const struct calltree_node *n = &tree->nodes[places[i].node];
		uint64_t start = next[n->parent];

		if (places[i].node)
			next[n->parent] += n->total;
		next[places[i].node] = start;
		out->boxes[out->nr++] = (struct flame_box) {
			.start = start, .width = n->total, .depth = n->depth,
			.name = n->name, .is_group = n->is_group,
		};
	}
}

static int lay_out(struct flame_layout *out, const struct calltree *tree, struct names *names,
		   const struct stacksum *sums, const struct flamelayout_opts *opts)
{
	uint32_t *kept = malloc(tree->nr * sizeof(*kept));
	struct ranks ranks = { .list = NULL };
	struct place *places = NULL;
	uint64_t *next = NULL;
	size_t nr = 0;
	int err = -ENOMEM;

	if (kept) {
		nr = choose(tree, opts->min_width, kept);
		err = rank_names(&ranks, tree, kept, nr, names, sums);
	}
	if (!err) {
		places = malloc(nr * sizeof(*places));
		next = malloc(tree->nr * sizeof(*next));
		out->boxes = malloc(nr * sizeof(*out->boxes));
		err = places && next && out->boxes ? 0 : -ENOMEM;
	}
	if (!err) {
		for (size_t i = 0; i < nr; i++) {
			const struct calltree_node *n = &tree->nodes[kept[i]];

			places[i] = (struct place) {
				n->depth, n->parent, kept[i] ? *rank_of(&ranks, n) : 0, kept[i] };
		}
		qsort(places, nr, sizeof(*places), compare_places);
		place_boxes(out, tree, places, nr, next);
		qsort(out->boxes, out->nr, sizeof(*out->boxes), compare_boxes);
		out->left_out = tree->nr - nr;
	}
	free(kept);
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

int flamelayout_build(struct flame_layout *out, const struct trace *t, struct names *names,
		      const struct stacksum *sums, const struct flamelayout_opts *opts)
{
	const struct calltree_opts tree_opts = {
		.groups = opts->groups, .frame_name = frame_name, .ctx = names,
	};
	struct calltree tree;
	int err;

	*out = (struct flame_layout) { .boxes = NULL };
	if (opts->reverse) {
		err = flamelayout_reverse(out, t, names, sums, opts);
		if (!err)
			qsort(out->boxes, out->nr, sizeof(*out->boxes), compare_boxes);
	} else {
		err = calltree_build(&tree, t, sums, &tree_opts);
		if (!err) {
			err = lay_out(out, &tree, names, sums, opts);
			calltree_release(&tree);
		}
	}
	if (err)
		flamelayout_release(out);
	return err;
}

void flamelayout_release(struct flame_layout *l)
{
	free(l->boxes);
	*l = (struct flame_layout) { .boxes = NULL };
}
