/*
 * The line that every view ends with: how much there was, what share of it was
 * lost or has no name, and what is wrong with the file.
 */
#ifndef REPORT_QUERY_QUALITY_H
#define REPORT_QUERY_QUALITY_H

#include <stdbool.h>
#include <stddef.h>

struct query_quality;

/* True when the file was cut or damaged. */
bool query_quality_print(const struct query_quality *quality, char *to, size_t size_bytes);

#endif
