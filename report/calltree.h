/*
 * Sums of stacks merged into one tree: a root, below it the groups of tasks,
 * below them the frames, outermost first.  Frames of one parent that have the
 * same name are one node.  The caller says what a name is.
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
	uint32_t name;		/* of a frame: what frame_name() said; a group: its number */
	uint16_t depth;		/* 0: the root */
	bool is_group;
	uint64_t self, total;
};

struct calltree_opts {
	bool groups;		/* a level of nodes for them */
	/* 0 is no name: memory ran out. */
	uint32_t (*frame_name)(void *ctx, uint32_t group, uint32_t frame_id);
	void *ctx;
};

/* nodes[0] is the root; parents stand before their children. */
struct calltree {
	struct calltree_node *nodes;
	size_t nr;
};

int calltree_build(struct calltree *out, const struct trace *t, const struct stacksum *sums,
		   const struct calltree_opts *opts);
void calltree_release(struct calltree *tree);

#endif
