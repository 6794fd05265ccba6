#include "report/calltree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_NODES 1024

/* Where a stack of the trie ends in the tree. */
struct memo {
	uint32_t round, node;
};

/*
 * A node by (parent, name).  The mark is the round of clearing, others are free
 * slots, and some bits of the hash, so that few nodes are looked at in vain.
 */
#define MARK_HASH_BITS 20
#define MAX_GENERATION ((1u << (32 - MARK_HASH_BITS)) - 1)

struct slot {
	uint32_t mark, node;
};

struct calltree {
	const struct trace *trace;
	calltree_name_fn frame_name;
	void *ctx;
	struct calltree_node *nodes;
	size_t nr, cap;
	struct slot *slots;
	size_t nr_slots;	/* a power of two, twice the room for nodes */
	uint32_t generation;
	struct memo *memos;	/* by stack id, for one group at a time */
	uint32_t nr_stacks, round;
	uint32_t *path;		/* stack ids on the way up */
	size_t nr_path, cap_path;
};

static uint64_t hash_of(uint32_t parent, uint32_t name)
{
	uint64_t x = ((uint64_t)parent << 32 | name) * 0x9e3779b97f4a7c15u;

	x ^= x >> 29;
	x *= 0xd6e8feb86659fd93u;
	return x ^ x >> 32;
}

/* The slot of the node, or the free one where it belongs, marked for it. */
static struct slot *find(const struct calltree *t, uint32_t parent, uint32_t name, bool *found)
{
	uint64_t hash = hash_of(parent, name);
	uint32_t mark = t->generation << MARK_HASH_BITS | (uint32_t)(hash >> (64 - MARK_HASH_BITS));

	for (size_t at = hash;; at++) {
		struct slot *s = &t->slots[at & (t->nr_slots - 1)];

		if (s->mark >> MARK_HASH_BITS != t->generation) {
			s->mark = mark;
			*found = false;
			return s;
		}
		*found = s->mark == mark && t->nodes[s->node].parent == parent &&
			 t->nodes[s->node].name == name;
		if (*found)
			return s;
	}
}

static int grow(struct calltree *t)
{
	size_t cap = t->cap ? t->cap * 2 : FIRST_NODES;
	struct calltree_node *nodes = realloc(t->nodes, cap * sizeof(*nodes));
	struct slot *slots;
	bool found;

	if (!nodes)
		return -ENOMEM;
	t->nodes = nodes;
	slots = calloc(cap * 2, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	free(t->slots);
	t->slots = slots;
	t->nr_slots = cap * 2;
	t->cap = cap;
	for (size_t i = 1; i < t->nr; i++)
		find(t, nodes[i].parent, nodes[i].name, &found)->node = (uint32_t)i;
	return 0;
}

/* The child of that name, made when there is none; 0 when memory ran out. */
static uint32_t child(struct calltree *t, uint32_t parent, uint32_t name)
{
	struct slot *s;
	bool found;

	if (t->nr == t->cap && grow(t))
		return 0;
	s = find(t, parent, name, &found);
	if (found)
		return s->node;
	s->node = (uint32_t)t->nr;
	t->nodes[t->nr] = (struct calltree_node) {
		.parent = parent, .name = name, .depth = t->nodes[parent].depth + 1,
	};
	return (uint32_t)t->nr++;
}

static int push_path(struct calltree *t, uint32_t stack)
{
	size_t cap = t->cap_path ? t->cap_path * 2 : 256;
	uint32_t *path;

	if (t->nr_path == t->cap_path) {
		path = realloc(t->path, cap * sizeof(*path));
		if (!path)
			return -ENOMEM;
		t->path = path;
		t->cap_path = cap;
	}
	t->path[t->nr_path++] = stack;
	return 0;
}

/* Up the trie to a stack that is known in this round, then down again. */
static int descend(struct calltree *t, const struct stacksum_entry *e, uint32_t *out)
{
	const struct trace_stack *s;
	uint32_t stack = e->stack, node = 0, name;

	t->nr_path = 0;
	for (; (s = trace_stack(t->trace, stack)); stack = s->parent) {
		if (stack >= t->nr_stacks)
			break;
		if (t->memos[stack].round == t->round) {
			node = t->memos[stack].node;
			break;
		}
		if (push_path(t, stack))
			return -ENOMEM;
	}
	while (t->nr_path > 0) {
		stack = t->path[--t->nr_path];
		s = trace_stack(t->trace, stack);
		if (t->nodes[node].depth < CALLTREE_MAX_DEPTH) {
			name = t->frame_name(t->ctx, e->group, s->frame);
			node = name ? child(t, node, name) : 0;
			if (!node)
				return -ENOMEM;
		}
		t->memos[stack] = (struct memo) { t->round, node };
	}
	*out = node;
	return 0;
}

int calltree_add(struct calltree *tree, const struct stacksum_entry *entries, size_t nr)
{
	uint32_t node;

	tree->round++;
	for (size_t i = 0; i < nr; i++) {
		if (descend(tree, &entries[i], &node))
			return -ENOMEM;
		tree->nodes[node].self += entries[i].count;
	}
	return 0;
}

const struct calltree_node *calltree_nodes(struct calltree *tree, size_t *nr)
{
	for (size_t i = 0; i < tree->nr; i++)
		tree->nodes[i].total = tree->nodes[i].self;
	for (size_t i = tree->nr - 1; i > 0; i--)
		tree->nodes[tree->nodes[i].parent].total += tree->nodes[i].total;
	*nr = tree->nr;
	return tree->nodes;
}

void calltree_clear(struct calltree *tree)
{
	if (++tree->generation > MAX_GENERATION) {
		memset(tree->slots, 0, tree->nr_slots * sizeof(*tree->slots));
		tree->generation = 1;
	}
	tree->nodes[0] = (struct calltree_node) { .parent = 0 };
	tree->nr = 1;
}

int calltree_new(struct calltree **out, const struct trace *t, calltree_name_fn frame_name,
		 void *ctx)
{
	struct calltree *tree = calloc(1, sizeof(*tree));

	if (!tree)
		return -ENOMEM;
	tree->trace = t;
	tree->frame_name = frame_name;
	tree->ctx = ctx;
	tree->nr_stacks = trace_nr_stacks(t);
	tree->memos = calloc((size_t)tree->nr_stacks + 1, sizeof(*tree->memos));
	if (!tree->memos || grow(tree)) {
		calltree_free(tree);
		return -ENOMEM;
	}
	calltree_clear(tree);
	*out = tree;
	return 0;
}

void calltree_free(struct calltree *tree)
{
	if (!tree)
		return;
	free(tree->nodes);
	free(tree->slots);
	free(tree->memos);
	free(tree->path);
	free(tree);
}
