/*
 * Drives getopt_long(3) from the option tables of a command, and prints those
 * tables for --help.
 */
#ifndef CMD_OPTIONS_H
#define CMD_OPTIONS_H

#include "cmd/command.h"

/* What options_parse() returns when --help was asked for. */
#define OPTIONS_HELP (-1)

/*
 * Parses argv[1..], up to the first argument that is no option or to "--",
 * and calls the rows' set().  *first is the index of the first argument left.
 * 0, OPTIONS_HELP, or EXIT_USAGE after a complaint.
 */
int options_parse(const struct command *c, int argc, char **argv, void *opts, int *first);
/* Usage, summary and all options on stdout. */
void options_print(const struct command *c);

#endif
