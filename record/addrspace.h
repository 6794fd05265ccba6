/*
 * Where code lies in memory: the executable mappings of one process.
 */
#ifndef RECORD_ADDRSPACE_H
#define RECORD_ADDRSPACE_H

#include <stddef.h>
#include <stdint.h>

struct mapping {
	uint64_t start, end, offset;	/* offset: in the module's file */
	uint32_t module;		/* id */
	uint32_t prot;
};

/* Sorted by start, never overlapping. */
struct addrspace {
	struct mapping *maps;
	size_t nr, cap;
};

void addrspace_init(struct addrspace *a);
void addrspace_release(struct addrspace *a);
void addrspace_clear(struct addrspace *a);
int addrspace_copy(struct addrspace *to, const struct addrspace *from);
/* Replaces whatever it overlaps, as mmap(2) with MAP_FIXED does. */
int addrspace_map(struct addrspace *a, const struct mapping *m);
/* The mapping that holds the address, or NULL; valid until the next change. */
const struct mapping *addrspace_find(const struct addrspace *a, uint64_t address);

#endif
