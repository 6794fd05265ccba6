/*
 * What a profile can be grouped by.  A key is one row of the table in
 * profile_keys.c: its names, and how its value is found and printed.
 */
#ifndef REPORT_PROFILE_KEYS_H
#define REPORT_PROFILE_KEYS_H

#include "format/diag.h"
#include "format/trace.h"
#include "report/names.h"
#include "report/textids.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a value belongs to. */
enum profile_of { PROFILE_OF_TASK, PROFILE_OF_RECORD, PROFILE_OF_EVENT, PROFILE_OF_FRAME };

enum profile_kind {
	PROFILE_NUMBER,
	PROFILE_USER,		/* a number, unless it is TASK_UID_UNKNOWN */
	PROFILE_LETTER,		/* an ASCII letter */
	PROFILE_FIELD,		/* what the field of the event says */
	PROFILE_TEXT,		/* the value is an id of a struct textids */
	PROFILE_MODULE,		/* frames: the value is a module_id or */
	PROFILE_SYMBOL,		/* a symbol_id of report/names.h */
};

struct profile_key {
	const char *name, *alias;
	const char *header;	/* as perf calls the column */
	enum profile_of of;
	enum profile_kind kind;
	int role;		/* PROFILE_OF_RECORD: of the field; 0: it has the name */
	/* PROFILE_OF_TASK: of a task of the trace, which may be unknown (NULL). */
	uint64_t (*of_task)(const struct trace *t, const struct trace_task *task,
			    struct textids *texts);
};

#define PROFILE_MAX_KEYS 16

/* Not to be copied: keys of fields lie inside. */
struct profile_keys {
	const struct profile_key *list[PROFILE_MAX_KEYS];
	size_t nr;
	struct profile_key fields[PROFILE_MAX_KEYS];
	char text[1024];
};

/*
 * NULL text: comm,module,symbol.  A name that is no key is a field of the events; so
 * is one after a '.', whatever it is.  -EINVAL with d set: too many, too long.
 */
int profile_keys_parse(struct profile_keys *keys, const char *text, struct diag *d);
/* -EINVAL with d set when a key is a field that no event has, or that has no value. */
int profile_keys_check(const struct profile_keys *keys, const struct trace *t,
		       struct diag *d);
/*
 * The index of the field that is the key's value in an event; -1: none, or not of records.
 * An event without a task answers keys of tasks with its own fields of these names.
 */
int profile_keys_field(const struct profile_key *key, const struct trace_event *e);
/* Fields whose value is an id of a struct textids. */
bool profile_keys_is_text(const struct field_desc *f);
/*
 * What such a field says: a string, the comm of a task, the symbol of a frame.  False when
 * it could not be read: the text stands for that.
 */
bool profile_keys_text(const struct trace *t, struct names *names, const struct field_desc *f,
		       uint32_t id, struct trace_string *out);
/* NULL when the list has no such key. */
const struct profile_key *profile_keys_find(const struct profile_keys *keys,
					    enum profile_kind kind);

#endif
