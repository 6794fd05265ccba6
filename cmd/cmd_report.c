#include "cmd/command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/parse.h"
#include "cmd/query_options.h"
#include "report/output.h"
#include "report/profile.h"
#include "report/profile_print.h"

#define DEFAULT_TREE_PERCENT 0.5

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_CSV };

struct report_opts {
	struct view_opts view;		/* first, see cmd/query_options.h */
	const char *keys, *of;
	enum { CHILDREN_AUTO, CHILDREN_ON, CHILDREN_OFF } children;
	bool samples, tree, has_limit;
	const char *direction;		/* "caller", "callee" or NULL */
	double percent_limit;
	uint64_t max_rows;
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

static const struct option_row rows[] = {
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

static int run(int nr_args, char **args, void *opts)
{
	struct report_opts *o = opts;
	struct profile_keys keys;
	struct profile *p = NULL;
	struct diag d = { "" };
	struct query *q;
	int err, status = query_options_no_args(nr_args, args);

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
