/*
 * The whole reader on any bytes: as they are, and with the checksums of its
 * blocks made right, so that what the fuzzer changes reaches the decoders.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "format/block.h"
#include "tests/unit/memory_trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(const uint8_t *data, size_t size, bool stream)
{
	struct memory m = { .data = data, .len = size, .stream = stream,
			    .step = stream ? 1000 : 0 };
	struct memory_sum sum;
	struct trace *t;
	struct diag d;

	if (!memory_open(&t, &m, &d))
		memory_sum(t, &sum);
	trace_close(t);
}

static void put_u32(uint8_t *to, uint32_t v)
{
	for (unsigned int i = 0; i < 4; i++)
		to[i] = (uint8_t)(v >> (8 * i));
}

static void seal(uint8_t *p, size_t size)
{
	size_t at = FILE_HEADER_BYTES, len;

	if (size < FILE_HEADER_BYTES)
		return;
	memcpy(p, FILE_MAGIC, FILE_MAGIC_BYTES);
	put_u32(p + 28, block_crc(p, 28));
	while (size - at >= BLOCK_HEADER_BYTES) {
		uint8_t *h = p + at;

		len = h[8] | (size_t)h[9] << 8 | (size_t)h[10] << 16 | (size_t)h[11] << 24;
		if (len > size - at - BLOCK_HEADER_BYTES)
			break;
		memcpy(h, BLOCK_SYNC, BLOCK_SYNC_BYTES);
		put_u32(h + 48, block_crc(h + BLOCK_HEADER_BYTES, len));
		put_u32(h + 60, block_crc(h, 60));
		at += BLOCK_HEADER_BYTES + len;
	}
	if (size - at >= TRAILER_BYTES) {
		put_u32(p + size - TRAILER_BYTES + 12, block_crc(p + size - TRAILER_BYTES, 12));
		memcpy(p + size - TRAILER_BYTES + 16, TRAILER_MAGIC, 8);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size + 1);

	read_all(data, size, size & 1);
	if (copy) {
		memcpy(copy, data, size);
		seal(copy, size);
		read_all(copy, size, false);
		read_all(copy, size, true);
	}
	free(copy);
	return 0;
}
