#include <stdlib.h>

#include "cmd/command.h"
#include "cmd/parse.h"
#include "cmd/query_options.h"
#include "report/script.h"
#include "report/script_slowest.h"
#include "report/spansum.h"

struct script_command {
	struct view_opts view;
	struct script_opts script;
	const char *output;
	bool summary;
};

static int set_output(void *opts, const char *arg)
{
	((struct script_command *)opts)->output = arg;
	return 0;
}

static int set_fields(void *opts, const char *arg)
{
	((struct script_command *)opts)->script.fields = arg;
	return 0;
}

static int set_no_stack(void *opts, const char *arg)
{
	(void)arg;
	((struct script_command *)opts)->script.no_stack = true;
	return 0;
}

static int set_ns(void *opts, const char *arg)
{
	(void)arg;
	((struct script_command *)opts)->script.ns = true;
	return 0;
}

static int set_reltime(void *opts, const char *arg)
{
	(void)arg;
	((struct script_command *)opts)->script.relative = true;
	return 0;
}

static int set_summary(void *opts, const char *arg)
{
	(void)arg;
	((struct script_command *)opts)->summary = true;
	return 0;
}

static int set_limit(void *opts, const char *arg)
{
	return parse_number(arg, 1, UINT64_MAX, &((struct script_command *)opts)->script.limit,
			    "a number of records");
}

static int set_slowest(void *opts, const char *arg)
{
	return parse_number(arg, 1, SCRIPT_SLOWEST_MAX,
			    &((struct script_command *)opts)->script.slowest,
			    "a number of records");
}

static int set_json(void *opts, const char *arg)
{
	(void)arg;
	((struct script_command *)opts)->script.format = SCRIPT_JSON;
	return 0;
}

static int set_csv(void *opts, const char *arg)
{
	(void)arg;
	((struct script_command *)opts)->script.format = SCRIPT_CSV;
	return 0;
}

static const struct option_row rows[] = {
	{ 'o', "output", "FILE", "write FILE instead of standard output", set_output },
	{ 'F', "fields", "LIST", "what to print: comm,pid,tid,cpu,state,time,begin,period,event,"
	  "cgroup,trace,ip,sym,symoff,dso, fields of events (fields.NAME); or +FIELD,-FIELD",
	  set_fields },
	{ 'G', "no-stack", NULL, "no stacks", set_no_stack },
	{ 0, "ns", NULL, "times with nanoseconds", set_ns },
	{ 0, "reltime", NULL, "times from the start of the trace", set_reltime },
	{ 0, "limit", "N", "stop after N records", set_limit },
	{ 0, "slowest", "N", "only the N records that took longest, longest first",
	  set_slowest },
	{ 0, "summary", NULL, "no records, but how long the spans of each thread took",
	  set_summary },
	{ 0, "json", NULL, "one JSON object a line", set_json },
	{ 0, "csv", NULL, "comma-separated values with a header", set_csv },
	{ 0 },
};

static const struct option_row *const tables[] = { rows, query_options_rows, NULL };

static void *opts_new(void)
{
	return calloc(1, sizeof(struct script_command));
}

static int summarize(struct query *q, const struct script_opts *opts, struct output *o,
		     struct diag *d)
{
	static const enum spansum_format formats[] = {
		[SCRIPT_TEXT] = SPANSUM_TEXT, [SCRIPT_JSON] = SPANSUM_JSON,
		[SCRIPT_CSV] = SPANSUM_CSV,
	};
	struct spansum *s = NULL;
	int err = spansum_make(&s, q, d);

	if (!err)
		spansum_print(s, q, o, formats[opts->format], opts->ns);
	spansum_free(s);
	return err;
}

static int write_records(void *ctx, struct query *q, struct output *o, struct diag *d)
{
	const struct script_command *c = ctx;

	return c->summary ? summarize(q, &c->script, o, d) : script_write(q, &c->script, o, d);
}

/* What chooses or shapes single records means nothing for sums of them. */
static int check_options(const struct script_command *c)
{
	if (!c->summary || (!c->script.fields && !c->script.limit && !c->script.slowest))
		return 0;
	command_complain("--summary prints no records: it does not go with -F, --limit or "
			 "--slowest");
	return EXIT_USAGE;
}

static int run(int nr_args, char **args, void *opts)
{
	struct script_command *c = opts;
	int status = query_options_no_args(nr_args, args);

	if (!status)
		status = check_options(c);
	return status ? status : query_options_write(&c->view, c->output, write_records, c,
						     c->script.limit ? query_options_finish_early :
						     query_options_finish);
}

const struct command cmd_script = {
	.name = "script",
	.summary = "print the records one by one",
	.usage = "[options] [-i FILE]",
	.flags = COMMAND_PAGER,
	.options = tables,
	.run = run,
	.opts_new = opts_new,
};
