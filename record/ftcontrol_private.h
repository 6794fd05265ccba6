/*
 * What the files of ftcontrol share.
 */
#ifndef RECORD_FTCONTROL_PRIVATE_H
#define RECORD_FTCONTROL_PRIVATE_H

#include "record/ftcontrol.h"
#include "record/ftnote.h"

#define FTCONTROL_TRACER "function_graph"
#define FTCONTROL_FILE_BYTES 4096
#define FTCONTROL_PREFIX_BYTES 64

struct ftcontrol {
	const struct ftcontrol_opts *opts;	/* only while it is opened */
	int tracing, folder;
	struct ftnote *note;
	char prefix[FTCONTROL_PREFIX_BYTES];	/* "instances/NAME/", or "" */
};

/* The beginning of a file of tracefs.  -errno. */
int ftcontrol_read(int folder, const char *file, char text[FTCONTROL_FILE_BYTES]);
int ftcontrol_say(struct diag *d, int err, const char *file);
/* One setting, after what it was before is noted. */
int ftcontrol_put(struct ftcontrol *c, const char *file, const char *value, struct diag *d);

/* ftcontrol_set.c: everything, and last of all the tracer. */
int ftcontrol_set_up(struct ftcontrol *c, struct diag *d);

#endif
