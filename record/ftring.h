/*
 * The raw pages of the kernel's trace rings (trace_pipe_raw), as one stream of events
 * in time order.
 *
 * One thread at a time.
 */
#ifndef RECORD_FTRING_H
#define RECORD_FTRING_H

#include "format/diag.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ftring;

struct ftring_event {
	uint64_t time_ns;	/* on the clock that the rings are set to */
	uint32_t cpu;
	/* Events of some CPU were lost before it, or from here on until later. */
	bool missed;
	const uint8_t *data;	/* until the next call; aligned to 4 bytes */
	size_t size_bytes;
};

/* folder: an fd of that which has per_cpu/, borrowed. */
int ftring_open(struct ftring **out, int folder, const int *cpus, size_t nr_cpus,
		struct diag *d);
/*
 * The earliest event that is left and not later than that; false: none is.  What is not
 * in the rings yet when that time comes may follow later, out of order.
 */
bool ftring_next(struct ftring *r, uint64_t until_ns, struct ftring_event *e);
/* Events that the kernel overwrote or had no room for, since its rings were emptied. */
uint64_t ftring_lost(const struct ftring *r, uint32_t cpu);
void ftring_close(struct ftring *r);

#endif
