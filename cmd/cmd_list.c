#include "cmd/command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "record/catalog.h"
#include "report/escape.h"
#include "report/output.h"

struct list_opts {
	bool verbose;
};

static int set_verbose(void *opts, const char *arg)
{
	(void)arg;
	((struct list_opts *)opts)->verbose = true;
	return 0;
}

static const struct option_row rows[] = {
	{ 'v', "verbose", NULL, "with fields and their types", set_verbose },
	{ 0, NULL, NULL, NULL, NULL },
};

static const struct option_row *const tables[] = { rows, NULL };

static void *opts_new(void)
{
	return calloc(1, sizeof(struct list_opts));
}

struct listing {
	struct output *output;
	bool verbose;
	size_t nr;
};

/* Names come from the kernel and from files of anybody. */
static void put_text(struct output *o, const char *text)
{
	escape_terminal(output_buffer(o), text, strlen(text));
	output_settle(o);
}

static int print_one(void *ctx, const struct probe_listing *l)
{
	struct listing *to = ctx;

	put_text(to->output, l->name);
	if (l->summary) {
		output_text(to->output, "\t");
		put_text(to->output, l->summary);
	}
	if (l->missing) {
		output_text(to->output, "\t(not here: ");
		put_text(to->output, l->missing);
		output_text(to->output, ")");
	} else if (to->verbose && l->fields) {
		output_text(to->output, "\t");
		put_text(to->output, l->fields);
	}
	output_text(to->output, "\n");
	to->nr++;
	return output_error(to->output) ? 1 : 0;
}

static void print_kinds(struct output *o)
{
	struct catalog_kind k;

	for (size_t i = 0; catalog_kind(i, &k); i++) {
		output_format(o, "%-15s ", k.name);
		if (k.nr > k.nr_missing)
			output_format(o, "%8zu", k.nr - k.nr_missing);
		else
			output_format(o, "%8s", k.why[0] ? "none" : "");
		output_format(o, "  %s", k.summary);
		if (k.aliases)
			output_format(o, " (also: %s)", k.aliases);
		if (k.why[0]) {
			output_text(o, k.nr > k.nr_missing && k.nr_missing ? "; some are not here: " :
				       "; not here: ");
			put_text(o, k.why);
		}
		output_text(o, "\n");
	}
	output_text(o, "\nMore of them: kymo list 'cpu*', kymo list -v 'sched:*', kymo list 'kprobe:vfs_*', "
		    "kymo list 'uprobe:libc:mem*', kymo list -v 'span:*'\n");
}

static int list(const struct list_opts *o, int nr_args, char **args, struct output *out,
		struct diag *d)
{
	struct listing to = { out, o->verbose, 0 };

	if (!nr_args) {
		print_kinds(out);
		return 0;
	}
	for (int i = 0; i < nr_args; i++) {
		int err;

		to.nr = 0;
		err = catalog_list(args[i], o->verbose, print_one, &to, d);
		if (err < 0)
			return err;
		if (!to.nr)
			return diag_set(d, -ENOENT, "nothing here matches '%s' (see: kymo list)",
					args[i]);
	}
	return 0;
}

static int run(int nr_args, char **args, void *opts)
{
	struct diag d = { "" };
	struct output *out;
	int err, close_err;

	err = output_open(&out, NULL, &d);
	if (!err) {
		err = list(opts, nr_args, args, out, &d);
		close_err = output_close(out, err ? NULL : &d);
		if (!err && close_err != -EPIPE)
			err = close_err;
	}
	if (!err)
		return EXIT_OK;
	command_complain("%s", d.text);
	return EXIT_FAIL;
}

const struct command cmd_list = {
	.name = "list",
	.summary = "list what can be recorded here",
	.usage = "[options] [GLOB...]",
	.flags = COMMAND_PAGER,
	.options = tables,
	.run = run,
	.opts_new = opts_new,
};
