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

static void describe(struct profile_node *node, const struct profile_node *parent,
		     const struct frame_name *name, enum profile_kind frame_kind)
{
	node->symbol = name->symbol_id;
	if (frame_kind == PROFILE_SYMBOL)
		node->row = name->symbol_id;
	else if (frame_kind == PROFILE_MODULE)
		node->row = name->module_id;
	node->frames = parent->frames + 1;
	node->unresolved = parent->unresolved + !name->resolved;
	node->truncated = parent->truncated;
}

static bool is_truncation(const struct trace *t, uint32_t frame_id)
{
	const struct trace_frame *frame = trace_frame(t, frame_id);

	return frame && !frame->module && frame->offset == FRAME_TRUNCATED;
}

/* Ascending ids of stacks give ascending nodes, so parents come first. */
static void add_nodes(struct profile_trie *trie, const struct trace *t, struct names *names,
		      enum profile_kind frame_kind)
{
	struct profile_node *root = &trie->nodes[PROFILE_TRIE_ROOT];

	trie->nr = PROFILE_TRIE_NO_STACK + 1;
	describe(&root[PROFILE_TRIE_NO_STACK], root, names_frame(names, 0), frame_kind);
	root[PROFILE_TRIE_NO_STACK].frames = 0;
	root[PROFILE_TRIE_NO_STACK].unresolved = 0;
	for (uint32_t id = 1; id < trie->nr_stacks; id++) {
		const struct trace_stack *stack;
		struct profile_node *node;

		if (!trie->node_of[id])
			continue;
		stack = trace_stack(t, id);
		node = &trie->nodes[trie->nr];
		node->parent = stack->parent < id ? trie->node_of[stack->parent] : 0;
		describe(node, &trie->nodes[node->parent], names_frame(names, stack->frame),
			 frame_kind);
		if (!node->parent)
			node->truncated = is_truncation(t, stack->frame);
		trie->node_of[id] = trie->nr++;
	}
}

static void link_children(struct profile_trie *trie)
{
	for (uint32_t i = trie->nr - 1; i > PROFILE_TRIE_ROOT; i--) {
		struct profile_node *parent = &trie->nodes[trie->nodes[i].parent];

		trie->nodes[i].next_sibling = parent->first_child;
		parent->first_child = i;
	}
}

static int link_rows(struct profile_trie *trie)
{
	for (uint32_t i = 1; i < trie->nr; i++)
		if (trie->nodes[i].row >= trie->nr_rows)
			trie->nr_rows = trie->nodes[i].row + 1;
	trie->first_of_row = calloc((size_t)trie->nr_rows + 1, sizeof(*trie->first_of_row));
	if (!trie->first_of_row)
		return -ENOMEM;
	for (uint32_t i = trie->nr - 1; i > PROFILE_TRIE_ROOT; i--) {
		struct profile_node *node = &trie->nodes[i];

		node->same_row = trie->first_of_row[node->row];
		trie->first_of_row[node->row] = i;
	}
	return 0;
}

/*
 * Goes through the trie depth first, counting how often each row is on the way
 * from the root: without recursion, for a stack may be as deep as its file says.
 */
static int find_topmost(struct profile_trie *trie)
{
	struct profile_node *nodes = trie->nodes;
	uint32_t *on_path = calloc((size_t)trie->nr_rows + 1, sizeof(*on_path));
	uint32_t at = nodes[PROFILE_TRIE_ROOT].first_child;

	if (!on_path)
		return -ENOMEM;
	while (at) {
		nodes[at].topmost = !on_path[nodes[at].row]++;
		if (nodes[at].first_child) {
			at = nodes[at].first_child;
			continue;
		}
		while (at) {
			on_path[nodes[at].row]--;
			if (nodes[at].next_sibling) {
				at = nodes[at].next_sibling;
				break;
			}
			at = nodes[at].parent;
		}
	}
	free(on_path);
	return 0;
}

int profile_trie_build(struct profile_trie *trie, struct trace *t, struct names *names,
		       const struct profile_sum *sums, size_t nr, enum profile_kind frame_kind)
{
	uint32_t nr_nodes;
	int err;

	memset(trie, 0, sizeof(*trie));
	trie->nr_stacks = trace_nr_stacks(t);
	trie->node_of = calloc((size_t)trie->nr_stacks + 1, sizeof(*trie->node_of));
	if (!trie->node_of)
		return -ENOMEM;
	nr_nodes = mark_stacks(trie, t, sums, nr);
	trie->nodes = calloc(nr_nodes, sizeof(*trie->nodes));
	trie->touched = calloc(nr_nodes / WORD_BITS + 1, sizeof(*trie->touched));
	err = trie->nodes && trie->touched ? 0 : -ENOMEM;
	if (!err) {
		add_nodes(trie, t, names, frame_kind);
		link_children(trie);
		err = link_rows(trie);
	}
	if (!err)
		err = find_topmost(trie);
	if (err)
		profile_trie_release(trie);
	return err;
}

void profile_trie_release(struct profile_trie *trie)
{
	free(trie->nodes);
	free(trie->node_of);
	free(trie->first_of_row);
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

		trie->nodes[at].self += sums[i].weight;
		trie->nodes[at].weight += sums[i].weight;
		while (at != PROFILE_TRIE_ROOT && !touch(trie, at))
			at = trie->nodes[at].parent;
	}
}

int profile_trie_sum(struct profile_trie *trie, const struct profile_sum *sums, size_t nr,
		     bool keep, profile_trie_fn fn, void *ctx)
{
	int err = 0;

	put_sums(trie, sums, nr);
	for (uint32_t w = trie->nr / WORD_BITS + 1; w-- > 0;) {
		uint64_t left = trie->touched[w];

		trie->touched[w] = 0;
		while (left) {
			uint32_t bit = WORD_BITS - 1 - (uint32_t)__builtin_clzll(left);
			struct profile_node *node = &trie->nodes[w * WORD_BITS + bit];

			left &= ~((uint64_t)1 << bit);
			trie->nodes[node->parent].weight += node->weight;
			if (fn && !err)
				err = fn(ctx, node);
			if (!keep)
				node->self = node->weight = 0;
		}
	}
	if (!keep)
		trie->nodes[PROFILE_TRIE_ROOT].weight = 0;
	return err;
}

void profile_trie_clear(struct profile_trie *trie)
{
	for (uint32_t i = 0; i < trie->nr; i++)
		trie->nodes[i].self = trie->nodes[i].weight = 0;
}
