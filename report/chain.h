/*
 * Chains of wakeups: who ended a wait, from which stack, and who had ended the last wait
 * of that one before, and so on.  Equal chains are one, by a number, so that what they
 * take follows the number of different ones; that is limited.
 */
#ifndef REPORT_CHAIN_H
#define REPORT_CHAIN_H

#include "format/trace.h"

#include <stdbool.h>
#include <stdint.h>

#define CHAIN_MAX_HOPS 15

struct chain_waker {
	uint32_t stack;		/* 0: not known */
	uint16_t frames;	/* so many innermost ones are the waker's; 0: all are */
	bool is_thread;		/* that may have waited itself */
	uint32_t name;		/* for chain_name() */
};

struct chain_link {
	uint32_t stack, name;	/* of the waker */
	uint16_t frames;
	uint16_t hops;		/* how many there are, from 1 */
	uint32_t next;		/* the chain of that one's wait before, or 0 */
	uint32_t shorter;	/* the same chain with one hop less */
};

struct chains;

int chain_new(struct chains **out, struct trace *t);
void chain_free(struct chains *c);
/*
 * The chain that goes on with `next` (0: it ends) after this waker.  0: there is no room
 * for another one, which is counted (chain_refused()), or no memory.
 */
uint32_t chain_link(struct chains *c, const struct chain_waker *waker, uint32_t next);
/* The same with the waker of a chain of one hop, which is known. */
uint32_t chain_join(struct chains *c, uint32_t hop, uint32_t next);
/* The chain of the first hops only. */
uint32_t chain_cut(const struct chains *c, uint32_t chain, uint32_t hops);
/* NULL for 0.  Valid until the next chain_link(). */
const struct chain_link *chain_at(const struct chains *c, uint32_t chain);
uint64_t chain_refused(const struct chains *c);
/* How many numbers are in use: one past the largest. */
uint32_t chain_nr(const struct chains *c);

/*
 * Who woke: the task, or, if the context (the value of a field that may be NULL) is an
 * interrupt's, that, whoever was interrupted.  Softirqs that a task runs itself, on its
 * way out of what it does, are the task's doing.  -ENOMEM, or 0.
 */
int chain_waker(struct chains *c, uint32_t task, uint32_t stack,
		const struct field_desc *context, uint64_t value, struct chain_waker *out);
/* Raw text. */
const char *chain_name(const struct chains *c, uint32_t name);
uint32_t chain_nr_names(const struct chains *c);

#endif
