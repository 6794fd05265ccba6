#include "report/stackwall.h"

#include "report/slicetime.h"

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

/* Nothing is longer than there was time for it, whatever a file claims. */
static uint64_t take(uint64_t ns, uint64_t *left_ns)
{
	uint64_t taken = ns < *left_ns ? ns : *left_ns;

	*left_ns -= taken;
	return taken;
}

void stackwall_get(const struct stackwall_columns *c, size_t row, uint64_t first_ns,
		   uint64_t last_ns, struct stackwall_row *out)
{
	uint64_t time_ns = column_at(&c->time, row), left = time_ns;
	uint64_t off = take(column_at(&c->duration, row), &left);
	struct slicetime t = {
		.on_ns = take(column_at(&c->slice, row), &left),
	};

	t.skipped_ns = take(column_at(&c->skipped, row), &left);
	t.runq_ns = take(column_at(&c->runnable, row), &off);
	t.blocked_ns = off;
	if (time_ns > last_ns || time_ns - slicetime_ns(&t) < first_ns)
		slicetime_cut(&t, time_ns, first_ns, last_ns);
	*out = (struct stackwall_row) { .ns = {
		[STACKSUM_WAITING] = t.runq_ns, [STACKSUM_BLOCKED] = t.blocked_ns,
		[STACKSUM_ON_CPU] = t.on_ns, [STACKSUM_SKIPPED] = t.skipped_ns,
	} };
}
