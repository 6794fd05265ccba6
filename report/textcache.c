#include "report/textcache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MIN_SLOTS 256

struct slot {
	uint32_t id, generation;	/* of another generation: free */
	uint32_t at, len_bytes;
};

struct textcache {
	struct slot *slots;
	size_t nr_slots, nr;		/* nr_slots: a power of two */
	uint32_t generation;
	char *bytes;
	size_t used, cap, max;
};

int textcache_new(struct textcache **out, size_t max_bytes)
{
	struct textcache *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->slots = calloc(MIN_SLOTS, sizeof(*c->slots));
	if (!c->slots) {
		free(c);
		return -ENOMEM;
	}
	c->nr_slots = MIN_SLOTS;
	c->generation = 1;
	c->max = max_bytes < UINT32_MAX ? max_bytes : UINT32_MAX;
	*out = c;
	return 0;
}

void textcache_free(struct textcache *c)
{
	if (!c)
		return;
	free(c->slots);
	free(c->bytes);
	free(c);
}

/* The slot of the id, or the free one where it belongs. */
static struct slot *find(const struct textcache *c, struct slot *slots, size_t nr_slots,
			 uint32_t id)
{
	size_t at = (uint64_t)id * 0x9e3779b97f4a7c15u >> 32;

	for (;; at++) {
		struct slot *s = &slots[at & (nr_slots - 1)];

		if (s->generation != c->generation || s->id == id)
			return s;
	}
}

const void *textcache_get(const struct textcache *c, uint32_t id, size_t *len_bytes)
{
	const struct slot *s = find(c, c->slots, c->nr_slots, id);

	if (s->generation != c->generation)
		return NULL;
	*len_bytes = s->len_bytes;
	return c->bytes + s->at;
}

static void start_over(struct textcache *c)
{
	c->nr = 0;
	c->used = 0;
	if (++c->generation == 0) {
		memset(c->slots, 0, c->nr_slots * sizeof(*c->slots));
		c->generation = 1;
	}
}

static int grow_slots(struct textcache *c)
{
	size_t nr = c->nr_slots * 2;
	struct slot *slots = calloc(nr, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < c->nr_slots; i++)
		if (c->slots[i].generation == c->generation)
			*find(c, slots, nr, c->slots[i].id) = c->slots[i];
	free(c->slots);
	c->slots = slots;
	c->nr_slots = nr;
	return 0;
}

static int make_room(struct textcache *c, size_t len_bytes)
{
	size_t cap = c->cap ? c->cap : 65536;
	char *bytes;

	if (c->used + len_bytes > c->max)
		start_over(c);
	while (cap < c->used + len_bytes)
		cap *= 2;
	if (cap > c->max)
		cap = c->max;
	if (cap == c->cap)
		return 0;
	bytes = realloc(c->bytes, cap);
	if (!bytes)
		return -ENOMEM;
	c->bytes = bytes;
	c->cap = cap;
	return 0;
}

void textcache_put(struct textcache *c, uint32_t id, const void *text, size_t len_bytes)
{
	struct slot *s;

	if (len_bytes > c->max || make_room(c, len_bytes))
		return;
	/* Many short texts: slots, too, are bounded. */
	if (c->nr * 2 >= c->nr_slots && c->nr_slots * sizeof(*s) > c->max)
		start_over(c);
	else if (c->nr * 2 >= c->nr_slots && grow_slots(c))
		return;
	s = find(c, c->slots, c->nr_slots, id);
	*s = (struct slot) { id, c->generation, (uint32_t)c->used, (uint32_t)len_bytes };
	if (len_bytes)
		memcpy(c->bytes + c->used, text, len_bytes);
	c->used += len_bytes;
	c->nr++;
}
