#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/command.h"
#include "cmd/parse.h"
#include "cmd/query_options.h"
#include "report/heatmap.h"

struct heatmap_command {
	struct view_opts view;
	struct heatmap_opts map;
	struct profile_keys keys;
	const char *output;
	const char *values_only;	/* an option given that only a map of values has */
	bool kind_chosen, max_maps_given;
};

/* --- options ---------------------------------------------------------------- */

static int set_output(void *opts, const char *arg)
{
	((struct heatmap_command *)opts)->output = arg;
	return 0;
}

static int set_of(void *opts, const char *arg)
{
	((struct heatmap_command *)opts)->map.of = arg;
	return 0;
}

static int set_by(void *opts, const char *arg)
{
	struct heatmap_command *c = opts;
	struct diag d = { "" };

	if (profile_keys_parse(&c->keys, arg, &d)) {
		command_complain("%s", d.text);
		return EXIT_USAGE;
	}
	c->map.by = &c->keys;
	return 0;
}

static int set_kind(struct heatmap_command *c, enum heatmap_kind kind)
{
	if (c->kind_chosen && c->map.kind != kind) {
		command_complain("--subsecond and --utilization are two pictures");
		return EXIT_USAGE;
	}
	c->map.kind = kind;
	c->kind_chosen = true;
	return 0;
}

static int set_subsecond(void *opts, const char *arg)
{
	(void)arg;
	return set_kind(opts, HEATMAP_SUBSECOND);
}

static int set_utilization(void *opts, const char *arg)
{
	(void)arg;
	return set_kind(opts, HEATMAP_UTILIZATION);
}

static int set_scale(struct heatmap_command *c, enum heatmap_scale scale, const char *name)
{
	if (c->map.scale != HEATMAP_USUAL && c->map.scale != scale) {
		command_complain("--log and --linear exclude each other");
		return EXIT_USAGE;
	}
	c->map.scale = scale;
	c->values_only = name;
	return 0;
}

static int set_log(void *opts, const char *arg)
{
	(void)arg;
	return set_scale(opts, HEATMAP_LOG, "--log");
}

static int set_linear(void *opts, const char *arg)
{
	(void)arg;
	return set_scale(opts, HEATMAP_LINEAR, "--linear");
}

static int set_count_scale(void *opts, const char *arg)
{
	struct heatmap_command *c = opts;

	if (strcmp(arg, "log") && strcmp(arg, "linear")) {
		command_complain("'%s' is no scale of colours (log or linear)", arg);
		return EXIT_USAGE;
	}
	c->map.count_scale = *arg == 'l' && arg[1] == 'o' ? HEATMAP_LOG : HEATMAP_LINEAR;
	return 0;
}

/* "20ms", "1.5us", "4K", "-3": as in a filter. */
static bool parse_value(const char *text, size_t len, int64_t *v)
{
	static const struct {
		const char *name;
		double one;
	} units[] = {
		{ "", 1 }, { "ns", 1 }, { "us", 1e3 }, { "ms", 1e6 }, { "s", 1e9 },
		{ "K", 0x1p10 }, { "M", 0x1p20 }, { "G", 0x1p30 }, { "T", 0x1p40 },
	};
	char copy[64], *end;
	double number;

	if (len >= sizeof(copy))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	number = strtod(copy, &end);
	if (end == copy)
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(end, units[i].name))
			continue;
		number *= units[i].one;
		*v = (int64_t)llround(number);
		return isfinite(number) && fabs(number) < 9e18;
	}
	return false;
}

static int set_range(void *opts, const char *arg)
{
	struct heatmap_command *c = opts;
	struct heatmap_opts *m = &c->map;
	const char *comma = strchr(arg, ',');
	bool ok = comma != NULL;

	if (ok) {
		m->has_least = comma != arg;
		m->has_most = comma[1] != '\0';
		ok = (!m->has_least || parse_value(arg, (size_t)(comma - arg), &m->least)) &&
		     (!m->has_most || parse_value(comma + 1, strlen(comma + 1), &m->most));
	}
	c->values_only = "--range";
	if (ok && !(m->has_least && m->has_most && m->least > m->most))
		return 0;
	command_complain("'%s' is no range of values (such as 10us,50ms; either may be empty)", arg);
	return EXIT_USAGE;
}

static int set_number(uint32_t *to, const char *arg, uint64_t min, uint64_t max, const char *what)
{
	uint64_t v = 0;
	int status = parse_number(arg, min, max, &v, what);

	if (!status)
		*to = (uint32_t)v;
	return status;
}

static int set_max_maps(void *opts, const char *arg)
{
	struct heatmap_command *c = opts;

	c->max_maps_given = true;
	return set_number(&c->map.max_maps, arg, 1, 64, "a number of maps");
}

static int set_title(void *opts, const char *arg)
{
	((struct heatmap_command *)opts)->map.title = arg;
	return 0;
}

static int set_subtitle(void *opts, const char *arg)
{
	((struct heatmap_command *)opts)->map.subtitle = arg;
	return 0;
}

static int set_width(void *opts, const char *arg)
{
	struct heatmap_command *c = opts;

	return set_number(&c->map.width_px, arg, 600, 10000, "a width in pixels");
}

static int set_height(void *opts, const char *arg)
{
	struct heatmap_command *c = opts;

	return set_number(&c->map.height_px, arg, 60, 4000, "a height in pixels");
}

static const struct option_row rows[] = {
	{ 'o', "output", "FILE", "write FILE instead of standard output", set_output },
	{ 0, "of", "FIELD", "the field whose values are drawn (default: the duration)", set_of },
	{ 0, "by", "KEYS", "a map for each: comm, pid, tid, cpu, event, or fields of the events",
	  set_by },
	{ 0, "max-maps", "N", "with --by: the N largest (default: 12)", set_max_maps },
	{ 0, "subsecond", NULL, "draw when it happens: seconds, by the time since each began",
	  set_subsecond },
	{ 0, "utilization", NULL, "draw the share of the time of each CPU that it takes",
	  set_utilization },
	{ 0, "log", NULL, "values on a log scale (default for times)", set_log },
	{ 0, "linear", NULL, "values on a linear scale", set_linear },
	{ 0, "range", "A,B", "only values from A to B, such as 10us,50ms", set_range },
	{ 0, "count-scale", "SCALE", "of the colours: log or linear", set_count_scale },
	{ 0, "title", "TEXT", "the headline", set_title },
	{ 0, "subtitle", "TEXT", "the line below it", set_subtitle },
	{ 0, "width", "PX", "width of the picture (default: 1200)", set_width },
	{ 0, "height", "PX", "height of each map (default: 400; 130 with --by)", set_height },
	{ 0 },
};

static const struct option_row *const tables[] = { rows, query_options_rows, NULL };

static void *opts_new(void)
{
	struct heatmap_command *c = calloc(1, sizeof(*c));

	if (c)
		heatmap_opts_init(&c->map);
	return c;
}

/* --- running ---------------------------------------------------------------- */

static int usage(const char *text)
{
	command_complain("%s", text);
	return EXIT_USAGE;
}

static int check_options(struct heatmap_command *c)
{
	bool to_stdout = !c->output || !strcmp(c->output, "-");

	if (c->map.kind != HEATMAP_VALUES && c->values_only) {
		command_complain("%s has a meaning only for values, not with --%s", c->values_only,
				 c->map.kind == HEATMAP_SUBSECOND ? "subsecond" : "utilization");
		return EXIT_USAGE;
	}
	if (c->map.kind == HEATMAP_SUBSECOND && c->map.of)
		return usage("--of has no meaning with --subsecond, which counts records");
	if (c->map.kind == HEATMAP_UTILIZATION && c->map.count_scale != HEATMAP_USUAL)
		return usage("--count-scale has no meaning with --utilization: its colours are shares");
	if (c->max_maps_given && !c->map.by)
		return usage("--max-maps has a meaning only with --by");
	if (to_stdout && isatty(STDOUT_FILENO))
		return usage("will not write a picture to a terminal (use -o heatmap.svg)");
	c->map.chosen = &c->view.query;
	return EXIT_OK;
}

static int write_map(void *ctx, struct query *q, struct output *o, struct diag *d)
{
	struct heatmap_command *c = ctx;
	uint32_t others = 0;
	int err = heatmap_write(q, &c->map, o, &others, d);

	if (!err && others)
		command_complain("%u other event%s left out (choose with -e)", others,
				 others == 1 ? "" : "s");
	return err;
}

static int run(int nr_args, char **args, void *opts)
{
	struct heatmap_command *c = opts;
	int status = query_options_no_args(nr_args, args);

	if (!status)
		status = check_options(c);
	return status ? status : query_options_write(&c->view, c->output, write_map, c,
						     query_options_finish);
}

const struct command cmd_heatmap = {
	.name = "heatmap",
	.summary = "draw how long things take over time, as an interactive picture",
	.usage = "[options] [-i FILE] [-o FILE.svg]",
	.options = tables,
	.run = run,
	.opts_new = opts_new,
};
