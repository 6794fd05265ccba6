#include "format/trace_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What may be read twice while a damaged file is searched, beside its size. */
#define LOOK_BACK_BYTES (64u << 20)
#define SEARCH_BYTES (64u << 10)

static void count_block(struct trace *t, const struct trace_block *b)
{
	struct trace_block_stats *s = &t->stats[b->type < TRACE_BLOCK_TYPES ? b->type : 0];

	s->nr_blocks++;
	s->nr_records += b->nr_records;
	s->payload_bytes += b->payload_bytes;
	if (b->type != BLOCK_RECORDS || !b->nr_records)
		return;
	if (b->first_ns < t->first_ns)
		t->first_ns = b->first_ns;
	if (b->last_ns > t->last_ns)
		t->last_ns = b->last_ns;
}

void trace_blocks_damaged(struct trace *t, struct trace_block *b)
{
	if (b->damaged)
		return;
	b->damaged = true;
	t->health.damaged_blocks++;
	if (b->type == BLOCK_RECORDS)
		t->health.missing_records += b->nr_records;
}

static void note_seq(struct trace *t, uint32_t seq)
{
	uint64_t expected = t->seen_seq ? t->next_seq : 0;

	if (seq > expected)
		t->health.missing_blocks += seq - expected;
	t->next_seq = (uint64_t)seq + 1;
	t->seen_seq = true;
}

static void block_from_header(struct trace_block *b, const struct block_header *h,
			      uint64_t offset)
{
	*b = (struct trace_block){
		.offset = offset,
		.first_ns = h->first_ns,
		.last_ns = h->last_ns,
		.safe_ns = h->safe_ns,
		.payload_bytes = h->payload_bytes,
		.nr_records = h->nr_records,
		.event = h->event,
		.type = h->type,
	};
}

static int add_block(struct trace *t, const struct trace_block *b)
{
	if (t->nr_blocks == t->cap_blocks) {
		size_t cap = t->cap_blocks ? t->cap_blocks * 2 : 64;
		struct trace_block *blocks = realloc(t->blocks, cap * sizeof(*blocks));

		if (!blocks)
			return -ENOMEM;
		t->blocks = blocks;
		t->cap_blocks = cap;
	}
	t->blocks[t->nr_blocks++] = *b;
	return 0;
}

/* The header at offset, if one is there whole. */
static bool header_at(struct trace *t, uint64_t offset, struct block_header *h)
{
	size_t got;
	const uint8_t *p = trace_source_view(&t->source, &t->window, offset,
					     BLOCK_HEADER_BYTES, &got);

	return p && got == BLOCK_HEADER_BYTES && !block_header_decode(h, p);
}

static bool trailer_at(struct trace *t, uint64_t offset, uint64_t *index_offset)
{
	size_t got;
	const uint8_t *p = trace_source_view(&t->source, &t->window, offset,
					     TRAILER_BYTES, &got);

	return p && got == TRAILER_BYTES && !trailer_decode(index_offset, p);
}

/* The payload behind a header, if it is whole and its checksum holds. */
static const uint8_t *payload_at(struct trace *t, struct trace_window *w, uint64_t offset,
				 struct block_header *h, uint32_t payload_bytes)
{
	size_t got, size = BLOCK_HEADER_BYTES + (size_t)payload_bytes;
	const uint8_t *p = trace_source_view(&t->source, w, offset, size, &got);

	if (!p || got != size || block_header_decode(h, p) ||
	    h->payload_bytes != payload_bytes ||
	    h->payload_crc != block_crc(p + BLOCK_HEADER_BYTES, payload_bytes))
		return NULL;
	return p + BLOCK_HEADER_BYTES;
}

const uint8_t *trace_blocks_payload(struct trace *t, struct trace_block *b,
				    struct trace_window *w)
{
	struct block_header h;
	const uint8_t *payload;

	if (b->damaged)
		return NULL;
	payload = payload_at(t, w, b->offset, &h, b->payload_bytes);
	if (payload && h.type == b->type && h.nr_records == b->nr_records &&
	    h.event == b->event)
		return payload;
	if (!t->source.err)
		trace_blocks_damaged(t, b);
	return NULL;
}

/* --- the index ---------------------------------------------------------------- */

/* Rows must name blocks that follow each other within the file. */
static int take_index_row(struct trace *t, const uint64_t *row, uint64_t end)
{
	const struct trace_block *last = t->nr_blocks ? &t->blocks[t->nr_blocks - 1] : NULL;
	uint64_t floor = last ? last->offset + BLOCK_HEADER_BYTES + last->payload_bytes
			      : FILE_HEADER_BYTES;
	struct trace_block b = {
		.offset = row[INDEX_OFFSET - 1],
		.type = (uint16_t)row[INDEX_TYPE - 1],
		.payload_bytes = (uint32_t)row[INDEX_PAYLOAD_BYTES - 1],
		.nr_records = (uint32_t)row[INDEX_RECORDS - 1],
		.event = (uint32_t)row[INDEX_EVENT - 1],
		.first_ns = row[INDEX_FIRST - 1],
		.last_ns = row[INDEX_LAST - 1],
		.safe_ns = row[INDEX_SAFE - 1],
	};

	if (row[INDEX_PAYLOAD_BYTES - 1] > BLOCK_MAX_PAYLOAD ||
	    row[INDEX_RECORDS - 1] > BLOCK_MAX_RECORDS || row[INDEX_TYPE - 1] > UINT16_MAX ||
	    row[INDEX_EVENT - 1] > UINT32_MAX || b.first_ns > b.last_ns)
		return -EBADMSG;
	if (b.offset < floor || b.offset > end ||
	    end - b.offset < BLOCK_HEADER_BYTES + (uint64_t)b.payload_bytes)
		return -EBADMSG;
	return add_block(t, &b);
}

static int take_index(struct trace *t, const uint8_t *payload, const struct block_header *h,
		      uint64_t end)
{
	const size_t nr = h->nr_records;
	uint64_t *columns = NULL, row[INDEX_SAFE];
	int err = table_parse(&t->table, payload, h->payload_bytes, nr);

	/* Every row stands for a block of at least a header. */
	if (!err && nr > end / BLOCK_HEADER_BYTES)
		err = -EBADMSG;
	if (!err) {
		columns = malloc((nr + 1) * INDEX_SAFE * sizeof(*columns));
		err = columns ? 0 : -ENOMEM;
	}
	for (uint32_t id = 1; !err && id <= INDEX_SAFE; id++)
		err = table_read_numbers(t->decoder, &t->table, table_find(&t->table, id),
					 columns + (id - 1) * nr);
	for (size_t i = 0; !err && i < nr; i++) {
		for (size_t c = 0; c < INDEX_SAFE; c++)
			row[c] = columns[c * nr + i];
		err = take_index_row(t, row, end);
	}
	free(columns);
	return err;
}

static int read_index(struct trace *t)
{
	uint64_t size = t->source.in.size_bytes, at, end;
	struct block_header h;
	const uint8_t *payload;
	int err;

	if (size < FILE_HEADER_BYTES + TRAILER_BYTES ||
	    !trailer_at(t, size - TRAILER_BYTES, &at))
		return -EBADMSG;
	end = size - TRAILER_BYTES;
	if (at < FILE_HEADER_BYTES || at >= end)
		return -EBADMSG;
	for (uint64_t first = at; at < end; at += BLOCK_HEADER_BYTES + h.payload_bytes) {
		if (!header_at(t, at, &h) || h.type != BLOCK_INDEX)
			return -EBADMSG;
		payload = payload_at(t, &t->window, at, &h, h.payload_bytes);
		if (!payload)
			return -EBADMSG;
		err = take_index(t, payload, &h, first);
		if (err)
			return err;
	}
	return at == end ? 0 : -EBADMSG;
}

/* --- scanning ------------------------------------------------------------------ */

/*
 * The next offset from `from` on with a good header, or UINT64_MAX.  Its block
 * must fit before limit.
 */
static uint64_t search(struct trace *t, uint64_t from, uint64_t limit)
{
	struct block_header h;
	const uint8_t *p, *hit;
	size_t got;

	for (;;) {
		p = trace_source_view(&t->source, &t->window, from, SEARCH_BYTES, &got);
		if (!p || got < BLOCK_HEADER_BYTES)
			return UINT64_MAX;
		hit = memchr(p, BLOCK_SYNC[0] & 0xff, got - BLOCK_HEADER_BYTES + 1);
		if (!hit) {
			from += got - BLOCK_HEADER_BYTES + 1;
			continue;
		}
		from += (uint64_t)(hit - p);
		if (!block_header_decode(&h, hit) &&
		    limit - from - BLOCK_HEADER_BYTES >= h.payload_bytes)
			return from;
		from++;
	}
}

static int scan_block(struct trace *t, uint64_t *at, const struct block_header *h)
{
	struct trace_block b;

	block_from_header(&b, h, *at);
	note_seq(t, h->seq);
	*at += BLOCK_HEADER_BYTES + (uint64_t)h->payload_bytes;
	return add_block(t, &b);
}

/*
 * Where to go on looking when no header stands where one should.  If the block
 * before is damaged, too, bytes may be missing in it, so the search starts
 * inside it.
 */
static uint64_t resume_from(struct trace *t, uint64_t at, uint64_t *look_back_left)
{
	const struct trace_block *last = t->nr_blocks ? &t->blocks[t->nr_blocks - 1] : NULL;
	struct block_header h;

	if (!last || last->offset + BLOCK_HEADER_BYTES + last->payload_bytes != at ||
	    last->payload_bytes > *look_back_left)
		return at + 1;
	*look_back_left -= last->payload_bytes;
	if (payload_at(t, &t->window, last->offset, &h, last->payload_bytes))
		return at + 1;
	return last->offset + BLOCK_HEADER_BYTES;
}

static int scan(struct trace *t)
{
	uint64_t size = t->source.in.size_bytes, at = FILE_HEADER_BYTES, next, unused;
	uint64_t look_back_left = size + LOOK_BACK_BYTES;
	bool after_trailer = false;
	struct block_header h;
	int err = 0;

	while (at < size && !err && !t->source.err) {
		bool after_index = t->nr_blocks &&
				   t->blocks[t->nr_blocks - 1].type == BLOCK_INDEX;

		if (after_index && trailer_at(t, at, &unused)) {
			at += TRAILER_BYTES;
			after_trailer = true;
			continue;
		}
		after_trailer = false;
		if (header_at(t, at, &h) && size - at - BLOCK_HEADER_BYTES >= h.payload_bytes) {
			err = scan_block(t, &at, &h);
			continue;
		}
		next = search(t, resume_from(t, at, &look_back_left), size);
		if (next == UINT64_MAX)
			break;
		t->health.damaged_bytes += next > at ? next - at : 0;
		at = next;
	}
	t->health.cut = !after_trailer;
	return err ? err : t->source.err;
}

int trace_blocks_find(struct trace *t)
{
	int err = read_index(t);

	if (err == -EBADMSG && !t->source.err) {
		t->nr_blocks = 0;
		err = scan(t);
	}
	if (!err)
		err = t->source.err;
	for (size_t i = 0; !err && i < t->nr_blocks; i++)
		count_block(t, &t->blocks[i]);
	return err;
}

/* --- streams ------------------------------------------------------------------- */

/* Passes over a damaged block: to its end if the next one stands there. */
static void stream_skip(struct trace *t, uint32_t payload_bytes)
{
	size_t got, size = BLOCK_HEADER_BYTES + (size_t)payload_bytes;
	const uint8_t *p = trace_source_view(&t->source, &t->window, t->at,
					     size + BLOCK_HEADER_BYTES, &got);
	struct block_header h;
	bool good = p && (got == size || (got == size + BLOCK_HEADER_BYTES &&
					  !block_header_decode(&h, p + size)));
	uint64_t from = t->at + BLOCK_HEADER_BYTES, next;

	if (good) {
		t->at += size;
		return;
	}
	next = search(t, from, UINT64_MAX);
	t->at = next == UINT64_MAX ? t->window.start + t->window.len : next;
}

static void stream_search(struct trace *t)
{
	uint64_t next = search(t, t->at + 1, UINT64_MAX);

	if (next == UINT64_MAX) {
		t->ended = true;
		t->health.cut = true;
		return;
	}
	t->health.damaged_bytes += next - t->at;
	t->at = next;
}

/* 1: a good block; 0: look again, or the end (t->ended). */
static int stream_step(struct trace *t, struct trace_block *b, const uint8_t **payload)
{
	struct block_header h;
	uint64_t unused;
	size_t got;

	if (!trace_source_view(&t->source, &t->window, t->at, 1, &got))
		return -ENOMEM;
	if (!got) {
		t->ended = true;
		t->health.cut = !t->after_trailer;
		return t->source.err;
	}
	if (t->after_index && trailer_at(t, t->at, &unused)) {
		t->at += TRAILER_BYTES;
		t->after_index = false;
		t->after_trailer = true;
		return 0;
	}
	t->after_index = t->after_trailer = false;
	if (!header_at(t, t->at, &h)) {
		stream_search(t);
		return 0;
	}
	if (!trace_source_view(&t->source, &t->window, t->at,
			       BLOCK_HEADER_BYTES + (size_t)h.payload_bytes, &got))
		return -ENOMEM;
	if (got < BLOCK_HEADER_BYTES + (size_t)h.payload_bytes) {
		t->ended = t->health.cut = true;
		return t->source.err;
	}
	block_from_header(b, &h, t->at);
	note_seq(t, h.seq);
	count_block(t, b);
	*payload = payload_at(t, &t->window, t->at, &h, h.payload_bytes);
	if (!*payload) {
		trace_blocks_damaged(t, b);
		stream_skip(t, h.payload_bytes);
		return 0;
	}
	t->after_index = h.type == BLOCK_INDEX;
	t->at += BLOCK_HEADER_BYTES + (uint64_t)h.payload_bytes;
	return 1;
}

int trace_blocks_stream(struct trace *t, struct trace_block *b, const uint8_t **payload)
{
	int ret = 0;

	while (!t->ended && !ret)
		ret = stream_step(t, b, payload);
	return ret;
}
