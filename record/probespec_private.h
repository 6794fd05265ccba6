/*
 * What the files that take texts of events apart share.  Nobody else includes this.
 */
#ifndef RECORD_PROBESPEC_PRIVATE_H
#define RECORD_PROBESPEC_PRIVATE_H

#include "record/probespec.h"

bool probespec_is_open(char c);
bool probespec_is_close(char c);
/* The end of the part that starts here: a comma outside of brackets, or the end. */
const char *probespec_part_end(const char *at);
size_t probespec_count_parts(const char *text);
/* A copy without the blanks around it, or NULL: out of memory. */
char *probespec_copy(const char *from, const char *end);

#endif
