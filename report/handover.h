/*
 * Items handed over, in their order, to a function that takes them in a thread of its own,
 * while the next ones are made.  What waits is bounded.
 */
#ifndef REPORT_HANDOVER_H
#define REPORT_HANDOVER_H

#include <stdbool.h>
#include <stddef.h>

struct handover;

/* Takes the next items.  0 or -errno, which ends it: no more are given. */
typedef int (*handover_fn)(void *ctx, const void *items, size_t nr);

/*
 * Without `threaded`, or where there can be no thread, handover_put() and handover_finish()
 * call fn themselves.  Else, from here to handover_finish(), only fn uses what it changes,
 * and nobody changes what it reads.  0 or -ENOMEM.
 */
int handover_new(struct handover **out, size_t item_bytes, bool threaded, handover_fn fn,
		 void *ctx);
/* Also of one that is not finished: fn may not have been called for all. */
void handover_free(struct handover *h);
/* Where the next item is to be put; handover_put() says that it is there. */
void *handover_next(struct handover *h);
/* 0, or what fn returned for this or an earlier item. */
int handover_put(struct handover *h);
/* Without a thread, fn takes now what is there. */
int handover_flush(struct handover *h);
/* Waits until all are taken.  Once.  0, or what fn returned. */
int handover_finish(struct handover *h);

#endif
