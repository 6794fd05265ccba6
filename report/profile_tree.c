#include "report/profile_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * A branch of the tree stands for a set of nodes of the trie that have the same
 * symbol and the same way to the row.  The branches below it come from one step
 * of every node in the set, to its parent or to its children, grouped by symbol.
 */
struct place {
	uint32_t symbol, node;
	uint64_t weight;
};

/* Places grow at the end as the tree is gone down, and shrink on the way back. */
struct walk {
	struct profile *profile;
	const struct profile_trie *trie;
	const struct profile_weight *weights;	/* by node */
	enum profile_direction direction;
	uint64_t min_weight;
	profile_branch_fn fn;
	void *ctx;
	struct place *places;
	size_t nr, cap;
};

/* A run of places with the same symbol. */
struct branch {
	size_t first, nr;
	uint64_t weight;
	uint32_t symbol;
};

static int add_place(struct walk *w, uint32_t node, uint64_t weight)
{
	if (w->nr == w->cap) {
		size_t cap = w->cap ? w->cap * 2 : 1024;
		struct place *places = realloc(w->places, cap * sizeof(*places));

		if (!places)
			return -ENOMEM;
		w->places = places;
		w->cap = cap;
	}
	w->places[w->nr++] = (struct place) {
		.symbol = w->trie->stacks[node].symbol, .node = node, .weight = weight,
	};
	return 0;
}

/* One step from a node in the walk's direction. */
static int step(struct walk *w, uint32_t node, uint64_t weight)
{
	const struct profile_links *links = w->trie->links;
	const struct profile_node *nodes = w->trie->nodes;
	int err = 0;

	if (w->direction == PROFILE_CALLERS) {
		if (nodes[node].parent != PROFILE_TRIE_ROOT)
			err = add_place(w, nodes[node].parent, weight);
		return err;
	}
	for (uint32_t i = links[node].first_child; i && !err; i = links[i].next_sibling)
		if (w->weights[i].all)
			err = add_place(w, i, w->weights[i].all);
	return err;
}

static int compare_places(const void *va, const void *vb)
{
	const struct place *a = va, *b = vb;

	if (a->symbol != b->symbol)
		return a->symbol < b->symbol ? -1 : 1;
	return (a->node > b->node) - (a->node < b->node);
}

static int compare_branches(const void *va, const void *vb)
{
	const struct branch *a = va, *b = vb;

	if (a->weight != b->weight)
		return a->weight < b->weight ? 1 : -1;
	return (a->symbol > b->symbol) - (a->symbol < b->symbol);
}

/* The branches that the places from `first` on make, without the small ones. */
static int group_places(const struct walk *w, size_t first, struct branch **out, size_t *nr)
{
	struct branch *branches;
	size_t kept = 0;

	*nr = 0;
	*out = NULL;
	if (w->nr == first)
		return 0;
	qsort(w->places + first, w->nr - first, sizeof(*w->places), compare_places);
	branches = calloc(w->nr - first, sizeof(*branches));
	if (!branches)
		return -ENOMEM;
	for (size_t i = first; i < w->nr; i++) {
		struct branch *last = *nr ? &branches[*nr - 1] : NULL;

		if (!last || last->symbol != w->places[i].symbol) {
			last = &branches[(*nr)++];
			*last = (struct branch) { .first = i, .symbol = w->places[i].symbol };
		}
		last->nr++;
		last->weight += w->places[i].weight;
	}
	for (size_t i = 0; i < *nr; i++)
		if (branches[i].weight >= w->min_weight && branches[i].weight)
			branches[kept++] = branches[i];
	*nr = kept;
	qsort(branches, kept, sizeof(*branches), compare_branches);
	*out = branches;
	return 0;
}

struct below {
	size_t first;			/* of the places to give back */
	struct branch *list;
	size_t nr;
};

static int find_below(struct walk *w, const struct branch *b, unsigned int depth,
		      struct below *below)
{
	int err = 0;

	*below = (struct below) { .first = w->nr };
	if (depth > PROFILE_MAX_DEPTH)
		return 0;
	for (size_t i = b->first; i < b->first + b->nr && !err; i++)
		err = step(w, w->places[i].node, w->places[i].weight);
	return err ? err : group_places(w, below->first, &below->list, &below->nr);
}

/* Recurses as deep as PROFILE_MAX_DEPTH. */
static int walk_branches(struct walk *w, const struct branch *branches, size_t nr,
			 unsigned int depth)
{
	int err = 0;

	for (size_t i = 0; i < nr && !err; i++) {
		struct profile_branch b = {
			.frame = names_symbol(w->profile->names, branches[i].symbol),
			.weight = branches[i].weight,
			.depth = depth,
		};
		struct below below;

		err = find_below(w, &branches[i], depth + 1, &below);
		b.nr_below = below.nr;
		if (!err && b.frame)
			err = w->fn(w->ctx, &b);
		if (!err)
			err = walk_branches(w, below.list, below.nr, depth + 1);
		free(below.list);
		w->nr = below.first;
	}
	return err;
}

/* The place for another group's sums: a new one, or that of the oldest. */
static struct profile_kept *make_room(struct profile *p, const struct profile_section *s)
{
	size_t bytes = s->trie.nr * sizeof(struct profile_weight);
	struct profile_kept *kept;
	struct profile_weight *grown;

	if (p->nr_kept < PROFILE_MAX_KEPT &&
	    (!p->nr_kept || (p->nr_kept + 1) * bytes <= PROFILE_KEPT_BYTES)) {
		kept = &p->kept[p->nr_kept++];
		*kept = (struct profile_kept) { 0 };
	} else {
		kept = &p->kept[p->next_kept++ % p->nr_kept];
	}
	kept->section = NULL;
	grown = realloc(kept->weights, bytes);
	if (!grown)
		return NULL;
	kept->weights = grown;
	return kept;
}

/* The sums of the row's group, by node; NULL when out of memory. */
static const struct profile_weight *group_weights(struct profile *p,
						  const struct profile_row *row)
{
	const struct profile_section *s = &p->sections[row->section];
	size_t first = s->group_start[row->group];
	struct profile_kept *kept;

	for (size_t i = 0; i < p->nr_kept; i++)
		if (p->kept[i].section == s && p->kept[i].group == row->group)
			return p->kept[i].weights;
	kept = make_room(p, s);
	if (!kept)
		return NULL;
	profile_trie_weigh(&s->trie, s->list + first, s->group_start[row->group + 1] - first,
			   kept->weights);
	kept->section = s;
	kept->group = row->group;
	return kept->weights;
}

/*
 * The nodes a tree starts from.  A symbol's tree begins one step away from it;
 * that of a module, or of no frame at all, with the symbols it is made of.
 */
static int start(struct walk *w, uint32_t frame, bool self_only, uint64_t *all)
{
	const struct profile_trie *trie = w->trie;
	bool is_symbol = w->profile->frame_kind == PROFILE_SYMBOL;
	int err = 0;

	for (uint32_t i = trie->first_of_row[frame]; i && !err; i = trie->same_row[i]) {
		uint64_t weight = self_only ? w->weights[i].self : w->weights[i].all;

		if (!weight || (!self_only && !trie->nodes[i].topmost))
			continue;
		*all += weight;
		err = is_symbol ? step(w, i, weight) : add_place(w, i, weight);
	}
	return err;
}

int profile_tree(struct profile *p, const struct profile_row *row,
		 enum profile_direction direction, bool self_only, uint64_t min_weight,
		 profile_branch_fn fn, void *ctx)
{
	struct profile_section *s = &p->sections[row->section];
	struct walk w = {
		.profile = p, .trie = &s->trie, .direction = direction,
		.min_weight = min_weight, .fn = fn, .ctx = ctx,
	};
	struct profile_branch top = { 0 };
	struct branch *branches = NULL;
	uint64_t most = s->weight;
	int err;

	/* Of rows without frames all stacks are below, so callers begin at their ends. */
	self_only = direction == PROFILE_CALLERS &&
		    (self_only || p->frame_kind == PROFILE_NUMBER);
	/* No branch can weigh more than all that has the row: most rows are small. */
	if (self_only)
		most = row->self;
	else if (p->children)
		most = row->children;
	if (most < min_weight)
		return fn(ctx, &top);
	err = profile_trie_index(&s->trie);
	if (!err)
		w.weights = group_weights(p, row);
	if (!w.weights)
		err = -ENOMEM;
	if (!err)
		err = start(&w, row->frame, self_only, &top.weight);
	if (!err)
		err = group_places(&w, 0, &branches, &top.nr_below);
	if (!err)
		err = fn(ctx, &top);
	if (!err)
		err = walk_branches(&w, branches, top.nr_below, 1);
	free(branches);
	free(w.places);
	return err;
}
