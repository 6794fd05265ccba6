/*
 * What the parts of session share.
 */
#ifndef RECORD_SESSION_PRIVATE_H
#define RECORD_SESSION_PRIVATE_H

#include "record/drain.h"
#include "record/eventlist.h"
#include "record/session.h"
#include "record/spool.h"

#include <poll.h>
#include <stdatomic.h>

struct session {
	struct session_opts opts;
	struct target target;
	struct sampler *sampler;
	struct sideband *sideband;
	struct spool *spool;
	struct writer *writer;
	struct drain *drain;
	struct eventlist events;
	struct probing *probing;	/* NULL: only samples */
	struct ftgraph *graph;		/* NULL: no --graph */
	struct sched *sched;		/* NULL: no -e sched */
	char sched_note[128];
	uint64_t interval_ns;		/* between two looks at the rings */
	uint64_t longest_ns;		/* of those, with probes */
	struct pollfd *fds;
	size_t nr_fds;
	int stop_fd;
	atomic_int stops;
	uint64_t bytes;
	uint64_t next_flush_ns, next_clock_ns, start_ns, open_ns;
};

#endif
