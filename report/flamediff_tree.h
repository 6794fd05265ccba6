/*
 * The call trees of two traces as one: nodes are the same where the names of their
 * frames are, from the outermost on, whatever ids and addresses the traces have for
 * them.  Its size follows the number of different stacks.
 */
#ifndef REPORT_FLAMEDIFF_TREE_H
#define REPORT_FLAMEDIFF_TREE_H

#include "report/folded.h"
#include "report/textpool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum flamediff_side { FLAMEDIFF_BASE, FLAMEDIFF_NEW, FLAMEDIFF_SIDES };

struct flamediff_node {
	uint32_t parent;	/* a smaller index; the root is its own */
	uint32_t name;		/* in flamediff_tree_names(); 0: the root */
	/* What its own lines count, as recorded; from flamediff_tree_sum() on, all below. */
	uint64_t amount[FLAMEDIFF_SIDES];
};

/* A folded line (report/folded.h). */
struct flamediff_line {
	const char *stack;
	size_t len_bytes;
	uint64_t count;
	size_t nr_levels;	/* so many names at its beginning are no frames */
};

struct flamediff_tree;

/* `reverse`: the innermost frames stand next to the root, on the levels. */
int flamediff_tree_new(struct flamediff_tree **out, bool reverse);
void flamediff_tree_free(struct flamediff_tree *t);
/*
 * Lines may come in any order; that of folded_each(), in which neighbours begin alike,
 * is the fast one.
 */
int flamediff_tree_add(struct flamediff_tree *t, enum flamediff_side side,
		       const struct flamediff_line *line);
/* The same with all lines of a tree; names is a list by their ids, all 0 at first. */
int flamediff_tree_merge(struct flamediff_tree *t, enum flamediff_side side,
			 const struct folded_tree *tree, size_t nr_levels, uint32_t *names);
/* nodes[0] is the root.  Valid until the next line. */
const struct flamediff_node *flamediff_tree_nodes(const struct flamediff_tree *t, size_t *nr);
/* After the last line: adds to each node what stands below it.  Once. */
void flamediff_tree_sum(struct flamediff_tree *t);
const struct textpool *flamediff_tree_names(const struct flamediff_tree *t);

#endif
