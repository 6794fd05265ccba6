/*
 * What a recording says of itself at the beginning of its file: the machine, the
 * command line, and which of the possible ways was taken.
 */
#ifndef RECORD_SESSION_DESCRIBE_H
#define RECORD_SESSION_DESCRIBE_H

#include "format/writer.h"
#include "record/eventlist.h"
#include "record/probing.h"
#include "record/sampler.h"
#include "record/sched.h"
#include "record/session.h"
#include "record/target.h"

/* All borrowed, and open. */
struct session_described {
	const struct session_opts *opts;
	const struct target *target;
	struct sampler *sampler;
	const struct eventlist *events;
	struct probing *probing;	/* NULL: no probes */
	struct sched *sched;		/* NULL: no -e sched */
};

/* Whatever fails is what writer_close() says. */
void session_describe(struct writer *w, const struct session_described *s);

#endif
