/*
 * The controls of the kernel's function_graph tracer in tracefs: an instance of our own
 * where the kernel can trace functions in one (the list of functions and the depth are
 * everybody's even then), else the instance that all share, if nobody is using it.
 *
 * One thread at a time.
 */
#ifndef RECORD_FTCONTROL_H
#define RECORD_FTCONTROL_H

#include "format/diag.h"
#include "record/target.h"

#include <stddef.h>

struct ftcontrol;

struct ftcontrol_opts {
	const char *functions;		/* names with globs, comma-separated */
	unsigned int depth;		/* 0: all */
	struct target *target;
	size_t cpu_bytes;
};

/* Takes them over and turns the tracer on, with its rings off. */
int ftcontrol_open(struct ftcontrol **out, const struct ftcontrol_opts *opts, struct diag *d);
/* The folder with the rings, borrowed. */
int ftcontrol_folder(const struct ftcontrol *c);
/* "in an instance of its own", or in which else. */
const char *ftcontrol_place(const struct ftcontrol *c);
/* Whether the rings take anything. */
int ftcontrol_enable(struct ftcontrol *c, bool on);
/* Gives them back as they were. */
void ftcontrol_close(struct ftcontrol *c);

#endif
