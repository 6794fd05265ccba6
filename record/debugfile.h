/*
 * Finds the separate file that holds the full symbol table of a stripped one.
 */
#ifndef RECORD_DEBUGFILE_H
#define RECORD_DEBUGFILE_H

#include "record/elfid.h"
#include "record/elfsyms.h"

#include <stdint.h>

/*
 * /usr/lib/debug/.build-id/xx/yyyy.debug, then the places where
 * .gnu_debuglink may point to, first as the process sees them, then as we do.
 * Only a file of the same build-id, or where there is none, of the right
 * checksum, is taken.  An fd, or -ENOENT.
 */
int debugfile_open(uint32_t pid, const char *path, const struct elfid *id,
		   const struct elfsyms_found *found);
/* What .gnu_debugdata of the file unpacks to, as an fd, or -errno. */
int debugfile_unpack(int fd);

#endif
