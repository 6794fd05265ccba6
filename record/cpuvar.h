/*
 * A variable of the kernel that each CPU has for itself, as BPF programs see it: by the
 * kernel's types where they describe it, else by the addresses of symbols.
 */
#ifndef RECORD_CPUVAR_H
#define RECORD_CPUVAR_H

#include "record/bpfcode.h"

#include <stdint.h>

struct cpuvar {
	uint32_t type_id;		/* 0: by address */
	uint32_t offset;		/* of the member */
	uint64_t cpu_offsets, address;
};

/*
 * With a member of the struct that it is, or NULL.  -ENOENT: not described; -ENXIO: the
 * kernel knows no address of it; else the kernel's refusal of such programs.
 */
int cpuvar_find_typed(struct cpuvar *out, const char *name, const char *member);
/* -ENOENT: no such symbols, or their addresses are hidden. */
int cpuvar_find_symbol(struct cpuvar *out, const char *name, const char *member);
/* One way or the other. */
int cpuvar_find(struct cpuvar *out, const char *name, const char *member);

/*
 * r0 = 4 bytes of it on the CPU that runs the program.  slot: 8 bytes of the stack,
 * offset from r10; r1 to r5 are lost.
 */
void cpuvar_read(struct bpfcode *c, const struct cpuvar *v, int16_t slot);
/* r0 = 4 or 8 bytes that r3 points to; the same else. */
void cpuvar_read_at(struct bpfcode *c, unsigned int size_bytes, int16_t slot);

#endif
