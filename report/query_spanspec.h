/*
 * Takes apart what users type after -e of a view: names of events, and spans made of
 * two of them, in the words of kymo record:
 *
 *	A(fields){condition}..B(fields){condition}@key,start_key=end_key as NAME
 *
 * Everything but the two names may be left out.  Fields are names, or new_name=name.
 */
#ifndef REPORT_QUERY_SPANSPEC_H
#define REPORT_QUERY_SPANSPEC_H

#include "format/diag.h"

#include <stdbool.h>
#include <stddef.h>

#define QUERY_SPANSPEC_MAX_KEYS 4

struct query_spanspec_field {
	char *name, *source;		/* of the span; of the event */
};

struct query_spanspec_side {
	char *event;			/* name or glob */
	bool chooses;			/* fields are listed, if only none */
	struct query_spanspec_field *fields;
	size_t nr_fields;
	char *condition;		/* format/expr.h, or NULL */
};

struct query_spanspec_key {
	char *start, *end;
};

enum query_spanspec_end { QUERY_SPANSPEC_START, QUERY_SPANSPEC_END };

struct query_spanspec {
	char *text;			/* as typed, trimmed */
	char *name;			/* "as NAME", or NULL */
	struct query_spanspec_side sides[2];
	/* None: the thread.  What comes after the first may be names of events instead. */
	struct query_spanspec_key keys[QUERY_SPANSPEC_MAX_KEYS];
	size_t nr_keys;
};

struct query_spanspecs {
	char *names;			/* what is no span, with commas; NULL: none */
	struct query_spanspec *list;
	size_t nr;
};

/*
 * Lists with commas, each on a line of its own.  -EINVAL with d set when a span cannot be
 * understood.  NULL has nothing.
 */
int query_spanspec_parse(struct query_spanspecs *out, const char *text, struct diag *d);
void query_spanspec_release(struct query_spanspecs *s);

#endif
