/*
 * Names for the stubs through which a program calls functions of libraries.
 */
#ifndef RECORD_ELFPLT_H
#define RECORD_ELFPLT_H

#include "record/elfid.h"
#include "record/symtab.h"

#include <libelf.h>

/* Adds NAME@plt for each stub, on x86-64 and arm64.  0 or -ENOMEM. */
int elfplt_add(struct symtab *to, const struct elfid *id, Elf *elf);

#endif
