/*
 * Opens the debug information of a program or library: its own, or that of its
 * separate file, with the file that dwz(1) moved common parts into.  Files are
 * untrusted: only regular ones are opened, and sizes are checked before anything is
 * unpacked.
 */
#ifndef RECORD_DWARFFILE_H
#define RECORD_DWARFFILE_H

#include "record/elfid.h"
#include "record/libfind.h"

#include <elfutils/libdw.h>

struct dwarffile {
	Dwarf *dw;
	/* private */
	int fd, alt_fd;
	Elf *elf, *alt_elf;
	Dwarf *alt;
};

/* -ENOENT: there is none.  The file must stay open as long. */
int dwarffile_open(struct dwarffile *f, const struct libfind_file *file, const struct elfid *id);
void dwarffile_close(struct dwarffile *f);

#endif
