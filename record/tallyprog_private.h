/*
 * Between the files of a tally's program.
 */
#ifndef RECORD_TALLYPROG_PRIVATE_H
#define RECORD_TALLYPROG_PRIVATE_H

#include "record/probeprog.h"

/* Makes the key on the stack, at r10 + key; a stack without a number of its own: to lost. */
void tallyprog_key(struct probeprog_builder *b, int16_t key, int lost);
/* r9 = what is measured. */
void tallyprog_value(struct probeprog_builder *b);

#endif
