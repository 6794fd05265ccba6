/*
 * How the encoder of tables packs a column: decisions from few looks at it.
 */
#ifndef FORMAT_TABLE_CHOOSE_H
#define FORMAT_TABLE_CHOOSE_H

#include "format/table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table_choice {
	enum table_layout layout;	/* runs, planes or varints */
	uint64_t base;			/* v[i] = x[i] - base */
	uint64_t range;			/* the greatest v */
	size_t nr_runs;
};

/* For nr numbers, at least one: all but the layout, which is chosen with the rest known. */
void table_choose_base(struct table_choice *c, const uint64_t *x, size_t nr);
/* How many runs of equal ones there are. */
size_t table_choose_count_runs(const uint64_t *x, size_t nr);

/* Whether the four numbers from x on are all the same as the one before. */
static inline bool table_choose_same(const uint64_t *x)
{
	return !((x[0] ^ x[-1]) | (x[1] ^ x[-1]) | (x[2] ^ x[-1]) | (x[3] ^ x[-1]));
}

/* Whether there are so few runs, in all that the range allows, that nothing else is chosen. */
bool table_choose_few_runs(const struct table_choice *c, size_t nr);
/* Whether LAYOUT_RUNS is chosen. */
bool table_choose_runs(const struct table_choice *c, const uint64_t *x, size_t nr);
void table_choose_layout(struct table_choice *c, const uint64_t *x, size_t nr,
			 enum table_hint hint);
/* The usual difference between neighbours of two or more numbers. */
uint64_t table_choose_step(const uint64_t *x, size_t nr);
/* Whether compression is not worth trying on these bytes: they hardly repeat. */
bool table_choose_noise(const uint8_t *bytes, size_t nr);

#endif
