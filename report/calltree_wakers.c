#include "report/calltree_private.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/types.h>

/* An entry whose chain goes on from the node. */
struct rising {
	uint32_t node, entry;
};

/* One waker: its stack from the innermost frame on. */
static int add_hop(struct calltree *t, uint32_t group, const struct chain_link *link,
		   uint32_t hop, uint32_t *node)
{
	const struct trace_stack *s;
	uint32_t stack = link->stack, nr = 0;
	int err = calltree_go_on(t, group, node, CALLTREE_SEPARATOR, 0, hop);

	for (; !err && (s = trace_stack(t->trace, stack)); stack = s->parent) {
		if (t->nodes[*node].depth >= CALLTREE_MAX_DEPTH)
			break;
		err = calltree_go_on(t, group, node, CALLTREE_FRAME, s->frame, hop);
		if (err || ++nr == link->frames)
			break;
		if (calltree_is_border(t, s->parent, s->frame))
			err = calltree_go_on(t, group, node, CALLTREE_BORDER, 0, hop);
	}
	return err ? err : calltree_go_on(t, group, node, CALLTREE_WAKER, link->name, hop);
}

static struct hop *hop_of(const struct calltree *t, uint32_t from, uint32_t chain)
{
	uint64_t x = ((uint64_t)from << 32 | chain) * 0x9e3779b97f4a7c15u;

	return &t->hops[x >> (64 - CALLTREE_HOPS_BITS)];
}

/* The last hop of the chain, on a node where the hops before end. */
static int add_last_hop(struct calltree *t, uint32_t group, uint32_t chain, uint32_t *node)
{
	const struct chain_link *link = chain_at(t->opts.chains, chain), *last = link, *next;

	while ((next = chain_at(t->opts.chains, last->next)))
		last = next;
	return add_hop(t, group, last, link->hops, node);
}

static bool is_known(const struct calltree *t, const struct hop *h, uint32_t from, uint32_t chain)
{
	return h->round == t->round && h->from == from && h->chain == chain;
}

/* Many chains begin alike: those without their last waker are gone through once. */
int calltree_wakers_ascend(struct calltree *t, uint32_t group, uint32_t chain, uint32_t *node)
{
	const struct chain_link *link = chain_at(t->opts.chains, chain);
	struct hop *known;
	uint32_t from = *node;
	int err;

	if (!link)
		return 0;
	known = hop_of(t, from, chain);
	if (is_known(t, known, from, chain)) {
		*node = known->node;
		return 0;
	}
	err = calltree_wakers_ascend(t, group, link->shorter, node);
	if (!err)
		err = add_last_hop(t, group, chain, node);
	if (!err)
		*known = (struct hop) { t->round, from, chain, *node };
	return err;
}

/* The same, one hop at a time: the node is where the hops before end. */
static int rise(struct calltree *t, uint32_t group, uint32_t chain, uint32_t *node)
{
	struct hop *known = hop_of(t, *node, chain);
	uint32_t from = *node;
	int err;

	if (is_known(t, known, from, chain)) {
		*node = known->node;
		return 0;
	}
	err = add_last_hop(t, group, chain, node);
	if (!err)
		*known = (struct hop) { t->round, from, chain, *node };
	return err;
}

/* Whether what rises on the node is wide enough, which is known of all when one is asked. */
static bool is_wide(struct calltree *t, uint32_t node)
{
	uint64_t *total = &t->nodes[node].total;

	if (*total >= t->opts.min_width)
		return true;
	t->narrow += *total > 0;
	*total = 0;
	return false;
}

/* Takes all that rise one hop higher; returns how many go on from there, or -ENOMEM. */
static ssize_t rise_all(struct calltree *t, const struct stacksum_entry *entries,
			struct rising *list, size_t nr, uint32_t hop)
{
	size_t left = 0;

	for (size_t i = 0; i < nr; i++)
		t->nodes[list[i].node].total = 0;
	for (size_t i = 0; i < nr; i++)
		t->nodes[list[i].node].total += entries[list[i].entry].count;
	for (size_t i = 0; i < nr; i++) {
		const struct stacksum_entry *e = &entries[list[i].entry];
		uint32_t node = list[i].node, chain = chain_cut(t->opts.chains, e->chain, hop);
		int err = CALLTREE_NO_ROOM;

		if (is_wide(t, node)) {
			err = rise(t, e->group, chain, &node);
			t->cut += err == CALLTREE_NO_ROOM ? e->records : 0;
		}
		if (err < 0)
			return err;
		if (err || chain == e->chain)
			calltree_settle(t, node, e);
		else
			list[left++] = (struct rising) { node, list[i].entry };
	}
	return (ssize_t)left;
}

int calltree_wakers_add(struct calltree *t, const struct stacksum_entry *entries, size_t nr)
{
	struct rising *list = malloc((nr + 1) * sizeof(*list));
	ssize_t left = 0;
	int err = list ? 0 : -ENOMEM;

	for (size_t i = 0; i < nr && !err; i++) {
		uint32_t node;

		err = calltree_descend(t, &entries[i], &node);
		if (!err && chain_at(t->opts.chains, entries[i].chain))
			list[left++] = (struct rising) { node, (uint32_t)i };
		else if (!err)
			calltree_settle(t, node, &entries[i]);
	}
	for (uint32_t hop = 1; left > 0 && !err; hop++) {
		left = rise_all(t, entries, list, (size_t)left, hop);
		err = left < 0 ? (int)left : 0;
	}
	free(list);
	return err;
}
