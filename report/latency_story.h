/*
 * The story of threads as a latency breakdown reads it: of each record of an event with
 * ROLE_SLICE what its time was spent on, whatever the event is called.  What a file claims
 * is cut to what can be: the parts of a record never are longer than its time is old.
 */
#ifndef REPORT_LATENCY_STORY_H
#define REPORT_LATENCY_STORY_H

#include "report/column.h"
#include "report/query.h"

#include <stdbool.h>
#include <stdint.h>

/* Reasons by a dense number, the same in all stories; their names are the file's. */
#define LATENCY_STORY_REASONS 64
#define LATENCY_STORY_NAME_BYTES 32

struct latency_story_names {
	char names[LATENCY_STORY_REASONS][LATENCY_STORY_NAME_BYTES];
	uint8_t nr;
};

/*
 * What one record tells: it ends at time_ns, where the thread got a CPU.  Before that it
 * waited for the CPU for runq_ns, before that it was blocked, and before that it was on a
 * CPU for on_ns (of it in interrupts for irq_ns) and off it for skipped_ns, mixed.
 */
struct latency_piece {
	uint64_t time_ns, runq_ns, blocked_ns, on_ns, irq_ns, skipped_ns;
	uint64_t user_ticks_ns, system_ticks_ns;
	uint32_t task, stack, waker, waker_stack;
	uint8_t reason;			/* of the names */
	uint8_t context;		/* of the waker */
	bool idle;
	uint8_t edge;			/* EDGE_START and EDGE_END, of the recording */
};

enum latency_story_field {
	LATENCY_TIME, LATENCY_TASK, LATENCY_DURATION, LATENCY_RUNNABLE, LATENCY_SLICE,
	LATENCY_SKIPPED, LATENCY_USER, LATENCY_SYSTEM, LATENCY_IRQ, LATENCY_REASON,
	LATENCY_IDLE, LATENCY_STACK, LATENCY_WAKER, LATENCY_WAKER_STACK, LATENCY_CONTEXT, LATENCY_EDGE,
	LATENCY_NR_FIELDS,
};

/* So many records are read at once, column by column. */
#define LATENCY_STORY_PIECES 64

struct latency_story {
	const struct trace_event *event;
	struct column columns[LATENCY_NR_FIELDS];
	struct latency_piece pieces[LATENCY_STORY_PIECES];
	bool has_constants;		/* the pieces have what is the same in all rows */
	uint8_t reasons[LATENCY_STORY_REASONS];	/* by number: index of the names + 1 */
	uint64_t nr_impossible;		/* records that claimed more than there was */
	/* Waits that ended though nobody was seen to end them, and for how long they blocked. */
	uint64_t nr_unwoken, unwoken_ns;
};

bool latency_story_is(const struct trace_event *e);
/* The columns of a batch of such an event.  0 or -EBADMSG. */
int latency_story_open(struct latency_story *s, const struct query_batch *b);
/*
 * What the batch's rows from the i-th that passed on tell, *nr of them, until the next call;
 * b is the batch that was opened.
 */
const struct latency_piece *latency_story_get(struct latency_story *s,
					      struct latency_story_names *names,
					      const struct query_batch *b, size_t i, size_t *nr);
/* "SOFTIRQ" of the waker's context; NULL: there is no name, or it is 0. */
const char *latency_story_context(const struct trace *t, uint8_t context,
				  char to[LATENCY_STORY_NAME_BYTES]);

static inline uint64_t latency_story_ns(const struct latency_piece *p)
{
	return p->runq_ns + p->blocked_ns + p->on_ns + p->skipped_ns;
}

/* It began before the recording and went on after it. */
static inline bool latency_story_is_still(const struct latency_piece *p)
{
	return p->edge == (EDGE_START | EDGE_END);
}

/* Leaves what of it is between the two times, as slicetime_cut().  False: nothing is left. */
bool latency_story_cut(struct latency_piece *p, uint64_t first_ns, uint64_t last_ns);

#endif
