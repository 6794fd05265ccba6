#include "cmd/command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/parse.h"
#include "cmd/query_options.h"
#include "report/latency.h"
#include "report/latency_print.h"
#include "report/output.h"
#include "report/profile.h"
#include "report/profile_print.h"

#define DEFAULT_TREE_PERCENT 0.5

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_CSV };

struct report_opts {
	struct view_opts view;		/* first, see cmd/query_options.h */
	const char *keys, *of;
	enum { CHILDREN_AUTO, CHILDREN_ON, CHILDREN_OFF } children;
	bool samples, tree, has_limit, latency;
	const char *direction;		/* "caller", "callee" or NULL */
	double percent_limit;
	uint64_t max_rows, max_stack;
	enum format format;
};

static void *opts_new(void)
{
	return calloc(1, sizeof(struct report_opts));
}

#define REPORT_SET(name, statement) \
	static int set_##name(void *opts, const char *arg) \
	{ \
		struct report_opts *o = opts; \
		(void)arg; \
		statement; \
		return 0; \
	}

REPORT_SET(keys, o->keys = arg)
REPORT_SET(of, o->of = arg)
REPORT_SET(children, o->children = CHILDREN_ON)
REPORT_SET(no_children, o->children = CHILDREN_OFF)
REPORT_SET(samples, o->samples = true)
REPORT_SET(graph, o->tree = true)
REPORT_SET(latency, o->latency = true)
REPORT_SET(json, o->format = FORMAT_JSON)
REPORT_SET(csv, o->format = FORMAT_CSV)
REPORT_SET(stdio, o->format = FORMAT_TEXT)

static int set_call_graph(void *opts, const char *arg)
{
	struct report_opts *o = opts;

	o->tree = true;
	o->direction = arg;
	if (!arg || !strcmp(arg, "caller") || !strcmp(arg, "callee"))
		return 0;
	command_complain("bad call graph '%s': give caller (what a row calls) or "
			 "callee (who calls it)", arg);
	return EXIT_USAGE;
}

static int set_percent_limit(void *opts, const char *arg)
{
	struct report_opts *o = opts;
	char *end;

	o->percent_limit = strtod(arg, &end);
	o->has_limit = true;
	if (end != arg && !strcmp(end, "%"))
		end++;
	if (end != arg && !*end && o->percent_limit >= 0 && o->percent_limit <= 100)
		return 0;
	command_complain("bad percent limit '%s': give a number from 0 to 100", arg);
	return EXIT_USAGE;
}

static int set_max_rows(void *opts, const char *arg)
{
	struct report_opts *o = opts;

	return parse_number(arg, 1, UINT64_MAX, &o->max_rows, "number of rows");
}

static int set_max_stack(void *opts, const char *arg)
{
	struct report_opts *o = opts;

	return parse_number(arg, 1, 127, &o->max_stack, "number of frames");
}

static const struct option_row rows[] = {
	{ 0, "latency", NULL, "wall clock by what it went to: on a CPU, waiting for one, blocked; "
	  "with -e, of spans", set_latency },
	{ 0, "by", "KEYS", "group by these: comm, pid, tid, uid, cpu, module, symbol, cgroup, event, "
	  "state, any field", set_keys },
	{ 's', "sort", "KEYS", "the same", set_keys },
	{ 0, "of", "FIELD", "sum up this field (the weight, else the duration, else 1 a record)",
	  set_of },
	{ 0, "children", NULL, "rows for all that is in a stack (the default)", set_children },
	{ 0, "no-children", NULL, "rows only for where stacks end", set_no_children },
	{ 'n', "samples", NULL, "a column with the number of samples", set_samples },
	{ 'g', NULL, NULL, "a call tree under each row", set_graph },
	{ 0, "call-graph", "[ORDER]", "the same: caller, what it calls; callee, who calls it",
	  set_call_graph },
	{ 0, "percent-limit", "PCT", "leave out what has less (of trees: 0.5)", set_percent_limit },
	{ 0, "max-rows", "N", "at most N rows of a table", set_max_rows },
	{ 0, "limit", "N", "the same", set_max_rows },
	{ 0, "max-stack", "N", "with --latency: at most N frames of a stack (4)", set_max_stack },
	{ 0, "stdio", NULL, "text (the default)", set_stdio },
	{ 0, "json", NULL, "JSON", set_json },
	{ 0, "csv", NULL, "CSV, without call trees", set_csv },
	{ 0, NULL, NULL, NULL, NULL },
};

static const struct option_row *const tables[] = { query_options_rows, rows, NULL };

/* Whether rows may differ in what they have themselves and what they call. */
static bool wants_children(const struct report_opts *o, const struct profile_keys *keys)
{
	if (o->children != CHILDREN_AUTO)
		return o->children == CHILDREN_ON;
	return profile_keys_find(keys, PROFILE_SYMBOL) || profile_keys_find(keys, PROFILE_MODULE);
}

/* As perf does it: trees go down from rows with children, else up. */
static enum profile_direction direction_of(const struct report_opts *o)
{
	if (!o->direction)
		return o->children == CHILDREN_OFF ? PROFILE_CALLERS : PROFILE_CALLEES;
	return strcmp(o->direction, "caller") ? PROFILE_CALLERS : PROFILE_CALLEES;
}

static int print(const struct report_opts *o, struct query *q, struct profile *p,
		 const struct profile_keys *keys, struct diag *d)
{
	struct profile_print pp = {
		.profile = p, .query = q, .keys = keys,
		.children = wants_children(o, keys) &&
			    (o->children == CHILDREN_ON || profile_has_stacks(p)),
		.samples = o->samples || profile_keys_find(keys, PROFILE_FIELD),
		.tree = o->tree, .direction = direction_of(o),
		.percent_limit = o->percent_limit,
		.tree_limit = o->has_limit ? o->percent_limit : DEFAULT_TREE_PERCENT,
		.max_rows = o->max_rows,
	};
	struct output *out;
	int err, close_err;

	err = output_open(&out, NULL, d);
	if (err)
		return err;
	if (o->format == FORMAT_JSON)
		err = profile_json(&pp, out);
	else if (o->format == FORMAT_CSV)
		err = profile_csv(&pp, out);
	else
		err = profile_text(&pp, out);
	if (err)
		diag_set(d, err, "out of memory");
	close_err = output_close(out, d);
	return err ? err : close_err;
}

/*
 * Text says at its top what was lost and what has no name, where a pager shows
 * it first; only damage is worth telling again.
 */
static int finish(const struct report_opts *o, struct query *q)
{
	char line[512];

	if (o->format == FORMAT_TEXT && !query_quality_line(q, line, sizeof(line)))
		return EXIT_OK;
	return query_options_finish(q);
}

/* --- latency ------------------------------------------------------------------- */

static int check_latency(const struct report_opts *o)
{
	const char *option = NULL;

	if (o->latency && o->tree)
		option = "-g";
	else if (o->latency && o->of)
		option = "--of";
	else if (o->latency && o->children != CHILDREN_AUTO)
		option = "--children";
	if (option)
		command_complain("%s is not for --latency, which sums up time and shows stacks "
				 "of its own", option);
	else if (!o->latency && o->max_stack)
		command_complain("--max-stack is for --latency");
	return option || (!o->latency && o->max_stack) ? EXIT_USAGE : EXIT_OK;
}

/* What -e names are spans, unless all of it tells where threads waited. */
static bool wants_spans(const struct report_opts *o, struct query *q)
{
	struct trace *t = query_trace(q);

	if (!o->view.query.events)
		return false;
	for (size_t i = 0; i < trace_nr_events(t); i++) {
		const struct trace_event *e = trace_event_at(t, i);

		if (query_wants_event(q, e) && !latency_story_is(e))
			return true;
	}
	return trace_is_stream(t);
}

static int print_latency(const struct report_opts *o, struct query *q, struct latency *l,
			 struct diag *d)
{
	const struct latency_print p = {
		.latency = l, .query = q, .max_rows = o->max_rows, .max_frames = o->max_stack,
		.percent_limit = o->percent_limit, .has_limit = o->has_limit,
	};
	struct output *out;
	int err = output_open(&out, NULL, d), close_err;

	if (err)
		return err;
	if (o->format == FORMAT_JSON)
		err = latency_json(&p, out);
	else if (o->format == FORMAT_CSV)
		err = latency_csv(&p, out);
	else
		err = latency_text(&p, out);
	if (err)
		diag_set(d, err, "out of memory");
	close_err = output_close(out, d);
	return err ? err : close_err;
}

/* "none" is one row for all, and a thread is told from others by its name, too. */
static int latency_keys_of(struct profile_keys *keys, const char *text, struct diag *d)
{
	keys->nr = 0;
	if (!text || !strcmp(text, "none"))
		return 0;
	return profile_keys_parse(keys, strcmp(text, "thread") ? text : "comm,tid", d);
}

static int run_latency(struct report_opts *o)
{
	struct latency_opts opts = { .picked = o->view.query.cpus || o->view.query.filter };
	struct profile_keys keys;
	struct latency *l = NULL;
	struct diag d = { "" };
	struct query *q;
	int err, status;

	if (latency_keys_of(&keys, o->keys, &d)) {
		command_complain("%s", d.text);
		return EXIT_USAGE;
	}
	status = query_options_open(&q, &o->view);
	if (status)
		return status;
	opts.keys = o->keys ? &keys : NULL;
	opts.spans = wants_spans(o, q);
	err = latency_new(&l, q, &opts, &d);
	if (!err)
		err = print_latency(o, q, l, &d);
	if (err) {
		command_complain("%s", d.text);
		status = err == -EINVAL ? EXIT_USAGE : EXIT_FAIL;
	} else {
		status = finish(o, q);
	}
	latency_free(l);
	query_close(q);
	return status;
}

static int run(int nr_args, char **args, void *opts)
{
	struct report_opts *o = opts;
	struct profile_keys keys;
	struct profile *p = NULL;
	struct diag d = { "" };
	struct query *q;
	int err, status = query_options_no_args(nr_args, args);

	if (!status)
		status = check_latency(o);
	if (!status && o->latency)
		return run_latency(o);
	if (!status && profile_keys_parse(&keys, o->keys, &d)) {
		command_complain("%s", d.text);
		status = EXIT_USAGE;
	}
	if (!status && o->tree && o->format == FORMAT_CSV) {
		command_complain("a CSV table has no room for call trees: use --json with -g");
		status = EXIT_USAGE;
	}
	if (!status)
		status = query_options_open(&q, &o->view);
	if (status)
		return status;
	err = profile_new(&p, q, &keys, o->of, wants_children(o, &keys), &d);
	if (!err)
		err = print(o, q, p, &keys, &d);
	if (err)
		command_complain("%s", d.text);
	if (err)
		status = err == -EINVAL ? EXIT_USAGE : EXIT_FAIL;
	else
		status = finish(o, q);
	profile_free(p);
	query_close(q);
	return status;
}

const struct command cmd_report = {
	.name = "report",
	.summary = "show where the time goes, as a table",
	.usage = "[options]",
	.flags = COMMAND_PAGER,
	.options = tables,
	.run = run,
	.opts_new = opts_new,
};
