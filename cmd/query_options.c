#include "cmd/query_options.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "format/diag.h"

#define SETTER(member) \
	static int set_##member(void *opts, const char *arg) \
	{ \
		((struct view_opts *)opts)->query.member = arg; \
		return 0; \
	}

SETTER(time)
SETTER(pids)
SETTER(tids)
SETTER(comms)
SETTER(cpus)
SETTER(filter)

static int set_input(void *opts, const char *arg)
{
	struct view_opts *o = opts;

	if (o->nr_inputs == QUERY_OPTIONS_MAX_INPUTS) {
		command_complain("more than %d files", QUERY_OPTIONS_MAX_INPUTS);
		return EXIT_USAGE;
	}
	o->inputs[o->nr_inputs++] = arg;
	o->query.input = arg;
	return EXIT_OK;
}

/* Each -e adds to those before; a line is a list (report/query.h). */
static int set_events(void *opts, const char *arg)
{
	struct view_opts *o = opts;
	size_t len = o->query.events ? strlen(o->events) + 1 : 0;

	if (len + strlen(arg) >= sizeof(o->events)) {
		command_complain("the names of events after -e are too long");
		return EXIT_USAGE;
	}
	if (len)
		o->events[len - 1] = '\n';
	strcpy(o->events + len, arg);
	o->query.events = o->events;
	return 0;
}

const struct option_row query_options_rows[] = {
	{ 'i', "input", "FILE", "the trace, - for standard input (trace.kymo)", set_input },
	{ 0, "time", "A,B", "only from A to B: seconds, +seconds or percent", set_time },
	{ 0, "pid", "LIST", "only these processes", set_pids },
	{ 0, "tid", "LIST", "only these threads", set_tids },
	{ 0, "comm", "LIST", "only threads of these names", set_comms },
	{ 'C', "cpu", "LIST", "only these CPUs: 0,2-3", set_cpus },
	{ 'e', "event", "LIST", "only these events; A..B@KEY makes spans of two of them", set_events },
	{ 0, "filter", "EXPR", "only records for which it is true: 'next_pid == 5'", set_filter },
	{ 0, NULL, NULL, NULL, NULL },
};

int query_options_open(struct query **out, const struct view_opts *opts)
{
	struct diag d = { "" };
	int err;

	err = query_open(out, &opts->query, &d);
	if (!err)
		return EXIT_OK;
	command_complain("%s", d.text);
	return err == -EINVAL ? EXIT_USAGE : EXIT_FAIL;
}

static int tell_quality(struct query *q, bool early)
{
	char line[512];
	bool damaged = query_quality_line(q, line, sizeof(line));

	if (damaged || !early)
		command_complain("%s", line);
	return damaged ? EXIT_DAMAGED : EXIT_OK;
}

int query_options_finish(struct query *q)
{
	return tell_quality(q, false);
}

int query_options_finish_early(struct query *q)
{
	return tell_quality(q, true);
}

/* 0 or -errno with d set. */
static int write_output(struct query *q, const char *path, query_options_write_fn write,
			void *ctx, struct diag *d)
{
	struct output *o;
	int err = output_open(&o, path, d);

	if (err)
		return err;
	err = write(ctx, q, o, d);
	if (!err || output_error(o))
		return output_close(o, d);
	output_abandon(o);
	return err;
}

int query_options_write(const struct view_opts *opts, const char *path,
			query_options_write_fn write, void *ctx,
			int (*finish)(struct query *q))
{
	struct diag d = { "" };
	struct query *q;
	int err, status = query_options_open(&q, opts);

	if (status)
		return status;
	err = write_output(q, path, write, ctx, &d);
	if (err) {
		command_complain("%s", d.text);
		status = err == -EINVAL ? EXIT_USAGE : EXIT_FAIL;
	} else {
		status = finish(q);
	}
	query_close(q);
	return status;
}

int query_options_no_args(int nr_args, char **args)
{
	if (!nr_args)
		return EXIT_OK;
	command_complain("unexpected argument '%s' (a trace is named with -i)", args[0]);
	return EXIT_USAGE;
}
