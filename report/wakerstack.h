/*
 * The stacks of those who woke others, as far as they tell why.  An interrupt lies on top
 * of whatever ran then, which has nothing to do with it: that part is left out, and what
 * is left equal is one.
 */
#ifndef REPORT_WAKERSTACK_H
#define REPORT_WAKERSTACK_H

#include "format/trace.h"

#include <stdbool.h>
#include <stdint.h>

struct wakerstack {
	uint32_t stack;		/* the innermost frames of this one; 0: none */
	uint32_t frames;	/* how many they are */
	bool is_borrowed;	/* somebody else's stack lies below: it was interrupted */
};

struct wakerstacks;

int wakerstack_new(struct wakerstacks **out, struct trace *t);
void wakerstack_free(struct wakerstacks *w);
/* Of a stack that was taken in an interrupt.  -ENOMEM, or 0. */
int wakerstack_get(struct wakerstacks *w, uint32_t stack, struct wakerstack *out);

#endif
