/*
 * Where the boxes of a flame graph stand: each frame's place and width in the
 * unit of the sums, siblings in the order of their names.  Boxes that would be
 * too narrow are left out and counted, so their number follows the size of the
 * picture, not of the trace.
 */
#ifndef REPORT_FLAMELAYOUT_H
#define REPORT_FLAMELAYOUT_H

#include "report/calltree.h"
#include "report/names.h"
#include "report/stacksum.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Frames further from the root are left out, too. */
#define FLAMELAYOUT_MAX_DEPTH 1024

struct flame_box {
	uint64_t start, width;
	uint64_t records;	/* how many make that width; 0: not known */
	uint32_t depth;		/* 0: the root */
	/*
	 * Of a group, that or another one that has the same level; of a part, an enum
	 * stacksum_part; of a waker, a name of the chains; else a symbol id of
	 * names_symbol().
	 */
	uint32_t name;
	bool is_group;		/* a level of stacksum_levels() */
	bool is_part;
	uint8_t level;		/* of a group */
	uint8_t kind;		/* enum calltree_kind, of what is neither group nor part */
	uint8_t hop;		/* of which waker it is; 0: none */
};

struct flame_layout {
	struct flame_box *boxes;	/* by depth, then start; the root is the first */
	size_t nr;
	uint64_t left_out;
	bool more_left_out;		/* there are more, which were not counted */
	uint64_t min_width;		/* that all boxes have */
};

struct flamelayout_opts {
	uint64_t min_width;	/* narrower boxes are left out */
	size_t max_boxes;	/* the widest ones are kept; 0: all */
	bool reverse;		/* innermost frames next to the root */
};

int flamelayout_build(struct flame_layout *out, const struct trace *t, struct names *names,
		      const struct stacksum *sums, const struct flamelayout_opts *opts);
/* For layouts made by others: puts boxes in order, and leaves out all but so many. */
int flamelayout_finish(struct flame_layout *l, size_t max_boxes);
void flamelayout_release(struct flame_layout *l);

/* The name to show: "[libc.so.6]" stands for an address in it without a name. */
const char *flamelayout_text(const struct frame_name *f, bool *in_brackets);

#endif
