/*
 * What was asked for with -e, sorted out: events that are sampled, and probes.
 */
#ifndef RECORD_EVENTLIST_H
#define RECORD_EVENTLIST_H

#include "record/probespec.h"
#include "record/sampler.h"
#include "record/session.h"

/* The scheduler's story, asked for by its name or by that of one of its parts. */
struct eventlist_sched {
	bool wanted;
	bool kernel_stack, user_stack;
	uint64_t min_ns;
	const char *part;		/* a part that was asked for instead, or NULL */
};

struct eventlist {
	struct sampled sampled[SAMPLE_MAX_EVENTS];
	size_t nr_sampled;
	struct probe_spec *probes;
	size_t nr_probes;
	struct eventlist_sched sched;
};

/* -errno with d set.  Release it in any case. */
int eventlist_init(struct eventlist *l, const struct session_opts *opts, struct diag *d);
void eventlist_release(struct eventlist *l);

#endif
