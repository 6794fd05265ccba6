/*
 * Counts by group, part, stack and chain.  They stand in a list; an index into it is good
 * until the list is sorted.
 */
#ifndef REPORT_STACKCOUNTS_H
#define REPORT_STACKCOUNTS_H

#include "report/stacksum.h"

#define STACKCOUNTS_NONE UINT32_MAX

struct stackcounts {
	struct stacksum_entry *list;
	uint32_t *slots;	/* indexes and 1, in a hash table of twice the room; 0 is free */
	size_t nr, cap;
};

/* Starts as zeroes.  The index of the entry, or STACKCOUNTS_NONE: there is none. */
uint32_t stackcounts_find(const struct stackcounts *l, const struct stacksum_entry *key);
/*
 * The same, made with nothing counted when there is none, and with it, if it is made, as
 * many of the parts that follow as make nr_parts: their indexes follow, too, and they are
 * only found by that.  STACKCOUNTS_NONE: no memory.
 */
uint32_t stackcounts_get(struct stackcounts *l, const struct stacksum_entry *key,
			 uint32_t nr_parts);
/*
 * In the order of stacksum_entries(), without those that count nothing; nothing can be
 * found or added any more.  0 or -ENOMEM.
 */
int stackcounts_sort(struct stackcounts *l);
void stackcounts_release(struct stackcounts *l);

#endif
