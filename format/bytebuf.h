/*
 * A byte buffer that grows at its end.  A failed allocation is remembered in
 * err (-ENOMEM); later puts then do nothing, so a long encoder tests err once.
 */
#ifndef FORMAT_BYTEBUF_H
#define FORMAT_BYTEBUF_H

#include <stddef.h>
#include <stdint.h>

struct bytebuf {
	uint8_t *data;
	size_t len, cap;
	int err;
};

void bytebuf_init(struct bytebuf *b);
void bytebuf_release(struct bytebuf *b);
/* Empties it and keeps the memory. */
void bytebuf_clear(struct bytebuf *b);
/* Room for size_bytes more at data + len; 0 or -ENOMEM. */
int bytebuf_reserve(struct bytebuf *b, size_t size_bytes);
void bytebuf_u8(struct bytebuf *b, uint8_t v);
void bytebuf_u16(struct bytebuf *b, uint16_t v);
void bytebuf_u32(struct bytebuf *b, uint32_t v);
void bytebuf_u64(struct bytebuf *b, uint64_t v);
void bytebuf_varint(struct bytebuf *b, uint64_t v);
void bytebuf_put(struct bytebuf *b, const void *data, size_t size_bytes);
/* Without the NUL at its end. */
void bytebuf_text(struct bytebuf *b, const char *text);
/*
 * Ends it with a NUL and gives the memory away, to be freed: a string.  NULL if an
 * allocation failed; the buffer is empty then, too.
 */
char *bytebuf_take_text(struct bytebuf *b);

#endif
