/*
 * Finds the file that a module was mapped from, and no other: what lies at its
 * path now may be a newer version, or belong to another mount namespace.
 */
#ifndef RECORD_MODFILE_H
#define RECORD_MODFILE_H

#include "record/elfid.h"
#include "record/modules.h"

/*
 * The file of that path, as mod->pid has it mapped: an fd, or -ENOENT.  id is
 * what elfid_read() says of it, all zero when it is no ELF file.
 */
int modfile_open(const struct module *mod, const char *path, struct elfid *id);
/* The image of a vdso of that process and place, as an fd; or -errno. */
int modfile_open_vdso(uint32_t pid, uint64_t start, uint64_t end);

#endif
