/*
 * What the files of a sum of stacks share.  Nobody else includes this.
 */
#ifndef REPORT_STACKSUM_PRIVATE_H
#define REPORT_STACKSUM_PRIVATE_H

#include "report/chainorder.h"
#include "report/column.h"
#include "report/handover.h"
#include "report/measure.h"
#include "report/stackcounts.h"
#include "report/stacksum.h"

struct stacksum {
	struct query *query;
	struct trace *trace;
	struct stacksum_opts opts;
	struct stackcounts counts;
	struct stacklevels levels;
	struct groups *groups;
	uint32_t *row_groups;		/* of the rows of a batch that passed */
	size_t cap_rows;
	bool planned;
	const struct trace_event *event;	/* the first; others must measure the same */
	const struct trace_event *last;		/* that was wanted */
	char names[128];			/* of those that were */
	const struct trace_event *samples;	/* of time on a CPU, in a sum of all time */
	struct measure measure;			/* of the event of the batch */
	struct measure first;
	struct measure_scratch *scratch;
	struct chains *chains;			/* NULL: no hops */
	struct chainorder *order;		/* NULL: at most one */
	struct handover *handover;		/* with hops, while records are read */
	struct stacksum_known *known;		/* with hops: the last wakers */
	uint64_t total, records, negative, idle, idle_records, no_room, overflow;
	uint64_t others;	/* a bit for each event left out, by id modulo 64 */
};

/* What is read of a batch; a column that the event does not have is 0. */
struct stacksum_columns {
	struct column stack, idle;
	struct measure_rows rows;
	uint64_t nr_stacks;
};

/* --- stacksum_events.c: which events, and by what ------------------------------- */

/* When the events are known: those of a pipe, with the first record. */
int stacksum_events_plan(struct stacksum *s, struct diag *d);
/* -EINVAL: what was asked for no event has; of a pipe, when it has been read. */
int stacksum_events_check(struct stacksum *s, struct diag *d);
/* Whether records of the event are summed; s->measure is its then. */
bool stacksum_events_want(struct stacksum *s, const struct trace_event *e);

/* --- stacksum_rows.c: plain rows, and what others need of them ------------------- */

int stacksum_rows_open(struct stacksum *s, struct stacksum_columns *c,
		       const struct query_batch *b);
/* Fills s->row_groups. */
int stacksum_rows_group(struct stacksum *s, struct query_batch *b);
uint32_t stacksum_rows_stack(const struct stacksum_columns *c, size_t row);
/*
 * What a row adds, and how many records it is.  Nothing of a thread that waits for work,
 * if that is not shown: it is counted apart, and *hidden.
 */
uint64_t stacksum_rows_count(struct stacksum *s, const struct stacksum_columns *c, size_t row,
			     uint64_t *times, bool *hidden);
/* Counts for the entry, which is one of s->counts. */
void stacksum_rows_raise(struct stacksum *s, uint32_t entry, uint64_t records, uint64_t count);
int stacksum_rows_add(struct stacksum *s, const struct stacksum_columns *c,
		      const struct query_batch *b);

/* --- stacksum_wakers.c: rows with wakers, handed over ------------------------------ */

struct stacksum_wait {
	const struct field_desc *context_field;	/* of the event, or NULL */
	uint64_t value, times;
	uint64_t waker, context;	/* as the record has it */
	/* For chains: */
	uint64_t time_ns;		/* of the record, or what is promised */
	uint64_t from_ns, until_ns;
	uint64_t task;
	uint32_t waker_stack, stack, group;
	bool counts;
	bool is_promise;		/* no wait, but that no earlier one comes */
};

/* Before the first record: from now on waits are added up in a thread of its own. */
int stacksum_wakers_begin(struct stacksum *s);
int stacksum_wakers_add(struct stacksum *s, const struct stacksum_columns *c,
			const struct query_batch *b);

/* --- stacksum_chains.c: waits and who ended them, in that thread ------------------- */

/* Who only lost its CPU was woken by nobody, and explains nobody's wait. */
static inline bool stacksum_chains_needs_order(const struct stacksum_wait *w)
{
	return w->waker || w->context || w->until_ns > w->from_ns;
}

/* 0 or -ENOMEM. */
int stacksum_chains_new(struct stacksum_known **out);
/* A handover_fn, of struct stacksum_wait. */
int stacksum_chains_take(void *sums, const void *waits, size_t nr);
/* A chainorder_fn. */
int stacksum_chains_settle(void *sums, const struct chainorder_wait *w, uint32_t chain);

/* --- stacksum_wall.c: all the time of threads -------------------------------------- */

int stacksum_wall_add(struct stacksum *s, const struct stacksum_columns *c,
		      const struct query_batch *b);
int stacksum_wall_add_samples(struct stacksum *s, const struct stacksum_columns *c,
			      const struct query_batch *b);

#endif
