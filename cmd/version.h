/* What this binary is and what it was built with; KYMO_VERSION is its name. */
#ifndef CMD_VERSION_H
#define CMD_VERSION_H

#include "cmd/version_git.h"	/* written by make */

/* On stdout. */
void version_print(void);

#endif
