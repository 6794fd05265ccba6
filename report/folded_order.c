#include "report/folded_order.h"

#include <errno.h>
#include <stdlib.h>

struct place {
	const char *text;
	uint32_t name;
	bool goes_on;
};

static int compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	const unsigned char *s = (const unsigned char *)x->text;
	const unsigned char *t = (const unsigned char *)y->text;
	unsigned int c, d;

	while (*s && *s == *t)
		s++, t++;
	c = *s ? *s : x->goes_on ? ';' : 0;
	d = *t ? *t : y->goes_on ? ';' : 0;
	return c < d ? -1 : c > d;
}

uint32_t *folded_order_names(const struct textpool *names)
{
	size_t nr = (size_t)textpool_nr(names) * 2;
	struct place *places = malloc((nr + 1) * sizeof(*places));
	uint32_t *ranks = malloc((nr + 2) * sizeof(*ranks));

	if (!places || !ranks) {
		free(places);
		free(ranks);
		return NULL;
	}
	for (size_t i = 0; i < nr; i++)
		places[i] = (struct place) {
			.name = (uint32_t)(i / 2 + 1), .goes_on = i & 1,
			.text = textpool_text(names, (uint32_t)(i / 2 + 1)),
		};
	if (nr)
		qsort(places, nr, sizeof(*places), compare_places);
	for (size_t i = 0; i < nr; i++)
		ranks[places[i].name * 2 + places[i].goes_on] = (uint32_t)i;
	free(places);
	return ranks;
}

static int compare_items(const void *a, const void *b)
{
	const struct folded_item *x = a, *y = b;

	return x->rank < y->rank ? -1 : x->rank > y->rank;
}

static size_t nr_items(const struct calltree_node *n)
{
	return (size_t)(n->self > 0) + (n->total > n->self);
}

static void put_items(struct folded_items *items, const struct calltree_node *n, uint32_t node,
		      const uint32_t *ranks)
{
	for (int goes_on = n->self == 0; goes_on < 1 + (n->total > n->self); goes_on++)
		items->list[items->first[n->parent + 1]++] = (struct folded_item) {
			.parent = n->parent, .rank = ranks[n->name * 2 + (uint32_t)goes_on],
			.node = node, .goes_on = goes_on };
}

/* Each parent has few items: those stand together first, and are put in order then. */
int folded_order_nodes(struct folded_items *out, const struct calltree_node *nodes, size_t nr,
		       const uint32_t *ranks)
{
	*out = (struct folded_items) { .first = calloc(nr + 2, sizeof(*out->first)) };
	if (!out->first)
		return -ENOMEM;
	/* Counted two places on, so that putting them in moves the starts to their place. */
	for (size_t i = 1; i < nr; i++)
		out->first[nodes[i].parent + 2] += nr_items(&nodes[i]);
	for (size_t i = 2; i < nr + 2; i++)
		out->first[i] += out->first[i - 1];
	out->nr = out->first[nr + 1];
	out->list = malloc((out->nr + 1) * sizeof(*out->list));
	if (!out->list) {
		folded_order_release(out);
		return -ENOMEM;
	}
	for (size_t i = 1; i < nr; i++)
		put_items(out, &nodes[i], (uint32_t)i, ranks);
	for (size_t i = 0; i < nr; i++)
		if (out->first[i + 1] - out->first[i] > 1)
			qsort(&out->list[out->first[i]], out->first[i + 1] - out->first[i],
			      sizeof(*out->list), compare_items);
	return 0;
}

void folded_order_release(struct folded_items *items)
{
	free(items->list);
	free(items->first);
	*items = (struct folded_items) { .list = NULL };
}
