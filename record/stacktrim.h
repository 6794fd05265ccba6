/*
 * Kernel stacks of probes begin with the machinery that called the BPF program: the
 * program itself, trampolines, the tracepoint's glue.  It is ours, not the user's.
 */
#ifndef RECORD_STACKTRIM_H
#define RECORD_STACKTRIM_H

#include "record/kernelmap.h"
#include "record/symbolize.h"

#include <linux/types.h>
#include <stdint.h>

#define STACKTRIM_SLOTS 64
#define STACKTRIM_OTHERS 256		/* a power of two */

struct stacktrim {
	struct kernelmap *kernel;
	struct symbolizer *symbolizer;
	struct {
		__u64 first;		/* innermost address; 0: free */
		int nr;
	} known[STACKTRIM_SLOTS];
	__u64 others[STACKTRIM_OTHERS];	/* addresses that are no machinery */
};

void stacktrim_init(struct stacktrim *t, struct kernelmap *kernel, struct symbolizer *symbolizer);
/* How many of the innermost addresses are such machinery. */
int stacktrim_count(struct stacktrim *t, const __u64 *ips, int nr);
/* Kernel code came or went. */
void stacktrim_forget(struct stacktrim *t);

#endif
