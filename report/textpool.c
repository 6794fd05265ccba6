#include "report/textpool.h"

#include "report/textids.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES 65536

/* Texts lie in chunks and never move, as the ids point into them. */
struct textpool {
	struct textids *ids;
	const char **by_id;
	uint32_t cap;
	char **chunks;
	size_t nr_chunks, used, room;	/* of the last chunk */
};

int textpool_new(struct textpool **out)
{
	struct textpool *p = calloc(1, sizeof(*p));

	if (!p || textids_new(&p->ids)) {
		free(p);
		return -ENOMEM;
	}
	*out = p;
	return 0;
}

void textpool_free(struct textpool *p)
{
	if (!p)
		return;
	textids_free(p->ids);
	for (size_t i = 0; i < p->nr_chunks; i++)
		free(p->chunks[i]);
	free(p->chunks);
	free(p->by_id);
	free(p);
}

static char *copy(struct textpool *p, const void *text, size_t len)
{
	size_t room = len + 1 > CHUNK_BYTES ? len + 1 : CHUNK_BYTES;
	char **chunks, *to;

	if (len + 1 > p->room - p->used) {
		chunks = realloc(p->chunks, (p->nr_chunks + 1) * sizeof(*chunks));
		if (!chunks)
			return NULL;
		p->chunks = chunks;
		to = malloc(room);
		if (!to)
			return NULL;
		chunks[p->nr_chunks++] = to;
		p->room = room;
		p->used = 0;
	}
	to = p->chunks[p->nr_chunks - 1] + p->used;
	if (len)
		memcpy(to, text, len);
	to[len] = '\0';
	p->used += len + 1;
	return to;
}

static int index_text(struct textpool *p, uint32_t id, const char *text)
{
	uint32_t cap = p->cap ? p->cap * 2 : 1024;
	const char **by_id;

	if (id >= p->cap) {
		by_id = realloc(p->by_id, cap * sizeof(*by_id));
		if (!by_id)
			return -ENOMEM;
		p->by_id = by_id;
		p->cap = cap;
	}
	p->by_id[id] = text;
	return 0;
}

uint32_t textpool_put(struct textpool *p, const void *text, size_t len_bytes)
{
	uint32_t before = textids_nr(p->ids), id;
	const char *kept = copy(p, text, len_bytes);

	if (!kept)
		return 0;
	id = textids_get(p->ids, 0, kept, len_bytes);
	if (textids_nr(p->ids) == before)
		p->used -= len_bytes + 1;	/* was there, or does not fit */
	else if (id && index_text(p, id, kept))
		return 0;
	return id;
}

const char *textpool_text(const struct textpool *p, uint32_t id)
{
	return p->by_id[id];
}

uint32_t textpool_nr(const struct textpool *p)
{
	return textids_nr(p->ids);
}
