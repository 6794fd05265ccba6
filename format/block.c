#include "format/block.h"

#include <errno.h>
#include <string.h>

#include <zlib.h>

#include "format/cursor.h"

static uint8_t *put(uint8_t *to, uint64_t v, unsigned int size_bytes)
{
	for (unsigned int i = 0; i < size_bytes; i++)
		*to++ = (uint8_t)(v >> (8 * i));
	return to;
}

uint32_t block_crc(const void *data, size_t size_bytes)
{
	return (uint32_t)crc32_z(0, data, size_bytes);
}

void file_header_encode(uint8_t out[FILE_HEADER_BYTES], const struct file_header *h)
{
	uint8_t *at = out + FILE_MAGIC_BYTES;

	memcpy(out, FILE_MAGIC, FILE_MAGIC_BYTES);
	at = put(at, h->version, 2);
	at = put(at, FILE_HEADER_BYTES, 2);
	at = put(at, h->incompat, 4);
	at = put(at, h->compat, 4);
	at = put(at, h->trace_id, 8);
	put(at, block_crc(out, FILE_HEADER_BYTES - 4), 4);
}

int file_header_decode(struct file_header *h, const uint8_t in[FILE_HEADER_BYTES])
{
	struct cursor c;
	uint16_t header_bytes;

	memset(h, 0, sizeof(*h));
	if (memcmp(in, FILE_MAGIC, FILE_MAGIC_BYTES))
		return -EBADMSG;
	cursor_init(&c, in + FILE_MAGIC_BYTES, FILE_HEADER_BYTES - FILE_MAGIC_BYTES);
	h->version = cursor_u16(&c);
	header_bytes = cursor_u16(&c);
	h->incompat = cursor_u32(&c);
	h->compat = cursor_u32(&c);
	h->trace_id = cursor_u64(&c);
	if (cursor_u32(&c) != block_crc(in, FILE_HEADER_BYTES - 4))
		return -EPROTO;
	if (h->version > FILE_VERSION || (h->incompat & ~FEATURES_INCOMPAT_KNOWN))
		return -ENOTSUP;
	if (h->version == 0 || header_bytes != FILE_HEADER_BYTES)
		return -EPROTO;
	return 0;
}

void block_header_encode(uint8_t out[BLOCK_HEADER_BYTES], const struct block_header *h)
{
	uint8_t *at = out + BLOCK_SYNC_BYTES;

	memcpy(out, BLOCK_SYNC, BLOCK_SYNC_BYTES);
	at = put(at, h->type, 2);
	at = put(at, 0, 2);
	at = put(at, h->payload_bytes, 4);
	at = put(at, h->nr_records, 4);
	at = put(at, h->event, 4);
	at = put(at, h->first_ns, 8);
	at = put(at, h->last_ns, 8);
	at = put(at, h->safe_ns, 8);
	at = put(at, h->seq, 4);
	at = put(at, h->payload_crc, 4);
	at = put(at, 0, 8);
	put(at, block_crc(out, BLOCK_HEADER_BYTES - 4), 4);
}

int block_header_decode(struct block_header *h, const uint8_t in[BLOCK_HEADER_BYTES])
{
	struct cursor c;
	uint16_t reserved;

	memset(h, 0, sizeof(*h));
	if (memcmp(in, BLOCK_SYNC, BLOCK_SYNC_BYTES))
		return -EBADMSG;
	cursor_init(&c, in + BLOCK_SYNC_BYTES, BLOCK_HEADER_BYTES - BLOCK_SYNC_BYTES);
	h->type = cursor_u16(&c);
	reserved = cursor_u16(&c);
	h->payload_bytes = cursor_u32(&c);
	h->nr_records = cursor_u32(&c);
	h->event = cursor_u32(&c);
	h->first_ns = cursor_u64(&c);
	h->last_ns = cursor_u64(&c);
	h->safe_ns = cursor_u64(&c);
	h->seq = cursor_u32(&c);
	h->payload_crc = cursor_u32(&c);
	cursor_bytes(&c, 8);
	if (cursor_u32(&c) != block_crc(in, BLOCK_HEADER_BYTES - 4))
		return -EBADMSG;
	if (reserved || h->payload_bytes > BLOCK_MAX_PAYLOAD ||
	    h->nr_records > BLOCK_MAX_RECORDS || h->first_ns > h->last_ns)
		return -EBADMSG;
	return 0;
}

void trailer_encode(uint8_t out[TRAILER_BYTES], uint64_t index_offset)
{
	put(out, index_offset, 8);
	put(out + 8, 0, 4);
	put(out + 12, block_crc(out, 12), 4);
	memcpy(out + 16, TRAILER_MAGIC, 8);
}

int trailer_decode(uint64_t *index_offset, const uint8_t in[TRAILER_BYTES])
{
	struct cursor c;

	cursor_init(&c, in, 16);
	*index_offset = cursor_u64(&c);
	cursor_u32(&c);
	if (cursor_u32(&c) != block_crc(in, 12) || memcmp(in + 16, TRAILER_MAGIC, 8))
		return -EBADMSG;
	return 0;
}
