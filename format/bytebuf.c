#include "format/bytebuf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BYTEBUF_FIRST_BYTES 256

void bytebuf_init(struct bytebuf *b)
{
	memset(b, 0, sizeof(*b));
}

void bytebuf_release(struct bytebuf *b)
{
	free(b->data);
	bytebuf_init(b);
}

void bytebuf_clear(struct bytebuf *b)
{
	b->len = 0;
	b->err = 0;
}

int bytebuf_reserve(struct bytebuf *b, size_t size_bytes)
{
	size_t cap = b->cap ? b->cap : BYTEBUF_FIRST_BYTES;
	uint8_t *data;

	if (b->err)
		return b->err;
	if (size_bytes <= b->cap - b->len)
		return 0;
	if (size_bytes > SIZE_MAX / 2 - b->len)
		return b->err = -ENOMEM;
	while (cap - b->len < size_bytes)
		cap *= 2;
	data = realloc(b->data, cap);
	if (!data)
		return b->err = -ENOMEM;
	b->data = data;
	b->cap = cap;
	return 0;
}

static void little_endian(struct bytebuf *b, uint64_t v, unsigned int size_bytes)
{
	if (bytebuf_reserve(b, size_bytes))
		return;
	for (unsigned int i = 0; i < size_bytes; i++)
		b->data[b->len++] = (uint8_t)(v >> (8 * i));
}

void bytebuf_u8(struct bytebuf *b, uint8_t v)
{
	little_endian(b, v, 1);
}

void bytebuf_u16(struct bytebuf *b, uint16_t v)
{
	little_endian(b, v, 2);
}

void bytebuf_u32(struct bytebuf *b, uint32_t v)
{
	little_endian(b, v, 4);
}

void bytebuf_u64(struct bytebuf *b, uint64_t v)
{
	little_endian(b, v, 8);
}

void bytebuf_varint(struct bytebuf *b, uint64_t v)
{
	if (bytebuf_reserve(b, 10))
		return;
	while (v >= 0x80) {
		b->data[b->len++] = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	b->data[b->len++] = (uint8_t)v;
}

void bytebuf_put(struct bytebuf *b, const void *data, size_t size_bytes)
{
	if (!size_bytes || bytebuf_reserve(b, size_bytes))
		return;
	memcpy(b->data + b->len, data, size_bytes);
	b->len += size_bytes;
}

void bytebuf_text(struct bytebuf *b, const char *text)
{
	bytebuf_put(b, text, strlen(text));
}

char *bytebuf_take_text(struct bytebuf *b)
{
	char *text;

	bytebuf_u8(b, 0);
	if (b->err)
		bytebuf_release(b);
	text = (char *)b->data;
	bytebuf_init(b);
	return text;
}
