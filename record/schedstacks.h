/*
 * Stacks of the scheduler's records: from fingerprints to the addresses behind them, and
 * from these to the stack ids of the file.  A pair of fingerprints that was seen before, in
 * the same state of the same address space, costs one look into a table.
 *
 * Memory is bounded: when it is used up, everything older than the last half of it is
 * forgotten, and the programs have to hand over again what they still name.
 *
 * One thread at a time.
 */
#ifndef RECORD_SCHEDSTACKS_H
#define RECORD_SCHEDSTACKS_H

#include "bpf/sched.h"
#include "record/kernelmap.h"
#include "record/schedreason.h"
#include "record/stacks.h"
#include "record/symbolize.h"

#include <stdbool.h>
#include <stdint.h>

struct schedstacks;

struct schedstacks_opts {		/* borrowed */
	struct stacks *stacks;
	struct kernelmap *kernel;
	struct symbolizer *symbolizer;
	size_t limit_bytes;		/* of addresses; 0: a default */
};

int schedstacks_new(struct schedstacks **out, const struct schedstacks_opts *opts);
void schedstacks_free(struct schedstacks *s);

/*
 * The addresses behind a fingerprint.  True when room had to be made: then the programs
 * are to forget what they have handed over.
 */
bool schedstacks_add(struct schedstacks *s, const struct sched_stack *stack);

/* A place of the scheduler's, by its two fingerprints. */
struct schedstacks_place {
	uint32_t stack;			/* id in the file, or 0 */
	struct schedreason why;		/* as the kernel stack tells, if it is blocked there */
};

/*
 * -ENOENT when one of them is not known: *place is what can be told without it, and the
 * answer to the same question may be better once more stacks were added.
 */
int schedstacks_find(struct schedstacks *s, const struct process *p, uint64_t kernel_print,
		     uint64_t user_print, struct schedstacks_place *place);
/* Kernel code came or went: addresses mean something else now. */
void schedstacks_kernel_changed(struct schedstacks *s);

#endif
