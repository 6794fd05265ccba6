/*
 * The compiled BPF programs of the running kernel.
 */
#ifndef RECORD_BPFPROGS_H
#define RECORD_BPFPROGS_H

#include <stdint.h>

/*
 * Calls fn for each compiled function of each program with an id above
 * *last_id, and moves *last_id on.  Names are those of kallsyms,
 * "bpf_prog_TAG_NAME".  0; -EPERM without the right to ask.
 */
int bpfprogs_each(uint32_t *last_id,
		  void (*fn)(void *ctx, const char *name, uint64_t start, uint64_t size_bytes),
		  void *ctx);

#endif
