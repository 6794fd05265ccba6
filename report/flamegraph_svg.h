/*
 * The drawing of a flame graph that is laid out.
 */
#ifndef REPORT_FLAMEGRAPH_SVG_H
#define REPORT_FLAMEGRAPH_SVG_H

#include "report/flamegraph.h"
#include "report/flamelayout.h"

/* What is left of the width for frames. */
#define FLAMEGRAPH_MARGIN_PX 12
#define FLAMEGRAPH_INNER_PX(width_px) ((width_px) - 2 * FLAMEGRAPH_MARGIN_PX)

/*
 * What the boxes of another kind of graph are called and look like: how they are called
 * is raw text, the rest is put into the picture as it is.
 */
struct flamegraph_skin {
	void *ctx;
	const char *css;
	/* Appends the name; the class of the style sheet, and a mark before the name, or "". */
	const char *(*name)(void *ctx, const struct flame_box *box, struct bytebuf *to,
			    const char **mark);
	/* The line of the tooltip below the name. */
	void (*tell)(void *ctx, const struct flame_box *box, struct bytebuf *to);
	/* Definitions of what the style sheet refers to; a pixel is so many units wide. */
	void (*define)(void *ctx, struct output *o, double units_per_px);
	/* A group of lines around the origin that say what the colours mean. */
	void (*explain)(void *ctx, struct output *o);
	uint32_t explain_px;		/* how high it is */
};

struct flamegraph_picture {
	const struct flamegraph_opts *opts;
	const struct flame_layout *layout;
	/* Whose boxes are symbols and groups of these, or: */
	const struct stacksum *sums;
	struct names *names;
	const struct flamegraph_skin *skin;
	uint64_t total;			/* as wide as the picture */
	const char *title, *subtitle;	/* raw text */
	const char *quality;		/* the line that every view ends with */
	const char *empty;		/* why nothing is to be seen; or "", or NULL */
	uint64_t records, lost;
};

void flamegraph_svg(const struct flamegraph_picture *p, struct output *o);

#endif
