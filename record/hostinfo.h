/*
 * What the file says about the machine and the recording, for `kymo info`.
 */
#ifndef RECORD_HOSTINFO_H
#define RECORD_HOSTINFO_H

#include "format/writer.h"

#include <stdint.h>

/* hostname, kernel, machine, cpus, cpu model, memory bytes, page bytes, clock. */
void hostinfo_write(struct writer *w);
/* The arguments joined by blanks, those with odd characters in quotes. */
void hostinfo_write_command_line(struct writer *w, int argc, char **argv);
/* CLOCK_MONOTONIC, the clock of the trace. */
uint64_t hostinfo_now_ns(void);
/* One anchor between the trace clock, wall clock and boot clock. */
void hostinfo_write_clock(struct writer *w);

#endif
