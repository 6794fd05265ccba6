/*
 * Distributions of a query's records, or of several queries' one after the other: one
 * table an event and field, in it one distribution for each group and interval.  Events
 * of the same name in several files are one table, and so are the records of an event
 * and tallies of that name.
 */
#ifndef REPORT_HIST_H
#define REPORT_HIST_H

#include "format/diag.h"
#include "report/groups.h"
#include "report/histogram.h"
#include "report/histrows.h"
#include "report/profile_keys.h"
#include "report/query.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hist_opts {
	const char *of;			/* a field, or NULL: the duration, else the weight */
	const struct profile_keys *keys;	/* nr 0: everything is one group */
	struct histshape shape;
	uint64_t every_ns;		/* 0: all of the time is one interval */
};

struct hist;

/* Values of one group in one interval. */
struct hist_cell {
	struct histogram values;
	/*
	 * By row of the shape: what lies in buckets that are not whole in one row, and
	 * so was counted value by value.
	 */
	struct slots split;
	uint32_t group;
	uint64_t interval;	/* its number, from 0 on */
};

struct hist_table {
	const char *event;	/* NULL: several, with the key "event" */
	const char *field, *unit;
	bool is_time;		/* the unit is ns */
	struct histrows rows;
	struct hist_cell *cells;	/* by interval, then the largest sum first */
	size_t nr_cells;
	uint64_t count;		/* of all cells */
};

/* opts must outlive it. */
int hist_new(struct hist **out, const struct hist_opts *opts);
void hist_free(struct hist *h);
/*
 * Adds all records of the query, which may be closed afterwards.  -EINVAL with d set: it
 * has no event with what is asked for.
 */
int hist_add(struct hist *h, struct query *q, struct diag *d);
/*
 * Of events that were left out although they were chosen: how many, and why the first;
 * "" if there are none.
 */
size_t hist_left_out(const struct hist *h, const char **why);
/* When everything is added. */
int hist_finish(struct hist *h);
size_t hist_nr_tables(const struct hist *h);
const struct hist_table *hist_table_at(const struct hist *h, size_t i);
struct groups *hist_groups(struct hist *h);

/*
 * Rows of the shape with how many values lie in each, ascending, in use only; for free().
 * NULL when out of memory.
 */
struct slot *hist_rows(const struct hist_table *t, const struct hist_cell *c, size_t *nr);

#endif
