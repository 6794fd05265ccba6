/*
 * Finds the program or library that a user means: "/bin/bash", "./prog", "python3"
 * (in PATH), "libc", "c" or "libc.so.6" (where the dynamic linker looks), or, for a
 * process, what it has mapped or would find below its own root.
 */
#ifndef RECORD_LIBFIND_H
#define RECORD_LIBFIND_H

#include "format/diag.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct libfind_file {
	char *path;		/* as its process sees it, or we do */
	uint32_t pid;		/* whose root that path is below; 0: ours */
	int fd;			/* a regular file, open for reading; -1: taken over */
};

struct libfind_files {
	struct libfind_file *list;
	size_t nr;
};

/* A name without a slash may be a program's and a library's, in this order. */
enum libfind_sense { LIBFIND_PROGRAM, LIBFIND_LIBRARY };

/*
 * The files that the name means for these processes (nr_pids 0: for the machine),
 * each once.  -ENOENT without a sentence: there is none in this sense.  -ESRCH and
 * others with one.  Release it in any case.
 */
int libfind_open(struct libfind_files *out, const char *name, enum libfind_sense sense,
		 const pid_t *pids, size_t nr_pids, struct diag *d);
void libfind_release(struct libfind_files *files);

/*
 * Takes "FILE:REST" apart at the first colon that is not part of "::" and before
 * which there is a file, for paths may hold colons, too.  -EINVAL: there is no colon.
 */
int libfind_split(const char *what, const pid_t *pids, size_t nr_pids, char **name,
		  const char **rest);

#endif
