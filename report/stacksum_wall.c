#include "report/stacksum_private.h"
#include "report/stackwall.h"

#include <errno.h>

/* The parts of a group's stack stand together. */
static uint32_t find_parts(struct stacksum *s, uint32_t group, uint32_t stack)
{
	return stackcounts_get(&s->counts, &(struct stacksum_entry) {
		.group = group, .stack = stack, .part = STACKSUM_ON_CPU },
		STACKSUM_NR_PARTS - STACKSUM_ON_CPU);
}

int stacksum_wall_add(struct stacksum *s, const struct stacksum_columns *c,
		      const struct query_batch *b)
{
	struct stackwall_columns w;
	struct stackwall_row r;
	uint32_t entry;
	uint64_t first_ns, last_ns;
	int err = stackwall_open(&w, b);

	query_range(s->query, &first_ns, &last_ns);
	for (size_t i = 0; i < b->nr && !err; i++) {
		size_t row = b->rows ? b->rows[i] : i;

		stackwall_get(&w, row, first_ns, last_ns, &r);
		if (s->samples)
			r.ns[STACKSUM_ON_CPU] = 0;
		if (column_at(&c->idle, row) && r.ns[STACKSUM_BLOCKED]) {
			s->idle_records++;
			if (__builtin_add_overflow(s->idle, r.ns[STACKSUM_BLOCKED], &s->idle))
				s->idle = UINT64_MAX;
			r.ns[STACKSUM_BLOCKED] = 0;
		}
		entry = find_parts(s, s->row_groups[i], stacksum_rows_stack(c, row));
		if (entry == STACKCOUNTS_NONE)
			return -ENOMEM;
		for (uint32_t part = STACKSUM_ON_CPU; part < STACKSUM_NR_PARTS; part++)
			if (r.ns[part])
				stacksum_rows_raise(s, entry + part - STACKSUM_ON_CPU, 1, r.ns[part]);
	}
	return err;
}

/* Records of the time after the range are handed out, for waits that began in it. */
int stacksum_wall_add_samples(struct stacksum *s, const struct stacksum_columns *c,
			      const struct query_batch *b)
{
	uint64_t first_ns, last_ns;
	struct column time;
	int err = column_open(&time, b, b->event->by_role[ROLE_TIME], 0);

	query_range(s->query, &first_ns, &last_ns);
	for (size_t i = 0; i < b->nr && !err; i++) {
		size_t row = b->rows ? b->rows[i] : i;
		uint64_t times, count;
		uint32_t entry;
		bool hidden;

		if (column_at(&time, row) > last_ns)
			continue;
		count = stacksum_rows_count(s, c, row, &times, &hidden);
		entry = find_parts(s, s->row_groups[i], stacksum_rows_stack(c, row));
		if (entry == STACKCOUNTS_NONE)
			return -ENOMEM;
		stacksum_rows_raise(s, entry, times, count);
	}
	return err;
}
