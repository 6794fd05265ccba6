/*
 * What is inside a trace: the machine, the clock, the events and their fields,
 * tasks, modules, losses, how many bytes everything takes, and what recording
 * cost.  Every block is read and checked, so that a damaged one is told.
 */
#ifndef REPORT_INFO_H
#define REPORT_INFO_H

#include "format/diag.h"
#include "report/output.h"
#include "report/query.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The losses of one CPU, event and cause. */
struct info_loss {
	uint32_t cpu, event, cause;
	uint64_t count;
};

struct info {
	struct query *query;
	struct trace *trace;
	uint64_t *records;		/* by event, as trace_event_at() numbers them */
	size_t nr_events, nr_events_cap;
	struct info_loss *losses;	/* by CPU, event, cause */
	size_t nr_losses;
	uint32_t nr_tasks, nr_processes, nr_threads, nr_kernel_threads;
	uint64_t first_ns, last_ns;	/* of all records */
	/* The same as wall clock, ns since 1970 UTC; 0 when not known. */
	uint64_t first_wall_ns, last_wall_ns;
	uint64_t nr_records;		/* in all record blocks */
	uint64_t record_bytes;		/* of record, frame and stack blocks */
	uint64_t file_bytes;
	struct trace_cost cost;		/* of the whole recording */
	bool has_cost;
};

/* Reads the whole trace.  info_release() in any case. */
int info_collect(struct info *info, struct query *q, struct diag *d);
void info_release(struct info *info);

/* Words of the format; "unknown" for what this version does not know. */
const char *info_block_name(unsigned int type);
const char *info_cause_name(uint32_t cause);
const char *info_type_name(unsigned int type);
const char *info_role_name(unsigned int role);

void info_text(const struct info *info, struct output *o);
void info_json(const struct info *info, struct output *o);

#endif
