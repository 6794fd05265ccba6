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

struct profile_node {
	uint32_t parent;		/* of the root: itself */
	uint32_t first_child, next_sibling;	/* 0 ends */
	uint32_t symbol;		/* symbol_id; 0: the root */
	uint32_t row;			/* what rows are made of: a symbol_id, module_id or 0 */
	uint32_t same_row;		/* next node of that row; 0 ends */
	uint32_t frames, unresolved;	/* of the stack that ends here */
	bool truncated;			/* the stack does not begin at its real root */
	bool topmost;			/* no node above has the same row */
	uint64_t self, weight;		/* as profile_trie_sum() left them */
};

struct profile_trie {
	struct profile_node *nodes;
	uint32_t nr;
	uint32_t *node_of;		/* by stack id */
	uint32_t nr_stacks;
	uint32_t *first_of_row;		/* by row: its nodes, linked by same_row */
	uint32_t nr_rows;
	uint64_t *touched;		/* bitmap of nodes, all 0 between calls */
};

/*
 * The nodes of all stacks in the sums; frame_kind says what rows are made of:
 * PROFILE_SYMBOL, PROFILE_MODULE, or else nothing.
 */
int profile_trie_build(struct profile_trie *trie, struct trace *t, struct names *names,
		       const struct profile_sum *sums, size_t nr, enum profile_kind frame_kind);
void profile_trie_release(struct profile_trie *trie);
/* Any stack id; PROFILE_TRIE_NO_STACK for those that no stack has. */
uint32_t profile_trie_node(const struct profile_trie *trie, uint32_t stack);

/* Called for every node that has a weight, children before their parents. */
typedef int (*profile_trie_fn)(void *ctx, const struct profile_node *node);
/*
 * Sums the given ones up the trie.  Then calls fn (unless NULL); if `keep`,
 * the nodes keep their sums until profile_trie_clear().
 */
int profile_trie_sum(struct profile_trie *trie, const struct profile_sum *sums, size_t nr,
		     bool keep, profile_trie_fn fn, void *ctx);
void profile_trie_clear(struct profile_trie *trie);

#endif
