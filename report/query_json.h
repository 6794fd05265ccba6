/*
 * What every JSON answer says about its records: how many, over what time, how
 * many were lost, and what is wrong with the file.
 */
#ifndef REPORT_QUERY_JSON_H
#define REPORT_QUERY_JSON_H

#include "report/output.h"
#include "report/query.h"

/* A string with its quotes. */
void query_json_text(struct output *o, const char *text);
/* `"quality": {...}`, without what comes before and after. */
void query_json_quality(struct query *q, struct output *o);

#endif
