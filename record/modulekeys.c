#include "record/modulekeys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX

static int grow_buckets(struct modulekeys *m)
{
	size_t nr = m->nr_buckets ? m->nr_buckets * 2 : 256;
	uint32_t *buckets = malloc(nr * sizeof(*buckets));

	if (!buckets)
		return -ENOMEM;
	memset(buckets, 0xff, nr * sizeof(*buckets));
	for (uint32_t i = 0; i < m->nr_keys; i++) {
		uint32_t *bucket = &buckets[m->keys[i].hash & (nr - 1)];

		m->keys[i].next = *bucket;
		*bucket = i;
	}
	free(m->buckets);
	m->buckets = buckets;
	m->nr_buckets = nr;
	return 0;
}

int modulekeys_add(struct modulekeys *m, const struct modulekey *key)
{
	uint32_t *bucket;

	if (m->nr_keys >= m->nr_buckets && grow_buckets(m) < 0)
		return -ENOMEM;
	if (m->nr_keys == m->cap_keys) {
		size_t cap = m->cap_keys ? m->cap_keys * 2 : 256;
		struct modulekey *keys = realloc(m->keys, cap * sizeof(*keys));

		if (!keys)
			return -ENOMEM;
		m->keys = keys;
		m->cap_keys = cap;
	}
	bucket = &m->buckets[key->hash & (m->nr_buckets - 1)];
	m->keys[m->nr_keys] = *key;
	m->keys[m->nr_keys].next = *bucket;
	*bucket = (uint32_t)m->nr_keys++;
	return 0;
}

const struct modulekey *modulekeys_next(const struct modulekeys *m, uint32_t hash,
					const struct modulekey *last)
{
	uint32_t i = last ? last->next :
		     m->nr_buckets ? m->buckets[hash & (m->nr_buckets - 1)] : NONE;

	while (i != NONE && m->keys[i].hash != hash)
		i = m->keys[i].next;
	return i == NONE ? NULL : &m->keys[i];
}

void modulekeys_release(struct modulekeys *m)
{
	free(m->keys);
	free(m->buckets);
}
