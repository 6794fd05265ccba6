/*
 * What record/sampler.c and its ways to get samples share; private to them.
 */
#ifndef RECORD_SAMPLER_BACKEND_H
#define RECORD_SAMPLER_BACKEND_H

#include "record/perfevent.h"
#include "record/sampler.h"

#include <linux/perf_event.h>

typedef void (*sampler_fn)(void *ctx, const struct message *m, size_t size_bytes);

struct sampler {
	const struct sampler_backend *backend;
	void *impl;			/* of the backend */
	struct target *target;
	struct sampler_opts opts;	/* opts.events is not used after opening */
	enum sampler_transport transport;
	struct sampled events[SAMPLE_MAX_EVENTS];
	struct perf_event_attr attrs[SAMPLE_MAX_EVENTS];
	/* By event: on all CPUs, and the backend picks out the target's samples. */
	bool system_wide[SAMPLE_MAX_EVENTS];
	struct perfevents perf;		/* all of them, opened by the backend */
	uint32_t nr_cpus;		/* possible ones */
	bool user_only;
	bool stopped;			/* by sampler_disable() */
	bool no_types;			/* the kernel does not tell them */
	char no_bpf[160];		/* why BPF is not in use, or "" */
	char note[512];
};

struct sampler_backend {
	/*
	 * Opens s->perf, switched off.  *unusable is set when this backend
	 * cannot work here at all, so that another one may be tried; d is left
	 * alone then.  close() follows in any case.
	 */
	int (*open)(struct sampler *s, bool *unusable, struct diag *d);
	void (*close)(struct sampler *s);
	int (*poll_fd)(const struct sampler *s);
	int (*drain)(struct sampler *s, sampler_fn fn, void *ctx);
	/* row: an event, or SAMPLER_TASKS */
	uint64_t (*lost)(struct sampler *s, uint32_t row, uint32_t cpu);
	void (*maps)(const struct sampler *s, struct sampler_maps *maps);	/* or NULL */
};

/* By a BPF program, through s->transport. */
const struct sampler_backend *sampler_bpf_backend(void);
/* Through perf mmap buffers alone. */
const struct sampler_backend *sampler_perf_backend(void);

/* Bytes of buffer that all events at their rate fill in about a second. */
size_t sampler_buffer_bytes(const struct sampler *s);
/* perfevents_open() of all events, with the sentence if it fails. */
int sampler_open_events(struct sampler *s, bool each_cpu,
			int (*opened)(void *ctx, const struct perfevent *e), struct diag *d);

#endif
