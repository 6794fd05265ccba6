/*
 * How a BPF program tells that an interrupt brought it about, and not the thread that
 * happened to run: by the kernel's own count of what it is in the middle of.  Where
 * that count lies, and whether it can be found, differs from kernel to kernel.
 */
#ifndef RECORD_IRQCONTEXT_H
#define RECORD_IRQCONTEXT_H

#include "record/bpfcode.h"
#include "record/cpuvar.h"
#include "record/probe.h"

#include <stdint.h>

enum irqcontext_way {
	IRQCONTEXT_UNKNOWN,
	IRQCONTEXT_VARIABLE,	/* of each CPU, which the kernel's types describe */
	IRQCONTEXT_TASK,	/* in the running thread's task_struct */
	IRQCONTEXT_SYMBOL,	/* of each CPU, found by its address */
	/*
	 * No count: by the stack.  What a thread does outside of system calls, such as page
	 * faults of its own code, passes for interrupts.
	 */
	IRQCONTEXT_STACK,
};

struct irqcontext {
	enum irqcontext_way way;
	struct cpuvar count;
	uint32_t task_offset, stack_bytes;
};

/* The first way that this kernel allows; -errno: none. */
int irqcontext_find(struct irqcontext *out);
/* One way alone.  -ENXIO: the kernel knows no address of what its types describe. */
int irqcontext_try(struct irqcontext *out, enum irqcontext_way way);

/*
 * Jumps to the label in an interrupt (hard, soft or one that cannot be masked).  The
 * variant tells what the context in r6 is.  slot: 8 bytes of the stack, offset from
 * r10; r0 to r5 are lost.
 */
void irqcontext_jump(struct bpfcode *c, const struct irqcontext *i, const struct probe_variant *v,
		     int16_t slot, int label);

#endif
