/*
 * The symbols of the running kernel, from /proc/kallsyms.
 */
#ifndef RECORD_KALLSYMS_H
#define RECORD_KALLSYMS_H

#include "record/symtab.h"

#include <stddef.h>
#include <stdint.h>

struct kallsyms;

/* 0; -EACCES when the kernel hides the addresses; -errno. */
int kallsyms_load(struct kallsyms **out);
void kallsyms_free(struct kallsyms *k);
/* The kernel proper, by address; owned by k. */
struct symtab *kallsyms_kernel(struct kallsyms *k);
/* Where the last symbol of the kernel proper ends. */
uint64_t kallsyms_end(const struct kallsyms *k);

/*
 * Symbols tagged "[NAME]": those of modules, and, under names that are no
 * module's, of BPF programs and trampolines.  By tag, then by address.
 */
struct kallsyms_tagged {
	uint64_t start, end;
	const char *tag;	/* with the brackets */
	const char *name;
};

size_t kallsyms_nr_tagged(const struct kallsyms *k);
struct kallsyms_tagged kallsyms_tagged_at(const struct kallsyms *k, size_t i);

#endif
