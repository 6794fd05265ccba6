/* A cursor driven by its own bytes stays within them and never goes back. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "format/block.h"
#include "format/cursor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_one(struct cursor *c)
{
	switch (cursor_u8(c) % 6) {
	case 0:
		cursor_u16(c);
		break;
	case 1:
		cursor_u32(c);
		break;
	case 2:
		cursor_u64(c);
		break;
	case 3:
		cursor_bytes(c, cursor_varint(c));
		break;
	default:
		cursor_varint(c);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct block_header block;
	struct file_header file;
	struct cursor c;
	uint64_t offset;

	cursor_init(&c, data, size);
	while (cursor_left(&c)) {
		size_t left = cursor_left(&c);

		read_one(&c);
		if (cursor_left(&c) >= left || (c.err && cursor_left(&c)))
			abort();
	}
	if (size >= BLOCK_HEADER_BYTES)
		block_header_decode(&block, data);
	if (size >= FILE_HEADER_BYTES)
		file_header_decode(&file, data);
	if (size >= TRAILER_BYTES)
		trailer_decode(&offset, data);
	return 0;
}
