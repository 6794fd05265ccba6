/*
 * What is measured of a record, the same choice in every view: --of FIELD, else the
 * weight, else the duration, else 1 a record.  Of a tally's record it is what the tally
 * measured, in buckets.
 */
#ifndef REPORT_MEASURE_H
#define REPORT_MEASURE_H

#include "format/diag.h"
#include "report/query.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Sums of time are about a time range (--time A,B): of a span that began before A, they
 * have the part from A on.  Distributions tell how long things take, and have all of it.
 */
enum measure_default {
	MEASURE_WEIGHT_FIRST,	/* weight, else duration, else 1: sums */
	MEASURE_DURATION_FIRST,	/* duration, else weight: distributions, heat maps */
};

/* Of one event. */
struct measure {
	const struct trace_event *event;
	int field;		/* index, or -1: each record counts 1, or its ROLE_COUNT */
	bool is_signed;
	bool is_tally;		/* field is the bucket or the sum of a tally */
	bool has_buckets;	/* field is the bucket */
	bool is_cut;		/* field is the duration, in ns, and this is for a sum */
	const char *name, *unit;	/* "duration", "ns", the trace's; "" with field -1 */
};

/*
 * -EINVAL with d set: the event has no such field, or it is no number.  `of` is a field's
 * name, or "duration" or "weight" for the field of that role, or "1" (or the name of a
 * ROLE_COUNT) for how often; NULL for the default.
 */
int measure_init(struct measure *m, const struct trace_event *e, const char *of,
		 enum measure_default usual, struct diag *d);
/*
 * For views that need numbers: -EINVAL, and in d that the event has neither a duration nor
 * a weight and what may be chosen instead.
 */
int measure_complain(const struct trace_event *e, struct diag *d);
/* Whether measure_init() would succeed. */
bool measure_fits(const struct trace_event *e, const char *of);
/* -EINVAL with d set when there are events that the query wants, and none of them fits. */
int measure_check(struct query *q, const char *of, struct diag *d);

/*
 * Of each row of a batch: its value, and how often it counts.  Values are signed if
 * is_signed; of tallies they are the middles of buckets, and count, sum, least and most
 * tell what is known exactly.  Floating point numbers are rounded to whole ones.  Valid
 * until the next call with the same scratch or the end of the batch.
 */
struct measure_rows {
	/* By row of the batch: index with b->rows[i].  NULL: 1 each, or a sum without buckets. */
	const uint64_t *values;
	const uint64_t *whole;		/* values before they were cut; NULL: none is cut */
	const uint64_t *counts;		/* NULL: 1 each */
	/* Tallies with a bucket or a sum only, else NULL; buckets as the file has them. */
	const uint64_t *buckets;
	/* of the whole key where first is 1; any but first may be NULL in a poor file. */
	const uint64_t *sums, *least, *most, *first;
	const uint64_t *intervals;	/* tallies: length of the interval, ns; else NULL */
};

/* Whether the values of a batch may be cut: if it is_cut, and there is a time range. */
bool measure_cuts(const struct measure *m, const struct query_batch *b);

/* A bucket as the file has it, cut to those there are. */
int32_t measure_bucket(uint64_t bucket);

struct measure_scratch;

int measure_scratch_new(struct measure_scratch **out);
void measure_scratch_free(struct measure_scratch *s);
/*
 * 0, -EBADMSG when a column is damaged, or -ENOMEM.  If is_cut, what began before the
 * query's time range is cut, and counted in its quality.
 */
int measure_rows(const struct measure *m, const struct query_batch *b,
		 struct measure_scratch *s, struct measure_rows *out);

#endif
