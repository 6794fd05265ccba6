/*
 * Where the C calling convention puts arguments when a function is entered: the
 * System V ABI of x86-64 (classes of section 3.2.3) and the procedure call standard
 * of arm64.  Only what lies in integer registers and on the stack can be read.
 */
#ifndef RECORD_DWARFABI_H
#define RECORD_DWARFABI_H

#include "record/userregs.h"

#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stdint.h>

enum dwarfabi_where {
	DWARFABI_NOWHERE,	/* `why` says why */
	DWARFABI_REGISTERS,	/* 8 bytes in each, the first first */
	DWARFABI_STACK,		/* at stack_offset from the stack pointer */
	DWARFABI_POINTER,	/* the register holds its address */
};

struct dwarfabi_place {
	enum dwarfabi_where where;
	struct userreg regs[2];	/* size 0: a floating-point register */
	uint64_t stack_offset;
	const char *why;
};

/* The state of going through the parameters of one function from the first on. */
struct dwarfabi {
	unsigned int nr_ints, nr_floats;	/* registers taken */
	uint64_t stack_bytes;
	bool is_cxx, is_c_like;
	const char *lost;	/* why the places of all further ones are unknown, or NULL */
};

/* `function` is its die: its language and what it returns matter. */
void dwarfabi_begin(struct dwarfabi *abi, Dwarf_Die *function);
/* The next parameter, of this type. */
struct dwarfabi_place dwarfabi_argument(struct dwarfabi *abi, Dwarf_Die *type);
/* The returned value, when the function has returned. */
struct dwarfabi_place dwarfabi_returned(Dwarf_Die *function, Dwarf_Die *type);

#endif
