/* The list of commands, which main() shows too when none is named. */
#ifndef CMD_CMD_HELP_H
#define CMD_CMD_HELP_H

#include <stdio.h>

void cmd_help_overview(FILE *to);

#endif
