#include "format/writer_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int writer_pack_open(struct writer_pack *p, const struct writer_output *output, int zstd_level)
{
	p->output = *output;
	return table_encoder_new(&p->encoder, zstd_level);
}

void writer_pack_release(struct writer_pack *p)
{
	table_encoder_free(p->encoder);
	bytebuf_release(&p->block);
	bytebuf_release(&p->texts);
	writer_order_release(&p->order);
	free(p->columns);
	free(p->lens);
	free(p->index.v);
	free(p->losses.v);
	table_links_release(&p->links);
	free(p->stored);
}

static void fail(struct writer_pack *p, int err)
{
	if (err && !p->err)
		p->err = err;
}

void writer_pack_put(struct writer_pack *p, const void *bytes, size_t size_bytes)
{
	if (p->err)
		return;
	fail(p, p->output.put(p->output.ctx, bytes, size_bytes, false));
	if (!p->err)
		p->stats.bytes += size_bytes;
}

static void index_block(struct writer_pack *p, const struct block_header *h)
{
	const uint64_t cells[] = {
		[INDEX_OFFSET - 1] = p->stats.bytes,
		[INDEX_TYPE - 1] = h->type,
		[INDEX_PAYLOAD_BYTES - 1] = h->payload_bytes,
		[INDEX_RECORDS - 1] = h->nr_records,
		[INDEX_EVENT - 1] = h->event,
		[INDEX_FIRST - 1] = h->first_ns,
		[INDEX_LAST - 1] = h->last_ns,
		[INDEX_SAFE - 1] = h->safe_ns,
	};

	if (h->type != BLOCK_INDEX)
		fail(p, writer_rows_add(&p->index, ROWS_INDEX, cells));
}

/* True if the output took it. */
static bool put_block(struct writer_pack *p, struct block_header *h, struct bytebuf *b)
{
	bool droppable = h->type == BLOCK_RECORDS;
	int err = b->err;

	if (!err && b->len - BLOCK_HEADER_BYTES > BLOCK_MAX_PAYLOAD)
		err = -EMSGSIZE;
	fail(p, err);
	if (p->err)
		return false;
	h->payload_bytes = (uint32_t)(b->len - BLOCK_HEADER_BYTES);
	h->seq = p->seq;
	h->payload_crc = block_crc(b->data + BLOCK_HEADER_BYTES, h->payload_bytes);
	block_header_encode(b->data, h);
	err = p->output.put(p->output.ctx, b->data, b->len, droppable);
	if (err) {
		if (err != -ENOBUFS || !droppable)
			fail(p, err);
		return false;
	}
	index_block(p, h);
	p->seq++;
	p->safe_ns = h->safe_ns;
	p->stats.bytes += b->len;
	p->stats.blocks++;
	return true;
}

void writer_pack_block(struct writer_pack *p, struct block_header *h, struct bytebuf *b)
{
	put_block(p, h, b);
}

static void begin(struct writer_pack *p)
{
	static const uint8_t header[BLOCK_HEADER_BYTES];

	bytebuf_clear(&p->block);
	bytebuf_put(&p->block, header, sizeof(header));
}

void writer_pack_records(struct writer_pack *p, struct writer_batch *b)
{
	struct block_header h = {
		.type = BLOCK_RECORDS, .nr_records = b->nr, .event = b->source->event,
		.safe_ns = b->safe_ns,
	};

	if (p->err)
		return;
	fail(p, writer_order_find(b, &p->order));
	begin(p);
	if (!p->err)
		fail(p, writer_records_encode(p, b));
	h.first_ns = b->first_ns;
	h.last_ns = b->last_ns;
	if (put_block(p, &h, &p->block)) {
		p->stats.records += b->nr;
	} else if (!p->err) {
		/* The output had no room for it: what it held is told as lost. */
		p->stats.refused_records += writer_batch_hits(b);
		fail(p, writer_batch_losses(b, &p->losses));
	}
}

static void put_rows(struct writer_pack *p, enum writer_rows_kind kind, struct writer_rows *r)
{
	struct block_header h = { .type = writer_rows_type(kind), .safe_ns = p->safe_ns };

	for (size_t first = 0, nr; first < r->nr && !p->err; first += nr) {
		begin(p);
		nr = writer_rows_encode(r, kind, first, p->encoder, &p->block);
		h.nr_records = (uint32_t)nr;
		if (!nr)
			fail(p, -ENOMEM);
		put_block(p, &h, &p->block);
	}
	r->nr = 0;
}

void writer_pack_losses(struct writer_pack *p)
{
	put_rows(p, ROWS_LOSS, &p->losses);
}

void writer_pack_end(struct writer_pack *p)
{
	uint64_t index_offset = p->stats.bytes;
	uint8_t trailer[TRAILER_BYTES];

	put_rows(p, ROWS_INDEX, &p->index);
	trailer_encode(trailer, index_offset);
	writer_pack_put(p, trailer, sizeof(trailer));
}
