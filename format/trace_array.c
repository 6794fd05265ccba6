#include "format/trace_private.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_SHIFT 10
#define CHUNK_ENTRIES (1u << CHUNK_SHIFT)
#define MAX_CHUNKS ((BLOCK_MAX_ID >> CHUNK_SHIFT) + 1)

/* A chunk is its entries, then one byte each that says whether it is there. */
static uint8_t *presence(const struct trace_array *a, uint8_t *chunk)
{
	return chunk + CHUNK_ENTRIES * a->entry_bytes;
}

void *trace_array_get(const struct trace_array *a, uint32_t id)
{
	uint8_t *chunk;
	uint32_t at = id & (CHUNK_ENTRIES - 1);

	if (id >= a->nr)
		return NULL;
	chunk = a->chunks[id >> CHUNK_SHIFT];
	if (!chunk || !presence(a, chunk)[at])
		return NULL;
	return chunk + at * a->entry_bytes;
}

static uint8_t *add_chunk(struct trace_array *a, uint64_t *used_bytes, uint64_t limit_bytes)
{
	size_t size = CHUNK_ENTRIES * (a->entry_bytes + 1);
	uint8_t *chunk;

	if (*used_bytes + size > limit_bytes)
		return NULL;
	chunk = calloc(1, size);
	if (chunk)
		*used_bytes += size;
	return chunk;
}

void *trace_array_add(struct trace_array *a, uint64_t id, uint64_t *used_bytes,
		      uint64_t limit_bytes)
{
	size_t nr = (size_t)(id >> CHUNK_SHIFT);
	uint32_t at = (uint32_t)id & (CHUNK_ENTRIES - 1);
	uint8_t **chunks;

	if (!id || id > BLOCK_MAX_ID)
		return NULL;
	if (nr >= a->nr_chunks) {
		size_t want = a->nr_chunks ? a->nr_chunks * 2 : 16;

		while (want <= nr)
			want *= 2;
		if (want > MAX_CHUNKS)
			want = MAX_CHUNKS;
		chunks = realloc(a->chunks, want * sizeof(*chunks));
		if (!chunks)
			return NULL;
		memset(chunks + a->nr_chunks, 0, (want - a->nr_chunks) * sizeof(*chunks));
		a->chunks = chunks;
		a->nr_chunks = want;
	}
	if (!a->chunks[nr])
		a->chunks[nr] = add_chunk(a, used_bytes, limit_bytes);
	if (!a->chunks[nr])
		return NULL;
	presence(a, a->chunks[nr])[at] = 1;
	if (id >= a->nr)
		a->nr = (uint32_t)id + 1;
	return a->chunks[nr] + at * a->entry_bytes;
}

void trace_array_release(struct trace_array *a)
{
	for (size_t i = 0; i < a->nr_chunks; i++)
		free(a->chunks[i]);
	free(a->chunks);
	a->chunks = NULL;
	a->nr_chunks = 0;
	a->nr = 0;
	a->nr_rows = 0;
}

void *trace_list_add(struct trace_list *l, size_t nr, uint64_t *used_bytes,
		     uint64_t limit_bytes)
{
	size_t size = nr * l->entry_bytes;
	uint8_t *rows;

	if (*used_bytes + size > limit_bytes)
		return NULL;
	if (nr > l->cap - l->nr) {
		size_t cap = l->cap ? l->cap * 2 : 16;

		while (cap - l->nr < nr)
			cap *= 2;
		rows = realloc(l->v, cap * l->entry_bytes);
		if (!rows)
			return NULL;
		l->v = rows;
		l->cap = cap;
	}
	rows = l->v + l->nr * l->entry_bytes;
	memset(rows, 0, size);
	l->nr += nr;
	*used_bytes += size;
	return rows;
}

void trace_list_release(struct trace_list *l)
{
	free(l->v);
	l->v = NULL;
	l->nr = l->cap = 0;
}
