/*
 * Chains of wakeups: who ended a wait, from which stack, and who had ended the last wait
 * of that one before, and so on.  Equal chains are one, by a number, so that what they
 * take follows the number of different ones; that is limited.
 */
#ifndef REPORT_CHAIN_H
#define REPORT_CHAIN_H

#include "format/trace.h"

#include <stdint.h>

#define CHAIN_MAX_HOPS 15

struct chain_link {
	uint32_t stack;		/* of the waker; 0: not known */
	uint32_t name;		/* of the waker: chain_name() */
	uint32_t next;		/* the chain of that one's wait before, or 0 */
	uint32_t shorter;	/* the same chain with one hop less */
	uint32_t hops;		/* how many there are, from 1 */
};

struct chains;

int chain_new(struct chains **out, struct trace *t);
void chain_free(struct chains *c);
/*
 * The chain that goes on with `next` (0: it ends) after this waker.  0: there is no room
 * for another one, which is counted (chain_refused()), or no memory.
 */
uint32_t chain_link(struct chains *c, uint32_t stack, uint32_t name, uint32_t next);
/* The chain of the first hops only. */
uint32_t chain_cut(const struct chains *c, uint32_t chain, uint32_t hops);
/* NULL for 0.  Valid until the next chain_link(). */
const struct chain_link *chain_at(const struct chains *c, uint32_t chain);
uint64_t chain_refused(const struct chains *c);
/* How many numbers are in use: one past the largest. */
uint32_t chain_nr(const struct chains *c);

/*
 * What a waker is called: the comm of the task, or, if the context (the value of a field
 * that may be NULL) is an interrupt's, that in brackets, whoever was interrupted.  0 when
 * memory ran out.
 */
uint32_t chain_name_of(struct chains *c, uint32_t task, const struct field_desc *context,
		       uint64_t value);
/* Raw text. */
const char *chain_name(const struct chains *c, uint32_t name);
uint32_t chain_nr_names(const struct chains *c);

#endif
