/*
 * Of the program of a tally, what can be tested alone.
 */
#ifndef RECORD_TALLYPROG_H
#define RECORD_TALLYPROG_H

#include "record/bpfcode.h"

/* r0 = the bucket (format/buckets.h) of the number in r9; r1 to r3 are lost. */
void tallyprog_bucket(struct bpfcode *c, bool is_signed);

#endif
