#include "cmd/command.h"

#include <stdlib.h>

#include "cmd/query_options.h"
#include "report/info.h"
#include "report/output.h"

struct info_opts {
	struct view_opts view;		/* first, see cmd/query_options.h */
	bool json;
};

static void *opts_new(void)
{
	return calloc(1, sizeof(struct info_opts));
}

static int set_json(void *opts, const char *arg)
{
	(void)arg;
	((struct info_opts *)opts)->json = true;
	return 0;
}

static const struct option_row rows[] = {
	{ 0, "json", NULL, "JSON", set_json },
	{ 0, NULL, NULL, NULL, NULL },
};

static const struct option_row *const tables[] = { query_options_rows, rows, NULL };

static int print(const struct info_opts *o, const struct info *info, struct diag *d)
{
	struct output *out;
	int err = output_open(&out, NULL, d);

	if (err)
		return err;
	if (o->json)
		info_json(info, out);
	else
		info_text(info, out);
	return output_close(out, d);
}

/* The text ends with what was lost; only damage is worth telling again. */
static int finish(const struct info_opts *o, struct query *q)
{
	char line[512];

	if (!o->json && !query_quality_line(q, line, sizeof(line)))
		return EXIT_OK;
	return query_options_finish(q);
}

static int run(int nr_args, char **args, void *opts)
{
	struct info_opts *o = opts;
	struct diag d = { "" };
	struct query *q = NULL;
	struct info info;
	int err, status = query_options_no_args(nr_args, args);

	if (!status)
		status = query_options_open(&q, &o->view);
	if (status)
		return status;
	err = info_collect(&info, q, &d);
	if (!err)
		err = print(o, &info, &d);
	if (err)
		command_complain("%s", d.text);
	status = err ? EXIT_FAIL : finish(o, q);
	info_release(&info);
	query_close(q);
	return status;
}

const struct command cmd_info = {
	.name = "info",
	.summary = "tell what is inside a trace",
	.usage = "[options]",
	.flags = COMMAND_PAGER,
	.options = tables,
	.run = run,
	.opts_new = opts_new,
};
