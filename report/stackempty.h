/*
 * A sentence for a graph in which nothing is to be seen: of which event, and what was
 * asked for that left nothing.
 */
#ifndef REPORT_STACKEMPTY_H
#define REPORT_STACKEMPTY_H

#include "format/bytebuf.h"
#include "report/stacksum.h"

/* Appends it, raw text; nothing if there is something to see.  When all has been read. */
void stackempty_put(struct query *q, const struct stacksum_left_out *left_out,
		    struct bytebuf *to);

#endif
