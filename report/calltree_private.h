/*
 * What the files of a tree of calls share.  Nobody else includes this.
 */
#ifndef REPORT_CALLTREE_PRIVATE_H
#define REPORT_CALLTREE_PRIVATE_H

#include "report/calltree.h"

/* Not an error: what goes on there does not. */
#define CALLTREE_NO_ROOM 1

/* Where a stack of the trie ends in the tree. */
struct memo {
	uint32_t round, node;
};

/* Where a chain on a node ends. */
#define CALLTREE_HOPS_BITS 15

struct hop {
	uint32_t round, from, chain, node;
};

/*
 * A node by (parent, name), but for first children, which their parents name: most nodes
 * have one child only.  The mark is the round of clearing, others are free slots, and some
 * bits of the hash, so that few nodes are looked at in vain.
 */
struct slot {
	uint32_t mark, node;
};

struct calltree {
	struct calltree_opts opts;
	const struct trace *trace;	/* of the opts */
	struct calltree_node *nodes;
	size_t nr, cap;
	struct slot *slots;
	size_t nr_slots;	/* a power of two, twice as many as are in use or more */
	size_t nr_in_slots;
	uint32_t generation;
	struct memo *memos;	/* by stack id, for one group at a time */
	uint32_t nr_stacks, round;
	uint32_t *path;		/* stack ids on the way up */
	size_t nr_path, cap_path;
	struct hop *hops;	/* the last ones; NULL without chains */
	uint64_t cut, narrow;
};

/*
 * Goes on to the child; frames that are too deep count for those they stand on.  0,
 * -ENOMEM or CALLTREE_NO_ROOM.
 */
int calltree_go_on(struct calltree *t, uint32_t group, uint32_t *node, enum calltree_kind kind,
		   uint32_t id, uint32_t hop);
/* Whether the kernel begins with the frame. */
bool calltree_is_border(const struct calltree *t, uint32_t outer_stack, uint32_t frame);
/* Where the entry's stack ends, which is made.  0 or -ENOMEM. */
int calltree_descend(struct calltree *t, const struct stacksum_entry *e, uint32_t *out);
/* Counts the entry for the node. */
void calltree_settle(struct calltree *t, uint32_t node, const struct stacksum_entry *e);

/* --- calltree_wakers.c ---------------------------------------------------------- */

/* Goes on to the end of the chain, as calltree_go_on(). */
int calltree_wakers_ascend(struct calltree *t, uint32_t group, uint32_t chain, uint32_t *node);
/* All entries of a tree, with wakers on what is wide enough.  0 or -ENOMEM. */
int calltree_wakers_add(struct calltree *t, const struct stacksum_entry *entries, size_t nr);

#endif
