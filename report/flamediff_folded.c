#include "report/flamediff_folded.h"

#include "report/digits.h"
#include "report/flamediff_read.h"
#include "report/folded_order.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The line of a node, or all lines below it. */
struct item {
	uint32_t rank, node;
	bool goes_on;
};

/* The items of a node that is being written. */
struct level {
	size_t item, end, path_len;
};

struct lines {
	const struct flamediff_pair *pair;
	const struct flamediff_node *nodes;
	size_t nr;
	const struct textpool *names;
	uint32_t *ranks;	/* see folded_order_names() */
	uint32_t *children;	/* by parent */
	uint32_t *first;	/* by node: where its children start; one more at the end */
	struct item *items;	/* of the nodes from the root to the one at hand */
	size_t cap_items;
	struct level *levels;
	size_t cap_levels;
	struct bytebuf path;
	struct output *output;
};

/* What is scaled down does not vanish. */
static uint64_t scaled(uint64_t amount, double factor)
{
	double v = round((double)amount * factor);

	if (factor == 1)
		return amount;
	if (amount && v < 1)
		return 1;
	return v >= 0x1p64 ? UINT64_MAX : (uint64_t)v;
}

static void put_line(struct lines *l, const struct flamediff_node *n)
{
	struct bytebuf *to = output_buffer(l->output);

	bytebuf_put(to, l->path.data, l->path.len);
	for (int side = 0; side < FLAMEDIFF_SIDES; side++) {
		bytebuf_put(to, " ", 1);
		digits_put(to, scaled(n->amount[side], l->pair->factor[side]));
	}
	bytebuf_put(to, "\n", 1);
	output_settle(l->output);
}

static int compare_items(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	return x->rank < y->rank ? -1 : x->rank > y->rank;
}

/* Room for the items of `nr` children after those at hand. */
static int reserve_items(struct lines *l, size_t used, size_t nr)
{
	size_t cap = l->cap_items ? l->cap_items : 256;
	struct item *items;

	while (cap < used + 2 * nr)
		cap *= 2;
	if (cap == l->cap_items)
		return 0;
	items = realloc(l->items, cap * sizeof(*items));
	if (!items)
		return -ENOMEM;
	l->items = items;
	l->cap_items = cap;
	return 0;
}

/* Goes into a node: its children in order stand after the items at hand. */
static int enter(struct lines *l, uint32_t node, size_t depth)
{
	size_t used = depth ? l->levels[depth - 1].end : 0, begin = used;
	uint32_t first = l->first[node], end = l->first[node + 1];
	size_t cap = l->cap_levels ? l->cap_levels * 2 : 128;
	struct level *levels;

	if (depth == l->cap_levels) {
		levels = realloc(l->levels, cap * sizeof(*levels));
		if (!levels)
			return -ENOMEM;
		l->levels = levels;
		l->cap_levels = cap;
	}
	if (reserve_items(l, used, end - first))
		return -ENOMEM;
	for (uint32_t i = first; i < end; i++) {
		uint32_t child = l->children[i];
		const struct flamediff_node *n = &l->nodes[child];

		if (n->amount[FLAMEDIFF_BASE] || n->amount[FLAMEDIFF_NEW])
			l->items[used++] = (struct item) { l->ranks[n->name * 2], child, false };
		if (l->first[child] != l->first[child + 1])
			l->items[used++] = (struct item) {
				l->ranks[n->name * 2 + 1], child, true };
	}
	if (used > begin)
		qsort(&l->items[begin], used - begin, sizeof(*l->items), compare_items);
	l->levels[depth] = (struct level) { begin, used, l->path.len };
	return 0;
}

static int put_lines(struct lines *l)
{
	size_t depth = 0;
	int err = enter(l, 0, 0);

	while (!err && !l->path.err && !output_error(l->output)) {
		struct level *at = &l->levels[depth];
		struct item item;

		l->path.len = at->path_len;
		if (at->item == at->end) {
			if (depth-- == 0)
				break;
			continue;
		}
		item = l->items[at->item++];
		bytebuf_text(&l->path, textpool_text(l->names, l->nodes[item.node].name));
		if (!item.goes_on) {
			put_line(l, &l->nodes[item.node]);
			continue;
		}
		bytebuf_text(&l->path, ";");
		err = enter(l, item.node, ++depth);
	}
	return err ? err : l->path.err;
}

static int find_children(struct lines *l)
{
	l->children = malloc(l->nr * sizeof(*l->children));
	l->first = calloc(l->nr + 2, sizeof(*l->first));
	if (!l->children || !l->first)
		return -ENOMEM;
	/* Counted two places on, so that putting them in moves the starts to their place. */
	for (size_t i = 1; i < l->nr; i++)
		l->first[l->nodes[i].parent + 2]++;
	for (size_t i = 2; i < l->nr + 2; i++)
		l->first[i] += l->first[i - 1];
	for (size_t i = 1; i < l->nr; i++)
		l->children[l->first[l->nodes[i].parent + 1]++] = (uint32_t)i;
	return 0;
}

static int fold(const struct flamediff_pair *p, struct output *o)
{
	struct lines l = { .pair = p, .names = flamediff_tree_names(p->tree), .output = o };
	int err;

	bytebuf_init(&l.path);
	l.nodes = flamediff_tree_nodes(p->tree, &l.nr);
	l.ranks = folded_order_names(l.names);
	err = l.ranks ? find_children(&l) : -ENOMEM;
	if (!err)
		err = put_lines(&l);
	free(l.ranks);
	free(l.children);
	free(l.first);
	free(l.items);
	free(l.levels);
	bytebuf_release(&l.path);
	return err;
}

int flamediff_folded(const struct flamediff_opts *opts, const struct folded_opts *folded,
		     struct output *o, struct flamediff_result *result, struct diag *d)
{
	struct flamediff_pair p;
	int err = flamediff_read(&p, opts, folded, false, result, d);

	if (!err)
		err = fold(&p, o);
	flamediff_read_release(&p);
	return err ? diag_set(d, err, "cannot fold the difference: %s", strerror(-err)) : 0;
}
