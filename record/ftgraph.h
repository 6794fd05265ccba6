/*
 * The kernel's function_graph tracer, through a tracefs instance of our own: every call
 * below the chosen functions, as a span with its depth, its own time and its stack.
 *
 * One thread at a time.
 */
#ifndef RECORD_FTGRAPH_H
#define RECORD_FTGRAPH_H

#include "format/diag.h"
#include "format/writer.h"
#include "record/losses.h"
#include "record/stacks.h"
#include "record/target.h"
#include "record/tasks.h"

#include <stdint.h>

struct ftgraph;

struct ftgraph_opts {
	const char *functions;	/* names with globs, comma-separated */
	unsigned int depth;	/* 0: all */
	struct target *target;
	size_t cpu_bytes;	/* of each CPU's ring; 0: a default */
};

struct ftgraph_drain {		/* borrowed from then on */
	struct writer *writer;
	struct tasks *tasks;
	struct stacks *stacks;
};

/* The instance with its set-up, switched off.  -errno with d set. */
int ftgraph_open(struct ftgraph **out, const struct ftgraph_opts *opts, struct diag *d);
/* Announces the event. */
int ftgraph_begin(struct ftgraph *g, const struct ftgraph_drain *to);
int ftgraph_enable(struct ftgraph *g, struct diag *d);
void ftgraph_disable(struct ftgraph *g);
/* All records up to that time that have come. */
void ftgraph_run(struct ftgraph *g, uint64_t until_ns);
uint32_t ftgraph_event(const struct ftgraph *g);
uint64_t ftgraph_records(const struct ftgraph *g);
/* What the kernel overwrote or dropped, by CPU, since the start; calls without a start or end. */
uint64_t ftgraph_lost(const struct ftgraph *g, uint32_t cpu);
uint64_t ftgraph_no_start(const struct ftgraph *g);
uint64_t ftgraph_no_end(const struct ftgraph *g);
/* Removes the instance. */
void ftgraph_close(struct ftgraph *g);

#endif
