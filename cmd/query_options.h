/*
 * What every view has in common: the options that choose records, opening the
 * trace, and the line at the end.  The option struct of a view starts with a
 * struct view_opts, so that the rows here can fill it in.
 */
#ifndef CMD_QUERY_OPTIONS_H
#define CMD_QUERY_OPTIONS_H

#include "cmd/command.h"
#include "report/output.h"
#include "report/query.h"

#include <stddef.h>

#define QUERY_OPTIONS_MAX_INPUTS 64

struct view_opts {
	struct query_opts query;
	/* All of -i; query.input is the last. */
	const char *inputs[QUERY_OPTIONS_MAX_INPUTS];
	size_t nr_inputs;
	char events[16384];	/* of all -e */
};

/* -i, --time, --pid, --tid, --comm, -C, -e, --filter: for the options of a descriptor. */
extern const struct option_row query_options_rows[];

/* 0, or the exit status after a complaint. */
int query_options_open(struct query **out, const struct view_opts *opts);
/*
 * Tells on stderr what share of the records was lost or has no name.  The
 * exit status: EXIT_OK, or EXIT_DAMAGED when the file was cut or damaged.
 */
int query_options_finish(struct query *q);
/* The same for a view that stopped early: its shares would be of a part only. */
int query_options_finish_early(struct query *q);
/* Writes the view: 0, or -errno with d set or as output_error() has it. */
typedef int (*query_options_write_fn)(void *ctx, struct query *q, struct output *o,
				      struct diag *d);
/*
 * All of a view that goes to one output (path NULL or "-": standard output), which is
 * put in place only if nothing failed; finish() is one of the two above.  The exit status.
 */
int query_options_write(const struct view_opts *opts, const char *path,
			query_options_write_fn write, void *ctx,
			int (*finish)(struct query *q));
/* Complains that the view takes no arguments when there are some: EXIT_USAGE. */
int query_options_no_args(int nr_args, char **args);

#endif
