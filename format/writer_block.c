#include "format/writer_private.h"

#include <errno.h>
#include <stdlib.h>

void writer_block_fail(struct writer *w, int err)
{
	if (err && !w->err)
		w->err = err;
}

uint64_t *writer_block_column(struct writer *w, size_t nr)
{
	if (nr > w->column_cap) {
		uint64_t *column = realloc(w->column, nr * sizeof(*column));

		if (!column) {
			writer_block_fail(w, -ENOMEM);
			return NULL;
		}
		w->column = column;
		w->column_cap = nr;
	}
	return w->column;
}

static void put_header(struct writer *w)
{
	static const uint8_t header[BLOCK_HEADER_BYTES];

	bytebuf_clear(&w->block);
	bytebuf_put(&w->block, header, sizeof(header));
}

void writer_block_begin(struct writer *w, size_t nr, size_t nr_columns)
{
	put_header(w);
	table_begin(w->encoder, &w->block, nr, nr_columns);
}

static void hand_on(struct writer *w, uint16_t type, size_t nr)
{
	struct block_header h = {
		.type = type, .nr_records = (uint32_t)nr, .safe_ns = w->safe_ns,
	};

	if (w->err)
		return;
	if (w->worker) {
		writer_block_fail(w, writer_worker_block(w->worker, &h, &w->block));
		return;
	}
	writer_pack_block(&w->pack, &h, &w->block);
	writer_block_fail(w, w->pack.err);
}

void writer_block_end(struct writer *w, uint16_t type, size_t nr)
{
	writer_block_fail(w, table_end(w->encoder));
	hand_on(w, type, nr);
}

void writer_block_add_row(struct writer *w, enum writer_rows_kind kind, const uint64_t *cells)
{
	if (!w->err)
		writer_block_fail(w, writer_rows_add(&w->rows[kind], kind, cells));
}

void writer_block_put_rows(struct writer *w, enum writer_rows_kind kind)
{
	struct writer_rows *r = &w->rows[kind];

	for (size_t first = 0, nr; first < r->nr && !w->err; first += nr) {
		put_header(w);
		nr = writer_rows_encode(r, kind, first, w->encoder, &w->block);
		if (!nr)
			writer_block_fail(w, -ENOMEM);
		hand_on(w, writer_rows_type(kind), nr);
	}
	r->nr = 0;
}
