/*
 * The names of values that a spec uses: in its fields, its conditions, its tally and,
 * of one side of a span, its keys.
 */
#ifndef RECORD_SPECNAMES_H
#define RECORD_SPECNAMES_H

#include "record/probe.h"

/*
 * In the order in which they stand there, as often as they do.  What fn returns is
 * ignored; so is text that cannot be parsed, which whoever needs it complains about.
 */
void specnames_each(const struct probe_spec *spec, probe_name_fn fn, void *ctx);

#endif
