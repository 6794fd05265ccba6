#include "report/flamediff.h"

#include "report/flamediff_layout.h"
#include "report/flamediff_read.h"
#include "report/flamediff_skin.h"
#include "report/flamegraph_svg.h"
#include "report/stacknotes.h"

#include <errno.h>
#include <stdio.h>
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
	bytebuf_text(subtitle, p->scale_text);
	bytebuf_text(subtitle, "; ");
	bytebuf_text(subtitle, p->opts->inputs[FLAMEDIFF_NEW].path);
	bytebuf_text(subtitle, of_base ? " against " : " (widths) against ");
	bytebuf_text(subtitle, p->opts->inputs[FLAMEDIFF_BASE].path);
	bytebuf_text(subtitle, of_base ? " (widths)" : "");
	bytebuf_u8(subtitle, 0);
}

/* A line about the stacks of one trace, and what of it the graph does not show. */
static void put_quality(struct bytebuf *to, const struct flamediff_pair *p,
			const struct flamediff_result *result, enum flamediff_side side)
{
	char line[512], note[STACKNOTES_BYTES];

	if (side == FLAMEDIFF_NEW)
		snprintf(line, sizeof(line), "new: ");
	else
		snprintf(line, sizeof(line), "base (\xc3\x97 %.4g): ", p->factor[side]);
	bytebuf_text(to, line);
	query_quality_line(p->opts->inputs[side].query, line, sizeof(line));
	bytebuf_text(to, line);
	for (int i = 0; i < STACKNOTES_NR; i++) {
		if (!*stacknotes_put(&result->left_out[side], (enum stacknotes_kind)i, note))
			continue;
		bytebuf_text(to, "; ");
		bytebuf_text(to, note);
	}
	bytebuf_u8(to, 0);
}

/* What stands around the graph, as texts. */
enum { TEXT_TITLE, TEXT_SUBTITLE, TEXT_NEW, TEXT_BASE, NR_TEXTS };

static int draw(struct flamediff_pair *p, const struct flamegraph_opts *graph,
		const struct flamediff_result *result, struct output *o)
{
	struct flamediff_shape shape = { .main = p->opts->width_of };
	struct flamediff_skin skin = { .pair = p, .shape = &shape, .unit = unit_of(p) };
	struct query_quality quality;
	struct flamegraph_skin look;
	struct bytebuf texts[NR_TEXTS];
	struct flame_layout layout;
	size_t nr;
	int err;

	flamediff_tree_sum(p->tree);
	memcpy(shape.factor, p->factor, sizeof(shape.factor));
	err = flamediff_layout(&layout, p->tree, &shape, graph);
	if (err)
		return err;
	for (int i = 0; i < NR_TEXTS; i++)
		bytebuf_init(&texts[i]);
	put_titles(p, &texts[TEXT_TITLE], &texts[TEXT_SUBTITLE]);
	put_quality(&texts[TEXT_NEW], p, result, FLAMEDIFF_NEW);
	put_quality(&texts[TEXT_BASE], p, result, FLAMEDIFF_BASE);
	for (int i = 0; i < NR_TEXTS && !err; i++)
		err = texts[i].err;
	if (!err) {
		skin.nodes = flamediff_tree_nodes(p->tree, &nr);
		skin.inner_px = FLAMEGRAPH_INNER_PX(graph->width_px);
		skin.base_quality = (char *)texts[TEXT_BASE].data;
		flamediff_skin_init(&skin, nr, &look);
		query_get_quality(p->opts->inputs[FLAMEDIFF_NEW].query, &quality);
		flamegraph_svg(&(struct flamegraph_picture) {
			.opts = graph, .layout = &layout, .skin = &look, .total = shape.total,
			.title = graph->title ? graph->title : (char *)texts[TEXT_TITLE].data,
			.subtitle = graph->subtitle ? graph->subtitle
						    : (char *)texts[TEXT_SUBTITLE].data,
			.quality = (char *)texts[TEXT_NEW].data,
			.records = quality.records, .lost = quality.lost,
		}, o);
	}
	for (int i = 0; i < NR_TEXTS; i++)
		bytebuf_release(&texts[i]);
	flamelayout_release(&layout);
	return err;
}

int flamediff_write(const struct flamediff_opts *opts, const struct flamegraph_opts *graph,
		    struct output *o, struct flamediff_result *result, struct diag *d)
{
	const struct folded_opts folded = { .sum = graph->sum };
	struct flamediff_pair p;
	int err = flamediff_read(&p, opts, &folded, graph->reverse, result, d);

	if (!err)
		err = draw(&p, graph, result, o);
	flamediff_read_release(&p);
	return err ? diag_set(d, err, "cannot draw the difference: %s", strerror(-err)) : 0;
}
