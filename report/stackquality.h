/*
 * How good the stacks of a sum are, for the line that every view ends with.
 */
#ifndef REPORT_STACKQUALITY_H
#define REPORT_STACKQUALITY_H

#include "report/names.h"
#include "report/query.h"
#include "report/stacksum.h"

/* Tells the query how many frames have no name and how many stacks are cut. */
int stackquality_count(const struct stacksum *s, struct names *names, struct query *q);

#endif
