#include "report/calltree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Where a stack of the trie ends in the tree, for one group at a time. */
struct memo {
	uint32_t round, node;
};

struct builder {
	const struct trace *trace;
	const struct calltree_opts *opts;
	struct calltree *tree;
	size_t cap;
	uint32_t *hash;		/* index of a node by (parent, name); 0 is free */
	size_t nr_slots;	/* a power of two, at least twice the nodes */
	struct memo *memos;	/* by stack id */
	uint32_t nr_stacks;
	uint32_t *path;		/* stack ids on the way up */
	size_t nr_path, cap_path;
};

static size_t hash_of(uint32_t parent, uint32_t name, bool is_group)
{
	uint64_t x = ((uint64_t)parent << 32 | name) + is_group;

	x *= 0x9e3779b97f4a7c15u;
	x ^= x >> 29;
	return (size_t)(x * 0xd6e8feb86659fd93u >> 20);
}

static int grow(struct builder *b)
{
	size_t cap = b->cap ? b->cap * 2 : 1024;
	struct calltree_node *nodes = realloc(b->tree->nodes, cap * sizeof(*nodes));
	uint32_t *hash;

	if (!nodes)
		return -ENOMEM;
	b->tree->nodes = nodes;
	hash = calloc(cap * 2, sizeof(*hash));
	if (!hash)
		return -ENOMEM;
	free(b->hash);
	b->hash = hash;
	b->nr_slots = cap * 2;
	b->cap = cap;
	for (size_t i = 1; i < b->tree->nr; i++) {
		size_t at = hash_of(nodes[i].parent, nodes[i].name, nodes[i].is_group);

		while (hash[at & (b->nr_slots - 1)])
			at++;
		hash[at & (b->nr_slots - 1)] = (uint32_t)i;
	}
	return 0;
}

/* The child of that name, made when there is none; 0 when memory ran out. */
static uint32_t child(struct builder *b, uint32_t parent, uint32_t name, bool is_group)
{
	struct calltree_node *nodes;
	size_t at;
	uint32_t i;

	if (b->tree->nr == b->cap && grow(b))
		return 0;
	nodes = b->tree->nodes;
	for (at = hash_of(parent, name, is_group);; at++) {
		i = b->hash[at & (b->nr_slots - 1)];
		if (!i)
			break;
		if (nodes[i].parent == parent && nodes[i].name == name &&
		    nodes[i].is_group == is_group)
			return i;
	}
	i = (uint32_t)b->tree->nr++;
	b->hash[at & (b->nr_slots - 1)] = i;
	nodes[i] = (struct calltree_node) {
		.parent = parent, .name = name, .is_group = is_group,
		.depth = (uint16_t)(nodes[parent].depth + 1),
	};
	return i;
}

static int push_path(struct builder *b, uint32_t stack)
{
	size_t cap = b->cap_path ? b->cap_path * 2 : 256;
	uint32_t *path;

	if (b->nr_path == b->cap_path) {
		path = realloc(b->path, cap * sizeof(*path));
		if (!path)
			return -ENOMEM;
		b->path = path;
		b->cap_path = cap;
	}
	b->path[b->nr_path++] = stack;
	return 0;
}

/* Up the trie to a stack that is known in this round, then down again. */
static int descend(struct builder *b, uint32_t round, const struct stacksum_entry *e,
		   uint32_t top, uint32_t *out)
{
	const struct trace_stack *s;
	uint32_t stack = e->stack, node = top, name;

	b->nr_path = 0;
	for (; (s = trace_stack(b->trace, stack)); stack = s->parent) {
		if (stack >= b->nr_stacks)
			break;
		if (b->memos[stack].round == round) {
			node = b->memos[stack].node;
			break;
		}
		if (push_path(b, stack))
			return -ENOMEM;
	}
	while (b->nr_path > 0) {
		stack = b->path[--b->nr_path];
		s = trace_stack(b->trace, stack);
		if (b->tree->nodes[node].depth < CALLTREE_MAX_DEPTH) {
			name = b->opts->frame_name(b->opts->ctx, e->group, s->frame);
			node = name ? child(b, node, name, false) : 0;
			if (!node)
				return -ENOMEM;
		}
		b->memos[stack] = (struct memo) { round, node };
	}
	*out = node;
	return 0;
}

static int add_entries(struct builder *b, const struct stacksum_entry *e, size_t nr)
{
	uint32_t top = 0, round = 0, node;

	for (size_t i = 0; i < nr; i++) {
		if (i == 0 || e[i].group != e[i - 1].group) {
			round++;
			if (b->opts->groups) {
				top = child(b, 0, e[i].group, true);
				if (!top)
					return -ENOMEM;
			}
		}
		if (descend(b, round, &e[i], top, &node))
			return -ENOMEM;
		b->tree->nodes[node].self += e[i].count;
	}
	return 0;
}

static void sum_totals(struct calltree *tree)
{
	for (size_t i = 0; i < tree->nr; i++)
		tree->nodes[i].total = tree->nodes[i].self;
	for (size_t i = tree->nr - 1; i > 0; i--)
		tree->nodes[tree->nodes[i].parent].total += tree->nodes[i].total;
}

int calltree_build(struct calltree *out, const struct trace *t, const struct stacksum *sums,
		   const struct calltree_opts *opts)
{
	struct builder b = { .trace = t, .opts = opts, .tree = out };
	const struct stacksum_entry *entries;
	size_t nr;
	int err;

	*out = (struct calltree) { .nodes = NULL };
	entries = stacksum_entries(sums, &nr);
	b.nr_stacks = trace_nr_stacks(t);
	b.memos = calloc((size_t)b.nr_stacks + 1, sizeof(*b.memos));
	err = b.memos ? grow(&b) : -ENOMEM;
	if (!err) {
		out->nodes[0] = (struct calltree_node) { .parent = 0 };
		out->nr = 1;
		err = add_entries(&b, entries, nr);
	}
	if (!err)
		sum_totals(out);
	free(b.memos);
	free(b.hash);
	free(b.path);
	if (err)
		calltree_release(out);
	return err;
}

void calltree_release(struct calltree *tree)
{
	free(tree->nodes);
	*tree = (struct calltree) { .nodes = NULL };
}
