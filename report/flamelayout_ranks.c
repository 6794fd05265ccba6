#include "report/flamelayout_ranks.h"

#include "report/flamelayout_reverse.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct ranked {
	const struct frame_name *frame;
	const char *waker;
	uint32_t name;
};

static int compare_ranked(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	/* Wakers and frames are told apart by their kind before. */
	if (x->waker || y->waker)
		return x->waker && y->waker ? strcmp(x->waker, y->waker) : x->waker ? -1 : 1;
	return flamelayout_compare_names(x->frame, y->frame);
}

static bool has_name(const struct flame_box *box)
{
	return !box->is_group && !box->is_part &&
	       (box->kind == CALLTREE_FRAME || box->kind == CALLTREE_WAKER);
}

static uint32_t *rank_of(const struct flamelayout_ranks *r, const struct flame_box *box)
{
	return &r->list[box->kind == CALLTREE_WAKER ? box->name : r->nr_wakers + box->name];
}

int flamelayout_ranks_make(struct flamelayout_ranks *r, const struct flamelayout_node *nodes,
			   size_t nr, struct names *names, const struct chains *chains)
{
	struct ranked *ranked = malloc((nr + 1) * sizeof(*ranked));
	size_t nr_ranked = 0;

	*r = (struct flamelayout_ranks) {
		.nr_wakers = chains ? chain_nr_names(chains) + 1 : 0, .chains = chains };
	r->list = calloc((size_t)r->nr_wakers + names_nr_symbols(names) + 1, sizeof(*r->list));
	if (!r->list || !ranked) {
		free(ranked);
		return -ENOMEM;
	}
	for (size_t i = 1; i < nr; i++) {
		const struct flame_box *box = &nodes[i].box;
		bool is_waker = box->kind == CALLTREE_WAKER;

		if (!has_name(box) || *rank_of(r, box))
			continue;
		*rank_of(r, box) = 1;
		ranked[nr_ranked++] = (struct ranked) {
			.waker = is_waker ? chain_name(chains, box->name) : NULL,
			.frame = is_waker ? NULL : names_symbol(names, box->name),
			.name = (uint32_t)(rank_of(r, box) - r->list),
		};
	}
	if (nr_ranked)
		qsort(ranked, nr_ranked, sizeof(*ranked), compare_ranked);
	for (size_t i = 0; i < nr_ranked; i++)
		r->list[ranked[i].name] = (uint32_t)i;
	free(ranked);
	return 0;
}

void flamelayout_ranks_release(struct flamelayout_ranks *r)
{
	free(r->list);
	r->list = NULL;
}

uint32_t flamelayout_ranks_get(const struct flamelayout_ranks *r, const struct flame_box *box,
			       uint32_t plain)
{
	return has_name(box) ? *rank_of(r, box) : plain;
}
