/*
 * Makes the checksums of a trace right, so that what is changed in its blocks reaches
 * those who decode them.
 */
#ifndef TESTS_FUZZ_SEAL_H
#define TESTS_FUZZ_SEAL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "format/block.h"

static inline void seal_u32(uint8_t *to, uint32_t v)
{
	for (unsigned int i = 0; i < 4; i++)
		to[i] = (uint8_t)(v >> (8 * i));
}

static inline void seal_trace(uint8_t *p, size_t size)
{
	size_t at = FILE_HEADER_BYTES, len;

	if (size < FILE_HEADER_BYTES)
		return;
	memcpy(p, FILE_MAGIC, FILE_MAGIC_BYTES);
	seal_u32(p + 28, block_crc(p, 28));
	while (size - at >= BLOCK_HEADER_BYTES) {
		uint8_t *h = p + at;

		len = h[8] | (size_t)h[9] << 8 | (size_t)h[10] << 16 | (size_t)h[11] << 24;
		if (len > size - at - BLOCK_HEADER_BYTES)
			break;
		memcpy(h, BLOCK_SYNC, BLOCK_SYNC_BYTES);
		seal_u32(h + 48, block_crc(h + BLOCK_HEADER_BYTES, len));
		seal_u32(h + 60, block_crc(h, 60));
		at += BLOCK_HEADER_BYTES + len;
	}
	if (size - at >= TRAILER_BYTES) {
		seal_u32(p + size - TRAILER_BYTES + 12, block_crc(p + size - TRAILER_BYTES, 12));
		memcpy(p + size - TRAILER_BYTES + 16, TRAILER_MAGIC, 8);
	}
}

#endif
