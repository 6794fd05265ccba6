/*
 * What a profile can be grouped by.  A key is one row of the table in
 * profile_keys.c: its names, and how its value is found and printed.
 */
#ifndef REPORT_PROFILE_KEYS_H
#define REPORT_PROFILE_KEYS_H

#include "format/diag.h"
#include "format/trace.h"
#include "report/textids.h"

#include <stddef.h>
#include <stdint.h>

/* What a value belongs to. */
enum profile_of { PROFILE_OF_TASK, PROFILE_OF_RECORD, PROFILE_OF_EVENT, PROFILE_OF_FRAME };

enum profile_kind {
	PROFILE_NUMBER,
	PROFILE_LETTER,		/* an ASCII letter */
	PROFILE_TEXT,		/* the value is an id of a struct textids */
	PROFILE_MODULE,		/* frames: the value is a module_id or */
	PROFILE_SYMBOL,		/* a symbol_id of report/names.h */
};

struct profile_key {
	const char *name, *alias;
	const char *header;	/* as perf calls the column */
	enum profile_of of;
	enum profile_kind kind;
	int role;		/* PROFILE_OF_RECORD: of the field */
	/* PROFILE_OF_TASK: of a task of the trace, which may be unknown (NULL). */
	uint64_t (*of_task)(const struct trace *t, const struct trace_task *task,
			    struct textids *texts);
};

#define PROFILE_MAX_KEYS 16

struct profile_keys {
	const struct profile_key *list[PROFILE_MAX_KEYS];
	size_t nr;
};

/* NULL text: comm,module,symbol.  -EINVAL with d set: an unknown key. */
int profile_keys_parse(struct profile_keys *keys, const char *text, struct diag *d);
/* NULL when the list has no such key. */
const struct profile_key *profile_keys_find(const struct profile_keys *keys,
					    enum profile_kind kind);

#endif
