/*
 * The static probes of a program or library: the notes that <sys/sdt.h> leaves in
 * .note.stapsdt.  The file is untrusted.
 */
#ifndef RECORD_USDTNOTES_H
#define RECORD_USDTNOTES_H

#include "record/elfid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct usdtnotes_note {
	char *provider, *name, *args;	/* args: as the compiler wrote them */
	uint64_t address;		/* as in the ELF file */
	uint64_t offset;		/* in the file */
	uint64_t semaphore;		/* file offset of its counter, or 0: it has none */
	bool bad_semaphore;		/* it has one that cannot be written */
};

struct usdtnotes {
	struct usdtnotes_note *list;
	size_t nr, cap;
};

/* 0 also if there are none; -ENOEXEC, -EBADMSG, -ENOMEM.  Release it in any case. */
int usdtnotes_read(struct usdtnotes *notes, int fd, const struct elfid *id);
void usdtnotes_release(struct usdtnotes *notes);

/* The ELF address of a symbol of any kind, by its name; for variables in operands. */
bool usdtnotes_symbol(int fd, const char *name, size_t len_bytes, uint64_t *address);

#endif
