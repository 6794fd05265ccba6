/*
 * The decoder of tables, and how it unpacks what a column has stored: units and layouts.
 * Sizes are limited before anything is allocated.
 */
#ifndef FORMAT_TABLE_UNPACK_H
#define FORMAT_TABLE_UNPACK_H

#include "format/bytebuf.h"
#include "format/cursor.h"
#include "format/table.h"

#include <stddef.h>
#include <stdint.h>

#include <zstd.h>

#define TABLE_UNPACK_VARINT_BYTES 10	/* at most */

struct table_decoder {
	ZSTD_DCtx *zstd;
	struct bytebuf lens, bytes;	/* unpacked units */
	uint64_t *stored;		/* of a column that is grouped */
	size_t stored_cap;
};

/*
 * The bytes of one unit, unpacked if need be at the end of `room`; NULL when it
 * is damaged or larger than max_bytes.
 */
const uint8_t *table_unpack_unit(struct table_decoder *d, struct cursor *c, uint64_t max_bytes,
				 struct bytebuf *room, size_t *raw_bytes);
/* nr numbers as the layout has them; d->bytes is empty. */
int table_unpack_numbers(struct table_decoder *d, const struct table_column *col,
			 uint64_t *v, size_t nr);

#endif
