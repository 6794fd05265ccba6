#include "report/textids.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	const char *text;
	uint32_t len_bytes, scope, hash;
};

struct textids {
	struct entry *entries;		/* id - 1 */
	uint32_t nr, cap;
	uint32_t *slots;		/* ids; 0: free; a power of two of them */
	uint32_t nr_slots;
};

int textids_new(struct textids **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void textids_free(struct textids *n)
{
	if (!n)
		return;
	free(n->entries);
	free(n->slots);
	free(n);
}

/* FNV-1a over eight bytes at a time; the final mix spreads the high bits. */
static uint32_t hash_text(uint32_t scope, const char *text, size_t len)
{
	uint64_t h = 0xcbf29ce484222325u ^ ((uint64_t)scope * 0x9e3779b97f4a7c15u);
	uint64_t word;

	for (; len >= sizeof(word); text += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, text, sizeof(word));
		h = (h ^ word) * 0x100000001b3u;
		h ^= h >> 29;
	}
	word = len;
	memcpy(&word, text, len);
	h = (h ^ word ^ ((uint64_t)len << 56)) * 0x9e3779b97f4a7c15u;
	return (uint32_t)(h >> 32) ^ (uint32_t)h;
}

static int grow(struct textids *n)
{
	uint32_t nr_slots = n->nr_slots ? n->nr_slots * 2 : 256;
	uint32_t cap = nr_slots / 2;
	struct entry *entries;
	uint32_t *slots;

	if (nr_slots > UINT32_MAX / 4)
		return -ENOMEM;
	slots = calloc(nr_slots, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	entries = realloc(n->entries, cap * sizeof(*entries));
	if (!entries) {
		free(slots);
		return -ENOMEM;
	}
	for (uint32_t id = 1; id <= n->nr; id++) {
		uint32_t at = entries[id - 1].hash & (nr_slots - 1);

		while (slots[at])
			at = (at + 1) & (nr_slots - 1);
		slots[at] = id;
	}
	free(n->slots);
	n->slots = slots;
	n->nr_slots = nr_slots;
	n->entries = entries;
	n->cap = cap;
	return 0;
}

uint32_t textids_get(struct textids *n, uint32_t scope, const char *text, size_t len_bytes)
{
	uint32_t hash = hash_text(scope, text, len_bytes);
	uint32_t at;

	if (n->nr == n->cap && grow(n))
		return 0;
	at = hash & (n->nr_slots - 1);
	for (; n->slots[at]; at = (at + 1) & (n->nr_slots - 1)) {
		const struct entry *e = &n->entries[n->slots[at] - 1];

		if (e->hash == hash && e->scope == scope && e->len_bytes == len_bytes &&
		    !memcmp(e->text, text, len_bytes))
			return n->slots[at];
	}
	n->entries[n->nr] = (struct entry) {
		.text = text, .len_bytes = (uint32_t)len_bytes, .scope = scope, .hash = hash,
	};
	n->slots[at] = ++n->nr;
	return n->nr;
}

const char *textids_text(const struct textids *n, uint32_t id)
{
	return id && id <= n->nr ? n->entries[id - 1].text : "";
}

uint32_t textids_nr(const struct textids *n)
{
	return n->nr;
}
