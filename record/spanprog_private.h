/*
 * What both programs of a span do with the table of what waits (record/spanmaps.h).  A
 * start lies there as it will in the record.
 */
#ifndef RECORD_SPANPROG_PRIVATE_H
#define RECORD_SPANPROG_PRIVATE_H

#include "record/spanprog.h"

#include <stddef.h>

#include "record/probeprog_private.h"
#include "record/spanmaps.h"

#define SPANPROG_AT(member) ((int16_t)offsetof(struct spanmaps_start, member))
#define SPANPROG_IMAGE_OFFSET (sizeof(struct spanmaps_start) + 8)	/* behind the duration */

_Static_assert(sizeof(struct spanmaps_start) == sizeof(struct probe_record),
	       "a start lies as in a record");

struct spanprog {
	const struct probe_span *span;
	struct spanmaps_table table;
	int16_t key;		/* slot of the stack */
};

/* Of what the start leaves: all that has a size of its own. */
uint32_t spanprog_fixed_bytes(const struct probe_span *span);
/* Leaves if the hit is no start or end at all: it takes nobody's start away. */
int spanprog_require(struct probeprog_builder *b, struct diag *d);

/* Puts the key together, which all below look up. */
void spanprog_key(struct probeprog_builder *b, struct spanprog *side);
/* r1 = the table, r2 = the address of the key. */
void spanprog_point_at_key(struct probeprog_builder *b, const struct spanprog *side);
/* r0 = the entry of the key, or 0. */
void spanprog_look_up(struct probeprog_builder *b, const struct spanprog *side);
/* Goes on with the start in b->start, or to none. */
void spanprog_find(struct probeprog_builder *b, const struct spanprog *side, int none);
/* Takes the start in b->start away and goes on to next. */
void spanprog_free(struct probeprog_builder *b, const struct spanprog *side, int next);

/* To what the register points at; r2 is lost. */
void spanprog_add_one(struct probeprog_builder *b, int to);
/* One of SPANMAPS_...; r1 and r2 are lost. */
void spanprog_count(struct probeprog_builder *b, const struct spanprog *side, uint32_t what);
/* For the probe whose start it was; the entry is in r0 and stays there. */
void spanprog_count_replaced(struct probeprog_builder *b, const struct spanprog *side);

#endif
