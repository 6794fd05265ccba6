#include "format/cursor.h"

#include <errno.h>

#define VARINT_MAX_BYTES 10

void cursor_init(struct cursor *c, const void *data, size_t size_bytes)
{
	c->at = data;
	c->end = data ? c->at + size_bytes : c->at;
	c->err = 0;
}

size_t cursor_left(const struct cursor *c)
{
	return (size_t)(c->end - c->at);
}

void cursor_fail(struct cursor *c)
{
	c->err = -EBADMSG;
	c->at = c->end;
}

const uint8_t *cursor_bytes(struct cursor *c, uint64_t size_bytes)
{
	const uint8_t *at = c->at;

	if (c->err || size_bytes > cursor_left(c)) {
		cursor_fail(c);
		return NULL;
	}
	c->at += size_bytes;
	return at;
}

static uint64_t little_endian(struct cursor *c, unsigned int size_bytes)
{
	const uint8_t *p = cursor_bytes(c, size_bytes);
	uint64_t v = 0;

	for (unsigned int i = 0; p && i < size_bytes; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

uint8_t cursor_u8(struct cursor *c)
{
	return (uint8_t)little_endian(c, 1);
}

uint16_t cursor_u16(struct cursor *c)
{
	return (uint16_t)little_endian(c, 2);
}

uint32_t cursor_u32(struct cursor *c)
{
	return (uint32_t)little_endian(c, 4);
}

uint64_t cursor_u64(struct cursor *c)
{
	return little_endian(c, 8);
}

uint64_t cursor_varint(struct cursor *c)
{
	uint64_t v = 0;

	if (c->err)
		return 0;
	for (unsigned int i = 0; i < VARINT_MAX_BYTES && c->at + i < c->end; i++) {
		uint8_t byte = c->at[i];

		/* The tenth byte has room for one bit only. */
		if (i == VARINT_MAX_BYTES - 1 && byte > 1)
			break;
		v |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (!(byte & 0x80)) {
			c->at += i + 1;
			return v;
		}
	}
	cursor_fail(c);
	return 0;
}

int cursor_done(const struct cursor *c)
{
	if (c->err)
		return c->err;
	return cursor_left(c) ? -EBADMSG : 0;
}
