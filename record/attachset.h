/*
 * What is attached in the kernel: fds whose closing detaches.  The kernel waits for
 * running programs at each of them, so that they are closed by many threads at a time.
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
/* Detaches everything, the fastest way there is.  Harmless on zeroed memory. */
void attachset_close(struct attachset *a);

#endif
