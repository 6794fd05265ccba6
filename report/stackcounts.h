/*
 * Counts by group, part, stack and chain, in a hash table.
 */
#ifndef REPORT_STACKCOUNTS_H
#define REPORT_STACKCOUNTS_H

#include "report/stacksum.h"

/* A count of 0 marks a free slot. */
struct stackcounts {
	struct stacksum_entry *list;
	size_t nr, cap;		/* cap is a power of two */
};

/* Whether there is such an entry. */
bool stackcounts_has(struct stackcounts *l, const struct stacksum_entry *e);
/* Starts as zeroes.  Adds the entry's records and count, which is not 0; 0 or -ENOMEM. */
int stackcounts_add(struct stackcounts *l, const struct stacksum_entry *e);
/* In the order of stacksum_entries(); nothing can be added any more. */
void stackcounts_sort(struct stackcounts *l);
void stackcounts_release(struct stackcounts *l);

#endif
