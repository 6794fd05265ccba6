#include "report/stacksum_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int stacksum_rows_put(struct stacksum *s, struct stacksum_entry e)
{
	s->records += e.records;
	if (e.count > UINT64_MAX - s->total)
		e.count = UINT64_MAX - s->total;
	if (!e.count)
		return 0;
	s->total += e.count;
	return stackcounts_add(&s->counts, &e);
}

int stacksum_rows_open(struct stacksum *s, struct stacksum_columns *c, const struct query_batch *b)
{
	const int *by_role = b->event->by_role;
	int err = column_open(&c->stack, b, by_role[ROLE_STACK], 0);

	c->nr_stacks = trace_nr_stacks(s->trace);
	if (!err)
		err = column_open(&c->idle, b, s->opts.idle ? -1 : by_role[ROLE_IDLE], 0);
	return err ? err : measure_rows(&s->measure, b, s->scratch, &c->rows);
}

int stacksum_rows_group(struct stacksum *s, struct query_batch *b)
{
	int err;

	if (b->nr > s->cap_rows) {
		uint32_t *grown = realloc(s->row_groups, b->nr * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		s->row_groups = grown;
		s->cap_rows = b->nr;
	}
	err = groups_of(s->groups, b, s->row_groups);
	if (err != -ENOENT)
		return err;
	memset(s->row_groups, 0xff, b->nr * sizeof(*s->row_groups));
	return 0;
}

uint32_t stacksum_rows_stack(const struct stacksum_columns *c, size_t row)
{
	uint64_t stack = column_at(&c->stack, row);

	return stack < c->nr_stacks ? (uint32_t)stack : 0;
}

/* What a row adds. */
uint64_t stacksum_rows_count(struct stacksum *s, const struct measure_rows *r, size_t row,
			     uint64_t *times)
{
	uint64_t value = 1, count;

	*times = r->counts ? r->counts[row] : 1;
	if (r->sums) {
		count = !r->first || r->first[row] ? r->sums[row] : 0;
		if (s->measure.is_signed && (int64_t)count < 0) {
			s->negative++;
			return 0;
		}
		return count;
	}
	if (r->values)
		value = r->values[row];
	if (s->measure.is_signed && (int64_t)value < 0) {
		s->negative += *times;
		return 0;
	}
	return __builtin_mul_overflow(value, *times, &count) ? UINT64_MAX : count;
}

/* Whether the row is of a thread that waits for work, which is not shown. */
bool stacksum_rows_hide(struct stacksum *s, const struct stacksum_columns *c, size_t row)
{
	uint64_t count, times;

	if (!column_at(&c->idle, row))
		return false;
	count = stacksum_rows_count(s, &c->rows, row, &times);
	s->idle_records += times;
	s->idle = count > UINT64_MAX - s->idle ? UINT64_MAX : s->idle + count;
	return true;
}

int stacksum_rows_add(struct stacksum *s, const struct stacksum_columns *c,
		      const struct query_batch *b)
{
	int err = 0;

	for (size_t i = 0; i < b->nr && !err; i++) {
		size_t row = b->rows ? b->rows[i] : i;
		struct stacksum_entry e = { .group = s->row_groups[i], .stack = stacksum_rows_stack(c, row) };

		if (stacksum_rows_hide(s, c, row))
			continue;
		e.count = stacksum_rows_count(s, &c->rows, row, &e.records);
		err = stacksum_rows_put(s, e);
	}
	return err;
}
