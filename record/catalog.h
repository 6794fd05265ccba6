/*
 * What can be recorded on this machine: events that are sampled, the scheduler's story,
 * and what each kind of probe offers.
 */
#ifndef RECORD_CATALOG_H
#define RECORD_CATALOG_H

#include "record/probe.h"

/*
 * Calls fn for all that matches: "sched:*" tracepoints, "kprobe:vfs_*", "cycles*".  A
 * glob without a colon is tried on sampled events and on tracepoints.  Returns fn's
 * value if it is not 0, or -errno with d set: a kind that cannot be listed at all.
 */
int catalog_list(const char *glob, bool verbose, probe_list_fn fn, void *ctx, struct diag *d);

struct catalog_kind {
	const char *name, *aliases, *summary;
	size_t nr, nr_missing;		/* of what it lists; 0: needs a name to list by */
	char why[512];			/* it cannot be listed, or "" */
};

/* The i-th kind and what it has; false past the last. */
bool catalog_kind(size_t i, struct catalog_kind *out);

#endif
