/*
 * The scheduler's story: one record for each time a thread gets a CPU, by BPF programs on
 * its tracepoints (bpf/sched.bpf.c).  record/schedprog.h loads them; this turns what they
 * hand over into the event "sched" of the file and its parts.
 *
 * One thread at a time.
 */
#ifndef RECORD_SCHED_H
#define RECORD_SCHED_H

#include "format/diag.h"
#include "format/writer.h"
#include "record/losses.h"
#include "record/schedprog.h"
#include "record/stacks.h"
#include "record/tasks.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sched;

struct sched_drain {		/* borrowed from then on */
	struct writer *writer;
	struct tasks *tasks;
	struct stacks *stacks;
	struct kernelmap *kernel;
	struct symbolizer *symbolizer;
};

/* Loads and attaches; nothing is recorded before sched_enable(). */
int sched_open(struct sched **out, const struct schedprog_opts *opts, struct diag *d);
/* Announces the event and its parts. */
int sched_begin(struct sched *s, const struct sched_drain *to);
/* The ids in the file: that of the whole. */
uint32_t sched_event(const struct sched *s);
const char *sched_note(const struct sched *s);		/* for the user, or NULL */
const char *sched_method(const struct sched *s);	/* which way was taken, for the file */
int sched_enable(struct sched *s, struct diag *d);
/* The last records, of threads that wait or run now, follow by sched_end(). */
void sched_disable(struct sched *s);
/* Whether records are counted as lost, not kept: the output is too slow. */
void sched_refuse(struct sched *s, bool refuse);
/* Now and then: keeps what stands behind the fingerprints of records to come. */
void sched_take_stacks(struct sched *s);
/* All records up to that time that have come. */
void sched_run(struct sched *s, uint64_t until_ns);
/* Tasks or mappings are about to change. */
void sched_forget(struct sched *s);
/* Kernel code came or went: addresses mean something else now. */
void sched_kernel_changed(struct sched *s);
/* The last records, and what is told of all of them. */
void sched_end(struct sched *s);
/* Kernel stacks that were remembered, looked at again, and not the same. */
uint64_t sched_wrong_stacks(const struct sched *s);
bool sched_is_done(const struct sched *s);
unsigned int sched_fill_percent(const struct sched *s);
/* Readable when it is time to drain, or -1: then the caller looks now and then. */
int sched_fd(const struct sched *s);
uint64_t sched_records(const struct sched *s);
/* Writes what was lost since the last call. */
void sched_write_losses(struct sched *s, uint64_t now_ns);
uint64_t sched_lost(const struct sched *s);
void sched_close(struct sched *s);

#endif
