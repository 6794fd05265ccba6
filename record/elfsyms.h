/*
 * The function symbols of an ELF file, by file offset.  The file is untrusted.
 */
#ifndef RECORD_ELFSYMS_H
#define RECORD_ELFSYMS_H

#include "record/elfid.h"
#include "record/symtab.h"

#include <libelf.h>
#include <stdbool.h>

struct elfsyms_found {
	bool symtab;		/* a full table, not the dynamic one alone */
	bool debugdata;		/* .gnu_debugdata: another ELF file, compressed */
	char debuglink[256];	/* file name from .gnu_debuglink, or "" */
	uint32_t debuglink_crc;
};

/*
 * Adds the functions of .symtab and .dynsym, and NAME@plt for the stubs of the
 * PLT.  Addresses become offsets by the segments in `id`, those of the file
 * that is mapped: a file of debug information has none of its own that hold.
 * 0, -ENOEXEC, -EBADMSG, -ENOMEM; what was added before an error stays.
 */
int elfsyms_add(struct symtab *to, const struct elfid *id, int fd,
		struct elfsyms_found *found);
/* The contents of a section .gnu_debuglink. */
void elfsyms_read_debuglink(Elf_Scn *scn, struct elfsyms_found *found);

/* The section of that type that belongs to a table of symbols; NULL: there is none. */
Elf_Data *elfsyms_linked(Elf *elf, Elf_Scn *table, uint32_t type);

#endif
