/*
 * From the counts of a tally to records of the file, once in each of its intervals.
 *
 * One thread at a time.
 */
#ifndef RECORD_TALLYDRAIN_H
#define RECORD_TALLYDRAIN_H

#include "format/writer.h"
#include "record/probe.h"
#include "record/stacks.h"
#include "record/stacktrim.h"
#include "record/tasks.h"

#include <stdbool.h>
#include <stdint.h>

struct tallydrain;

struct tallydrain_opts {		/* borrowed */
	const struct probe *probe;	/* with a tally */
	struct writer *writer;
	struct tasks *tasks;
	struct stacks *stacks;
	struct stacktrim *trim;
};

/* Announces the event to the writer. */
int tallydrain_open(struct tallydrain **out, const struct tallydrain_opts *opts);
void tallydrain_close(struct tallydrain *td);
uint32_t tallydrain_event(const struct tallydrain *td);
/* The first interval begins. */
void tallydrain_begin(struct tallydrain *td, uint64_t now_ns);
/* Writes what was counted, if the interval is over or is the last one. */
void tallydrain_run(struct tallydrain *td, uint64_t now_ns, bool last);
/* Hits written so far. */
uint64_t tallydrain_hits(const struct tallydrain *td);

#endif
