/*
 * Sentences about what a sum of stacks does not show, for pictures and for stderr.
 */
#ifndef REPORT_STACKNOTES_H
#define REPORT_STACKNOTES_H

#include "report/stacksum.h"

#include <stddef.h>

#define STACKNOTES_BYTES 256

enum stacknotes_kind {
	STACKNOTES_IDLE,	/* threads that merely wait for work */
	STACKNOTES_OVERFLOW,	/* what a sum of 64 bits cannot hold */
	STACKNOTES_NO_ROOM,	/* chains of wakeups that are cut */
	STACKNOTES_ENDED,	/* chains whose last waker was not seen waiting */
	STACKNOTES_NR,
};

/* "" if there is nothing to say of that. */
const char *stacknotes_put(const struct stacksum_left_out *left_out, enum stacknotes_kind kind,
			   char to[STACKNOTES_BYTES]);

#endif
