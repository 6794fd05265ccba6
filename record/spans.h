/*
 * Spans that have a name: `blockio`, `net:connect`, `fs:read`.  A name is a row of
 * record/spans.def: a few spans in the language of -e, of which the first that this
 * kernel has is taken.
 */
#ifndef RECORD_SPANS_H
#define RECORD_SPANS_H

#include <stddef.h>

#define SPANS_MAX_WAYS 6

struct spans_row {
	const char *name, *summary;
	const char *ways[SPANS_MAX_WAYS + 1];	/* the best first; NULL ends */
};

/* NULL: no such name.  By number: NULL past the last. */
const struct spans_row *spans_find(const char *name, size_t len_bytes);
const struct spans_row *spans_at(size_t i);

#endif
