#include "report/stacksum_private.h"
#include "report/stackwall.h"

int stacksum_wall_add(struct stacksum *s, const struct stacksum_columns *c,
		      const struct query_batch *b)
{
	struct stackwall_columns w;
	struct stackwall_row r;
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
		for (int part = STACKSUM_ON_CPU; part < STACKSUM_NR_PARTS && !err; part++)
			if (r.ns[part])
				err = stacksum_rows_put(s, (struct stacksum_entry) {
					.group = s->row_groups[i], .stack = stacksum_rows_stack(c, row),
					.part = (uint32_t)part, .records = 1,
					.count = r.ns[part] });
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
		struct stacksum_entry e = {
			.group = s->row_groups[i], .stack = stacksum_rows_stack(c, row),
			.part = STACKSUM_ON_CPU,
		};

		if (column_at(&time, row) > last_ns)
			continue;
		e.count = stacksum_rows_count(s, &c->rows, row, &e.records);
		err = stacksum_rows_put(s, e);
	}
	return err;
}
