/*
 * What the files of derived spans share.  Nobody else includes this.
 */
#ifndef REPORT_QUERY_SPANS_PRIVATE_H
#define REPORT_QUERY_SPANS_PRIVATE_H

#include "format/bytebuf.h"
#include "report/query.h"
#include "report/query_expr.h"
#include "report/query_pair.h"
#include "report/query_spans.h"

#define QUERY_SPANS_ROWS 16384
#define QUERY_SPANS_TEXT_BYTES ((size_t)4 << 20)	/* of the rows of a batch */
#define QUERY_SPANS_WAITING_BYTES ((size_t)32 << 20)	/* of the starts of a span */

/* Columns that every span has; the stack's is there if one side has stacks. */
enum { SPAN_TIME, SPAN_CPU, SPAN_TASK, SPAN_DURATION, SPAN_STACK, SPAN_NR_COMMON };

enum span_key_kind {
	KEY_NUMBER,			/* field */
	KEY_TEXT,
	KEY_TASK_TID,			/* of the task in a field */
	KEY_THREAD,			/* its tid; the idle threads, all 0, by their CPUs */
	KEY_PID, KEY_TID, KEY_UID, KEY_COMM, KEY_CGROUP, KEY_CPU,	/* of the record */
};

struct span_key {
	enum span_key_kind kind;
	uint32_t field;
	bool cut;			/* one side has a sign and the other has none */
};

/* From a field of the raw event to one of the span. */
struct span_copy {
	uint32_t from, to;
	bool is_bytes;
};

struct span_side {
	const struct trace_event *event;	/* NULL: not known yet */
	struct span_copy *copies;
	size_t nr_copies;
	struct span_key keys[QUERY_SPANSPEC_MAX_KEYS];
	struct query_expr *condition;		/* or NULL */
};

struct span_rows {
	/* By field. */
	uint64_t **columns;		/* NULL of bytes, of which there are the others */
	uint32_t **lens;
	struct bytebuf *bytes;
	struct trace_bytes *texts;
	size_t nr, text_bytes;
	uint64_t first_ns, last_ns;
};

struct span {
	struct query_spans *spans;
	struct query_spanspec *spec;
	const struct trace_event *event;	/* made; NULL: not known yet */
	bool is_name;			/* the text is a name of an event of the file */
	size_t nr_keys;
	struct span_side sides[2];
	int stack_side, task_side;	/* -1: none */
	struct query_pair *pair;
	struct span_rows rows;
};

/* Text as a key: a number for each. */
struct span_texts {
	uint64_t *hashes;		/* by string id; 0: not known yet */
	uint32_t nr;
};

struct query_spans {
	struct query_spanspecs specs;
	struct query_filter *filter;
	struct trace *trace;
	struct span *list;
	size_t nr;
	size_t nr_events;		/* of the trace when they were looked for last */
	struct span_texts texts;
	struct query_order *order;
	struct bytebuf scratch;
	uint32_t *rows;			/* of a part in its whole */
	size_t rows_cap;
	uint64_t *values;		/* of a start; as many as there can be fields */
	const uint64_t **columns;	/* of a record that conditions ask for, likewise */
	struct query_span range;
	query_spans_emit_fn emit;
	void *ctx;
	struct query_spans_counts counts;
};

/* --- query_spanbind.c ---------------------------------------------------------------- */

/* Finds fields and keys, and adds the event to the trace.  -EINVAL with d set. */
int query_spanbind_sides(struct span *s, struct trace *t, const struct trace_event *start,
			 const struct trace_event *end, struct diag *d);
void query_spanbind_release(struct span *s);

/* --- query_spankeys.c ---------------------------------------------------------------- */

/* What every record has anyway. */
bool query_spankeys_is_common(const struct field_desc *f);
/* A field by name; -1: there is none. */
int query_spankeys_find(const struct trace_event *e, const char *name);
/* Says that there is no such field, and which there are. */
int query_spankeys_complain(const struct trace_event *e, const char *name, struct diag *d);
/* Whether the event has the key: a field, or what every record has. */
bool query_spankeys_has(const struct trace_event *e, const char *name);
/* Finds the keys of both sides.  -EINVAL with d set. */
int query_spankeys_bind(struct span *s, struct diag *d);
/* Whether one key is the thread. */
bool query_spankeys_by_thread(const struct span *s);

/* --- query_spanrows.c ---------------------------------------------------------------- */

/* A start whose condition fails is none, and so is an end. */
int query_spanrows_start(struct span *s, const struct query_record *r);
int query_spanrows_end(struct span *s, const struct query_record *r);
/* Hands out the rows that wait. */
int query_spanrows_flush(struct span *s, uint64_t safe_ns);
void query_spanrows_release(struct span *s);

#endif
