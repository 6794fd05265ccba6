/*
 * Puts records of many blocks into the order of their times.  A block holds
 * one ascending run per CPU; runs wait in a heap until the writer's promise
 * (safe_ns) says that nothing earlier can follow.  Memory is bounded: when too
 * much waits, because the promise never comes, the earliest half is let go, and
 * what comes later than it should is still given out, just not in order.
 */
#ifndef REPORT_QUERY_ORDER_H
#define REPORT_QUERY_ORDER_H

#include "report/query.h"

/* What may wait; twice as much while a block is taken in. */
#define QUERY_ORDER_BYTES (32u << 20)

struct query_order;

int query_order_new(struct query_order **out, query_record_fn fn, void *ctx);
void query_order_free(struct query_order *o);
/*
 * Takes the records of a block in, and hands out what is safe by then.  0, what
 * fn returned, or -ENOMEM.  A damaged block is counted and left out.
 */
int query_order_add(struct query_order *o, struct query_batch *b);
/* Hands out what is earlier than safe_ns: nothing earlier follows. */
int query_order_advance(struct query_order *o, uint64_t safe_ns);
/* Hands out what is left. */
int query_order_finish(struct query_order *o);

#endif
