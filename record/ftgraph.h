/*
 * The kernel's function_graph tracer, through tracefs: every call of the chosen functions
 * and below them, as a span with its depth, its own time and the calls around it as its
 * stack.  Time that a task sleeps in a function is part of it.
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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ftgraph;

struct ftgraph_opts {
	const char *functions;	/* names with globs, comma-separated; borrowed */
	unsigned int depth;	/* 0: all */
	struct target *target;
	size_t cpu_bytes;	/* of each CPU's ring; 0: a default */
};

struct ftgraph_drain {		/* borrowed from then on */
	struct writer *writer;
	struct tasks *tasks;
	struct stacks *stacks;
	struct kernelmap *kernel;
	struct symbolizer *symbolizer;
};

/*
 * The tracer with its set-up, its rings switched off.  -errno with d set.  It starts a
 * process, which puts the tracer back if this one is killed.
 */
int ftgraph_open(struct ftgraph **out, const struct ftgraph_opts *opts, struct diag *d);
/* Announces the event. */
int ftgraph_begin(struct ftgraph *g, const struct ftgraph_drain *to);
/* Whether records are counted as lost, not kept: the output is too slow. */
void ftgraph_refuse(struct ftgraph *g, bool refuse);
int ftgraph_enable(struct ftgraph *g, struct diag *d);
void ftgraph_disable(struct ftgraph *g);
/* All records up to that time that have come; after the last one, ftgraph_end(). */
void ftgraph_run(struct ftgraph *g, uint64_t until_ns);
/* Kernel code came or went: addresses mean something else now. */
void ftgraph_kernel_changed(struct ftgraph *g);
/* Calls that are under way will have no end any more. */
void ftgraph_end(struct ftgraph *g);
uint64_t ftgraph_records(const struct ftgraph *g);
/*
 * Writes what was lost since the last call: what the kernel overwrote or had no room for
 * (a call has two notes there, and counts for one), what was refused, and calls of which
 * one side was seen.
 */
void ftgraph_write_losses(struct ftgraph *g, uint64_t now_ns);
/* Calls lost so far, those of which one side was seen left out. */
uint64_t ftgraph_lost(const struct ftgraph *g);
uint64_t ftgraph_no_start(const struct ftgraph *g);
uint64_t ftgraph_no_end(const struct ftgraph *g);
/* Puts the tracer back. */
void ftgraph_close(struct ftgraph *g);

#endif
