/*
 * A difference of two traces as text: folded lines with two numbers.
 */
#ifndef REPORT_FLAMEDIFF_FOLDED_H
#define REPORT_FLAMEDIFF_FOLDED_H

#include "report/flamediff.h"

/* Lines "stack BASE NEW", as difffolded.pl writes them, in the order of folded lines. */
int flamediff_folded(const struct flamediff_opts *opts, const struct folded_opts *folded,
		     struct output *o, struct flamediff_result *result, struct diag *d);

#endif
