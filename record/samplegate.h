/*
 * The filter of a sampled event: a program that stands before the sampler's own and
 * lets through to it by a tail call.
 */
#ifndef RECORD_SAMPLEGATE_H
#define RECORD_SAMPLEGATE_H

#include "format/diag.h"

#include <stdint.h>

/*
 * The fd of the program for perf events; it goes on to programs_fd[index].  -EINVAL
 * with d set when the filter is wrong: samples have no fields of their own.
 */
int samplegate_load(const char *event, const char *filter, int programs_fd, uint32_t index,
		    struct diag *d);

#endif
