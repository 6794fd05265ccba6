/*
 * Nested calls from the notes of their starts and ends, as the kernel's function_graph
 * tracer makes them: each with its depth, of threads in any order, and with gaps.
 *
 * A call is given only if both of its sides are known and nothing speaks against their
 * belonging together.  What is left over is counted.
 */
#ifndef RECORD_FTCALLS_H
#define RECORD_FTCALLS_H

#include <stdbool.h>
#include <stdint.h>

struct ftcalls;

/* One that is under way. */
struct ftcalls_open {
	uint64_t function;
	uint64_t callees_ns;	/* of those that have ended */
	uint32_t depth;
	uint32_t stack;		/* the caller's, who sets it */
};

struct ftcalls_ended {
	uint64_t duration_ns, self_ns;	/* self: without its callees */
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
				   uint32_t depth, uint32_t *above, bool *gap);
/* False: there is no start to it. */
bool ftcalls_leave(struct ftcalls *c, uint64_t thread, uint64_t function, uint32_t depth,
		   uint64_t duration_ns, struct ftcalls_ended *to);
/*
 * Notes are missing, nobody knows of whom: no call that is under way is believed any
 * more.
 */
void ftcalls_forget(struct ftcalls *c);
uint64_t ftcalls_no_start(const struct ftcalls *c);
/* Those that are under way are left out: ftcalls_forget() makes them such. */
uint64_t ftcalls_no_end(const struct ftcalls *c);

#endif
