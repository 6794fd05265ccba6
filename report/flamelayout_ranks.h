/*
 * In which order siblings of a flame graph stand: the names of frames, and of wakers, as
 * numbers.
 */
#ifndef REPORT_FLAMELAYOUT_RANKS_H
#define REPORT_FLAMELAYOUT_RANKS_H

#include "report/chain.h"
#include "report/flamelayout.h"
#include "report/names.h"

#include <stddef.h>
#include <stdint.h>

struct flamelayout_node {
	uint32_t parent;	/* index; the root is its own */
	struct flame_box box;	/* without its place */
};

/* Of wakers by name, then of symbols by id. */
struct flamelayout_ranks {
	uint32_t *list;
	uint32_t nr_wakers;
	const struct chains *chains;	/* or NULL */
};

/* 0 or -ENOMEM; afterwards flamelayout_ranks_release(), also then.  nodes[0] is the root. */
int flamelayout_ranks_make(struct flamelayout_ranks *r, const struct flamelayout_node *nodes,
			   size_t nr, struct names *names, const struct chains *chains);
void flamelayout_ranks_release(struct flamelayout_ranks *r);
/* Of one of the nodes; `plain` if its box has no name. */
uint32_t flamelayout_ranks_get(const struct flamelayout_ranks *r, const struct flame_box *box,
			       uint32_t plain);

#endif
