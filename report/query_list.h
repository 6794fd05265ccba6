/*
 * Lists as users type them: "0,2-3" of numbers, "sched:*,cpu" of names with
 * globs.  An empty list (no text) has everything.
 */
#ifndef REPORT_QUERY_LIST_H
#define REPORT_QUERY_LIST_H

#include "format/diag.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct query_range {
	uint32_t first, last;
};

struct query_ranges {
	struct query_range *ranges;	/* ascending, apart from each other */
	size_t nr;
};

struct query_names {
	char *text;		/* holds the names */
	char **names;
	size_t nr;
};

/* -EINVAL with d set: `what` is a word for one of them. */
int query_list_ranges(struct query_ranges *r, const char *text, const char *what,
		      struct diag *d);
void query_list_release_ranges(struct query_ranges *r);
bool query_list_has(const struct query_ranges *r, uint64_t v);

int query_list_names(struct query_names *n, const char *text, const char *what,
		     struct diag *d);
void query_list_release_names(struct query_names *n);
bool query_list_match(const struct query_names *n, const char *text);

#endif
