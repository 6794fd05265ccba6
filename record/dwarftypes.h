/*
 * Types in DWARF.  Files are untrusted: what refers to itself ends, and what is
 * not there has size 0 and no members.
 */
#ifndef RECORD_DWARFTYPES_H
#define RECORD_DWARFTYPES_H

#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The next die beside this one; only ever forward, whatever the file says. */
bool dwarftypes_next(Dwarf_Die *die);
/* What DW_AT_type of the die names; false: void, or damaged. */
bool dwarftypes_of(Dwarf_Die *die, Dwarf_Die *type);
/*
 * The same without typedefs and qualifiers; a struct that is only declared there
 * becomes its definition, if there is one anywhere.
 */
bool dwarftypes_strip(Dwarf_Die *type, Dwarf_Die *bare);
/* Of a stripped type; 0: unknown. */
uint64_t dwarftypes_size(Dwarf_Die *bare);
bool dwarftypes_is_struct(Dwarf_Die *bare);	/* or union, class */
bool dwarftypes_is_pointer(Dwarf_Die *bare);	/* not references */
bool dwarftypes_is_reference(Dwarf_Die *bare);
bool dwarftypes_is_char(Dwarf_Die *bare);	/* a byte of text */
/* An unsigned number attribute; false: not there. */
bool dwarftypes_number(Dwarf_Die *die, unsigned int attribute, uint64_t *to);
/* Elements of an array; 0: unknown. */
uint64_t dwarftypes_array_len(Dwarf_Die *array);

struct dwarftypes_member {
	Dwarf_Die type;			/* not stripped */
	uint64_t offset_bytes;
	uint32_t bit_shift, bits;	/* of a bit field: from offset_bytes; else 0 */
};

/*
 * A member by name, in anonymous members and base classes, too.  The known names
 * are for messages.
 */
bool dwarftypes_member(Dwarf_Die *bare, const char *name, size_t len_bytes,
		       struct dwarftypes_member *out);
void dwarftypes_member_names(Dwarf_Die *bare, char *to, size_t size_bytes);

/* Calls fn with each scalar in a type; false when there are too many or fn says so. */
typedef bool (*dwarftypes_leaf_fn)(void *ctx, Dwarf_Die *bare, uint64_t offset_bytes);
bool dwarftypes_leaves(Dwarf_Die *type, dwarftypes_leaf_fn fn, void *ctx);

/* "const char *", cut to fit. */
void dwarftypes_text(Dwarf_Die *holder, char *to, size_t size_bytes);

#endif
