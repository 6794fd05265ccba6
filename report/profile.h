/*
 * A profile: the records of a query summed up by keys (thread name, module,
 * symbol ...), each row with what it has itself and with all that it called.
 * Every event is a table of its own, for weights of different units cannot be
 * added; with the key "event" there is one table.
 */
#ifndef REPORT_PROFILE_H
#define REPORT_PROFILE_H

#include "format/bytebuf.h"
#include "format/diag.h"
#include "report/histogram.h"
#include "report/names.h"
#include "report/profile_keys.h"
#include "report/query.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct profile;

struct profile_row {
	uint32_t section, group, frame;	/* private to report/profile.c */
	uint64_t samples;		/* records that ended in this row */
	uint64_t self;			/* their weight */
	/* Weight of all that have the row in their stack; 0 in a profile without children. */
	uint64_t children;
	uint32_t values;		/* see profile_values(); 0: none */
};

enum profile_word { PROFILE_SAMPLES, PROFILE_SPANS, PROFILE_HITS, PROFILE_RECORDS };


struct profile_table {
	const char *event;		/* its name; NULL: several events */
	enum profile_word word;		/* what its records are */
	const char *field, *unit;	/* of the weights: "duration", "ns"; "" if counted */
	bool counted;			/* weights are counts of records */
	bool distributed;		/* rows have profile_values() */
	uint64_t negative;		/* values that weigh nothing */
	bool overflow;			/* the sum is larger than 64 bits: rows are cut off */
	uint64_t samples, weight;	/* of all rows */
	struct profile_row *rows;	/* the largest first */
	size_t nr_rows;
};

/*
 * Reads all records of the query.  What they weigh is the field `of`, or the usual one if
 * it is NULL (report/measure.h).  With children, there are rows for all that
 * is in a stack, in the order of children; without, for where stacks end, in
 * the order of self.  All arguments must outlive the profile.
 */
int profile_new(struct profile **out, struct query *q, const struct profile_keys *keys,
		const char *of, bool children, struct diag *d);
void profile_free(struct profile *p);
size_t profile_nr_tables(const struct profile *p);
const struct profile_table *profile_table_at(const struct profile *p, size_t i);
/* How what a row has itself is distributed; NULL: nothing, or not asked for. */
const struct histogram *profile_values(const struct profile *p, const struct profile_row *row);
/* Whether weights of the row may be less than its values: a time range cuts them. */
bool profile_is_cut(const struct profile *p, const struct profile_row *row);
/* Whether any record has a stack of more than one frame. */
bool profile_has_stacks(const struct profile *p);

/*
 * The value of a key in a row: a number, in the way of its field if there is one, or
 * raw text that is not escaped.
 * Borrowed until profile_free().
 */
struct profile_value {
	const char *text;		/* NULL: it is a number */
	uint64_t number;
	const struct frame_name *frame;	/* modules and symbols, else NULL */
	const struct field_desc *field;	/* fields of the event, else NULL */
};

struct profile_value profile_value(struct profile *p, const struct profile_row *row,
				   const struct profile_key *key);

/* --- call trees ---------------------------------------------------------------- */

enum profile_direction {
	PROFILE_CALLEES,	/* down: what the row calls */
	PROFILE_CALLERS,	/* up: who calls it */
};

struct profile_branch {
	const struct frame_name *frame;
	uint64_t weight;
	unsigned int depth;	/* 0: the row itself, whose frame may be NULL */
	size_t nr_below;	/* branches right below it */
};

/* Returns 0 to go on, else its value is returned. */
typedef int (*profile_branch_fn)(void *ctx, const struct profile_branch *b);

#define PROFILE_MAX_DEPTH 127

/*
 * The tree of a row, the row itself first, then depth first, the heaviest first; branches
 * below min_weight are left out.  self_only: of callers, only what led to the
 * row itself and not to what it called.
 */
int profile_tree(struct profile *p, const struct profile_row *row,
		 enum profile_direction direction, bool self_only, uint64_t min_weight,
		 profile_branch_fn fn, void *ctx);

#endif
