#include "record/dwarfclass.h"

#include "record/dwarftypes.h"

#include <dwarf.h>
#include <string.h>

#define MAX_NESTING 16
#define MAX_PARTS 10000

struct walk {
	unsigned int nr_parts;
};

/* Written by the program, not by the compiler. */
static bool is_own(Dwarf_Die *function)
{
	Dwarf_Attribute attr;
	uint64_t defaulted;
	bool set = false;

	if (dwarf_attr(function, DW_AT_artificial, &attr) && !dwarf_formflag(&attr, &set) && set)
		return false;
	if (dwarf_attr(function, DW_AT_deleted, &attr))
		return false;
	return !dwarftypes_number(function, DW_AT_defaulted, &defaulted) ||
	       defaulted != DW_DEFAULTED_in_class;
}

/* Its only parameter, after the object itself, is another object of the class. */
static bool copies(Dwarf_Die *function, Dwarf_Die *owner)
{
	Dwarf_Die die, type, bare, target;
	unsigned int nr = 0;
	bool found = false;

	if (dwarf_child(function, &die))
		return false;
	do {
		if (dwarf_tag(&die) != DW_TAG_formal_parameter)
			continue;
		nr++;
		found = nr == 2 && dwarftypes_of(&die, &type) && dwarftypes_strip(&type, &bare) &&
			dwarftypes_is_reference(&bare) && dwarftypes_of(&bare, &target) &&
			dwarftypes_strip(&target, &type) &&
			dwarf_dieoffset(&type) == dwarf_dieoffset(owner);
	} while (nr < 3 && dwarftypes_next(&die));
	return found;
}

static bool forbids_copies(Dwarf_Die *function, Dwarf_Die *owner)
{
	const char *name = dwarf_diename(function), *class = dwarf_diename(owner);
	size_t len = class ? strcspn(class, "<") : 0;
	uint64_t virtuality;

	/* The object has a pointer to its table then. */
	if (dwarftypes_number(function, DW_AT_virtuality, &virtuality) && virtuality)
		return true;
	if (!name || !class || !is_own(function))
		return false;
	if (name[0] == '~')
		return true;
	return strcspn(name, "<") == len && !memcmp(name, class, len) && copies(function, owner);
}

static bool by_address(struct walk *w, Dwarf_Die *bare, int depth)
{
	uint64_t convention;
	Dwarf_Die die, type, part;

	if (dwarftypes_number(bare, DW_AT_calling_convention, &convention))
		return convention == DW_CC_pass_by_reference;
	if (depth > MAX_NESTING || dwarf_child(bare, &die))
		return false;
	do {
		int tag = dwarf_tag(&die);

		if (++w->nr_parts > MAX_PARTS)
			return false;
		if (tag == DW_TAG_subprogram && forbids_copies(&die, bare))
			return true;
		if ((tag == DW_TAG_member || tag == DW_TAG_inheritance) &&
		    dwarftypes_of(&die, &type) && dwarftypes_strip(&type, &part) &&
		    dwarftypes_is_struct(&part) && by_address(w, &part, depth + 1))
			return true;
	} while (dwarftypes_next(&die));
	return false;
}

bool dwarfclass_by_address(Dwarf_Die *bare)
{
	struct walk w = { 0 };

	return by_address(&w, bare, 0);
}
