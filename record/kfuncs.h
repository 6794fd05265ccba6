/*
 * Which functions the kernel and its modules have, and which of them may be probed.
 */
#ifndef RECORD_KFUNCS_H
#define RECORD_KFUNCS_H

#include "format/diag.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kfunc {
	char *name;
	char *module;		/* "" for the kernel proper */
	uint64_t address;	/* 0 where the kernel hides addresses */
};

struct kfuncs {
	struct kfunc *list;	/* by name, then by address */
	size_t nr, cap;
	size_t nr_refused;	/* that matched, but may not be probed */
	bool is_filtered;	/* the kernel told which may be traced */
};

/*
 * The functions that match a name or a glob, of one module ("" is the kernel
 * proper) or of all (NULL).  With only_traceable, those that may not be probed are
 * left out and counted: ftrace's list and the blacklist of kprobes, as far as they
 * can be read.  0 also if there is none; -errno with d set.
 */
int kfuncs_find(struct kfuncs *out, const char *module, const char *pattern,
		bool only_traceable, struct diag *d);
void kfuncs_release(struct kfuncs *f);

/* " (did you mean ...?)" for a name that is no function, or "". */
void kfuncs_suggest(const char *name, char *to, size_t size_bytes);
/* Why a function may not be probed: "it is on the kernel's blacklist", or NULL. */
const char *kfuncs_obstacle(const char *name);

#endif
