/*
 * What the files of script share: the plan made from the options, and the
 * rendering of fields and stacks.
 */
#ifndef REPORT_SCRIPT_PRIVATE_H
#define REPORT_SCRIPT_PRIVATE_H

#include "format/arena.h"
#include "report/fieldtext.h"
#include "report/names.h"
#include "report/printfmt.h"
#include "report/script.h"
#include "report/textcache.h"

#define SCRIPT_MAX_COLUMNS 64
/* Deeper stacks end in "[truncated]". */
#define SCRIPT_MAX_STACK 4096
#define SCRIPT_HEAD_BITS 8

struct script;
struct script_graph;

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
	int alone_width;	/* of a record without stack; 0: the same */
	char fill;
	void (*value)(struct script *s, const struct query_record *r, struct script_value *v);
	const char *field;	/* without value: the field of the event that has this name */
};

/* What is printed. */
struct script_plan {
	struct script_column columns[SCRIPT_MAX_COLUMNS];
	size_t nr_columns;
	char *names;		/* owns the names of event fields */
	const struct script_column *time;	/* text: the column, when heads can be kept */
	bool others;		/* all fields of the event that have no column */
	bool event_last;	/* the event's name is the last column */
	bool stack, ip, sym, symoff, dso;
};

/* A field that is shown behind the columns. */
struct script_other {
	uint32_t field;
	const char *key;	/* with what stands around it in the format of the output */
	size_t key_len;
};

/* What records of one event show, found once. */
struct script_event {
	const struct trace_event *event;
	struct printfmt *format;	/* text: the kernel's, or NULL */
	/*
	 * Text: NULL, or the name of a call, a span that has a result, which is shown as
	 * perf-trace(1) does.
	 */
	const char *call;
	uint32_t result, duration;	/* fields of a call */
	struct script_other *others;
	size_t nr_others;
	size_t nr_arguments;	/* of a call: so many others come first */
	int waker_stack;	/* text, JSON: the field that is shown as a stack, or -1 */
	int fields[SCRIPT_MAX_COLUMNS];	/* of the columns, or -1 */
	int *cells;			/* CSV: of its columns of fields, or -1 */
};

/*
 * The columns of lines differ in little but their time: the rest is kept for
 * each event, task, CPU, weight and state.
 */
struct script_head {
	const struct trace_event *event;	/* NULL: free */
	uint64_t weight, state;
	uint32_t task, cpu;
	uint16_t time_at, len_bytes;	/* the text lacks the time, and what is behind it */
	char text[148];
};

struct script {
	const struct script_opts *opts;
	struct query *query;
	struct diag *diag;
	struct trace *trace;
	struct names *names;
	struct output *output;
	struct bytebuf *to;	/* of the output */
	struct script_plan plan;
	struct textcache *stacks, *frame_texts, *comms;
	struct nametexts *nametexts;
	struct script_head *heads;	/* text: 1 << SCRIPT_HEAD_BITS of them */
	struct bytebuf scratch, scratch_stack;
	struct fieldtext text;
	enum fieldtext_style style;
	struct arena arena;
	struct script_graph *graph;	/* text: NULL, or what collects calls */
	struct script_event **events;	/* by id */
	size_t nr_events;
	const char **csv;		/* names of the columns of fields */
	size_t nr_csv;
	uint64_t start_ns, nr_records;
	uint64_t frames, unresolved, truncated;
};

int script_plan_make(struct script_plan *p, const struct script_opts *opts,
		     const struct trace *t, struct diag *d);
/* On a pipe events come late: whether each field was one of some event. */
int script_plan_check(const struct script_plan *p, const struct trace *t, struct diag *d);
/* Has a column of its own; others are shown as name=value. */
bool script_is_common(const struct field_desc *f);

/* --- script.c -------------------------------------------------------------------- */

bool script_shows_stack(const struct script *s, const struct script_event *e);
/* Between the values of a record. */
void script_put_comma(struct script *s, bool *first);
/* As the format of the output writes it. */
void script_put_string(struct script *s, const char *text, size_t len_bytes);
void script_put_value(struct script *s, const struct script_value *v);

/* --- script_text.c, script_json.c, script_csv.c: a record ------------------------- */

void script_text_put(struct script *s, const struct script_event *e,
		     const struct query_record *r);
void script_json_put(struct script *s, const struct script_event *e,
		     const struct query_record *r);
/* The header.  On a pipe events come with the first record.  0 or -ENOMEM. */
int script_csv_begin(struct script *s);
void script_csv_put(struct script *s, const struct script_event *e,
		    const struct query_record *r);

/* script_event.c.  NULL: out of memory, or d is set. */
struct script_event *script_event_get(struct script *s, const struct trace_event *e,
				      struct diag *d);
void script_event_free_all(struct script *s);
/* The union of the fields of all events that are asked for. */
int script_event_make_csv(struct script *s);
void script_event_put_field(struct script *s, const struct query_record *r, uint32_t field);
/* Behind the columns of text: the kernel's format, or (name=value, ...). */
void script_event_put_text(struct script *s, const struct script_event *e,
			   const struct query_record *r);

/* script_call.c: whether the event's records are shown as calls. */
void script_call_make(struct script_event *e);
/* Behind the name of a call: (name: value, ...) = result (duration). */
void script_call_put(struct script *s, const struct script_event *e,
		     const struct query_record *r);

/* Appends the columns of the record as kept, with its time; false: they are not. */
bool script_put_head(struct script *s, const struct query_record *r);
/*
 * Keeps the columns that were appended from `from`, with the time in the middle.
 * For plan.time.
 */
void script_keep_head(struct script *s, const struct query_record *r, size_t from,
		      size_t time_from, size_t time_end);
/* Behind the record's own stack, if it has any: who woke the thread, and where. */
void script_put_waker_stack(struct script *s, const struct script_event *e,
			    const struct query_record *r);
/* Appends the stack in the format of the options; JSON: a whole array. */
void script_put_stack(struct script *s, uint32_t stack);

#endif
