/*
 * The waits of threads that came last, newest first by thread, in memory of a fixed size:
 * the oldest of all is forgotten for a new one.
 */
#ifndef REPORT_LATENCY_WAITS_H
#define REPORT_LATENCY_WAITS_H

#include "report/latency_story.h"

#include <stdbool.h>
#include <stdint.h>

/* 22 MiB. */
#define LATENCY_WAITS_KEPT (1u << 18)

struct latency_kept {
	struct latency_piece piece;
	uint32_t before;		/* the thread's wait before, or 0 */
};

struct latency_waits {
	struct latency_kept *ring;
	uint32_t newest;		/* number of the one added last, from 1 */
};

int latency_waits_init(struct latency_waits *w);
void latency_waits_release(struct latency_waits *w);
/* Its number, never 0. */
uint32_t latency_waits_add(struct latency_waits *w, const struct latency_piece *p,
			   uint32_t before);
/* NULL: 0, or forgotten. */
const struct latency_kept *latency_waits_get(const struct latency_waits *w, uint32_t number);

#endif
