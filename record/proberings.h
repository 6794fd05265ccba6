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
	size_t default_cpu_bytes;	/* that, where there are not too many CPUs; 0: 32 MiB */
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

/*
 * For probeprog.c: what the programs are built around.
 *
 * RINGS_MAPPED: ring_fd is an array with a value for each possible CPU: two
 * counters of bytes that only ever grow, RESERVED moved by the programs of that
 * CPU and CONSUMED by us, then, at DATA, cpu_bytes of ring and slack, into which the
 * last record before the end runs on.  All that is not reserved is zero.
 *
 * Else a message is the __u32 number of the CPU and, right after it, the record.  It is
 * built on the program's stack, or in one of PROBERINGS_SLOTS rows for each CPU of
 * scratch_fd, each of which starts with a __u64 that is 1 while it is in use.
 */
#define PROBERINGS_RESERVED 0
#define PROBERINGS_CONSUMED 2048	/* far away: prefetchers fetch in pairs of lines */
#define PROBERINGS_DATA 4096
#define PROBERINGS_SLOTS 6

struct proberings_maps {
	int control_fd;		/* array of one value: __u32 enabled */
	int lost_fd;		/* array of __u64: row cpu * nr_probes + probe */
	int ring_fd;		/* mapped array, ring buffer, or perf event array */
	int scratch_fd;		/* -1 with RINGS_MAPPED */
	uint64_t cpu_bytes;	/* a power of two; RINGS_RINGBUF: of the whole buffer */
	size_t max_record_bytes;
	uint32_t nr_cpus;	/* possible ones */
	uint32_t nr_probes;
	bool atomics;		/* the kernel has BPF_XCHG and BPF_CMPXCHG */
};

/* The least power of two that is not smaller: sizes that a mask can keep. */
uint64_t proberings_round_up(uint64_t n);
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
/*
 * Whether nothing is left, not even of programs that are in the middle of a record: one
 * may be interrupted there, and what comes after it waits.
 */
bool proberings_is_empty(const struct proberings *r);
/* How full the fullest lane is; cheap. */
unsigned int proberings_fill_percent(const struct proberings *r);
/* Readable when it is time to drain, or -1: then the caller looks now and then. */
int proberings_fd(const struct proberings *r);
/* Records that found no room, since the start. */
uint64_t proberings_lost(const struct proberings *r, uint32_t probe, uint32_t cpu);

#endif
