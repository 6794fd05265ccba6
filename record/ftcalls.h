/*
 * Nested calls from the notes of their starts and ends, as the kernel's function_graph
 * tracer makes them: each with its depth, of threads in any order, and with gaps.
 *
 * A call is given only if both of its sides are known and nothing speaks against their
 * belonging together.  What is left over is counted.
 *
 * A call's own time is the part of its duration that no other call of its thread took, so
 * that own times add up to the duration of whatever is around them.  Which calls took
 * part of it is told by time, not by the order of the notes: an interrupt may come while
 * the tracer is at work on a start or an end, and then what it calls is noted
 *
 *	- in front of the start of a call that lasts already, one deeper than that, so
 *	  that the call around it is not known;
 *	- in front of the end of a call that may be over already, one deeper than that,
 *	  or beside it, at its depth (until Linux 6.10);
 *	- behind the end of a call, two deeper than the one around both (since 6.11).
 *
 * So there are calls that took part of the time of one that their stack does not show,
 * and callees whose time is none of their caller's.
 */
#ifndef RECORD_FTCALLS_H
#define RECORD_FTCALLS_H

#include <stdbool.h>
#include <stdint.h>

struct ftcalls;

/* One that is under way. */
struct ftcalls_open {
	uint64_t function;
	uint32_t depth, cpu;
	uint32_t stack;		/* the caller's, who sets it */
	uint64_t noted_ns;	/* likewise: when its start was noted */
};

/* What the note of an end tells. */
struct ftcalls_end {
	uint64_t function;
	uint64_t began_ns, ended_ns;	/* on the clock of the CPU that it ran on then */
	uint64_t noted_ns;
	uint32_t depth, cpu;
};

/*
 * It ended at time_ns, on the clock of the notes.  A note is made some time after what it
 * tells, and longer after if an interrupt comes: of the two of a call that counts which was
 * made sooner.  So no call ends before one that it called, nor begins after it.
 */
struct ftcalls_ended {
	uint64_t time_ns;
	uint64_t duration_ns, self_ns;
	uint32_t depth, stack;
};

int ftcalls_new(struct ftcalls **out);
void ftcalls_free(struct ftcalls *c);
/*
 * A function was entered, by a thread (or what else tells ways of control apart).  The
 * call is valid until the next of these calls; *above is the stack of the call around
 * it, 0 if there is none, and *gap tells that calls in between are not known.  NULL: no
 * memory, and it is counted as one without end.
 */
struct ftcalls_open *ftcalls_enter(struct ftcalls *c, uint64_t thread, uint64_t function,
				   uint32_t depth, uint32_t cpu, uint32_t *above, bool *gap);
/* False: there is no start to it. */
bool ftcalls_leave(struct ftcalls *c, uint64_t thread, const struct ftcalls_end *end,
		   struct ftcalls_ended *to);
/*
 * Notes are missing, nobody knows of whom: no call that is under way is believed any
 * more.
 */
void ftcalls_forget(struct ftcalls *c);
uint64_t ftcalls_no_start(const struct ftcalls *c);
/* Those that are under way are left out: ftcalls_forget() makes them such. */
uint64_t ftcalls_no_end(const struct ftcalls *c);

#endif
