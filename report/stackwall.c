#include "report/stackwall.h"

/* From the earliest to the latest: what was skipped is mixed with the slice. */
static const enum stacksum_part order[] = {
	STACKSUM_SKIPPED, STACKSUM_ON_CPU, STACKSUM_BLOCKED, STACKSUM_WAITING,
};

#define NR_ORDER (sizeof(order) / sizeof(order[0]))

int stackwall_open(struct stackwall_columns *c, const struct query_batch *b)
{
	const int *by_role = b->event->by_role;
	int err = column_open(&c->time, b, by_role[ROLE_TIME], 0);

	if (!err)
		err = column_open(&c->duration, b, by_role[ROLE_DURATION], 0);
	if (!err)
		err = column_open(&c->runnable, b, by_role[ROLE_RUNNABLE], 0);
	if (!err)
		err = column_open(&c->slice, b, by_role[ROLE_SLICE], 0);
	if (!err)
		err = column_open(&c->skipped, b, by_role[ROLE_SKIPPED], 0);
	return err;
}

static void cut(uint64_t *part, uint64_t *ns)
{
	uint64_t less = *part < *ns ? *part : *ns;

	*part -= less;
	*ns -= less;
}

void stackwall_get(const struct stackwall_columns *c, size_t row, uint64_t first_ns,
		   uint64_t last_ns, struct stackwall_row *out)
{
	uint64_t time_ns = column_at(&c->time, row), duration = column_at(&c->duration, row);
	uint64_t runnable = column_at(&c->runnable, row), late;
	uint64_t left = time_ns > first_ns ? time_ns - first_ns : 0;

	if (runnable > duration)
		runnable = duration;
	*out = (struct stackwall_row) { .ns = {
		[STACKSUM_WAITING] = runnable, [STACKSUM_BLOCKED] = duration - runnable,
		[STACKSUM_ON_CPU] = column_at(&c->slice, row),
		[STACKSUM_SKIPPED] = column_at(&c->skipped, row),
	} };
	/* Nothing is longer than there was time for it, whatever a file claims. */
	for (size_t i = NR_ORDER; i-- > 0;) {
		uint64_t *ns = &out->ns[order[i]];

		*ns = *ns < left ? *ns : left;
		left -= *ns;
	}
	late = time_ns > last_ns ? time_ns - last_ns : 0;
	for (size_t i = NR_ORDER; i-- > 0;)
		cut(&out->ns[order[i]], &late);
}
