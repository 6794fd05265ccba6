/*
 * The probes of one recording: resolves what was asked for, loads and attaches the
 * programs, and holds the rings their records come through.
 *
 * One thread at a time.
 */
#ifndef RECORD_PROBING_H
#define RECORD_PROBING_H

#include "format/diag.h"
#include "record/probe.h"
#include "record/proberings.h"
#include "record/spanmaps.h"
#include "record/target.h"

struct probing_opts {
	const struct probe_spec *specs;
	size_t nr_specs;
	struct target *target;
	int traced_fd;			/* map of the processes to be recorded; -1: all */
	int traced_tids_fd;		/* the same of threads */
	int cgroup_fd;			/* cgroup array with one entry, or -1 */
	enum proberings_way way;
	size_t cpu_bytes;		/* of a ring; 0: a default */
	const char *use;		/* the only ways allowed, or NULL */
	int (*progress)(void *ctx, const char *what, size_t done, size_t all);	/* not 0: give up */
	void *progress_ctx;
};

struct probing;

/* Resolves, loads and attaches; nothing is recorded before probing_enable(). */
int probing_open(struct probing **out, const struct probing_opts *opts, struct diag *d);
void probing_enable(struct probing *p, bool on);
const struct probes *probing_probes(const struct probing *p);
struct proberings *probing_rings(struct probing *p);
/* Sentences for the user, or NULL. */
const char *probing_note(const struct probing *p);
const char *probing_irq_note(const struct probing *p);
/* Hits that the kernel skipped while enabled, since a program already ran on that CPU. */
uint64_t probing_missed(struct probing *p, uint32_t probe);
/* Tables of spans, or NULL: none. */
struct spanmaps *probing_spans(struct probing *p);
void probing_close(struct probing *p);

#endif
