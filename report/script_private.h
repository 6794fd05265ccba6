/*
 * What the files of script share: the plan made from the options, and the
 * rendering of fields and stacks.
 */
#ifndef REPORT_SCRIPT_PRIVATE_H
#define REPORT_SCRIPT_PRIVATE_H

#include "report/names.h"
#include "report/script.h"
#include "report/textcache.h"

#define SCRIPT_MAX_COLUMNS 64
/* Deeper stacks end in "[truncated]". */
#define SCRIPT_MAX_STACK 4096
#define SCRIPT_HEAD_BITS 8

struct script;

enum script_value_kind {
	SCRIPT_NOTHING,		/* the record has no such field */
	SCRIPT_NUMBER,
	SCRIPT_SECONDS,		/* number is ns */
	SCRIPT_STRING,		/* raw bytes */
	SCRIPT_WRITTEN,		/* text that is harmless already; JSON: a whole value */
};

struct script_value {
	enum script_value_kind kind;
	uint64_t number;
	const char *text;
	size_t len_bytes;
};

struct script_column {
	const char *name;
	const char *prefix, *suffix;
	int width;		/* negative: filled up on the right */
	char fill;
	/* NULL: the field of the event that has this name. */
	void (*value)(struct script *s, const struct query_record *r, struct script_value *v);
};

/* What is printed. */
struct script_plan {
	struct script_column columns[SCRIPT_MAX_COLUMNS];
	size_t nr_columns;
	char *names;		/* owns the names of event fields */
	const struct script_column *time;	/* text: the column, when heads can be kept */
	bool others;		/* all fields of the event that have no column */
	bool stack, ip, sym, symoff, dso;
};

/*
 * Lines of samples differ in little but their time: the rest is kept for each
 * event, task, CPU, weight and state.
 */
struct script_head {
	const struct trace_event *event;	/* NULL: free */
	uint64_t weight, state;
	uint32_t task, cpu;
	uint16_t time_at, len_bytes;	/* the text lacks the time itself */
	char text[148];
};

struct script {
	const struct script_opts *opts;
	struct query *query;
	struct trace *trace;
	struct names *names;
	struct output *output;
	struct bytebuf *to;	/* of the output */
	struct script_plan plan;
	struct textcache *stacks, *frame_texts, *comms;
	struct script_head *heads;	/* text: 1 << SCRIPT_HEAD_BITS of them */
	struct bytebuf scratch, scratch_stack;
	uint64_t start_ns, nr_records;
	uint64_t frames, unresolved, truncated;
	int event_width;	/* text: of the longest name */
};

int script_plan_make(struct script_plan *p, const struct script_opts *opts,
		     const struct trace *t, struct diag *d);
/* On a pipe events come late: whether each field was one of some event. */
int script_plan_check(const struct script_plan *p, const struct trace *t, struct diag *d);
/* Has a column of its own; others are shown as name=value. */
bool script_is_common(const struct field_desc *f);
/* An event's field, by index. */
void script_field_value(struct script *s, const struct query_record *r, uint32_t field,
			struct script_value *v);

/* Appends the line of the record as kept, with its time; false: it is not kept. */
bool script_put_head(struct script *s, const struct query_record *r);
/*
 * Keeps the line that was appended from `from`, with its time in the middle.
 * For plan.time, of an event without fields that have no column.
 */
void script_keep_head(struct script *s, const struct query_record *r, size_t from,
		      size_t time_from, size_t time_end);
/* Appends the stack in the format of the options; JSON: a whole array. */
void script_put_stack(struct script *s, uint32_t stack);
/* The same as a folded text. */
void script_put_folded(struct script *s, struct bytebuf *to, uint32_t stack);

#endif
