/*
 * Counts what the kernel leaves out of programs that are attached by perf events: while
 * any such program or a change of a map is under way on a CPU, it starts no other there.
 * Since Linux 6.7 it counts that itself.  Before, a second program on the same
 * tracepoint does, which the kernel always starts.
 *
 * One thread at a time.
 */
#ifndef RECORD_TPMISSED_H
#define RECORD_TPMISSED_H

#include "record/attachset.h"
#include "record/cpuvar.h"

struct tpmissed {
	struct cpuvar active;		/* programs under way on a CPU */
	int map_fd;
	uint64_t *counts;		/* by row; NULL: not open */
	uint32_t nr, cap;
	bool is_tried;
};

/* For so many tracepoints.  -EALREADY: the kernel counts; else it cannot be counted. */
int tpmissed_open(struct tpmissed *t, uint32_t cap);
/* Counts for this one, "block_rq_complete": its row, or -errno. */
int tpmissed_attach(struct tpmissed *t, const char *tracepoint, struct attachset *a);
uint64_t tpmissed_count(const struct tpmissed *t, uint32_t row);
void tpmissed_release(struct tpmissed *t);	/* harmless on zeroed memory */

#endif
