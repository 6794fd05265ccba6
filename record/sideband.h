/*
 * The side band: what the kernel says about mappings, names, births and deaths
 * of tasks, through perf mmap buffers of a dummy event.  Notes of all CPUs come
 * out in time order.
 *
 * One thread at a time.
 */
#ifndef RECORD_SIDEBAND_H
#define RECORD_SIDEBAND_H

#include "format/diag.h"
#include "record/target.h"

#include <stdbool.h>
#include <stdint.h>

enum note_kind {
	NOTE_MMAP,		/* executable mappings only */
	NOTE_COMM,
	NOTE_FORK,		/* a process or a thread */
	NOTE_EXIT,		/* of a thread */
	NOTE_KSYMBOL,		/* kernel code came or went (BPF programs) */
	NOTE_CGROUP,		/* a cgroup id and its path */
};

#define NOTE_BUILD_ID_BYTES 20

struct note {
	enum note_kind kind;
	uint64_t time_ns;		/* CLOCK_MONOTONIC */
	uint32_t cpu;
	uint32_t pid, tid;
	union {
		struct {
			uint64_t start, size_bytes, offset;
			uint32_t prot;
			uint32_t dev_major, dev_minor;	/* 0 with a build-id */
			uint64_t inode;
			uint8_t build_id[NOTE_BUILD_ID_BYTES];
			uint8_t build_id_bytes;		/* 0: not known */
		} mmap;				/* text: the path */
		struct {
			bool exec;
		} comm;				/* text: the name */
		struct {
			uint32_t parent_pid, parent_tid;
		} fork;				/* and of NOTE_EXIT */
		struct {
			uint64_t start;
			uint32_t size_bytes;
			bool gone, bpf;
		} ksymbol;			/* text: the name */
		struct {
			uint64_t id;
		} cgroup;			/* text: the path */
	};
	const char *text;	/* NUL-terminated; valid as long as the note */
};

struct sideband;

/*
 * System-wide with a BPF sampler (per_task false): the caller leaves out tasks
 * it does not know.  per_task: the target's tasks only, which needs no rights
 * over others.  Opens disabled.  Features that the kernel lacks (build-ids
 * before 5.12, cgroup, ksymbol) are left out silently.
 */
int sideband_open(struct sideband **out, struct target *target, bool per_task,
		  struct diag *d);
int sideband_enable(struct sideband *s, struct diag *d);
size_t sideband_fds(const struct sideband *s, int *fds, size_t max);
/* Looks what the kernel has written so far: all that is over by now. */
int sideband_drain(struct sideband *s);
/*
 * The earliest note not yet taken with time_ns <= until_ns, or NULL; valid
 * until the next call of this or of sideband_drain().
 */
const struct note *sideband_next(struct sideband *s, uint64_t until_ns);
/* Notes that found no room since the start, on the CPU of that number. */
uint64_t sideband_lost(const struct sideband *s, uint32_t cpu);
void sideband_close(struct sideband *s);

#endif
