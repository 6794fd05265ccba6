#include "report/profile_trie.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WORD_BITS 64

/* --- building ---------------------------------------------------------------- */

/* Marks the stacks with all their parents; returns how many nodes they need. */
static uint32_t mark_stacks(struct profile_trie *trie, const struct trace *t,
			    const struct profile_sum *sums, size_t nr)
{
	uint32_t nr_nodes = PROFILE_TRIE_NO_STACK + 1;

	for (size_t i = 0; i < nr; i++) {
		uint32_t id = sums[i].stack;
		const struct trace_stack *stack;

		while (id < trie->nr_stacks && !trie->node_of[id]) {
			stack = trace_stack(t, id);
			if (!stack)
				break;
			trie->node_of[id] = 1;
			nr_nodes++;
			id = stack->parent;
		}
	}
	return nr_nodes;
}

static bool is_truncation(const struct trace *t, uint32_t frame_id)
{
	const struct trace_frame *frame = trace_frame(t, frame_id);

	return frame && !frame->module && frame->offset == FRAME_TRUNCATED;
}

static void set_row(struct profile_trie *trie, uint32_t at, const struct frame_name *name,
		    enum profile_kind frame_kind)
{
	uint32_t row = 0;

	if (frame_kind == PROFILE_SYMBOL)
		row = name->symbol_id;
	else if (frame_kind == PROFILE_MODULE)
		row = name->module_id;
	trie->nodes[at].row = row & INT32_MAX;
	trie->stacks[at].symbol = name->symbol_id;
	if (row >= trie->nr_rows)
		trie->nr_rows = row + 1;
}

/* Ascending ids of stacks give ascending nodes, so parents come first. */
static void add_nodes(struct profile_trie *trie, const struct trace *t, struct names *names,
		      enum profile_kind frame_kind)
{
	trie->nr = PROFILE_TRIE_NO_STACK + 1;
	set_row(trie, PROFILE_TRIE_NO_STACK, names_frame(names, 0), frame_kind);
	for (uint32_t id = 1; id < trie->nr_stacks; id++) {
		uint32_t at = trie->nr, parent;
		const struct profile_stack *above;
		const struct trace_stack *stack;
		const struct frame_name *name;

		if (!trie->node_of[id])
			continue;
		stack = trace_stack(t, id);
		parent = stack->parent < id ? trie->node_of[stack->parent] : 0;
		name = names_frame(names, stack->frame);
		set_row(trie, at, name, frame_kind);
		above = &trie->stacks[parent];
		trie->nodes[at].parent = parent;
		trie->stacks[at].frames = above->frames + 1;
		trie->stacks[at].unresolved = (above->unresolved + !name->resolved) & INT32_MAX;
		trie->stacks[at].truncated = parent ? above->truncated
						    : is_truncation(t, stack->frame);
		trie->node_of[id] = trie->nr++;
	}
}

int profile_trie_build(struct profile_trie *trie, struct trace *t, struct names *names,
		       const struct profile_sum *sums, size_t nr, enum profile_kind frame_kind)
{
	uint32_t nr_nodes;

	memset(trie, 0, sizeof(*trie));
	trie->nr_stacks = trace_nr_stacks(t);
	trie->node_of = calloc((size_t)trie->nr_stacks + 1, sizeof(*trie->node_of));
	if (!trie->node_of)
		return -ENOMEM;
	nr_nodes = mark_stacks(trie, t, sums, nr);
	trie->nodes = calloc(nr_nodes, sizeof(*trie->nodes));
	trie->stacks = calloc(nr_nodes, sizeof(*trie->stacks));
	trie->touched = calloc(nr_nodes / WORD_BITS + 1, sizeof(*trie->touched));
	if (!trie->nodes || !trie->stacks || !trie->touched) {
		profile_trie_release(trie);
		return -ENOMEM;
	}
	add_nodes(trie, t, names, frame_kind);
	return 0;
}

/* --- linking ----------------------------------------------------------------- */

/*
 * Goes through the trie depth first, counting how often each row is on the way
 * from the root: without recursion, for a stack may be as deep as its file says.
 */
static void find_topmost(struct profile_trie *trie, uint32_t *on_path)
{
	const struct profile_links *links = trie->links;
	struct profile_node *nodes = trie->nodes;
	uint32_t at = links[PROFILE_TRIE_ROOT].first_child;

	while (at) {
		nodes[at].topmost = !on_path[nodes[at].row]++;
		if (links[at].first_child) {
			at = links[at].first_child;
			continue;
		}
		while (at) {
			on_path[nodes[at].row]--;
			if (links[at].next_sibling) {
				at = links[at].next_sibling;
				break;
			}
			at = nodes[at].parent;
		}
	}
}

int profile_trie_link(struct profile_trie *trie)
{
	uint32_t *on_path = calloc((size_t)trie->nr_rows + 1, sizeof(*on_path));

	trie->links = calloc(trie->nr, sizeof(*trie->links));
	if (!trie->links || !on_path) {
		free(on_path);
		return -ENOMEM;
	}
	for (uint32_t i = trie->nr - 1; i > PROFILE_TRIE_ROOT; i--) {
		struct profile_links *parent = &trie->links[trie->nodes[i].parent];

		trie->links[i].next_sibling = parent->first_child;
		parent->first_child = i;
	}
	find_topmost(trie, on_path);
	free(on_path);
	return 0;
}

int profile_trie_index(struct profile_trie *trie)
{
	int err = trie->links ? 0 : profile_trie_link(trie);

	if (err || trie->same_row)
		return err;
	trie->first_of_row = calloc((size_t)trie->nr_rows + 1, sizeof(*trie->first_of_row));
	trie->same_row = calloc(trie->nr, sizeof(*trie->same_row));
	if (!trie->first_of_row || !trie->same_row)
		return -ENOMEM;
	for (uint32_t i = trie->nr - 1; i > PROFILE_TRIE_ROOT; i--) {
		uint32_t *first = &trie->first_of_row[trie->nodes[i].row];

		trie->same_row[i] = *first;
		*first = i;
	}
	return 0;
}

void profile_trie_release(struct profile_trie *trie)
{
	free(trie->nodes);
	free(trie->node_of);
	free(trie->stacks);
	free(trie->links);
	free(trie->first_of_row);
	free(trie->same_row);
	free(trie->touched);
	memset(trie, 0, sizeof(*trie));
}

uint32_t profile_trie_node(const struct profile_trie *trie, uint32_t stack)
{
	uint32_t node = stack < trie->nr_stacks ? trie->node_of[stack] : 0;

	return node ? node : PROFILE_TRIE_NO_STACK;
}

/* --- summing ----------------------------------------------------------------- */

static bool touch(struct profile_trie *trie, uint32_t node)
{
	uint64_t *word = &trie->touched[node / WORD_BITS];
	uint64_t bit = (uint64_t)1 << (node % WORD_BITS);
	bool was = *word & bit;

	*word |= bit;
	return was;
}

static void put_sums(struct profile_trie *trie, const struct profile_sum *sums, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		uint32_t at = profile_trie_node(trie, sums[i].stack);

		trie->nodes[at].weight += sums[i].weight;
		while (at != PROFILE_TRIE_ROOT && !touch(trie, at))
			at = trie->nodes[at].parent;
	}
}

int profile_trie_sum(struct profile_trie *trie, const struct profile_sum *sums, size_t nr,
		     profile_trie_fn fn, void *ctx)
{
	struct profile_node *nodes = trie->nodes;
	int err = 0;

	put_sums(trie, sums, nr);
	for (uint32_t w = trie->nr / WORD_BITS + 1; w-- > 0;) {
		uint64_t left = trie->touched[w];

		trie->touched[w] = 0;
		while (left) {
			uint32_t bit = WORD_BITS - 1 - (uint32_t)__builtin_clzll(left);
			struct profile_node *node = &nodes[w * WORD_BITS + bit];

			left &= ~((uint64_t)1 << bit);
			nodes[node->parent].weight += node->weight;
			if (!err)
				err = fn(ctx, node);
			node->weight = 0;
		}
	}
	nodes[PROFILE_TRIE_ROOT].weight = 0;
	return err;
}

void profile_trie_weigh(const struct profile_trie *trie, const struct profile_sum *sums,
			size_t nr, struct profile_weight *weights)
{
	memset(weights, 0, trie->nr * sizeof(*weights));
	for (size_t i = 0; i < nr; i++)
		weights[profile_trie_node(trie, sums[i].stack)].self += sums[i].weight;
	for (uint32_t i = trie->nr - 1; i > PROFILE_TRIE_ROOT; i--) {
		weights[i].all += weights[i].self;
		weights[trie->nodes[i].parent].all += weights[i].all;
	}
}
