/*
 * Attaches BPF programs to places in programs and libraries.
 *
 * Ways: "uprobe-multi", one link for all places of a file (6.6 and later), else
 * "uprobe", a perf event for each.  Both hold for every process that maps the file,
 * now or later: who is recorded is the generated program's business, since events
 * of one process would not follow its children.
 */
#ifndef RECORD_UPROBEATTACH_H
#define RECORD_UPROBEATTACH_H

#include "format/diag.h"
#include "record/attachset.h"
#include "record/probe.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uprobeattach_places {
	int fd;				/* of the file */
	const char *path;		/* for messages */
	bool returns;			/* where the functions return */
	uint64_t *offsets;		/* in the file */
	uint64_t *semaphores;		/* by place: file offset of a counter, or 0; or NULL */
	size_t nr;
};

/* Finds out once whether this kernel has the way, and whether --use allows it. */
bool uprobeattach_has_multi(const struct probes *set);
/* Says how p is attached, and prepares all its variants for it before they are loaded. */
int uprobeattach_choose(struct probes *set, struct probe *p, size_t nr_places, struct diag *d);
int uprobeattach_attach(struct probes *set, struct probe *p, struct probe_variant *v,
			const struct uprobeattach_places *places, struct attachset *a,
			struct diag *d);

#endif
