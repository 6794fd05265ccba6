/*
 * What the parts of schedprog share.
 */
#ifndef RECORD_SCHEDPROG_PRIVATE_H
#define RECORD_SCHEDPROG_PRIVATE_H

#include "bpf/sched.h"
#include "record/schedprog.h"

/* After what it is built of. */
#include "bpf/sched.skel.h"

#define SCHEDPROG_MAX_LINKS 32

struct schedprog {
	struct schedprog_opts opts;
	struct sched_bpf *skel;
	struct bpf_link *links[SCHEDPROG_MAX_LINKS];
	size_t nr_links;
	struct bpf_link *iterator;	/* NULL: the kernel has none of threads */
	struct proberings *records, *stacks;
	struct sched_cpu *cpus;		/* shared with the programs */
	uint32_t nr_cpus;
	uint64_t missed_before, missed;
	uint64_t disabled_ns;
	bool enabled;
	char note[256];
};

/* The programs, not yet attached. */
int schedprog_load(struct schedprog *p, struct diag *d);
/* Lets the iterator see every thread; what it does then is in the control word. */
int schedprog_iterate(const struct schedprog *p);
/* Tells the programs, before they are loaded. */
void schedprog_find_symbols(struct schedprog *p);

#endif
