/*
 * Side band records of the kernel (PERF_RECORD_* in linux/perf_event.h) as
 * notes.  Their trailer is that of PERF_SAMPLE_TID | TIME | CPU.
 */
#ifndef RECORD_SIDENOTE_H
#define RECORD_SIDENOTE_H

#include "record/sideband.h"

#include <linux/perf_event.h>

/* When it was written; 0 for a record without a trailer. */
uint64_t sidenote_time(const struct perf_event_header *record);
/* Of a PERF_RECORD_LOST. */
uint64_t sidenote_lost(const struct perf_event_header *record);
/*
 * False for a record that says nothing of interest or is malformed.  The
 * note's text lies in the record.
 */
bool sidenote_parse(struct note *n, const struct perf_event_header *record);

#endif
