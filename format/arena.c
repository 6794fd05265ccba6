#include "format/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CHUNK_BYTES (4u << 10)
#define LAST_CHUNK_BYTES (256u << 10)
#define ALIGN_BYTES sizeof(max_align_t)

struct arena_chunk {
	struct arena_chunk *next;
	size_t used, size_bytes;
	max_align_t data[];
};

void arena_init(struct arena *a)
{
	memset(a, 0, sizeof(*a));
}

void arena_release(struct arena *a)
{
	while (a->chunks) {
		struct arena_chunk *chunk = a->chunks;

		a->chunks = chunk->next;
		free(chunk);
	}
	a->used_bytes = 0;
}

static struct arena_chunk *add_chunk(struct arena *a, size_t at_least)
{
	size_t size = a->chunks ? a->chunks->size_bytes * 2 : FIRST_CHUNK_BYTES;
	struct arena_chunk *chunk;

	if (size > LAST_CHUNK_BYTES)
		size = LAST_CHUNK_BYTES;
	if (size < at_least)
		size = at_least;
	if (size > SIZE_MAX / 2)
		return NULL;
	chunk = malloc(sizeof(*chunk) + size);
	if (!chunk)
		return NULL;
	chunk->used = 0;
	chunk->size_bytes = size;
	/* An oversized chunk is full at once: keep filling the one before it. */
	if (a->chunks && size == at_least && size > LAST_CHUNK_BYTES) {
		chunk->next = a->chunks->next;
		a->chunks->next = chunk;
	} else {
		chunk->next = a->chunks;
		a->chunks = chunk;
	}
	return chunk;
}

static void *take(struct arena *a, size_t size_bytes, size_t align)
{
	struct arena_chunk *chunk = a->chunks;
	size_t at = 0;

	if (chunk)
		at = (chunk->used + align - 1) / align * align;
	if (!chunk || at > chunk->size_bytes || size_bytes > chunk->size_bytes - at) {
		chunk = add_chunk(a, size_bytes);
		if (!chunk)
			return NULL;
		at = 0;
	}
	chunk->used = at + size_bytes;
	a->used_bytes += size_bytes;
	return (char *)chunk->data + at;
}

void *arena_alloc(struct arena *a, size_t size_bytes)
{
	return take(a, size_bytes, ALIGN_BYTES);
}

char *arena_text(struct arena *a, const void *bytes, size_t len_bytes)
{
	char *text = take(a, len_bytes + 1, 1);

	if (!text)
		return NULL;
	if (len_bytes)
		memcpy(text, bytes, len_bytes);
	text[len_bytes] = '\0';
	return text;
}
