/*
 * What the files of BTF types share; private to them.
 */
#ifndef RECORD_BTFTYPES_PRIVATE_H
#define RECORD_BTFTYPES_PRIVATE_H

#include "record/btftypes.h"

#define BTFTYPES_FOLDER "/sys/kernel/btf"
#define BTFTYPES_NR_KINDS 32		/* a kind has 5 bits */

struct btftypes {
	char *module;			/* "" for the kernel proper */
	struct btftypes *base;
	unsigned int holders;
	bool is_kernel;			/* it is in the list of those that are open */
	struct btftypes *next;
	uint8_t *data;
	size_t mapped_bytes;		/* data is the kernel's own memory; 0: it is ours */
	const uint8_t *types;
	size_t types_bytes;
	const char *strings;
	uint32_t strings_bytes;
	uint32_t *offsets;		/* own ones, by id - first */
	/* Ids of each kind, in ascending order; 0: no more. */
	uint32_t first_of_kind[BTFTYPES_NR_KINDS];
	uint32_t *next_of_kind;		/* by id - first */
	uint32_t first, end;		/* own ids; end is the first that does not exist */
};

#endif
