/*
 * Counts by number, in memory that follows how many of the numbers are in use.
 */
#ifndef REPORT_SLOTS_H
#define REPORT_SLOTS_H

#include <stddef.h>
#include <stdint.h>

struct slot {
	uint64_t count;		/* 0: free */
	int64_t key;
};

/* Zeroed it is empty. */
struct slots {
	struct slot *table;
	uint32_t nr_slots, nr_used;	/* nr_slots: a power of two, or 0 */
};

void slots_release(struct slots *s);
/* 0 or -ENOMEM. */
int slots_add(struct slots *s, int64_t key, uint64_t count);
/* nr_used of them, ascending, for free(); NULL when out of memory. */
struct slot *slots_sorted(const struct slots *s);

#endif
