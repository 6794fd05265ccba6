/*
 * One subcommand: its descriptor stands in its own file and the row in
 * cmd/commands.def names it.  The option table is the master copy for parsing,
 * --help, the man page check and completion.
 */
#ifndef CMD_COMMAND_H
#define CMD_COMMAND_H

#include <stdbool.h>

/* Exit statuses. */
enum { EXIT_OK = 0, EXIT_FAIL = 1, EXIT_USAGE = 2, EXIT_DAMAGED = 3 };

struct option_row {
	char letter;		/* 'o', or 0 */
	const char *name;	/* "output", or NULL */
	const char *arg;	/* "FILE"; NULL: takes none; "[FILE]": optional, with = */
	const char *help;	/* one line, lower case */
	/* 0, or EXIT_USAGE after saying why through command_complain(). */
	int (*set)(void *opts, const char *arg);
};

enum command_flag {
	COMMAND_PAGER = 1,	/* on a terminal, through a pager */
	COMMAND_HIDDEN = 2,
};

struct command {
	const char *name;
	const char *summary;	/* one line, lower case */
	const char *usage;	/* "[options] [-- command [args]]" */
	unsigned int flags;
	/* Several tables, each ended by a row without letter and name; NULL ends. */
	const struct option_row *const *options;
	/* args are what is left after the options; returns an exit status. */
	int (*run)(int nr_args, char **args, void *opts);
	void *(*opts_new)(void);	/* zeroed and with defaults; freed by free() */
};

/* Each row of the table is the descriptor of cmd/cmd_NAME.c. */
#define COMMAND(name) extern const struct command cmd_##name;
#include "cmd/commands.def"
#undef COMMAND

/* By name, or NULL. */
const struct command *command_find(const char *name);
/* The i-th row of the table; NULL ends. */
const struct command *command_at(unsigned int i);

/* "kymo CMD: text" on stderr; newline added; control characters made harmless. */
void command_complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The whole command line as given, for record. */
void command_line(int *argc, char ***argv);
/* What the two above tell: main() sets it. */
void command_begin(int argc, char **argv, const char *name);

#endif
