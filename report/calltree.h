/*
 * Sums of stacks merged into one tree: a root, below it the frames, outermost
 * first; above the frames of a wait, if its sum has chains, those who ended it:
 * a separator, the waker's frames, innermost first, its name, and so on.  Frames of one
 * parent that have the same name are one node.  The caller says what a name is.
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

enum calltree_kind {
	CALLTREE_FRAME,
	CALLTREE_BORDER,	/* "-" between the frames of the program and of the kernel */
	CALLTREE_SEPARATOR,	/* "--" before a waker */
	CALLTREE_WAKER,		/* what it is called */
};

struct calltree_node {
	uint32_t parent;	/* a smaller index; the root is its own */
	uint32_t name;		/* what the caller's function said; 0: the root */
	uint16_t depth;		/* 0: the root */
	uint8_t kind;		/* enum calltree_kind */
	uint8_t hop;		/* of which waker it is; 0: of the wait, or of what else there is */
	uint32_t first;		/* its first child, or 0 */
	uint64_t self, total;
	uint64_t self_records, records;
};

/*
 * The name of a frame, or of a waker (chain_name_of()), or of one of the other kinds (id
 * is 0).  0 is no name: memory ran out.
 */
typedef uint32_t (*calltree_name_fn)(void *ctx, uint32_t group, enum calltree_kind kind,
				     uint32_t id);

struct calltree_opts {
	const struct trace *trace;
	const struct chains *chains;	/* NULL: there are none */
	bool borders;			/* between programs and the kernel */
	/*
	 * Not 0: with all entries of a tree added at once, wakers stand only on what is so
	 * wide; what would stand on less counts for that.
	 */
	uint64_t min_width;
	calltree_name_fn name;
	void *ctx;
};

struct calltree;

int calltree_new(struct calltree **out, const struct calltree_opts *opts);
void calltree_free(struct calltree *tree);
/* Only the root is left. */
void calltree_clear(struct calltree *tree);
/*
 * Adds entries of one group and part.  Nodes of wakers are limited: what finds no room,
 * the narrow ones first, counts for what it would stand on, and calltree_cut() counts it.
 */
int calltree_add(struct calltree *tree, const struct stacksum_entry *entries, size_t nr);
uint64_t calltree_cut(const struct calltree *tree);
/* On so many nodes of all trees there would be wakers, which are too narrow. */
uint64_t calltree_narrow(const struct calltree *tree);
/*
 * Totals are summed up; nodes[0] is the root, parents stand before their
 * children.  Valid until the next call.
 */
const struct calltree_node *calltree_nodes(struct calltree *tree, size_t *nr);

#endif
