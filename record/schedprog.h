/*
 * The scheduler's BPF programs of one recording (bpf/sched.bpf.c): loading, attaching, the
 * threads that are there at the start, and those still there at the end.
 *
 * One thread at a time.
 */
#ifndef RECORD_SCHEDPROG_H
#define RECORD_SCHEDPROG_H

#include "bpf/sched.h"
#include "format/diag.h"
#include "record/proberings.h"
#include "record/target.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct schedprog_opts {
	struct target *target;
	int traced_fd, traced_tids_fd, cgroup_fd;	/* as in struct probing_opts */
	bool kernel_stack, user_stack;		/* where it left the CPU, and its waker's */
	uint64_t min_ns;			/* shorter waits have no record of their own */
	size_t cpu_bytes;			/* of a ring; 0: a default */
	const char *use;			/* the only ways allowed, or NULL */
	/*
	 * For tests: walk stacks that are remembered, too, and count those that are not
	 * what they were (schedprog_first_wrong()).
	 */
	bool check_stacks;
};

struct schedprog;

int schedprog_open(struct schedprog **out, const struct schedprog_opts *opts, struct diag *d);
void schedprog_close(struct schedprog *p);
const char *schedprog_note(const struct schedprog *p);	/* a sentence for the user, or NULL */
/* The way: "tp_btf" or "raw_tp", and how stacks are got, for the file. */
const char *schedprog_method(const struct schedprog *p);
/* Notes the state of every thread to be recorded, then records. */
int schedprog_enable(struct schedprog *p, struct diag *d);
/* No record is written any more by the programs when it returns. */
void schedprog_disable(struct schedprog *p);
/*
 * After that: a record for every thread that waits or runs, cut at the time of
 * schedprog_disable(), whose time it has.
 */
typedef void (*schedprog_fn)(void *ctx, uint32_t cpu, const struct sched_record *r);
int schedprog_end(struct schedprog *p, schedprog_fn fn, void *ctx);

struct proberings *schedprog_records(struct schedprog *p);
struct proberings *schedprog_stacks(struct schedprog *p);
/* All fingerprints are unknown from now on: their stacks will come again. */
void schedprog_forget_stacks(struct schedprog *p);

struct schedprog_counts {
	uint64_t lost;		/* records for which there was no room in a ring: their time
				 * is in the thread's next one, as skipped */
	uint64_t no_room;	/* threads that found none in the table, times they ran */
	/* Runs that the kernel left out; the time of records that are missing is as above. */
	uint64_t missed;
	uint64_t no_wakeup;	/* waits whose end nobody was seen to cause */
	uint64_t walked, remembered;	/* stacks of the kernel */
	uint64_t checked;	/* of those remembered: walked again, and compared */
	/* Stacks that were not what is remembered; those of users with check_stacks. */
	uint64_t wrong_kernel, wrong_user;
	uint64_t unstable;	/* of users: memory changed while it was looked at twice */
	uint64_t unchecked;	/* of the kernel: there was no room to keep what they were */
};

void schedprog_get_counts(struct schedprog *p, struct schedprog_counts *out);
/* With check_stacks; its fingerprint is 0 if there is none. */
int schedprog_first_wrong(const struct schedprog *p, bool user, struct sched_wrong *out);

#endif
