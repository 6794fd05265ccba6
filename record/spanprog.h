/* The two sides of a span, up to where b->skip leaves; b->lost is theirs to place. */
#ifndef RECORD_SPANPROG_H
#define RECORD_SPANPROG_H

#include "record/probeprog.h"

int spanprog_start(struct probeprog_builder *b, const struct probe_span *span, struct diag *d);
/* The span is that of b->probe. */
int spanprog_end(struct probeprog_builder *b, struct diag *d);

#endif
