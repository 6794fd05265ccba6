#include "report/latency_waits.h"

#include <errno.h>
#include <stdlib.h>

int latency_waits_init(struct latency_waits *w)
{
	w->ring = calloc(LATENCY_WAITS_KEPT, sizeof(*w->ring));
	w->newest = 0;
	return w->ring ? 0 : -ENOMEM;
}

void latency_waits_release(struct latency_waits *w)
{
	free(w->ring);
	w->ring = NULL;
}

uint32_t latency_waits_add(struct latency_waits *w, const struct latency_piece *p,
			   uint32_t before)
{
	/* Numbers start over after 2^32 waits, of which very few are kept. */
	if (!++w->newest)
		w->newest = 1;
	w->ring[w->newest % LATENCY_WAITS_KEPT] = (struct latency_kept) { *p, before };
	return w->newest;
}

const struct latency_kept *latency_waits_get(const struct latency_waits *w, uint32_t number)
{
	if (!number || w->newest - number >= LATENCY_WAITS_KEPT)
		return NULL;
	return &w->ring[number % LATENCY_WAITS_KEPT];
}
