/*
 * Why a thread is blocked, told from the names of the functions on its kernel stack by the
 * rows of record/schedreason.def.
 */
#ifndef RECORD_SCHEDREASON_H
#define RECORD_SCHEDREASON_H

#include "record/scheddesc.h"

#include <stdbool.h>
#include <stdint.h>

struct schedreason {
	uint8_t reason;			/* enum sched_reason */
	bool idle;
};

/* A walk outwards over one stack, one function at a time. */
struct schedreason_walk {
	struct schedreason found, weak;
	bool has_found, has_weak;
	unsigned int nr_seen;		/* functions that are not everyone's */
};

#define SCHEDREASON_NO_ROW (-1)

/* The row that fits a function's name; it stays the same, and may be kept by address. */
int schedreason_row(const char *name);
void schedreason_begin(struct schedreason_walk *w);
/* The next function, by its row.  False: the rest of the stack cannot change anything. */
bool schedreason_next(struct schedreason_walk *w, int row);
/* SCHED_REASON_OTHER when no function told anything. */
struct schedreason schedreason_end(const struct schedreason_walk *w);

#endif
