/*
 * The kernel's own print format of a tracepoint, from its format text in the
 * trace: fields with their sizes, and a print fmt that is a C expression.  The
 * text comes from a file, so it is read by a parser with bounds on length,
 * depth and width, and evaluated on the fields of records; no raw record and no
 * memory beside them is ever looked at.
 */
#ifndef REPORT_PRINTFMT_H
#define REPORT_PRINTFMT_H

#include "report/fieldtext.h"
#include "report/query.h"

#include <stdbool.h>
#include <stdint.h>

struct printfmt;

/*
 * -EINVAL: the event has no format, one that cannot be understood, or lacks a
 * field that the print fmt needs.  The event must outlive what is returned.
 */
int printfmt_new(struct printfmt **out, const struct trace_event *e);
void printfmt_free(struct printfmt *p);
/* Whether the format knows the field: others are to be shown beside it. */
bool printfmt_has(const struct printfmt *p, uint32_t field);
/* Appends the text of the record, harmless on a terminal. */
void printfmt_put(struct printfmt *p, const struct fieldtext *ft, const struct query_record *r,
		  struct bytebuf *to);

#endif
