/*
 * Parts of events: who wants records of a part needs those of its whole, and gets a batch
 * of the part for each of the whole.
 */
#ifndef REPORT_QUERY_PARTS_H
#define REPORT_QUERY_PARTS_H

#include "format/trace.h"

#include <stdbool.h>

typedef bool (*query_parts_wants_fn)(void *ctx, const struct trace_event *e);

/* Whether a part of the event is wanted. */
bool query_parts_needs(const struct trace *t, const struct trace_event *whole,
		       query_parts_wants_fn wants, void *ctx);

enum query_parts_reach {
	QUERY_PARTS_NONE = 0,
	QUERY_PARTS_EARLIER = 1,	/* records may be earlier than those of the whole */
	QUERY_PARTS_LATER = 2,
};

/* How far records of parts that are wanted may be from those of their wholes: bits. */
unsigned int query_parts_reach(const struct trace *t, query_parts_wants_fn wants, void *ctx);

/*
 * The rows of a batch of a part that are its records, into `rows`, which has room for all.
 * Returns how many, or -EBADMSG.
 */
int64_t query_parts_rows(struct trace_batch *b, uint32_t *rows);

/* 0 to go on. */
typedef int (*query_parts_fn)(void *ctx, struct trace_batch *b);
/*
 * The batches of all wanted parts of one.  The whole's promise (safe_ns) goes with the
 * last, if `promises`: the others hold nothing back.
 */
int query_parts_each(struct trace_batch *whole, query_parts_wants_fn wants, void *wants_ctx,
		     bool promises, query_parts_fn fn, void *ctx);

#endif
