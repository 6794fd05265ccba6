/*
 * The options of `kymo record`, and what they say.
 */
#ifndef CMD_RECORD_OPTIONS_H
#define CMD_RECORD_OPTIONS_H

#include "cmd/command.h"
#include "cmd/tracefile.h"
#include "record/session.h"

#include <stdbool.h>
#include <stddef.h>

#define MAX_EVENT_OPTIONS 256

struct record_opts {
	struct session_opts session;
	struct session_event events[MAX_EVENT_OPTIONS];	/* -e, in order */
	size_t nr_events;
	const char *output;
	struct tracefile file;
	bool quiet, verbose;
};

extern const struct option_row *const record_options_tables[];
/* Options as they are before the first is read; NULL: out of memory. */
void *record_options_new(void);

#endif
