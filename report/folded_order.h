/*
 * The order of folded lines: that of their texts.  Among siblings the line that
 * ends in "foo" comes before those of "foo.part", and these before the lines
 * that go on with "foo;": so a name has two places, as an end and as a beginning.
 */
#ifndef REPORT_FOLDED_ORDER_H
#define REPORT_FOLDED_ORDER_H

#include "report/calltree.h"
#include "report/textpool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ranks[name * 2 + goes_on] for all names of the pool; NULL: no memory. */
uint32_t *folded_order_names(const struct textpool *names);

/* One line, or all lines below a node. */
struct folded_item {
	uint32_t parent, rank, node;
	bool goes_on;
};

struct folded_items {
	struct folded_item *list;	/* by parent, then rank */
	size_t nr;
	size_t *first;			/* by node: where its children start */
};

int folded_order_nodes(struct folded_items *out, const struct calltree_node *nodes, size_t nr,
		       const uint32_t *ranks);
void folded_order_release(struct folded_items *items);

#endif
