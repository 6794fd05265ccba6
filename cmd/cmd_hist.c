#include "cmd/command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/parse.h"
#include "cmd/query_options.h"
#include "report/hist.h"
#include "report/hist_print.h"
#include "report/output.h"

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_CSV };

struct hist_command {
	struct view_opts view;		/* first, see cmd/query_options.h */
	const char *keys;
	const char *shape_option;	/* that was given */
	struct hist_opts hist;
	const struct histshape_unit *unit;
	bool summary;
	uint64_t max_rows;
	enum format format;
};

static void *opts_new(void)
{
	return calloc(1, sizeof(struct hist_command));
}

#define HIST_SET(name, statement) \
	static int set_##name(void *opts, const char *arg) \
	{ \
		struct hist_command *c = opts; \
		(void)arg; \
		statement; \
		return 0; \
	}

HIST_SET(of, c->hist.of = arg)
HIST_SET(keys, c->keys = arg)
HIST_SET(summary, c->summary = true)
HIST_SET(json, c->format = FORMAT_JSON)
HIST_SET(csv, c->format = FORMAT_CSV)

static int choose_shape(struct hist_command *c, const char *option)
{
	if (!c->shape_option || !strcmp(c->shape_option, option)) {
		c->shape_option = option;
		return EXIT_OK;
	}
	command_complain("%s and %s are two shapes: choose one", c->shape_option, option);
	return EXIT_USAGE;
}

static int set_log2(void *opts, const char *arg)
{
	struct hist_command *c = opts;

	(void)arg;
	c->hist.shape.kind = HISTSHAPE_LOG2;
	return choose_shape(c, "--log2");
}

static int set_loglinear(void *opts, const char *arg)
{
	struct hist_command *c = opts;

	(void)arg;
	c->hist.shape.kind = HISTSHAPE_LOGLINEAR;
	return choose_shape(c, "--loglinear");
}

static int set_linear(void *opts, const char *arg)
{
	struct hist_command *c = opts;
	struct diag d = { "" };

	if (histshape_parse_linear(&c->hist.shape, arg, &d)) {
		command_complain("%s", d.text);
		return EXIT_USAGE;
	}
	return choose_shape(c, "--linear");
}

static int set_unit(void *opts, const char *arg)
{
	struct hist_command *c = opts;

	c->unit = histshape_find_unit(arg);
	if (c->unit)
		return EXIT_OK;
	command_complain("bad unit '%s': give ns, us, ms or s", arg);
	return EXIT_USAGE;
}

static int set_every(void *opts, const char *arg)
{
	return parse_seconds(arg, &((struct hist_command *)opts)->hist.every_ns, "interval");
}

static int set_max_rows(void *opts, const char *arg)
{
	return parse_number(arg, 1, UINT64_MAX, &((struct hist_command *)opts)->max_rows,
			    "number of groups");
}

static const struct option_row rows[] = {
	{ 0, "of", "FIELD", "the field to show (the duration, else the weight)", set_of },
	{ 0, "by", "KEYS", "one for each: comm, pid, tid, uid, cpu, module, symbol, cgroup, event, "
	  "state, any field", set_keys },
	{ 0, "log2", NULL, "a row for each power of two, as bcc's tools have it (the default)",
	  set_log2 },
	{ 0, "linear", "ROWS", "rows of equal steps: STEP, or MIN,MAX,N", set_linear },
	{ 0, "loglinear", NULL, "64 rows for each power of two: exact to 1 %", set_loglinear },
	{ 0, "unit", "UNIT", "show times in ns, us, ms or s", set_unit },
	{ 0, "every", "TIME", "one for each interval: 1s, 100ms", set_every },
	{ 0, "summary", NULL, "only count, total, mean and percentiles: a row each", set_summary },
	{ 0, "max-rows", "N", "only the N groups with the largest sums", set_max_rows },
	{ 0, "json", NULL, "JSON", set_json },
	{ 0, "csv", NULL, "CSV: rows of the shape, or with --summary of numbers", set_csv },
	{ 0, NULL, NULL, NULL, NULL },
};

static const struct option_row *const tables[] = { query_options_rows, rows, NULL };

/* --- running ------------------------------------------------------------------- */

struct inputs {
	struct query *queries[QUERY_OPTIONS_MAX_INPUTS];
	const char *names[QUERY_OPTIONS_MAX_INPUTS];
	size_t nr;
};

/* Numbers of steps are in the unit that is shown. */
static int check_unit(struct hist_command *c)
{
	struct histshape *s = &c->hist.shape;

	if (!c->unit) {
		c->unit = s->unit;
		return EXIT_OK;
	}
	if (s->unit && s->unit != c->unit) {
		command_complain("--linear is in %s, but --unit is %s: write the steps in that unit",
				 s->unit->name, c->unit->name);
		return EXIT_USAGE;
	}
	s->unit = c->unit;
	return EXIT_OK;
}

static int add_inputs(struct hist_command *c, struct hist *h, struct inputs *in, struct diag *d)
{
	size_t nr = c->view.nr_inputs ? c->view.nr_inputs : 1;
	int status, err;

	for (size_t i = 0; i < nr; i++) {
		if (c->view.nr_inputs)
			c->view.query.input = c->view.inputs[i];
		in->names[in->nr] = c->view.query.input;
		status = query_options_open(&in->queries[in->nr], &c->view);
		if (status)
			return status;
		err = hist_add(h, in->queries[in->nr++], d);
		if (err) {
			command_complain("%s", d->text);
			return err == -EINVAL ? EXIT_USAGE : EXIT_FAIL;
		}
	}
	return EXIT_OK;
}

/* A unit of time is of no use if nothing is a time. */
static int check_tables(const struct hist_command *c, const struct hist *h)
{
	const char *why;
	size_t left_out = hist_left_out(h, &why);

	if (c->view.query.events && left_out > 1)
		command_complain("%zu events left out: %s", left_out, why);
	else if (c->view.query.events && left_out)
		command_complain("an event left out: %s", why);
	for (size_t i = 0; c->unit && i < hist_nr_tables(h); i++)
		if (hist_table_at(h, i)->is_time)
			return EXIT_OK;
	if (!c->unit || !hist_nr_tables(h))
		return EXIT_OK;
	command_complain("'%s' is no time: it cannot be shown in %s", hist_table_at(h, 0)->field,
			 c->unit->name);
	return EXIT_USAGE;
}

static int print(const struct hist_command *c, struct hist *h, const struct inputs *in,
		 struct diag *d)
{
	const struct hist_print p = {
		.hist = h, .keys = c->hist.keys, .summary = c->summary,
		.every_ns = c->hist.every_ns, .max_rows = c->max_rows, .unit = c->unit,
		.queries = in->queries, .inputs = in->names, .nr_queries = in->nr,
	};
	struct output *out;
	int err = output_open(&out, NULL, d), close_err;

	if (err)
		return err;
	if (c->format == FORMAT_JSON)
		err = hist_json(&p, out);
	else if (c->format == FORMAT_CSV)
		err = hist_csv(&p, out);
	else
		err = hist_text(&p, out);
	if (err)
		diag_set(d, err, "out of memory");
	close_err = output_close(out, d);
	return err ? err : close_err;
}

static int show(struct hist_command *c, struct hist *h, struct inputs *in)
{
	struct diag d = { "" };
	int status = add_inputs(c, h, in, &d);
	int err = 0;

	if (!status)
		status = check_tables(c, h);
	if (status)
		return status;
	if (hist_finish(h))
		err = diag_set(&d, -ENOMEM, "out of memory");
	if (!err)
		err = print(c, h, in, &d);
	if (err) {
		command_complain("%s", d.text);
		return EXIT_FAIL;
	}
	for (size_t i = 0; i < in->nr; i++) {
		int finished = query_options_finish(in->queries[i]);

		status = finished ? finished : status;
	}
	return status;
}

static int run(int nr_args, char **args, void *opts)
{
	struct hist_command *c = opts;
	struct inputs in = { .nr = 0 };
	struct profile_keys keys;
	struct hist *h = NULL;
	struct diag d = { "" };
	int status = query_options_no_args(nr_args, args);

	keys.nr = 0;
	if (!status && c->keys && profile_keys_parse(&keys, c->keys, &d)) {
		command_complain("%s", d.text);
		status = EXIT_USAGE;
	}
	if (!status)
		status = check_unit(c);
	if (status)
		return status;
	c->hist.keys = &keys;
	if (hist_new(&h, &c->hist)) {
		command_complain("out of memory");
		return EXIT_FAIL;
	}
	status = show(c, h, &in);
	hist_free(h);
	for (size_t i = 0; i < in.nr; i++)
		query_close(in.queries[i]);
	return status;
}

const struct command cmd_hist = {
	.name = "hist",
	.summary = "show how values are distributed: histograms and percentiles",
	.usage = "[options]",
	.flags = COMMAND_PAGER,
	.options = tables,
	.run = run,
	.opts_new = opts_new,
};
