/*
 * The functions of a program or library by name, all names of each, for those who
 * look for places to probe.  The file is untrusted.
 */
#ifndef RECORD_ELFFUNCS_H
#define RECORD_ELFFUNCS_H

#include "format/diag.h"
#include "record/elfid.h"
#include "record/libfind.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elffuncs_func {
	const char *name;	/* without a version; valid during the call */
	uint64_t address;	/* as in the ELF file */
	uint64_t offset;	/* in the file */
	uint64_t size_bytes;
	bool indirect;		/* IFUNC: the code that picks the function */
	bool imported;		/* in another library; no offset */
	bool superseded;	/* an older version, kept for old programs */
};

struct elffuncs_tables {
	bool symtab;		/* the full table was there, in the file or apart from it */
	size_t nr;		/* functions seen, imported ones left out */
};

/*
 * Calls fn for each symbol of a function in the file, then in its separate file of
 * debug information; some come more than once.  Stops when fn returns other than 0
 * and returns that.  -ENOEXEC, -EBADMSG, ... of the file itself.
 */
int elffuncs_each(const struct libfind_file *file, const struct elfid *id,
		  int (*fn)(void *ctx, const struct elffuncs_func *f), void *ctx,
		  struct elffuncs_tables *tables);

/* -ENOEXEC with a sentence in d: no ELF file, or one of another architecture. */
int elffuncs_identify(struct elfid *id, const struct libfind_file *file, struct diag *d);
/* Whether the offset lies in code that the file really has. */
bool elffuncs_is_code(const struct elfid *id, int fd, uint64_t offset);
/* The address that a file offset is loaded to; false if it is in no segment. */
bool elffuncs_address(const struct elfid *id, uint64_t offset, uint64_t *address);

/* The file of debug information: an fd, or -ENOENT. */
int elffuncs_open_debug(const struct libfind_file *file, const struct elfid *id);

#endif
