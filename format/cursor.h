/*
 * A cursor reads little-endian fields from untrusted bytes it does not own.
 * The first read that does not fit fails it for good: that read and all later
 * ones return 0 and move nothing, so a decoder tests cursor_done() once, at
 * its end, instead of after every field.
 */
#ifndef FORMAT_CURSOR_H
#define FORMAT_CURSOR_H

#include <stddef.h>
#include <stdint.h>

struct cursor {
	const uint8_t *at, *end;
	int err;
};

void cursor_init(struct cursor *c, const void *data, size_t size_bytes);
uint8_t cursor_u8(struct cursor *c);
uint16_t cursor_u16(struct cursor *c);
uint32_t cursor_u32(struct cursor *c);
uint64_t cursor_u64(struct cursor *c);
/* LEB128, at most ten bytes; longer or overflowing ones fail the cursor. */
uint64_t cursor_varint(struct cursor *c);
/* Borrowed until the bytes under the cursor go away; NULL when they do not fit. */
const uint8_t *cursor_bytes(struct cursor *c, uint64_t size_bytes);
size_t cursor_left(const struct cursor *c);
void cursor_fail(struct cursor *c);
/* 0 if every read fitted and nothing is left over, else -EBADMSG. */
int cursor_done(const struct cursor *c);

#endif
