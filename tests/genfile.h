/*
 * The file that a generator of traces writes.
 */
#ifndef TESTS_GENFILE_H
#define TESTS_GENFILE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* NULL: errno says why.  "-" is standard output. */
static inline FILE *genfile_open(const char *path)
{
	return strcmp(path, "-") ? fopen(path, "wb") : stdout;
}

/* As struct writer_output wants it; ctx is the FILE. */
static inline int genfile_put(void *ctx, const void *bytes, size_t size_bytes, bool droppable)
{
	(void)droppable;
	return fwrite(bytes, 1, size_bytes, ctx) == size_bytes ? 0 : -EIO;
}

/* `err` is what was wrong before; 0 if the whole file is there. */
static inline int genfile_close(FILE *out, int err)
{
	if (out && fclose(out) && !err)
		err = -errno;
	return err;
}

#endif
