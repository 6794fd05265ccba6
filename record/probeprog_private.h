/*
 * The parts of a probe's program, in the order in which they run.  While a record is
 * written, r9 is its start and r8 the number of bytes of it that are filled.
 */
#ifndef RECORD_PROBEPROG_PRIVATE_H
#define RECORD_PROBEPROG_PRIVATE_H

#include "record/probeprog.h"

/* Sets r7. */
void probeprog_target_identify(struct probeprog_builder *b);
/* Leaves for those who are not to be recorded. */
void probeprog_target_require(struct probeprog_builder *b);
/* Leaves on CPUs that are not to be recorded. */
void probeprog_target_require_cpu(struct probeprog_builder *b);

struct probeprog_sink {
	bool varies;		/* the size of the record is known at the end only */
	bool on_stack;
	bool clean;		/* all that is not yet written is zero */
	bool begun;
	/*
	 * Of the start of a span: the size is kept by comparisons with the most that can
	 * be filled so far; a mask would take up to twice the room.
	 */
	bool compares;
	uint32_t most_bytes;
	uint32_t fixed_bytes;	/* of the record, header included */
	uint32_t max_bytes;
	uint32_t mask;		/* no fill exceeds it */
	int16_t time, position, base;	/* slots of the stack */
};

/*
 * The time of the record, in s->time, when something is to be known of it before there
 * is room for it.  Nothing that the program does between this and reserving it comes out
 * of turn.  Of a tally that is all.
 */
void probeprog_sink_begin(struct probeprog_builder *b, struct probeprog_sink *s);
/* Room for a record, its header, and r8 and r9. */
void probeprog_sink_reserve(struct probeprog_builder *b, struct probeprog_sink *s);
void probeprog_sink_commit(struct probeprog_builder *b, const struct probeprog_sink *s);
/* What b->lost does. */
void probeprog_sink_count_lost(struct probeprog_builder *b);

/* All fields and stacks of b->probe. */
void probeprog_fields_emit(struct probeprog_builder *b, struct probeprog_sink *s);
/* What stands behind the fixed part: whether there is any, and how much at most. */
bool probeprog_fields_vary(const struct probe *p);
size_t probeprog_fields_pieces_bytes(const struct probe *p);

/* Who is recorded, and the filter, in the order that is cheaper. */
int probeprog_choose(struct probeprog_builder *b, struct diag *d);
/* The filter; its room on the stack is free again afterwards. */
int probeprog_filter(struct probeprog_builder *b, struct diag *d);

#endif
