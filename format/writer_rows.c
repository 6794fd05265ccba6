#include "format/writer_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_ROWS 65536
#define MAX_COLUMNS 14

/*
 * Column ids of these blocks are 1, 2, 3 ..., and hints stand in that order.  The last
 * ones, of `nr_optional`, are left out of blocks in which they are all 0.
 */
static const struct {
	uint8_t type, nr_columns;
	uint8_t hints[MAX_COLUMNS];
	uint8_t nr_optional;
} layouts[ROWS_MAX] = {
	[ROWS_HOST] = { BLOCK_HOST, 2, { TABLE_PLAIN, TABLE_PLAIN } },
	[ROWS_CLOCK] = { BLOCK_CLOCK, 3, { TABLE_ASCENDING, TABLE_ASCENDING, TABLE_ASCENDING } },
	[ROWS_MODULES] = { BLOCK_MODULES, 6, { TABLE_ASCENDING, TABLE_PLAIN, TABLE_ASCENDING,
		TABLE_ASCENDING, TABLE_PLAIN, TABLE_PLAIN } },
	[ROWS_TASKS] = { BLOCK_TASKS, 13, { TABLE_ASCENDING, TABLE_ASCENDING, TABLE_ASCENDING,
		TABLE_ASCENDING, TABLE_PLAIN, TABLE_PLAIN, TABLE_IDS, TABLE_IDS, TABLE_IDS,
		TABLE_PLAIN, TABLE_PLAIN, TABLE_PLAIN, TABLE_PLAIN } },
	[ROWS_MAPPINGS] = { BLOCK_MAPPINGS, 7, { TABLE_ASCENDING, TABLE_PLAIN, TABLE_IDS,
		TABLE_IDS, TABLE_IDS, TABLE_IDS, TABLE_PLAIN } },
	[ROWS_SYMBOLS] = { BLOCK_SYMBOLS, 4, { TABLE_PLAIN, TABLE_ASCENDING, TABLE_IDS,
		TABLE_ASCENDING } },
	[ROWS_EVENTS] = { BLOCK_EVENT, 14, { 0 }, 3 },
	[ROWS_LOSS] = { BLOCK_LOSS, 6, { TABLE_ASCENDING, TABLE_ASCENDING } },
	[ROWS_COST] = { BLOCK_COST, 4, { TABLE_ASCENDING, TABLE_ASCENDING, TABLE_ASCENDING,
		TABLE_ASCENDING } },
	[ROWS_INDEX] = { BLOCK_INDEX, 8, { TABLE_ASCENDING } },
};

uint16_t writer_rows_type(enum writer_rows_kind kind)
{
	return layouts[kind].type;
}

int writer_rows_add(struct writer_rows *r, enum writer_rows_kind kind, const uint64_t *cells)
{
	size_t nr_columns = layouts[kind].nr_columns;

	if (r->nr == r->cap) {
		size_t cap = r->cap ? r->cap * 2 : 16;
		uint64_t *v = realloc(r->v, cap * nr_columns * sizeof(*v));

		if (!v)
			return -ENOMEM;
		r->v = v;
		r->cap = cap;
	}
	memcpy(r->v + r->nr * nr_columns, cells, nr_columns * sizeof(*cells));
	r->nr++;
	return 0;
}

static bool is_empty(const uint64_t *v, size_t nr, size_t nr_columns, size_t column)
{
	for (size_t i = 0; i < nr; i++)
		if (v[i * nr_columns + column])
			return false;
	return true;
}

size_t writer_rows_encode(const struct writer_rows *r, enum writer_rows_kind kind, size_t first,
			  struct table_encoder *e, struct bytebuf *to)
{
	size_t nr_columns = layouts[kind].nr_columns, nr = r->nr - first;
	const uint64_t *v = r->v + first * nr_columns;
	size_t nr_used = nr_columns, least = nr_columns - layouts[kind].nr_optional;
	uint64_t *column;

	if (nr > BLOCK_ROWS)
		nr = BLOCK_ROWS;
	while (nr_used > least && is_empty(v, nr, nr_columns, nr_used - 1))
		nr_used--;
	column = malloc(nr * sizeof(*column));
	if (!column)
		return 0;
	table_begin(e, to, nr, nr_used);
	for (size_t c = 0; c < nr_used; c++) {
		for (size_t i = 0; i < nr; i++)
			column[i] = v[i * nr_columns + c];
		table_numbers(e, (uint32_t)c + 1, layouts[kind].hints[c], column);
	}
	free(column);
	return table_end(e) ? 0 : nr;
}
