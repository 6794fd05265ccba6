/*
 * A query is an opened trace plus what the user left out: time, pid, tid, comm,
 * CPU, event.  Every view gets its records through it, so every view takes the
 * same options and tells the same losses.
 */
#ifndef REPORT_QUERY_H
#define REPORT_QUERY_H

#include "format/diag.h"
#include "format/trace.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct query_opts {
	const char *input;	/* path, "-" or NULL for trace.kymo */
	const char *time;	/* "A,B": seconds, +relative or percent; either empty */
	/*
	 * Lists with commas, or NULL for everything: numbers and ranges
	 * ("0,2-3"), or names with globs ("sched:*").  Of events there may be several
	 * lists, each on a line of its own.
	 */
	const char *pids, *tids, *comms, *cpus, *events;
	const char *filter;	/* an expression (format/expr.h), or NULL */
};

/*
 * An event that is a part of another one is there where its name is asked for; without a
 * list of events, and where `*` asks for all of them, its whole stands for it.
 *
 * Events may also be spans, `A..B@key[,key] as NAME`, in the words of kymo record, made of
 * the raw records of A and B in the file: their records and those that were paired when
 * recording are alike.
 */

struct query;

/* -EINVAL: the user's words are wrong; d says which. */
int query_open(struct query **out, const struct query_opts *opts, struct diag *d);
void query_close(struct query *q);
struct trace *query_trace(struct query *q);
/* As it was given, whose texts stay until query_close(). */
const struct query_opts *query_asked(const struct query *q);
/* Whether records of the event may be among the chosen ones. */
bool query_wants_event(struct query *q, const struct trace_event *e);
/* Whether it is made here of other records: the trace counts none of it. */
bool query_makes_event(struct query *q, const struct trace_event *e);

/* What was asked for with a time range, inclusive; of a pipe known with the first record. */
void query_range(const struct query *q, uint64_t *first_ns, uint64_t *last_ns);

/*
 * For views of time that passed, before records are read.  Records later than the time
 * range are handed out, too: what they tell of may have begun before its end.
 */
void query_read_on(struct query *q);
/*
 * All records of such events are handed out, whatever was left out or not asked for; they
 * do not count in the quality, but what was lost of them does.
 */
typedef bool (*query_event_fn)(const struct trace_event *e);
void query_keep(struct query *q, query_event_fn is_kept);

/* Batches of events that were asked for are handed out even if none of their rows passed. */
void query_give_all(struct query *q);

/*
 * The records of one block that passed the filters.  rows[i] is the index of a
 * record in the columns of trace_column(), ascending: by CPU, then time.  When
 * a column is damaged, call trace_damaged(b->batch) and return 0.
 */
struct query_batch {
	struct trace_batch *batch;
	const struct trace_event *event;
	const uint32_t *rows;	/* NULL: every row 0..nr-1 passed */
	size_t nr;
	struct query *query;
};

/* fn returns 0 to go on, else its value is returned. */
typedef int (*query_batch_fn)(void *ctx, struct query_batch *b);

/*
 * Record blocks in file order: the fast way, for sums.  A file may be gone
 * through several times, a pipe once.
 */
int query_each_batch(struct query *q, query_batch_fn fn, void *ctx, struct diag *d);

/* One record with all its fields, by field index. */
struct query_record {
	const struct trace_event *event;
	uint64_t time_ns;
	uint32_t cpu, task, stack;
	/* nr_fields of them; a FIELD_BYTES: offset in bytes << 32 | length. */
	const uint64_t *values;
	const uint8_t *bytes;
};

typedef int (*query_record_fn)(void *ctx, const struct query_record *r);

/*
 * Single records of all events in time order, in bounded memory.  Those of parts come in
 * the order of the times of their wholes.
 */
int query_each_record(struct query *q, query_record_fn fn, void *ctx, struct diag *d);

/* Sums for the line that every view ends with. */
struct query_quality {
	uint64_t records;		/* that passed the filters; of tallies, hits */
	bool is_sampled;		/* all are samples: their events have a weight */
	bool is_tallied;		/* all are of tallies */
	uint64_t lost;			/* within the time range, CPUs and events asked for */
	uint64_t no_start, no_end;	/* spans of which one side was seen, likewise */
	uint64_t lost_notes;		/* about tasks and mappings: names may be missing */
	/*
	 * Counted by the view: of every record, all frames of its stack; and
	 * the stacks that end in FRAME_TRUNCATED.
	 */
	uint64_t frames, unresolved;
	uint64_t truncated_stacks;
	/* Counted by the view: spans that began before the time range, and what it cut off. */
	uint64_t cut_spans, cut_ns;
	uint64_t negative;		/* numbers of parts that would have been below 0 */
	struct trace_health health;
};

void query_get_quality(struct query *q, struct query_quality *out);
/* For views; added to what was counted before. */
void query_count_frames(struct query *q, uint64_t frames, uint64_t unresolved);
void query_count_truncated(struct query *q, uint64_t stacks);
void query_count_cut(struct query *q, uint64_t spans, uint64_t cut_ns);
/*
 * One line without newline: "214,003 samples, 0 lost (0.00 %), 0.10 % of frames
 * without a name", and what is damaged.  Returns true when the file was cut or
 * damaged (exit status 3).
 */
bool query_quality_line(struct query *q, char *to, size_t size_bytes);
/*
 * Start of the trace in trace time, for relative times: where its first record
 * block starts.  On a pipe 0 until the first record was handed out.
 */
uint64_t query_start_ns(struct query *q);

#endif
