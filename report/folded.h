/*
 * Folded stacks, one line each: "comm;outermost;...;innermost COUNT", sorted,
 * in the format of stackcollapse-perf.pl, for flamegraph.pl, speedscope and
 * everything else that reads it.
 *
 * A line equals what stackcollapse-perf.pl makes of `kymo script`, with these
 * differences, where its text rules would lose frames:
 * - a frame whose name starts with a parenthesis, such as
 *   "(anonymous namespace)::f", is kept;
 * - a name that holds "->", such as "operator->", stays one frame;
 * - a comm may have one letter; a semicolon in it becomes a colon.
 *
 * With hops a line goes on as that of offwaketime -f: "--", the frames of the waker from
 * the innermost on, and what it is called.
 */
#ifndef REPORT_FOLDED_H
#define REPORT_FOLDED_H

#include "format/bytebuf.h"
#include "report/calltree.h"
#include "report/names.h"
#include "report/output.h"
#include "report/stacksum.h"
#include "report/textpool.h"

#include <stdbool.h>

struct folded_opts {
	struct stacksum_opts sum;
	bool mark_kernel;	/* "_[k]" after the names of kernel functions */
	bool mark_jit;		/* "_[j]" */
	bool delimited;		/* "-" between the frames of the program and of the kernel */
};

int folded_write(struct query *q, const struct folded_opts *opts, struct output *o,
		 struct stacksum_left_out *left_out, struct diag *d);

/* What the lines are sums of; the texts are the trace's. */
struct folded_sums {
	const char *event, *unit;	/* as stacksum_event() and stacksum_unit() have it */
	size_t levels;			/* so many parts of a line are no frames */
	uint64_t total, records;
	struct stacksum_left_out left_out;
};

/* One line without its count; not 0 ends it all.  Lines come in order, each stack once. */
typedef int (*folded_line_fn)(void *ctx, const char *stack, size_t len_bytes, uint64_t count);

/* The lines, for who has another use for them than writing them down. */
int folded_each(struct query *q, const struct folded_opts *opts, folded_line_fn line, void *ctx,
		struct folded_sums *sums, struct diag *d);

/*
 * What lines are made of: what a label of levels, which may be "", is the root of.  A stack
 * is a node that has a self, named by the texts from below the root on.
 */
struct folded_tree {
	const char *label;
	const struct calltree_node *nodes;	/* of report/calltree.h */
	size_t nr;
	const struct textpool *names;		/* the same for all trees */
};

typedef int (*folded_tree_fn)(void *ctx, const struct folded_tree *tree);

/* As folded_each(), in no order; lines only of what has no stack. */
int folded_trees(struct query *q, const struct folded_opts *opts, folded_tree_fn tree,
		 folded_line_fn line, void *ctx, struct folded_sums *sums, struct diag *d);

/* The text of one frame; `java` as stackcollapse-perf.pl has it for comm java. */
void folded_frame(struct bytebuf *to, const struct frame_name *f,
		  const struct folded_opts *opts, bool java);
#endif
