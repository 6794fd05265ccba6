#include "report/stacksum_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void stacksum_rows_raise(struct stacksum *s, uint32_t entry, uint64_t records, uint64_t count)
{
	struct stacksum_entry *e = &s->counts.list[entry];

	s->records += records;
	if (count > UINT64_MAX - s->total) {
		count = UINT64_MAX - s->total;
		s->overflow += records;
	}
	s->total += count;
	e->count += count;
	e->records += count ? records : 0;
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

static uint64_t count_row(struct stacksum *s, const struct measure_rows *r, size_t row,
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

uint64_t stacksum_rows_count(struct stacksum *s, const struct stacksum_columns *c, size_t row,
			     uint64_t *times, bool *hidden)
{
	uint64_t count = count_row(s, &c->rows, row, times);

	*hidden = column_at(&c->idle, row);
	if (!*hidden)
		return count;
	s->idle_records += *times;
	s->idle = count > UINT64_MAX - s->idle ? UINT64_MAX : s->idle + count;
	return 0;
}

int stacksum_rows_add(struct stacksum *s, const struct stacksum_columns *c,
		      const struct query_batch *b)
{
	for (size_t i = 0; i < b->nr; i++) {
		size_t row = b->rows ? b->rows[i] : i;
		struct stacksum_entry key = {
			.group = s->row_groups[i], .stack = stacksum_rows_stack(c, row) };
		uint64_t times, count;
		uint32_t entry;
		bool hidden;

		count = stacksum_rows_count(s, c, row, &times, &hidden);
		if (hidden)
			continue;
		entry = stackcounts_get(&s->counts, &key, 1);
		if (entry == STACKCOUNTS_NONE)
			return -ENOMEM;
		stacksum_rows_raise(s, entry, times, count);
	}
	return 0;
}
