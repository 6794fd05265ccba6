/*
 * The encoder of tables, and how it packs the numbers of a column: layouts and units.
 */
#ifndef FORMAT_TABLE_PACK_H
#define FORMAT_TABLE_PACK_H

#include "format/bytebuf.h"
#include "format/table.h"
#include "format/table_choose.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zstd.h>

struct table_encoder {
	ZSTD_CCtx *zstd;
	ZSTD_CCtx *zstd_noise;		/* for bytes that hardly repeat but are not alike often */
	struct bytebuf *to;
	size_t nr, columns_left;
	int err;
	uint64_t *v;			/* the transformed column */
	size_t v_cap;
	struct bytebuf raw, packed, column, bits;
};

/* One unit from e->raw to e->column; without a context as it is. */
void table_pack_unit(struct table_encoder *e, ZSTD_CCtx *zstd);
/* nr numbers as LAYOUT_PLANES; `all` has the bits that any of them has. */
void table_pack_planes(struct table_encoder *e, const uint64_t *v, size_t nr, uint64_t all,
		       bool differences);
/* As LAYOUT_RUNS: all runs, in order. */
void table_pack_runs(struct table_encoder *e, const struct table_run *runs, size_t nr_runs);
/* As LAYOUT_BUCKETS. */
void table_pack_buckets(struct table_encoder *e, const uint64_t *v, size_t nr, unsigned int sub);
/* x = base + v of all rows, and the base is known; says what the layout is. */
void table_pack_values(struct table_encoder *e, enum table_hint hint, const uint64_t *x,
		       struct table_choice *c);

#endif
