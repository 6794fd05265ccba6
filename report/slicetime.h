/*
 * The time that a record of a thread's story tells of (ROLE_SLICE of format/schema.h), up
 * to the time of the record: first on a CPU and in waits without a record of their own,
 * mixed; then blocked; then waiting for a CPU.  All views cut it alike.
 */
#ifndef REPORT_SLICETIME_H
#define REPORT_SLICETIME_H

#include <stdbool.h>
#include <stdint.h>

struct slicetime {
	uint64_t on_ns, skipped_ns, blocked_ns, runq_ns;
};

static inline uint64_t slicetime_ns(const struct slicetime *t)
{
	return t->on_ns + t->skipped_ns + t->blocked_ns + t->runq_ns;
}

/*
 * Leaves what of it, which ended at time_ns and is not longer than that, is between the
 * two times.  What is mixed is cut in proportion.  False: nothing is left.
 */
bool slicetime_cut(struct slicetime *t, uint64_t time_ns, uint64_t first_ns, uint64_t last_ns);
/* part / whole of ns; all of it if the part is not less than the whole. */
uint64_t slicetime_share(uint64_t ns, uint64_t part, uint64_t whole);

#endif
