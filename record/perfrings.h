/*
 * The perf mmap buffers of several CPUs as one stream of records in time order.
 * Within a buffer the kernel writes in time order; between buffers the earliest
 * waiting record comes first.
 */
#ifndef RECORD_PERFRINGS_H
#define RECORD_PERFRINGS_H

#include "record/perfevent.h"
#include "record/perfmmap.h"

#include <stdbool.h>

struct perfrings_ring {
	struct perfmmap mmap;
	int cpu;
	const struct perf_event_header *record;	/* the next one */
	uint64_t time_ns;			/* of it */
};

struct perfrings {
	struct perfrings_ring *rings;
	size_t nr, cap;
	struct perfrings_ring **heap;	/* those with a record, earliest first */
	size_t nr_heap;
	bool taken;			/* heap[0]'s record was handed out */
	int poll_fd;			/* readable when a buffer asks for it */
	uint64_t (*time_of)(const struct perf_event_header *record);
};

/* At most max_rings of them. */
int perfrings_init(struct perfrings *r, size_t max_rings,
		   uint64_t (*time_of)(const struct perf_event_header *record));
void perfrings_release(struct perfrings *r);
/*
 * Maps a buffer of the event.  Where the kernel's limit on locked memory is in
 * the way, tries smaller ones down to a page; *data_bytes is what it became,
 * to start with for the next.
 */
int perfrings_add(struct perfrings *r, int fd, int cpu, size_t *data_bytes);
/* One for each CPU: its first event has the buffer, the others write into it. */
int perfrings_add_events(struct perfrings *r, const struct perfevents *events,
			 size_t data_bytes);
/* Looks what is new. */
void perfrings_refresh(struct perfrings *r);
/*
 * The earliest record not later than until_ns, or NULL; valid until the next
 * call.
 */
const struct perf_event_header *perfrings_next(struct perfrings *r, uint64_t until_ns, int *cpu);
unsigned int perfrings_fill_percent(const struct perfrings *r);

#endif
