/*
 * The sampler takes samples with their stacks through a BPF program on perf
 * events and hands them over as struct message_sample (bpf/sample.h).  Where
 * BPF may not be loaded it samples through perf mmap buffers instead and
 * delivers the same messages, user stacks only unless the kernel allows more.
 *
 * One thread at a time.
 */
#ifndef RECORD_SAMPLER_H
#define RECORD_SAMPLER_H

#include "bpf/sample.h"
#include "format/diag.h"
#include "record/sampled.h"
#include "record/target.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sampler_transport {
	SAMPLER_AUTO,		/* ring buffer, else perf buffer, else perf mmap */
	SAMPLER_RING_BUFFER,
	SAMPLER_PERF_BUFFER,
	SAMPLER_PERF_MMAP,	/* no BPF at all */
};

struct sampler_opts {
	const struct sampled *events;		/* message_sample.event indexes it */
	size_t nr_events;			/* SAMPLE_MAX_EVENTS at most; may be 0 */
	bool idle;			/* sample the idle tasks, too */
	bool delayed;			/* not even at the command's exec: sampler_enable() */
	enum sampler_transport transport;
	size_t buffer_bytes;		/* 0: a default that suits the rate */
};

struct sampler;

/*
 * Loads and attaches.  Samples are off until sampler_enable(); messages about
 * tasks flow from here on, so that none is missed that comes after a snapshot.
 * With SAMPLER_AUTO and no right to load BPF falls back to perf mmap, which
 * has no messages about tasks; sampler_transport() tells.
 */
int sampler_open(struct sampler **out, const struct sampler_opts *opts,
		 struct target *target, struct diag *d);
enum sampler_transport sampler_transport(const struct sampler *s);
/* True when kernel addresses are not sampled for want of rights. */
bool sampler_user_only(const struct sampler *s);
/*
 * A sentence to tell the user once, or NULL: fallback taken, frequency
 * lowered to the kernel's limit, ...
 */
const char *sampler_note(const struct sampler *s);
/* With a command, its events start by themselves at exec unless delayed. */
int sampler_enable(struct sampler *s, struct diag *d);
int sampler_disable(struct sampler *s);

/* What other programs look up to record the same tasks; -1: no such choice is made. */
struct sampler_maps {
	int traced_fd;		/* hash: process id -> __u8, 1 once it is recorded */
	int traced_tids_fd;	/* the same of thread ids */
	int cgroup_fd;		/* cgroup array with one entry */
};

/*
 * -EOPNOTSUPP when no BPF is in use, and sampler_no_bpf() tells why; -ENODATA when only
 * the kernel's types are missing, so that BPF programs are loaded, but follow nobody.
 */
int sampler_get_maps(const struct sampler *s, struct sampler_maps *maps);
const char *sampler_no_bpf(const struct sampler *s);

/* fds to poll for reading; at most max of them; returns how many there are. */
size_t sampler_fds(const struct sampler *s, int *fds, size_t max);
/*
 * Hands every waiting message to fn, roughly in time order; the samples of one
 * event on one CPU exactly so.  The message is aligned to 8 bytes and valid
 * during the call only.  fn must not fail.
 */
int sampler_drain(struct sampler *s,
		  void (*fn)(void *ctx, const struct message *m, size_t size_bytes),
		  void *ctx);
#define SAMPLER_TASKS SAMPLE_MAX_EVENTS
/*
 * Samples that found no room, of one event on one CPU, since the start; with
 * SAMPLER_TASKS for the event, messages about tasks.  cpu is a CPU's number,
 * below sampler_nr_cpus().  Up to date as of the last sampler_drain().
 */
uint64_t sampler_lost(struct sampler *s, uint32_t event, uint32_t cpu);
uint32_t sampler_nr_cpus(const struct sampler *s);
/* What a record of this event weighs when the message says 0: for notes. */
uint64_t sampler_period(const struct sampler *s, uint32_t event);
void sampler_close(struct sampler *s);

#endif
