#include "report/flamediff_layout.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The larger trace is so many units wide. */
#define UNITS ((double)((uint64_t)1 << 40))
/* A width is an amount times a factor of so many bits behind the point. */
#define FACTOR_BITS 62

#define NR_SECTIONS 2	/* the graph, and what the other trace has alone */

struct widths {
	uint64_t of[NR_SECTIONS];
};

struct place {
	uint32_t section, depth, parent, rank, node;
	uint64_t width;
};

struct builder {
	const struct flamediff_node *nodes;
	size_t nr;
	struct widths *widths;		/* by node */
	uint32_t *depths;
	uint32_t *ranks;		/* by name */
	struct place *places;
	size_t nr_places, cap_places;
	uint64_t left_out;
};

/*
 * Rounded down, as whole numbers: so children are never wider than their parent.  The
 * product has at most 40 bits before the point; a large amount has few behind it.  It is
 * made of halves, for not all machines have a type of 128 bits.
 */
static uint64_t scale(uint64_t amount, double units_each)
{
	int exponent;
	uint64_t factor = (uint64_t)ldexp(frexp(units_each, &exponent), FACTOR_BITS);
	uint64_t amount_low = (uint32_t)amount, factor_low = (uint32_t)factor;
	uint64_t lowest = amount_low * factor_low;
	uint64_t a = (amount >> 32) * factor_low + (lowest >> 32);
	uint64_t b = amount_low * (factor >> 32) + (uint32_t)a;
	uint64_t high = (amount >> 32) * (factor >> 32) + (a >> 32) + (b >> 32);
	uint64_t low = b << 32 | (uint32_t)lowest;
	int shift = FACTOR_BITS - exponent;

	if (!amount || shift >= 128)
		return 0;
	return shift < 64 ? high << (64 - shift) | low >> shift : high >> (shift - 64);
}

static int measure(struct builder *b, struct flamediff_shape *shape)
{
	enum flamediff_side main = shape->main;
	enum flamediff_side other = main == FLAMEDIFF_NEW ? FLAMEDIFF_BASE : FLAMEDIFF_NEW;
	double units_each[FLAMEDIFF_SIDES];
	double most = fmax((double)b->nodes[0].amount[main] * shape->factor[main],
			   (double)b->nodes[0].amount[other] * shape->factor[other]);

	b->widths = calloc(b->nr, sizeof(*b->widths));
	b->depths = calloc(b->nr, sizeof(*b->depths));
	if (!b->widths || !b->depths)
		return -ENOMEM;
	shape->unit_weight = most / UNITS;
	for (int side = 0; side < FLAMEDIFF_SIDES; side++)
		units_each[side] = most > 0 ? shape->factor[side] * UNITS / most : 0;
	for (size_t i = b->nr; i-- > 0;) {
		const struct flamediff_node *n = &b->nodes[i];

		b->widths[i].of[0] = scale(n->amount[main], units_each[main]);
		/* Below a node that is gone all are gone; others hold what is gone above them. */
		if (!n->amount[main])
			b->widths[i].of[1] = scale(n->amount[other], units_each[other]);
		if (i && b->nodes[n->parent].amount[main])
			b->widths[n->parent].of[1] += b->widths[i].of[1];
	}
	for (size_t i = 1; i < b->nr; i++)
		b->depths[i] = b->depths[b->nodes[i].parent] + 1;
	return 0;
}

/* --- the order of names ---------------------------------------------------- */

struct ranked {
	const char *text;
	uint32_t name;
};

static int compare_ranked(const void *a, const void *b)
{
	return strcmp(((const struct ranked *)a)->text, ((const struct ranked *)b)->text);
}

static int rank_names(struct builder *b, const struct textpool *names)
{
	struct ranked *ranked = malloc((b->nr_places + 1) * sizeof(*ranked));
	size_t nr = 0;

	b->ranks = calloc((size_t)textpool_nr(names) + 1, sizeof(*b->ranks));
	if (!ranked || !b->ranks) {
		free(ranked);
		return -ENOMEM;
	}
	for (size_t i = 0; i < b->nr_places; i++) {
		uint32_t name = b->nodes[b->places[i].node].name;

		if (!name || b->ranks[name])
			continue;
		b->ranks[name] = 1;
		ranked[nr++] = (struct ranked) { textpool_text(names, name), name };
	}
	if (nr)
		qsort(ranked, nr, sizeof(*ranked), compare_ranked);
	for (size_t i = 0; i < nr; i++)
		b->ranks[ranked[i].name] = (uint32_t)i;
	for (size_t i = 0; i < b->nr_places; i++)
		b->places[i].rank = b->ranks[b->nodes[b->places[i].node].name];
	free(ranked);
	return 0;
}

/* --- boxes ----------------------------------------------------------------- */

static int add_place(struct builder *b, const struct place *place)
{
	size_t cap = b->cap_places ? b->cap_places * 2 : 1024;
	struct place *places;

	if (b->nr_places == b->cap_places) {
		places = realloc(b->places, cap * sizeof(*places));
		if (!places)
			return -ENOMEM;
		b->places = places;
		b->cap_places = cap;
	}
	b->places[b->nr_places++] = *place;
	return 0;
}

/* The parents of a wide node are wide, too. */
static int keep_wide(struct builder *b, uint64_t min_width)
{
	int err = 0;

	for (uint32_t s = 0; s < NR_SECTIONS; s++) {
		for (size_t i = 0; i < b->nr && !err; i++) {
			const struct flamediff_node *n = &b->nodes[i];
			uint64_t width = b->widths[i].of[s];

			if (!width)
				continue;
			if (width < min_width || b->depths[i] >= FLAMELAYOUT_MAX_DEPTH)
				b->left_out++;
			else
				err = add_place(b, &(struct place) {
					.section = s, .depth = b->depths[i], .parent = n->parent,
					.node = (uint32_t)i, .width = width });
		}
	}
	return err;
}

static int compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->section != y->section)
		return x->section < y->section ? -1 : 1;
	if (x->depth != y->depth)
		return x->depth < y->depth ? -1 : 1;
	if (x->parent != y->parent)
		return x->parent < y->parent ? -1 : 1;
	return x->rank < y->rank ? -1 : x->rank > y->rank;
}

/* The widths of nodes are not needed any more: where the next child starts stands there. */
static int place_boxes(struct flame_layout *out, struct builder *b,
		       const struct flamediff_shape *shape)
{
	uint64_t first[NR_SECTIONS] = { 0, b->widths[0].of[0] };

	out->boxes = malloc((b->nr_places + 1) * sizeof(*out->boxes));
	if (!out->boxes)
		return -ENOMEM;
	if (shape->sections || !b->nr_places)
		out->boxes[out->nr++] = (struct flame_box) { .width = shape->total };
	for (size_t i = 0; i < b->nr_places; i++) {
		const struct place *p = &b->places[i];
		uint64_t *next = &b->widths[p->parent].of[p->section];
		uint64_t start = p->node ? *next : first[p->section];

		if (p->node)
			*next += p->width;
		b->widths[p->node].of[p->section] = start;
		out->boxes[out->nr++] = (struct flame_box) {
			.start = start, .width = p->width, .depth = p->depth + shape->sections,
			.name = p->node, .is_group = p->section };
	}
	return 0;
}

int flamediff_layout(struct flame_layout *out, const struct flamediff_tree *t,
		     struct flamediff_shape *shape, const struct flamegraph_opts *opts)
{
	struct builder b = { .nr = 0 };
	int err;

	*out = (struct flame_layout) { .boxes = NULL };
	b.nodes = flamediff_tree_nodes(t, &b.nr);
	err = measure(&b, shape);
	if (!err) {
		shape->total = b.widths[0].of[0] + b.widths[0].of[1];
		out->min_width = flamegraph_min_width(opts, shape->total);
		shape->sections = b.widths[0].of[1] >= out->min_width;
		if (!shape->sections)
			shape->total = b.widths[0].of[0];
		err = keep_wide(&b, out->min_width);
	}
	if (!err)
		err = rank_names(&b, flamediff_tree_names(t));
	if (!err) {
		if (b.nr_places)
			qsort(b.places, b.nr_places, sizeof(*b.places), compare_places);
		err = place_boxes(out, &b, shape);
	}
	out->left_out = b.left_out;
	if (!err)
		err = flamelayout_finish(out, flamegraph_max_boxes(opts));
	free(b.widths);
	free(b.depths);
	free(b.ranks);
	free(b.places);
	if (err)
		flamelayout_release(out);
	return err;
}
