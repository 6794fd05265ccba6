#include "report/slicetime.h"

/* What is left of `ns` that ended at *end_ns; *end_ns becomes its start. */
static uint64_t cut(uint64_t ns, uint64_t *end_ns, uint64_t first_ns, uint64_t last_ns)
{
	uint64_t from = *end_ns - ns, to = *end_ns;

	*end_ns = from;
	if (from < first_ns)
		from = first_ns;
	if (to > last_ns)
		to = last_ns;
	return to > from ? to - from : 0;
}

uint64_t slicetime_share(uint64_t ns, uint64_t part, uint64_t whole)
{
	double d = whole ? (double)ns * ((double)part / (double)whole) : 0;

	return part >= whole || d >= (double)ns ? ns : (uint64_t)d;
}

bool slicetime_cut(struct slicetime *t, uint64_t time_ns, uint64_t first_ns, uint64_t last_ns)
{
	uint64_t end = time_ns, mixed = t->on_ns + t->skipped_ns, left;

	t->runq_ns = cut(t->runq_ns, &end, first_ns, last_ns);
	t->blocked_ns = cut(t->blocked_ns, &end, first_ns, last_ns);
	left = cut(mixed, &end, first_ns, last_ns);
	/* Where nothing is mixed nothing is rounded. */
	t->on_ns = t->skipped_ns ? slicetime_share(t->on_ns, left, mixed) : left;
	if (t->on_ns > left)
		t->on_ns = left;
	t->skipped_ns = left - t->on_ns;
	return slicetime_ns(t) > 0;
}
