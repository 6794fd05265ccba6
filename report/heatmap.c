#include "report/heatmap.h"

#include "report/heatmap_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void heatmap_opts_init(struct heatmap_opts *opts)
{
	*opts = (struct heatmap_opts) { .max_maps = 12, .width_px = 1200 };
}

static const char *default_title(const struct heatmap *h, char *to, size_t size_bytes)
{
	static const char *const what[] = {
		[HEATMAP_VALUES] = "Heat map", [HEATMAP_SUBSECOND] = "Within seconds",
		[HEATMAP_UTILIZATION] = "Utilization",
	};
	size_t nr = 0;

	for (size_t i = 0; i < h->nr_events; i++)
		nr += h->events[i].drawn;
	if (!h->lead)
		snprintf(to, size_bytes, "%s", what[h->opts->kind]);
	else if (nr > 1)
		snprintf(to, size_bytes, "%s: %.100s and %zu more", what[h->opts->kind],
			 h->lead->measure.event->name, nr - 1);
	else
		snprintf(to, size_bytes, "%s: %.200s", what[h->opts->kind],
			 h->lead->measure.event->name);
	return to;
}

static int draw(struct heatmap *h, struct output *o)
{
	struct trace *t = query_trace(h->query);
	const char *subtitle = h->opts->subtitle;
	struct heatmap_layout layout;
	char title[256], line[512];
	int err = heatmap_layout(h, &layout);

	if (err)
		return err;
	if (!subtitle)
		subtitle = trace_host(t, "command line");
	query_quality_line(h->query, line, sizeof(line));
	return heatmap_svg(&(struct heatmap_picture) {
		.h = h, .layout = &layout,
		.title = h->opts->title ? h->opts->title : default_title(h, title, sizeof(title)),
		.subtitle = subtitle ? subtitle : "", .quality = line,
	}, o);
}

int heatmap_write(struct query *q, const struct heatmap_opts *opts, struct output *o,
		  uint32_t *other_events, struct diag *d)
{
	struct heatmap h = { .opts = opts, .query = q };
	int err = heatmap_read(&h, d);

	if (!err)
		err = draw(&h, o);
	*other_events = h.other_events;
	heatmap_release(&h);
	return err ? diag_set(d, err, "cannot draw the heat map: %s", strerror(-err)) : 0;
}
