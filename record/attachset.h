/*
 * What is attached in the kernel: fds whose closing detaches.  The kernel waits for
 * running programs at each of them, so that they are closed by several threads at a
 * time.  What takes longer than a second or two is left to a process of its own, which
 * holds nothing but these fds and ends with the last of them.
 */
#ifndef RECORD_ATTACHSET_H
#define RECORD_ATTACHSET_H

#include <stddef.h>

struct attachset {
	int *fds;
	size_t nr, cap;
};

/* Takes the fd over, also on failure (-ENOMEM). */
int attachset_add(struct attachset *a, int fd);
/*
 * Detaches everything, the fastest way there is.  Programs are to be told beforehand
 * to do nothing.  Harmless on zeroed memory.
 */
void attachset_close(struct attachset *a);

#endif
