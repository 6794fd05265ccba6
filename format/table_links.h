/*
 * Which rows of a table belong together: what the columns of TRANSFORM_LINKED are
 * predicted from.  Rows have a time and a key, such as a thread; the row before row i is
 * the one with the same key that comes last of those before it, by time, and by place
 * where times are equal.
 */
#ifndef FORMAT_TABLE_LINKS_H
#define FORMAT_TABLE_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TABLE_LINKS_KEYS 4		/* that are remembered */
#define TABLE_LINKS_GROUPINGS 8
#define TABLE_LINKS_NONE UINT32_MAX

struct table_links_place {
	uint64_t time;
	uint32_t row;
};

/* Of one table: empty (zeros) at first, or after table_links_clear(). */
struct table_links {
	size_t nr, cap;
	uint32_t time;			/* id of its column; 0: not known yet */
	uint32_t *order;		/* rows by time */
	struct table_links_place *places, *merged;
	uint32_t keys[TABLE_LINKS_KEYS], *before[TABLE_LINKS_KEYS], next_key;
	uint32_t group_keys[TABLE_LINKS_GROUPINGS], *places_of[TABLE_LINKS_GROUPINGS];
	uint32_t next_group_key;
	uint32_t *groups;		/* scratch: of nr */
	uint32_t *slots;		/* scratch: by key */
};

void table_links_clear(struct table_links *l);		/* keeps the memory */
void table_links_release(struct table_links *l);
/*
 * By row the row before, or TABLE_LINKS_NONE; for nr rows, at least one, whose times and
 * keys are the columns of these ids.  NULL: out of memory.  Valid until three other keys
 * have been asked for; l->order is valid until another time is.
 */
const uint32_t *table_links_before(struct table_links *l, uint32_t time_id, const uint64_t *time,
				   uint32_t key_id, const uint64_t *key, size_t nr);

/*
 * By row the place that it has when rows with the same key stand together: those of the
 * least key first, and rows of one key in their order.  NULL: out of memory.  Valid until
 * seven other keys have been asked for.
 */
const uint32_t *table_links_places(struct table_links *l, uint32_t key_id, const uint64_t *key,
				   size_t nr);

/* The row that stands behind row j and is not earlier, or TABLE_LINKS_NONE. */
static inline uint32_t table_links_next(const uint64_t *time, size_t nr, uint32_t j)
{
	return (size_t)j + 1 < nr && time[j + 1] >= time[j] ? j + 1 : TABLE_LINKS_NONE;
}

#endif
