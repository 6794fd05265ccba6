/*
 * Opens files as a process sees them: below its root directory, in its mount
 * namespace.  Names and contents there belong to whoever runs the process, so
 * only regular files are ever opened for reading, and symbolic links cannot
 * lead out of that root.
 */
#ifndef RECORD_PROCROOT_H
#define RECORD_PROCROOT_H

#include <stdint.h>

/*
 * A regular file, for reading; pid 0 stands for our own root.  An fd or
 * -errno, -EACCES if it is no regular file.
 */
int procroot_open_file(uint32_t pid, const char *path);
/* A directory, as an O_PATH fd that keeps its mount alive. */
int procroot_open_dir(uint32_t pid, const char *path);
/* Any path or magic link of our own /proc, checked in the same way. */
int procroot_open_link(const char *path);
/*
 * A file of that name in an O_PATH directory; a symbolic link is refused with
 * -ELOOP.
 */
int procroot_open_at(int dir_fd, const char *name);

#endif
