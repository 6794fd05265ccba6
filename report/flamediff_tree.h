/*
 * The call trees of two traces as one: nodes are the same where the names of their
 * frames are, from the outermost on, whatever ids and addresses the traces have for
 * them.  Its size follows the number of different stacks.
 */
#ifndef REPORT_FLAMEDIFF_TREE_H
#define REPORT_FLAMEDIFF_TREE_H

#include "report/textpool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum flamediff_side { FLAMEDIFF_BASE, FLAMEDIFF_NEW, FLAMEDIFF_SIDES };

struct flamediff_node {
	uint32_t parent;	/* a smaller index; the root is its own */
	uint32_t name;		/* in flamediff_tree_names(); 0: the root */
	uint32_t depth;		/* 0: the root */
	uint64_t self[FLAMEDIFF_SIDES], total[FLAMEDIFF_SIDES];	/* as recorded */
};

struct flamediff_tree_opts {
	bool reverse;		/* innermost frames next to the root */
	bool groups;		/* the first part of a line is no frame and stays where it is */
};

struct flamediff_tree;

int flamediff_tree_new(struct flamediff_tree **out, const struct flamediff_tree_opts *opts);
void flamediff_tree_free(struct flamediff_tree *t);
/*
 * Adds a folded line (report/folded.h).  Lines may come in any order; that of
 * folded_each(), in which neighbours begin alike, is the fast one.
 */
int flamediff_tree_add(struct flamediff_tree *t, enum flamediff_side side, const char *stack,
		       size_t len_bytes, uint64_t count);
/* Totals are summed up; nodes[0] is the root.  Valid until the next line. */
const struct flamediff_node *flamediff_tree_nodes(struct flamediff_tree *t, size_t *nr);
const struct textpool *flamediff_tree_names(const struct flamediff_tree *t);

#endif
