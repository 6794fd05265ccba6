/*
 * What was asked for with -e, sorted out: events that are sampled, and probes.
 */
#ifndef RECORD_EVENTLIST_H
#define RECORD_EVENTLIST_H

#include "record/probespec.h"
#include "record/sampler.h"
#include "record/session.h"

struct eventlist {
	struct sampled sampled[SAMPLE_MAX_EVENTS];
	size_t nr_sampled;
	struct probe_spec *probes;
	size_t nr_probes;
};

/* -errno with d set.  Release it in any case. */
int eventlist_init(struct eventlist *l, const struct session_opts *opts, struct diag *d);
void eventlist_release(struct eventlist *l);

#endif
