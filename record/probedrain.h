/*
 * From the records of probes to those of the file: fields to columns, texts to
 * strings, addresses to stacks and frames.
 *
 * One thread at a time.
 */
#ifndef RECORD_PROBEDRAIN_H
#define RECORD_PROBEDRAIN_H

#include "format/diag.h"
#include "format/writer.h"
#include "record/losses.h"
#include "record/probing.h"
#include "record/stacks.h"
#include "record/tasks.h"

struct probedrain;

struct probedrain_opts {		/* borrowed */
	struct probing *probing;
	struct writer *writer;
	struct tasks *tasks;
	struct stacks *stacks;
	struct kernelmap *kernel;
	struct symbolizer *symbolizer;
};

/* Announces the events to the writer. */
int probedrain_open(struct probedrain **out, const struct probedrain_opts *opts);
void probedrain_close(struct probedrain *pd);
/* The id in the file of a probe's event. */
uint32_t probedrain_event(const struct probedrain *pd, uint32_t probe);
/* Records from now on are counted as lost to a slow output, instead of kept. */
void probedrain_refuse(struct probedrain *pd, struct losses *losses, bool refuse);
/* All records up to that time. */
void probedrain_run(struct probedrain *pd, uint64_t until_ns);
/* Whether there is nothing more to come from programs that have begun. */
bool probedrain_is_done(const struct probedrain *pd);
/* Intervals of tallies begin; and those that are over, or are the last ones, are written. */
void probedrain_begin_tallies(struct probedrain *pd, uint64_t now_ns);
void probedrain_run_tallies(struct probedrain *pd, uint64_t now_ns, bool last);
/* Tasks or mappings are about to change: what was remembered of them is forgotten. */
void probedrain_forget(struct probedrain *pd);
/* The kernel's code has changed. */
void probedrain_kernel_changed(struct probedrain *pd);
/* Records, and hits of tallies. */
uint64_t probedrain_records(const struct probedrain *pd);

#endif
