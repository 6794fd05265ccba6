/*
 * The file a recording goes to.  It grows under a temporary name until the
 * recording really runs; only then does it take its own name, and a file that
 * was there before is kept as NAME.old.
 */
#ifndef CMD_TRACEFILE_H
#define CMD_TRACEFILE_H

#include <stdbool.h>

struct tracefile {
	const char *path;	/* "-": standard output */
	bool to_pipe;
	int fd;			/* for the recording, which takes it over */
	char temporary[4096];	/* "" when it is written under its own name */
};

/* 0, or an exit status after saying what is wrong. */
int tracefile_open(struct tracefile *f, const char *path);
int tracefile_place(struct tracefile *f);
/* Nothing was recorded: as if it had never been opened. */
void tracefile_withdraw(struct tracefile *f);

#endif
