/*
 * Sums of stacks merged into one tree: a root, below it the frames, outermost
 * first.  Frames of one parent that have the same name are one node.  The
 * caller says what a name is.
 *
 * Trees of groups of tasks are made one after the other in the same memory, so
 * that it follows the number of different stacks and not of groups.
 */
#ifndef REPORT_CALLTREE_H
#define REPORT_CALLTREE_H

#include "report/stacksum.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Frames deeper than this count for the frame at this depth. */
#define CALLTREE_MAX_DEPTH 4096

struct calltree_node {
	uint32_t parent;	/* a smaller index; the root is its own */
	uint32_t name;		/* what frame_name() said; 0: the root */
	uint32_t depth;		/* 0: the root */
	uint64_t self, total;
};

/* 0 is no name: memory ran out. */
typedef uint32_t (*calltree_name_fn)(void *ctx, uint32_t group, uint32_t frame_id);

struct calltree;

int calltree_new(struct calltree **out, const struct trace *t, calltree_name_fn frame_name,
		 void *ctx);
void calltree_free(struct calltree *tree);
/* Only the root is left. */
void calltree_clear(struct calltree *tree);
/* Adds entries of one group. */
int calltree_add(struct calltree *tree, const struct stacksum_entry *entries, size_t nr);
/*
 * Totals are summed up; nodes[0] is the root, parents stand before their
 * children.  Valid until the next call.
 */
const struct calltree_node *calltree_nodes(struct calltree *tree, size_t *nr);

#endif
