#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/command.h"
#include "cmd/flamediff_run.h"
#include "cmd/parse.h"
#include "cmd/query_options.h"
#include "report/flamegraph.h"
#include "report/folded.h"
#include "report/stackempty.h"
#include "report/stacknotes.h"

struct flamegraph_command {
	struct view_opts view;
	struct flamegraph_opts graph;
	const char *output;
	bool folded, mark_kernel, mark_jit, delimited;
	const char *svg_only;		/* an option given that folded text has no use for */
	const char *folded_only;
	struct flamediff_run diff;
};

/* --- options ---------------------------------------------------------------- */

static int set_output(void *opts, const char *arg)
{
	((struct flamegraph_command *)opts)->output = arg;
	return 0;
}

static int set_folded(void *opts, const char *arg)
{
	(void)arg;
	((struct flamegraph_command *)opts)->folded = true;
	return 0;
}

static int set_by(void *opts, const char *arg)
{
	((struct flamegraph_command *)opts)->graph.sum.by = arg;
	return 0;
}

static int set_idle(void *opts, const char *arg)
{
	(void)arg;
	((struct flamegraph_command *)opts)->graph.sum.idle = true;
	return 0;
}

static int set_wall(void *opts, const char *arg)
{
	(void)arg;
	((struct flamegraph_command *)opts)->graph.sum.wall = true;
	return 0;
}

static int set_hops(void *opts, const char *arg)
{
	struct flamegraph_command *c = opts;
	uint64_t v = 0;
	int status = parse_number(arg, 0, CHAIN_MAX_HOPS, &v, "a number of wakeups");

	if (!status)
		c->graph.sum.hops = (uint32_t)v;
	return status;
}

static int set_delimited(void *opts, const char *arg)
{
	struct flamegraph_command *c = opts;

	(void)arg;
	c->delimited = true;
	c->folded_only = "--delimited";
	return 0;
}

static int set_weight(void *opts, const char *arg)
{
	(void)arg;
	((struct flamegraph_command *)opts)->graph.sum.weighted = true;
	return 0;
}

static int set_of(void *opts, const char *arg)
{
	((struct flamegraph_command *)opts)->graph.sum.of = arg;
	return 0;
}

static int set_title(void *opts, const char *arg)
{
	struct flamegraph_command *c = opts;

	c->graph.title = arg;
	c->svg_only = "--title";
	return 0;
}

static int set_subtitle(void *opts, const char *arg)
{
	struct flamegraph_command *c = opts;

	c->graph.subtitle = arg;
	c->svg_only = "--subtitle";
	return 0;
}

static int set_px(uint32_t *to, const char *arg, uint64_t min, uint64_t max, const char *what)
{
	uint64_t v = 0;
	int status = parse_number(arg, min, max, &v, what);

	if (!status)
		*to = (uint32_t)v;
	return status;
}

static int set_width(void *opts, const char *arg)
{
	struct flamegraph_command *c = opts;

	c->svg_only = "--width";
	return set_px(&c->graph.width_px, arg, 600, 30000, "a width in pixels");
}

static int set_height(void *opts, const char *arg)
{
	struct flamegraph_command *c = opts;

	c->svg_only = "--height";
	return set_px(&c->graph.frame_px, arg, 8, 100, "a height in pixels");
}

static int set_minwidth(void *opts, const char *arg)
{
	struct flamegraph_command *c = opts;
	char *end;
	double v = strtod(arg, &end);

	c->svg_only = "--minwidth";
	c->graph.min_width_percent = *end == '%';
	c->graph.min_width = v;
	if (end != arg && end[c->graph.min_width_percent] == '\0' && isfinite(v) && v >= 0 &&
	    v <= 100)
		return 0;
	command_complain("'%s' is not a width (pixels, or percent: 0.5, 0.1%%)", arg);
	return EXIT_USAGE;
}

static int set_icicle(void *opts, const char *arg)
{
	struct flamegraph_command *c = opts;

	(void)arg;
	c->graph.icicle = true;
	c->svg_only = "--icicle";
	return 0;
}

static int set_reverse(void *opts, const char *arg)
{
	struct flamegraph_command *c = opts;

	(void)arg;
	c->graph.reverse = true;
	c->svg_only = "--reverse";
	return 0;
}

static int set_diff(void *opts, const char *arg)
{
	((struct flamegraph_command *)opts)->diff.base = arg;
	return 0;
}

static int set_normalize(void *opts, const char *arg)
{
	return flamediff_run_set_normalize(&((struct flamegraph_command *)opts)->diff, arg);
}

static int set_width_of(void *opts, const char *arg)
{
	return flamediff_run_set_width_of(&((struct flamegraph_command *)opts)->diff, arg);
}

static int set_kernel(void *opts, const char *arg)
{
	struct flamegraph_command *c = opts;

	(void)arg;
	c->mark_kernel = true;
	c->folded_only = "--kernel";
	return 0;
}

static int set_jit(void *opts, const char *arg)
{
	struct flamegraph_command *c = opts;

	(void)arg;
	c->mark_jit = true;
	c->folded_only = "--jit";
	return 0;
}

static const struct option_row rows[] = {
	{ 'o', "output", "FILE", "write FILE instead of standard output", set_output },
	{ 0, "by", "LIST", "levels below the frames: comm (default), pid, tid, cpu, cgroup, event, "
	  "a field, none", set_by },
	{ 0, "weight", NULL, "sum weights (such as periods) instead of counting samples",
	  set_weight },
	{ 0, "of", "FIELD", "sum this field (of spans the duration, of samples how many)", set_of },
	{ 0, "hops", "N", "on top of each wait who ended it, and who had woken that one: N wakeups",
	  set_hops },
	{ 0, "wall", NULL, "all time of threads: on a CPU, waiting for one, blocked", set_wall },
	{ 0, "idle", NULL, "show threads that merely wait for work, too", set_idle },
	{ 0, "title", "TEXT", "the headline", set_title },
	{ 0, "subtitle", "TEXT", "the line below it", set_subtitle },
	{ 0, "width", "PX", "width of the picture (default: 1200)", set_width },
	{ 0, "height", "PX", "height of one frame (default: 16)", set_height },
	{ 0, "minwidth", "WIDTH", "leave out narrower frames: pixels, or percent with a % "
	  "(default: 0.1, more in a busy picture)", set_minwidth },
	{ 0, "icicle", NULL, "hang it from the top, the root above", set_icicle },
	{ 0, "inverted", NULL, "the same", set_icicle },
	{ 0, "reverse", NULL, "merge stacks from the innermost frame on, without a level above",
	  set_reverse },
	{ 0, "diff", "BASE", "what changed since this trace: orange has grown, blue has shrunk",
	  set_diff },
	{ 0, "normalize", "HOW", "bring both to one scale by time (default), total or none",
	  set_normalize },
	{ 0, "width-of", "WHICH", "widths are those of new (default) or of base", set_width_of },
	{ 0, "folded", NULL, "write folded stacks, as stackcollapse-perf.pl does, not a picture",
	  set_folded },
	{ 0, "kernel", NULL, "with --folded: mark kernel functions with _[k]", set_kernel },
	{ 0, "jit", NULL, "with --folded: mark JIT code with _[j]", set_jit },
	{ 'd', "delimited", NULL, "with --folded: a - between the program's part and the kernel's",
	  set_delimited },
	{ 0 },
};

static const struct option_row *const tables[] = { rows, query_options_rows, NULL };

static void *opts_new(void)
{
	struct flamegraph_command *c = calloc(1, sizeof(*c));

	if (c) {
		flamegraph_opts_init(&c->graph);
		flamediff_run_init(&c->diff);
	}
	return c;
}

/* --- running ---------------------------------------------------------------- */

static int check_options(struct flamegraph_command *c)
{
	bool to_stdout = !c->output || !strcmp(c->output, "-");

	if (c->folded && c->svg_only) {
		command_complain("%s has no meaning with --folded", c->svg_only);
		return EXIT_USAGE;
	}
	if (!c->folded && c->folded_only) {
		command_complain("%s has a meaning only with --folded", c->folded_only);
		return EXIT_USAGE;
	}
	if (!c->folded && to_stdout && isatty(STDOUT_FILENO)) {
		command_complain("will not write a picture to a terminal (use -o flamegraph.svg)");
		return EXIT_USAGE;
	}
	if (c->graph.sum.hops && (c->graph.reverse || c->graph.sum.wall)) {
		command_complain("--hops has no meaning with %s",
				 c->graph.reverse ? "--reverse" : "--wall");
		return EXIT_USAGE;
	}
	if (c->graph.sum.wall && (c->graph.sum.of || c->graph.sum.weighted)) {
		command_complain("--wall sums up time: no --of, no --weight");
		return EXIT_USAGE;
	}
	if (c->graph.reverse && !c->graph.sum.by)
		c->graph.sum.by = "none";
	c->graph.sum.all_events = c->view.query.events != NULL;
	return flamediff_run_check(&c->diff, &c->view, c->folded);
}

/* That all is hidden is said here. */
static void tell_empty(struct query *q, const struct stacksum_left_out *left_out)
{
	struct bytebuf text;

	bytebuf_init(&text);
	stackempty_put(q, left_out, &text);
	bytebuf_u8(&text, 0);
	if (!text.err && *text.data)
		command_complain("%s", (const char *)text.data);
	bytebuf_release(&text);
}

static void tell_left_out(const struct flamegraph_command *c, struct query *q,
			  const struct stacksum_left_out *left_out)
{
	char note[STACKNOTES_BYTES];

	tell_empty(q, left_out);
	if (left_out->events && c->view.query.events)
		command_complain("%u event%s left out: no sum can be made with what is drawn",
				 left_out->events, left_out->events == 1 ? "" : "s");
	else if (left_out->events)
		command_complain("%u other event%s with stacks left out (choose with -e)",
				 left_out->events, left_out->events == 1 ? "" : "s");
	if (left_out->negative)
		command_complain("%" PRIu64 " negative value%s left out", left_out->negative,
				 left_out->negative == 1 ? "" : "s");
	for (int i = 0; i < STACKNOTES_NR; i++)
		if (!(left_out->is_all && i == STACKNOTES_IDLE) &&
		    *stacknotes_put(left_out, (enum stacknotes_kind)i, note))
			command_complain("%s", note);
}

static int write_graph(void *ctx, struct query *q, struct output *o, struct diag *d)
{
	struct flamegraph_command *c = ctx;
	const struct folded_opts folded = {
		.sum = c->graph.sum, .mark_kernel = c->mark_kernel, .mark_jit = c->mark_jit,
		.delimited = c->delimited,
	};
	struct stacksum_left_out left_out;
	int err;

	if (c->diff.base)
		return flamediff_run_write(&c->diff, &c->view, q, &c->graph,
					   c->folded ? &folded : NULL, o, d);
	if (c->folded)
		err = folded_write(q, &folded, o, &left_out, d);
	else
		err = flamegraph_write(q, &c->graph, o, &left_out, d);
	if (!err)
		tell_left_out(c, q, &left_out);
	return err;
}

static int run(int nr_args, char **args, void *opts)
{
	struct flamegraph_command *c = opts;
	int status = query_options_no_args(nr_args, args);

	if (!status)
		status = check_options(c);
	if (!status)
		status = query_options_write(&c->view, c->output, write_graph, c,
					     query_options_finish);
	return status == EXIT_OK && c->diff.base_damaged ? EXIT_DAMAGED : status;
}

const struct command cmd_flamegraph = {
	.name = "flamegraph",
	.summary = "draw where the time goes, as an interactive picture",
	.usage = "[options] [-i FILE] [-o FILE.svg]",
	.options = tables,
	.run = run,
	.opts_new = opts_new,
};
