/*
 * From raw addresses to stack ids of the file: each address becomes a frame
 * (module, offset), each frame a node of the trie, and the names of new frames
 * are looked up while the process is still there.
 *
 * A stack that was seen before, in the same state of the same address space,
 * costs one hash of its addresses and one look into a cache.
 *
 * One thread at a time.
 */
#ifndef RECORD_STACKS_H
#define RECORD_STACKS_H

#include "bpf/sample.h"
#include "format/writer.h"
#include "record/kernelmap.h"
#include "record/modules.h"
#include "record/symbolize.h"
#include "record/tasks.h"

#include <stdint.h>

struct stacks;

struct stacks_opts {
	struct writer *writer;
	struct modules *modules;
	struct kernelmap *kernel;
	struct symbolizer *symbolizer;
};

int stacks_new(struct stacks **out, const struct stacks_opts *opts);
void stacks_free(struct stacks *s);

/*
 * Addresses as they come from the kernel: those of the kernel stack, then those of
 * the user stack, innermost first.  A count below 0 is the -errno of a stack that
 * could not be read.
 */
struct stacks_raw {
	const __u64 *ips;
	int kernel_frames, user_frames;
};

/* The id of the whole stack; 0 when there is none. */
uint32_t stacks_intern(struct stacks *s, const struct process *p,
		       const struct stacks_raw *raw);
/*
 * The frame of one address of code, of the kernel or of the process.  0 for
 * address 0.
 */
uint32_t stacks_frame(struct stacks *s, const struct process *p, uint64_t address);
/* Kernel code came or went: kernel addresses mean something else now. */
void stacks_kernel_changed(struct stacks *s);
/*
 * Looks up the names of frames that are new since the last call and gives them
 * to the writer; JIT frames without a name are tried again each time,
 * as long as their process lives.
 */
void stacks_name_frames(struct stacks *s);
/* Frames known, and those without a name. */
void stacks_count(const struct stacks *s, uint64_t *frames, uint64_t *unresolved);

#endif
