/*
 * The kernel's description of its tracepoints.  It is read where tracefs is
 * mounted, else through a mount of our own that nobody else sees.
 *
 * One thread at a time.
 */
#ifndef RECORD_TRACEFS_H
#define RECORD_TRACEFS_H

#include "format/diag.h"

#include <stdbool.h>
#include <stddef.h>

struct tracefs_names {
	char **list;		/* "sched:sched_switch", sorted */
	size_t nr, cap;
};

/* An fd of its folder, the caller's.  -errno with d set. */
int tracefs_open(struct diag *d);
/*
 * The format file of a tracepoint, NUL-terminated; the caller frees it.  -ENOENT
 * without words in d: there is no such tracepoint; else with the missing right.
 */
int tracefs_read_format(char **out, const char *system, const char *name, struct diag *d);
/*
 * Names that match a glob of "system:name" (NULL: all).  -errno with d set.
 */
int tracefs_find(struct tracefs_names *out, const char *glob, struct diag *d);
void tracefs_release_names(struct tracefs_names *n);

#endif
