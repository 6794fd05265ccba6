/*
 * What the parts of drain share.
 */
#ifndef RECORD_DRAIN_PRIVATE_H
#define RECORD_DRAIN_PRIVATE_H

#include "record/drain.h"
#include "record/kernelmap.h"
#include "record/losses.h"
#include "record/modules.h"
#include "record/probedrain.h"
#include "record/stacks.h"
#include "record/symbolize.h"
#include "record/tasks.h"

/* The fields of a sample. */
enum { FIELD_TIME, FIELD_CPU, FIELD_TASK_ID, FIELD_STACK_ID, FIELD_PERIOD, FIELD_STATE, NR_FIELDS };

/* Messages later than the round, for the next one; each padded to 8 bytes. */
struct held {
	uint8_t *bytes;
	size_t len, cap;
};

struct drain {
	struct drain_opts opts;
	struct modules *modules;
	struct kernelmap *kernel;
	struct symbolizer *symbolizer;
	struct tasks *tasks;
	struct stacks *stacks;
	struct losses *losses;
	struct probedrain *probes;	/* NULL: none */
	uint32_t *event_ids;
	struct held held, holding;
	uint64_t round_ns;		/* notes are complete up to here */
	uint64_t nr_records;
	bool output_busy;
};

#endif
