#include "format/writer_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DICTIONARY_ROWS 65536	/* of one block */
#define MAX_COLUMNS 13

/* Column ids of these blocks are 1, 2, 3 ..., and hints stand in that order. */
static const struct {
	uint8_t type, nr_columns;
	uint8_t hints[MAX_COLUMNS];
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
	[ROWS_EVENTS] = { BLOCK_EVENT, 10, { 0 } },
	[ROWS_LOSS] = { BLOCK_LOSS, 6, { TABLE_ASCENDING, TABLE_ASCENDING } },
	[ROWS_COST] = { BLOCK_COST, 4, { TABLE_ASCENDING, TABLE_ASCENDING, TABLE_ASCENDING,
		TABLE_ASCENDING } },
	[ROWS_INDEX] = { BLOCK_INDEX, 8, { TABLE_ASCENDING } },
};

uint64_t *writer_block_column(struct writer *w, size_t nr)
{
	if (nr > w->column_cap) {
		uint64_t *column = realloc(w->column, nr * sizeof(*column));

		if (!column) {
			w->err = w->err ? w->err : -ENOMEM;
			return NULL;
		}
		w->column = column;
		w->column_cap = nr;
	}
	return w->column;
}

void writer_block_begin(struct writer *w, size_t nr, size_t nr_columns)
{
	static const uint8_t header[BLOCK_HEADER_BYTES];

	bytebuf_clear(&w->block);
	bytebuf_put(&w->block, header, sizeof(header));
	table_begin(w->encoder, &w->block, nr, nr_columns);
}

static void index_block(struct writer *w, const struct block_header *h)
{
	const uint64_t cells[] = {
		[INDEX_OFFSET - 1] = w->stats.bytes,
		[INDEX_TYPE - 1] = h->type,
		[INDEX_PAYLOAD_BYTES - 1] = h->payload_bytes,
		[INDEX_RECORDS - 1] = h->nr_records,
		[INDEX_EVENT - 1] = h->event,
		[INDEX_FIRST - 1] = h->first_ns,
		[INDEX_LAST - 1] = h->last_ns,
		[INDEX_SAFE - 1] = h->safe_ns,
	};

	if (h->type != BLOCK_INDEX)
		writer_block_add_row(w, ROWS_INDEX, cells);
}

void writer_block_end(struct writer *w, struct block_header *h)
{
	bool droppable = h->type == BLOCK_RECORDS;
	struct bytebuf *b = &w->block;
	int err = table_end(w->encoder);

	if (!err && b->len - BLOCK_HEADER_BYTES > BLOCK_MAX_PAYLOAD)
		err = -EMSGSIZE;
	if (!err && !w->err) {
		h->payload_bytes = (uint32_t)(b->len - BLOCK_HEADER_BYTES);
		h->seq = w->seq;
		h->payload_crc = block_crc(b->data + BLOCK_HEADER_BYTES, h->payload_bytes);
		block_header_encode(b->data, h);
		err = w->output.put(w->output.ctx, b->data, b->len, droppable);
		if (err == -ENOBUFS && droppable) {
			w->stats.refused_records += h->nr_records;
			return;
		}
	}
	if (err || w->err) {
		w->err = w->err ? w->err : err;
		return;
	}
	index_block(w, h);
	w->seq++;
	w->stats.bytes += b->len;
	w->stats.blocks++;
	if (droppable)
		w->stats.records += h->nr_records;
}

void writer_block_add_row(struct writer *w, enum writer_rows_kind kind, const uint64_t *cells)
{
	struct writer_rows *r = &w->rows[kind];
	size_t nr_columns = layouts[kind].nr_columns;

	if (w->err)
		return;
	if (r->nr == r->cap) {
		size_t cap = r->cap ? r->cap * 2 : 16;
		uint64_t *v = realloc(r->v, cap * nr_columns * sizeof(*v));

		if (!v) {
			w->err = -ENOMEM;
			return;
		}
		r->v = v;
		r->cap = cap;
	}
	memcpy(r->v + r->nr * nr_columns, cells, nr_columns * sizeof(*cells));
	r->nr++;
}

static void put_some_rows(struct writer *w, enum writer_rows_kind kind, size_t first, size_t nr)
{
	size_t nr_columns = layouts[kind].nr_columns;
	const uint64_t *v = w->rows[kind].v + first * nr_columns;
	struct block_header h = {
		.type = layouts[kind].type,
		.nr_records = (uint32_t)nr,
		.safe_ns = w->safe_ns,
	};
	uint64_t *column = writer_block_column(w, nr);

	if (!column)
		return;
	writer_block_begin(w, nr, nr_columns);
	for (size_t c = 0; c < nr_columns; c++) {
		for (size_t i = 0; i < nr; i++)
			column[i] = v[i * nr_columns + c];
		table_numbers(w->encoder, (uint32_t)c + 1, layouts[kind].hints[c], column);
	}
	writer_block_end(w, &h);
}

void writer_block_put_rows(struct writer *w, enum writer_rows_kind kind)
{
	size_t nr = w->rows[kind].nr, step;

	for (size_t first = 0; first < nr && !w->err; first += step) {
		step = nr - first < DICTIONARY_ROWS ? nr - first : DICTIONARY_ROWS;
		put_some_rows(w, kind, first, step);
	}
	w->rows[kind].nr = 0;
}

void writer_block_trailer(struct writer *w, uint64_t index_offset)
{
	uint8_t trailer[TRAILER_BYTES];

	if (w->err)
		return;
	trailer_encode(trailer, index_offset);
	w->err = w->output.put(w->output.ctx, trailer, sizeof(trailer), false);
	if (!w->err)
		w->stats.bytes += sizeof(trailer);
}
