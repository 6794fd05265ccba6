/*
 * Opening perf events on whatever is recorded.
 */
#ifndef RECORD_PERFEVENT_H
#define RECORD_PERFEVENT_H

#include "format/diag.h"
#include "record/target.h"

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct perfevent {
	int fd;
	int cpu;		/* -1: wherever the thread runs */
	uint32_t kind;		/* index of the attributes it was opened with */
};

struct perfevents {
	struct perfevent *list;
	size_t nr, cap;
};

struct perfevent_plan {
	struct perf_event_attr *attrs;
	size_t nr_attrs;
	struct target *target;
	/*
	 * One event for each thread and CPU instead of one for each thread:
	 * inherited events have no buffer otherwise.
	 */
	bool each_cpu;
	/*
	 * By attributes: on all CPUs that are online, whatever the target is.
	 * NULL: none of them.
	 */
	const bool *system_wide;
	/* Called for each event that was opened; may be NULL. */
	int (*opened)(void *ctx, const struct perfevent *e);
	void *ctx;
};

/* The fd, close-on-exec, or -errno; raises the limit on open files if needed. */
int perfevent_open(const struct perf_event_attr *attr, int tid, int cpu);
/* Up to the hard limit; true if there is more room now. */
bool perfevent_raise_open_files(void);
/* Makes the sentence: `what` is an event's name.  Returns err. */
int perfevent_say_error(struct diag *d, int err, const char *what, const struct target *t);

/*
 * Opens all of the plan.  Threads that vanish are left out, -ESRCH if none was
 * there.  Threads of running processes are covered without gap and overlap
 * where that is possible: if one was born meanwhile, all is opened anew, since
 * nothing tells whether it inherited its events.  *failed is the index of the
 * attributes that the kernel refused.
 */
int perfevents_open(struct perfevents *p, const struct perfevent_plan *plan, size_t *failed);
/* With PERF_EVENT_IOC_ENABLE or _DISABLE: -errno of the first that fails. */
int perfevents_control(const struct perfevents *p, unsigned long request);
void perfevents_close(struct perfevents *p);

#endif
