/*
 * The part of the stack trie that a profile touches, with names, and the
 * inclusive sums over it.  Nodes are numbered so that a parent comes before
 * its children: one pass from the last to the first pushes sums to the root.
 */
#ifndef REPORT_PROFILE_TRIE_H
#define REPORT_PROFILE_TRIE_H

#include "report/names.h"
#include "report/profile_sums.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The node above all stacks, and the one of records without a stack. */
#define PROFILE_TRIE_ROOT 0
#define PROFILE_TRIE_NO_STACK 1

/* What summing looks at, packed: a trie has more nodes than a cache has room for. */
struct profile_node {
	uint32_t parent;	/* of the root: itself */
	uint32_t row : 31;	/* what rows are made of: a symbol_id, module_id or 0 */
	uint32_t topmost : 1;	/* no node above has the same row */
	uint64_t weight;	/* of all stacks through it, while summed */
};

/* The stack that ends in a node. */
struct profile_stack {
	uint32_t symbol;	/* symbol_id of its last frame; 0: the root */
	uint32_t frames;
	uint32_t unresolved : 31;	/* of the frames */
	uint32_t truncated : 1;		/* it does not begin at its real root */
};

/* Node numbers; 0 ends. */
struct profile_links {
	uint32_t first_child, next_sibling;
};

struct profile_trie {
	struct profile_node *nodes;
	struct profile_stack *stacks;	/* by node */
	uint32_t nr;
	uint32_t *node_of;		/* by stack id */
	uint32_t nr_stacks;
	uint32_t nr_rows;		/* one past the largest row */
	uint64_t *touched;		/* bitmap of nodes, all 0 between calls */
	struct profile_links *links;	/* NULL until profile_trie_link() */
	/* For call trees; NULL until profile_trie_index(). */
	uint32_t *first_of_row;		/* by row: a node of it, */
	uint32_t *same_row;		/* by node: the next one; 0 ends */
};

/* The sums of a node. */
struct profile_weight {
	uint64_t self;		/* of the stacks that end there */
	uint64_t all;		/* of those that go through it, too */
};

/*
 * The nodes of all stacks in the sums; frame_kind says what rows are made of:
 * PROFILE_SYMBOL, PROFILE_MODULE, or else nothing.
 */
int profile_trie_build(struct profile_trie *trie, struct trace *t, struct names *names,
		       const struct profile_sum *sums, size_t nr, enum profile_kind frame_kind);
/* Links the nodes downwards and finds out which ones are topmost. */
int profile_trie_link(struct profile_trie *trie);
/* Prepares what call trees need; does nothing the second time. */
int profile_trie_index(struct profile_trie *trie);
void profile_trie_release(struct profile_trie *trie);
/* Any stack id; PROFILE_TRIE_NO_STACK for those that no stack has. */
uint32_t profile_trie_node(const struct profile_trie *trie, uint32_t stack);

/* Called for every node that has a weight, children before their parents. */
typedef int (*profile_trie_fn)(void *ctx, const struct profile_node *node);
/* Sums the given ones up the trie, calls fn, and leaves the nodes without weight. */
int profile_trie_sum(struct profile_trie *trie, const struct profile_sum *sums, size_t nr,
		     profile_trie_fn fn, void *ctx);
/* The same into a list by node, which is made anew. */
void profile_trie_weigh(const struct profile_trie *trie, const struct profile_sum *sums,
			size_t nr, struct profile_weight *weights);

#endif
