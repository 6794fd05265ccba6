/*
 * One recording, from options to a finished file.  Linux only.
 */
#ifndef RECORD_SESSION_H
#define RECORD_SESSION_H

#include "format/diag.h"
#include "record/sampler.h"
#include "record/target.h"

#include <stdbool.h>
#include <stdint.h>

enum session_choice { SESSION_DEFAULT, SESSION_ON, SESSION_OFF };

/* One -e with what was said after it. */
struct session_event {
	const char *text;		/* one event or several, see probespec.h */
	const char *filter;		/* or NULL */
	const char *tally;		/* see tally.h, or NULL */
	uint64_t min_ns, max_ns;	/* of spans; 0: none */
	enum session_choice kernel_stack, user_stack;
};

struct session_opts {
	struct target_opts target;
	const struct session_event *events;	/* none: "cpu" */
	size_t nr_events;
	uint64_t frequency_hz, period;	/* 0: the event's default */
	/* For events that do not say: stacks are usual with samples, not with probes. */
	enum session_choice kernel_stack, user_stack;
	bool idle;
	const char *graph;		/* --graph: kernel functions with globs, or NULL */
	unsigned int graph_depth;	/* 0: all */
	enum sampler_transport transport;
	const char *use;		/* the only ways to record that may be taken, or NULL */
	size_t buffer_bytes;
	uint64_t delay_ns, duration_ns;	/* 0: none, no limit */
	int output_fd;			/* taken over */
	int argc;			/* the command line, to be kept in the file */
	char **argv;
	const char *version;		/* of kymo, likewise */
};

struct session_summary {
	uint64_t events, lost, bytes;
	uint64_t no_start, no_end;	/* spans of which one side was seen */
	uint64_t wall_ns;		/* of the recording proper */
	uint64_t user_ns, system_ns;	/* of the recorder, whole life */
	uint64_t life_ns;		/* since session_open(): for its share of a CPU */
	uint64_t unresolved_frames, frames;
	uint64_t wrong_stacks;		/* of the scheduler's, found by samples of them */
	bool has_status;
	int wait_status;		/* of the command */
};

/* Of long work before the recording starts: "attaching", 120 of 3000. */
/* Not 0: give up. */
typedef int (*session_attach_fn)(void *ctx, const char *what, size_t done, size_t all);
/* Called at most a few times a second, for a progress line. */
typedef void (*session_progress_fn)(void *ctx, const struct session_summary *so_far);

struct session;

int session_open(struct session **out, const struct session_opts *opts,
		 session_attach_fn progress, void *ctx, struct diag *d);
/* What the user should be told before the recording starts, one by one; NULL ends. */
const char *session_note(struct session *s, size_t i);
/*
 * Begins to record and lets the command run.  After a failure nothing was
 * recorded, and session_close() is all that is left to do.
 */
int session_start(struct session *s, struct diag *d);
/*
 * Records until the target ends, the duration is over or session_stop() is
 * called.  A failing output ends it cleanly with -errno and d set; the summary
 * is valid in any case.
 */
int session_run(struct session *s, session_progress_fn progress, void *ctx,
		struct session_summary *summary, struct diag *d);
/*
 * Async-signal-safe.  The first call ends the recording; the second gives up an
 * output that does not take what is left.
 */
void session_stop(struct session *s);
void session_close(struct session *s);

#endif
