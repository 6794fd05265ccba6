/*
 * What the files of folded stacks share.  Nobody else includes this.
 */
#ifndef REPORT_FOLDED_PRIVATE_H
#define REPORT_FOLDED_PRIVATE_H

#include "report/calltree.h"
#include "report/folded.h"
#include "report/textpool.h"

/* Entries of one group and part, or all of one label. */
struct part {
	uint32_t label;		/* in the pool: all its levels; "" if there are none */
	size_t begin, end;	/* entries */
};

struct level {
	size_t item;		/* next one to write */
	uint32_t parent;
	size_t path_len;
};

struct folded {
	const struct folded_opts *opts;
	struct query *query;
	struct trace *trace;
	struct names *names;
	struct stacksum *sums;
	struct textpool *pool;
	uint32_t *frame_name;	/* by frame * 2 + java; 0: not asked yet */
	uint32_t nr_frames;
	uint32_t *waker_name;	/* by name of the chains; 0: not asked yet */
	uint32_t border, separator;
	uint32_t java_asked, java_known;	/* the group that was asked last */
	uint32_t *ranks;	/* see folded_order_names() */
	struct calltree *tree;
	struct part *parts;	/* by label */
	size_t nr_parts;
	struct level *levels;
	struct bytebuf path;	/* the line so far; before that, scratch */
	folded_line_fn line;
	folded_tree_fn give_tree;	/* NULL: lines */
	void *line_ctx;
	int stopped;		/* what line() said */
};

/* All names and labels: the order needs them before the first line.  0 or -ENOMEM. */
int folded_texts_make(struct folded *f);
/* A calltree_name_fn. */
uint32_t folded_texts_name(void *folded, uint32_t group, enum calltree_kind kind, uint32_t id);

#endif
