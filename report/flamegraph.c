#include "report/flamegraph.h"

#include "report/flamegraph_svg.h"
#include "report/number.h"
#include "report/stackempty.h"
#include "report/stacknotes.h"
#include "report/stackquality.h"

#include <errno.h>
#include <math.h>
#include <string.h>

void flamegraph_opts_init(struct flamegraph_opts *opts)
{
	*opts = (struct flamegraph_opts) {
		.width_px = 1200, .frame_px = 16, .min_width = -1,
	};
}

/* Unless told otherwise: what a screen can show, and about 300 KB. */
#define USUAL_MIN_WIDTH_PX 0.1
#define USUAL_MAX_BOXES 3000

static double min_share(const struct flamegraph_opts *opts)
{
	if (opts->min_width_percent)
		return opts->min_width / 100;
	return (opts->min_width < 0 ? USUAL_MIN_WIDTH_PX : opts->min_width) /
	       FLAMEGRAPH_INNER_PX(opts->width_px);
}

uint64_t flamegraph_min_width(const struct flamegraph_opts *opts, uint64_t total)
{
	double count = ceil(min_share(opts) * (double)total);

	if (count >= (double)total)
		return total ? total : 1;
	return count < 1 ? 1 : (uint64_t)count;
}

double flamegraph_min_px(const struct flamegraph_opts *opts, uint64_t laid_out, uint64_t total)
{
	double share = min_share(opts);

	if (total && laid_out > flamegraph_min_width(opts, total))
		share = (double)laid_out / (double)total;
	return share * FLAMEGRAPH_INNER_PX(opts->width_px);
}

size_t flamegraph_max_boxes(const struct flamegraph_opts *opts)
{
	return opts->min_width < 0 ? USUAL_MAX_BOXES : 0;
}

static void put_title(const struct flamegraph_opts *opts, const struct stacksum *sums,
		      struct bytebuf *to)
{
	const char *event = stacksum_event_names(sums), *measure = stacksum_measure(sums);

	if (opts->title) {
		bytebuf_text(to, opts->title);
	} else {
		bytebuf_text(to, opts->icicle ? "Icicle graph" : "Flame graph");
		bytebuf_text(to, *event ? ": " : "");
		bytebuf_text(to, event);
		if (*event && opts->sum.wall) {
			bytebuf_text(to, ", all time of threads");
		} else if (measure && !opts->sum.of && !strcmp(stacksum_unit(sums), "ns")) {
			bytebuf_text(to, " time");
		} else if (measure) {
			bytebuf_text(to, ", ");
			bytebuf_text(to, measure);
		}
		if (*event && opts->sum.hops)
			bytebuf_text(to, ", with wakers");
	}
	bytebuf_put(to, "", 1);
}

/* What must be known of the picture goes first: the end of a long line is cut off. */
static void put_subtitle(struct query *q, const struct flamegraph_opts *opts,
			 const struct stacksum *sums, struct bytebuf *to)
{
	const struct stacksum_left_out left_out = stacksum_left_out(sums);
	const char *text = opts->subtitle ? opts->subtitle
					  : trace_host(query_trace(q), "command line");
	char note[STACKNOTES_BYTES], number[NUMBER_BYTES];

	if (opts->sum.wall) {
		number_unit(number, stacksum_total(sums), stacksum_unit(sums));
		bytebuf_text(to, number);
		bytebuf_text(to, " of the threads' wall clock");
	}
	for (int i = 0; i < STACKNOTES_NR; i++) {
		stacknotes_put(&left_out, (enum stacknotes_kind)i, note);
		bytebuf_text(to, *note && to->len ? "; " : "");
		bytebuf_text(to, note);
	}
	bytebuf_text(to, text && *text && to->len ? "  \xc2\xb7  " : "");
	bytebuf_text(to, text ? text : "");
	bytebuf_put(to, "", 1);
}

static int draw(struct query *q, const struct flamegraph_opts *opts, struct names *names,
		const struct stacksum *sums, struct output *o)
{
	struct trace *t = query_trace(q);
	const struct flamelayout_opts layout_opts = {
		.min_width = flamegraph_min_width(opts, stacksum_total(sums)),
		.reverse = opts->reverse,
		.max_boxes = flamegraph_max_boxes(opts),
	};
	struct query_quality quality;
	struct flame_layout layout;
	const struct stacksum_left_out left_out = stacksum_left_out(sums);
	struct bytebuf title, subtitle, empty;
	char line[512];
	int err;

	err = stackquality_count(sums, names, q);
	if (!err)
		err = flamelayout_build(&layout, t, names, sums, &layout_opts);
	if (err)
		return err;
	query_get_quality(q, &quality);
	query_quality_line(q, line, sizeof(line));
	bytebuf_init(&title);
	bytebuf_init(&subtitle);
	put_title(opts, sums, &title);
	put_subtitle(q, opts, sums, &subtitle);
	bytebuf_init(&empty);
	stackempty_put(q, &left_out, &empty);
	bytebuf_u8(&empty, 0);
	err = title.err ? title.err : subtitle.err ? subtitle.err : empty.err;
	if (!err)
		flamegraph_svg(&(struct flamegraph_picture) {
			.opts = opts, .layout = &layout, .sums = sums, .names = names,
			.total = stacksum_total(sums), .title = (const char *)title.data,
			.subtitle = (const char *)subtitle.data, .quality = line,
			.empty = (const char *)empty.data,
			.records = quality.records, .lost = quality.lost,
		}, o);
	bytebuf_release(&title);
	bytebuf_release(&subtitle);
	bytebuf_release(&empty);
	flamelayout_release(&layout);
	return err ? err : names_error(names);
}

int flamegraph_write(struct query *q, const struct flamegraph_opts *opts, struct output *o,
		     struct stacksum_left_out *left_out, struct diag *d)
{
	struct stacksum *sums = NULL;
	struct names *names = NULL;
	int err;

	*left_out = (struct stacksum_left_out) { 0 };
	err = stacksum_new(&sums, q, &opts->sum);
	if (!err)
		err = stacksum_read(sums, d);
	if (!err)
		err = names_new(&names, query_trace(q));
	if (!err) {
		*left_out = stacksum_left_out(sums);
		err = draw(q, opts, names, sums, o);
	}
	names_free(names);
	stacksum_free(sums);
	return err ? diag_set(d, err, "cannot draw the flame graph: %s", strerror(-err)) : 0;
}
