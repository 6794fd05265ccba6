/*
 * The way of probe records from the kernel to us.
 *
 * RINGS_MAPPED: a ring of each CPU's own in memory that we share with the programs
 * (a mappable BPF array): a program reserves room with a compare-and-exchange,
 * fills it in place and commits by writing the size; we read it where it lies and
 * clear it.  No copy, no lock, no system call, no wake-up.  Needs BPF atomics
 * (5.12).  RINGS_RINGBUF: the kernel's BPF ring buffer (5.8).  RINGS_PERFBUF: perf
 * buffers.
 *
 * Reading: one thread at a time.
 */
#ifndef RECORD_PROBERINGS_H
#define RECORD_PROBERINGS_H

#include "bpf/probe.h"
#include "format/diag.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum proberings_way { RINGS_AUTO, RINGS_MAPPED, RINGS_RINGBUF, RINGS_PERFBUF };

struct proberings_opts {
	enum proberings_way way;
	size_t cpu_bytes;		/* of each CPU's ring, at most; 0: a default */
	uint32_t nr_probes;
	size_t max_record_bytes;	/* the largest record of all programs */
};

struct proberings;

/* AUTO finds out by trying.  -errno with d set. */
int proberings_open(struct proberings **out, const struct proberings_opts *opts,
		    struct diag *d);
void proberings_close(struct proberings *r);
enum proberings_way proberings_way(const struct proberings *r);
const char *proberings_way_name(const struct proberings *r);	/* for the file and `--use` */

/* Programs do nothing while this is off; off at the start. */
void proberings_enable(struct proberings *r, bool on);

/* For probeprog.c: what the programs are built around. */
struct proberings_maps {
	int control_fd;		/* array of one value: __u32 enabled at offset 0 */
	int lost_fd;		/* array of one value: __u64 by CPU, then probe */
	int ring_fd;		/* mapped array, ring buffer, or perf event array */
	int scratch_fd;		/* per-CPU scratch of RINGS_PERFBUF, else -1 */
	uint64_t cpu_bytes;	/* RINGS_MAPPED: a power of two */
	uint32_t nr_cpus;	/* possible ones */
};

void proberings_maps(const struct proberings *r, struct proberings_maps *maps);

/* RINGS_MAPPED: a lane is a CPU's ring.  Else there is one lane, in no strict order. */
uint32_t proberings_nr_lanes(const struct proberings *r);
typedef void (*proberings_fn)(void *ctx, uint32_t cpu, const struct probe_record *rec);
/*
 * Hands out the lane's records up to that time, oldest first; stops at the first
 * later one, or at one that is not complete yet.  A record is valid during the
 * call.  Returns the number of records.
 */
size_t proberings_take(struct proberings *r, uint32_t lane, uint64_t until_ns,
		       proberings_fn fn, void *ctx);
/* How full the fullest lane is. */
unsigned int proberings_fill_percent(const struct proberings *r);
/* Readable when it is time to drain, or -1: then the caller looks now and then. */
int proberings_fd(const struct proberings *r);
/* Records that found no room, since the start. */
uint64_t proberings_lost(const struct proberings *r, uint32_t probe, uint32_t cpu);

#endif
