/*
 * What this process changed in the controls of the kernel's tracer, and what they were
 * before.  They are given back when the recording ends; by a guard, a process of its own,
 * when the recorder is killed; and by the next recording when the guard was killed, too:
 * the note is a file.
 *
 * One thread at a time.
 */
#ifndef RECORD_FTNOTE_H
#define RECORD_FTNOTE_H

#include "format/diag.h"

struct ftnote;

/*
 * tracing: an fd of tracefs' folder, borrowed.  Gives back what another recorder left, and
 * starts the guard.  -EBUSY: another one is at work.
 */
int ftnote_open(struct ftnote **out, int tracing, struct diag *d);
/*
 * Before the change: a file below the folder, and the one line that it is to hold again;
 * "" empties it.  What was noted last is given back first.
 */
int ftnote_add(struct ftnote *n, const char *file, const char *value);
/* Before it is made: a folder that is to be removed again. */
int ftnote_add_folder(struct ftnote *n, const char *folder);
/* Gives everything back. */
void ftnote_close(struct ftnote *n);

/* Empties the file and writes the text.  0 or -errno. */
int ftnote_write(int tracing, const char *file, const char *text);

#endif
