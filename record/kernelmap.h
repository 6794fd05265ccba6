/*
 * Where kernel code lies: the kernel proper, modules, BPF programs.  Reads
 * only the head of /proc/kallsyms and /proc/modules at opening; the names come
 * later, through record/symbolize.h.
 */
#ifndef RECORD_KERNELMAP_H
#define RECORD_KERNELMAP_H

#include "record/modules.h"

#include <stdbool.h>
#include <stdint.h>

struct kernelmap;

/* kptr_restrict or missing rights: works, and finds nothing. */
int kernelmap_open(struct kernelmap **out, struct modules *modules);
void kernelmap_close(struct kernelmap *k);
/* True when the kernel hides its addresses from us. */
bool kernelmap_hidden(const struct kernelmap *k);
/* Kernel code that came or went at run time (NOTE_KSYMBOL). */
void kernelmap_add(struct kernelmap *k, const char *name, uint64_t start, uint64_t size_bytes);
void kernelmap_remove(struct kernelmap *k, uint64_t start);
/*
 * The module of a kernel address and the offset in it; 0 and the address when
 * nothing is known of it.  Asks the kernel again about modules and BPF programs
 * when the address is new to it, at most once a second.
 */
uint32_t kernelmap_find(struct kernelmap *k, uint64_t address, uint64_t *offset);
/*
 * Called when even that did not help, for whoever can tell more by the functions below;
 * fn is NULL or lasts as long as k does.
 */
void kernelmap_on_unknown(struct kernelmap *k, void (*fn)(void *ctx), void *ctx);
/*
 * What all of /proc/kallsyms said, once record/symbolize.h has read it: where
 * the kernel proper ends, and code and modules, which count where nothing is
 * known yet.
 */
void kernelmap_limit(struct kernelmap *k, uint64_t end);
void kernelmap_add_code(struct kernelmap *k, const char *name, uint64_t start,
			uint64_t size_bytes);
void kernelmap_add_module(struct kernelmap *k, const char *name, uint64_t start,
			  uint64_t size_bytes);

#endif
