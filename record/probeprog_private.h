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

struct probeprog_sink {
	bool varies;		/* the size of the record is known at the end only */
	bool on_stack;
	bool clean;		/* all that is not yet written is zero */
	uint32_t fixed_bytes;	/* of the record, header included */
	uint32_t max_bytes;
	uint32_t mask;		/* no fill exceeds it */
	int16_t time, position, base;	/* slots of the stack */
};

/* Room for a record, its header, and r8 and r9. */
void probeprog_sink_reserve(struct probeprog_builder *b, struct probeprog_sink *s);
void probeprog_sink_commit(struct probeprog_builder *b, const struct probeprog_sink *s);
/* What b->lost does. */
void probeprog_sink_count_lost(struct probeprog_builder *b);

/* All fields and stacks. */
size_t probeprog_fields_max_bytes(const struct probe *p);
void probeprog_fields_emit(struct probeprog_builder *b, const struct probeprog_sink *s);

#endif
