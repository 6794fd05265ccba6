/*
 * Names for addresses, from whatever knows them: ELF symbol tables, kallsyms,
 * the vdso, BPF programs, /tmp/perf-PID.map.  Names come out demangled.
 * Symbol tables are loaded on first use of a module and kept.
 *
 * One thread at a time.
 */
#ifndef RECORD_SYMBOLIZE_H
#define RECORD_SYMBOLIZE_H

#include "record/kernelmap.h"
#include "record/modules.h"

struct symbol {
	uint64_t start, size_bytes;	/* offset in the module, as frames have it */
	const char *name;		/* demangled; valid until the next call */
};

struct symbolizer;

int symbolizer_open(struct symbolizer **out, struct modules *modules,
		    struct kernelmap *kernel);
void symbolizer_close(struct symbolizer *s);
/* The symbol that covers the offset: 0, or -ENOENT. */
int symbolizer_find(struct symbolizer *s, uint32_t module, uint64_t offset,
		    struct symbol *out);
/*
 * A process is about to be forgotten (or has just died): what can only be read
 * while it or its mount namespace lives is read now, if it was touched.
 */
void symbolizer_process_exit(struct symbolizer *s, uint32_t pid);
/* JIT maps may have grown: the next miss in one reads it again. */
void symbolizer_refresh(struct symbolizer *s);

#endif
