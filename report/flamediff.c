#include "report/flamediff.h"

#include "report/calltree.h"
#include "report/digits.h"
#include "report/flamediff_layout.h"
#include "report/flamediff_read.h"
#include "report/flamediff_skin.h"
#include "report/flamegraph_svg.h"
#include "report/folded_order.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the picture ------------------------------------------------------------ */

static const char *event_of(const struct flamediff_pair *p)
{
	const char *event = p->sums[FLAMEDIFF_NEW].event;

	return event ? event : p->sums[FLAMEDIFF_BASE].event;
}

static const char *unit_of(const struct flamediff_pair *p)
{
	return p->sums[p->sums[FLAMEDIFF_NEW].event ? FLAMEDIFF_NEW : FLAMEDIFF_BASE].unit;
}

static void put_titles(const struct flamediff_pair *p, struct bytebuf *title,
		       struct bytebuf *subtitle)
{
	const char *event = event_of(p);
	bool of_base = p->opts->width_of == FLAMEDIFF_BASE;

	bytebuf_text(title, "Difference");
	bytebuf_text(title, event ? ": " : "");
	bytebuf_text(title, event ? event : "");
	bytebuf_u8(title, 0);
	bytebuf_text(subtitle, p->opts->inputs[FLAMEDIFF_NEW].path);
	bytebuf_text(subtitle, of_base ? "" : " (widths)");
	bytebuf_text(subtitle, " against base ");
	bytebuf_text(subtitle, p->opts->inputs[FLAMEDIFF_BASE].path);
	bytebuf_text(subtitle, of_base ? " (widths)" : "");
	bytebuf_text(subtitle, ", ");
	bytebuf_text(subtitle, p->scale_text);
	bytebuf_u8(subtitle, 0);
}

static int draw(struct flamediff_pair *p, const struct flamegraph_opts *graph, struct output *o)
{
	struct flamediff_shape shape = { .main = p->opts->width_of };
	struct flamediff_skin skin = { .pair = p, .shape = &shape, .unit = unit_of(p) };
	struct query_quality quality;
	struct flamegraph_skin look;
	struct bytebuf title, subtitle;
	struct flame_layout layout;
	char line[512], base_line[520] = "base: ";
	size_t nr;
	int err;

	memcpy(shape.factor, p->factor, sizeof(shape.factor));
	err = flamediff_layout(&layout, p->tree, &shape, graph);
	if (err)
		return err;
	skin.nodes = flamediff_tree_nodes(p->tree, &nr);
	skin.inner_px = FLAMEGRAPH_INNER_PX(graph->width_px);
	skin.base_quality = base_line;
	query_quality_line(p->opts->inputs[FLAMEDIFF_BASE].query, base_line + 6,
			   sizeof(base_line) - 6);
	flamediff_skin_init(&skin, nr, &look);
	query_get_quality(p->opts->inputs[FLAMEDIFF_NEW].query, &quality);
	query_quality_line(p->opts->inputs[FLAMEDIFF_NEW].query, line, sizeof(line));
	bytebuf_init(&title);
	bytebuf_init(&subtitle);
	put_titles(p, &title, &subtitle);
	err = title.err ? title.err : subtitle.err;
	if (!err)
		flamegraph_svg(&(struct flamegraph_picture) {
			.opts = graph, .layout = &layout, .skin = &look, .total = shape.total,
			.title = graph->title ? graph->title : (char *)title.data,
			.subtitle = graph->subtitle ? graph->subtitle : (char *)subtitle.data,
			.quality = line, .records = quality.records, .lost = quality.lost,
		}, o);
	bytebuf_release(&title);
	bytebuf_release(&subtitle);
	flamelayout_release(&layout);
	return err;
}

int flamediff_write(const struct flamediff_opts *opts, const struct flamegraph_opts *graph,
		    struct output *o, struct flamediff_result *result, struct diag *d)
{
	const struct folded_opts folded = { .sum = graph->sum };
	const struct flamediff_tree_opts tree = {
		.reverse = graph->reverse, 		.groups = !graph->sum.by || strcmp(graph->sum.by, "none") };
	struct flamediff_pair p;
	int err = flamediff_read(&p, opts, &folded, &tree, result, d);

	if (!err)
		err = draw(&p, graph, o);
	flamediff_read_release(&p);
	return err ? diag_set(d, err, "cannot draw the difference: %s", strerror(-err)) : 0;
}

/* --- text ------------------------------------------------------------------- */

struct lines {
	const struct flamediff_pair *pair;
	const struct flamediff_node *nodes;
	const struct textpool *names;
	struct folded_items items;
	struct bytebuf path;
	struct output *output;
};

/* What is scaled down does not vanish. */
static uint64_t scaled(const struct lines *l, const struct flamediff_node *n,
		       enum flamediff_side side)
{
	double factor = l->pair->factor[side], v = round((double)n->self[side] * factor);

	if (factor == 1)
		return n->self[side];
	if (n->self[side] && v < 1)
		return 1;
	return v >= 0x1p64 ? UINT64_MAX : (uint64_t)v;
}

static void put_line(struct lines *l, const struct flamediff_node *n)
{
	struct bytebuf *to = output_buffer(l->output);

	bytebuf_put(to, l->path.data, l->path.len);
	bytebuf_put(to, " ", 1);
	digits_put(to, scaled(l, n, FLAMEDIFF_BASE));
	bytebuf_put(to, " ", 1);
	digits_put(to, scaled(l, n, FLAMEDIFF_NEW));
	bytebuf_put(to, "\n", 1);
	output_settle(l->output);
}

/* Where a node's lines begin in the text, and which of its children comes next. */
struct line_level {
	uint32_t node;
	size_t item, path_len;
};

static int put_lines(struct lines *l, struct line_level *levels)
{
	size_t depth = 0;

	levels[0] = (struct line_level) { .item = l->items.first[0] };
	while (!l->path.err && !output_error(l->output)) {
		struct line_level *at = &levels[depth];
		const struct folded_item *item = &l->items.list[at->item];

		l->path.len = at->path_len;
		if (at->item == l->items.nr || item->parent != at->node) {
			if (depth-- == 0)
				break;
			continue;
		}
		at->item++;
		bytebuf_text(&l->path, textpool_text(l->names, l->nodes[item->node].name));
		if (!item->goes_on) {
			put_line(l, &l->nodes[item->node]);
			continue;
		}
		bytebuf_text(&l->path, ";");
		levels[++depth] = (struct line_level) {
			item->node, l->items.first[item->node], l->path.len };
	}
	return l->path.err;
}

/* The order asks of a node only whether it has a line and whether it has children. */
static int order_lines(struct lines *l, size_t nr, uint32_t *deepest)
{
	struct calltree_node *plain = calloc(nr, sizeof(*plain));
	uint32_t *ranks = folded_order_names(l->names);
	int err = plain && ranks ? 0 : -ENOMEM;

	*deepest = 0;
	for (size_t i = nr; i-- > 0 && !err;) {
		const struct flamediff_node *n = &l->nodes[i];

		plain[i].parent = n->parent;
		plain[i].name = n->name;
		plain[i].self = n->self[FLAMEDIFF_BASE] || n->self[FLAMEDIFF_NEW];
		plain[i].total += plain[i].self;
		if (i)
			plain[n->parent].total += plain[i].total;
		if (n->depth > *deepest)
			*deepest = n->depth;
	}
	if (!err)
		err = folded_order_nodes(&l->items, plain, nr, ranks);
	free(plain);
	free(ranks);
	return err;
}

static int fold(const struct flamediff_pair *p, struct output *o)
{
	struct lines l = { .pair = p, .names = flamediff_tree_names(p->tree), .output = o };
	struct line_level *levels = NULL;
	uint32_t deepest;
	size_t nr;
	int err;

	bytebuf_init(&l.path);
	l.nodes = flamediff_tree_nodes(p->tree, &nr);
	err = order_lines(&l, nr, &deepest);
	if (!err) {
		levels = malloc(((size_t)deepest + 2) * sizeof(*levels));
		err = levels ? put_lines(&l, levels) : -ENOMEM;
		folded_order_release(&l.items);
	}
	free(levels);
	bytebuf_release(&l.path);
	return err;
}

int flamediff_folded(const struct flamediff_opts *opts, const struct folded_opts *folded,
		     struct output *o, struct flamediff_result *result, struct diag *d)
{
	const struct flamediff_tree_opts tree = { .reverse = false };
	struct flamediff_pair p;
	int err = flamediff_read(&p, opts, folded, &tree, result, d);

	if (!err)
		err = fold(&p, o);
	flamediff_read_release(&p);
	return err ? diag_set(d, err, "cannot fold the difference: %s", strerror(-err)) : 0;
}
