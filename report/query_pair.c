#include "report/query_pair.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BUCKETS 1024

struct entry {
	struct entry *next;		/* in the bucket, or of those that are free */
	struct entry *before;		/* replaced by this one */
	uint64_t hash, time_ns;
	uint32_t cpu, task, stack, nr_bytes;
	uint64_t numbers[];		/* keys, values; then the bytes */
};

struct query_pair {
	size_t nr_keys, nr_values, limit_bytes, used_bytes;
	query_pair_unended_fn unended;
	void *ctx;
	struct entry **buckets;
	size_t nr_buckets, nr;		/* a power of two */
	struct entry *free;		/* without bytes */
	struct entry *given;		/* to the caller, for now */
};

int query_pair_new(struct query_pair **out, size_t nr_keys, size_t nr_values,
		   size_t limit_bytes, query_pair_unended_fn unended, void *ctx)
{
	struct query_pair *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	*p = (struct query_pair){
		.nr_keys = nr_keys, .nr_values = nr_values, .limit_bytes = limit_bytes,
		.unended = unended, .ctx = ctx, .nr_buckets = FIRST_BUCKETS,
	};
	p->buckets = calloc(p->nr_buckets, sizeof(*p->buckets));
	if (!p->buckets) {
		free(p);
		return -ENOMEM;
	}
	*out = p;
	return 0;
}

void query_pair_free(struct query_pair *p)
{
	struct entry *e;

	if (!p)
		return;
	p->unended = NULL;
	query_pair_finish(p, false);
	while ((e = p->free)) {
		p->free = e->next;
		free(e);
	}
	free(p->buckets);
	free(p);
}

size_t query_pair_nr(const struct query_pair *p)
{
	return p->nr;
}

/* --- entries ----------------------------------------------------------------------------- */

static size_t size_of(const struct query_pair *p, uint32_t nr_bytes)
{
	return sizeof(struct entry) + (p->nr_keys + p->nr_values) * sizeof(uint64_t) + nr_bytes;
}

static struct entry *new_entry(struct query_pair *p, uint32_t nr_bytes)
{
	size_t size = size_of(p, nr_bytes);
	struct entry *e = nr_bytes ? NULL : p->free;

	if (size > p->limit_bytes - p->used_bytes)
		return NULL;
	if (e)
		p->free = e->next;
	else
		e = malloc(size);
	if (e)
		p->used_bytes += size;
	return e;
}

static void drop(struct query_pair *p, struct entry *e)
{
	p->used_bytes -= size_of(p, e->nr_bytes);
	if (e->nr_bytes) {
		free(e);
		return;
	}
	e->next = p->free;
	p->free = e;
}

static void describe(const struct query_pair *p, const struct entry *e,
		     struct query_pair_start *out)
{
	*out = (struct query_pair_start){
		.time_ns = e->time_ns, .cpu = e->cpu, .task = e->task, .stack = e->stack,
		.nr_bytes = e->nr_bytes, .values = e->numbers + p->nr_keys,
		.bytes = (const uint8_t *)(e->numbers + p->nr_keys + p->nr_values),
	};
}

static void drop_unended(struct query_pair *p, struct entry *e, bool tell)
{
	struct query_pair_start s;

	describe(p, e, &s);
	if (tell && p->unended)
		p->unended(p->ctx, &s);
	drop(p, e);
}

/* An end that has the time of the next start can come no more. */
static void forget_before(struct query_pair *p, struct entry *e)
{
	if (e->before)
		drop_unended(p, e->before, true);
	e->before = NULL;
}

static void take_back(struct query_pair *p)
{
	if (p->given)
		drop(p, p->given);
	p->given = NULL;
}

/* --- the table ---------------------------------------------------------------------------- */

static uint64_t hash_of(const uint64_t *keys, size_t nr)
{
	uint64_t h = 0;

	for (size_t i = 0; i < nr; i++) {
		h = (h ^ keys[i]) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 32;
	}
	return h;
}

/* Where the pointer to the entry is, or would be. */
static struct entry **find(struct query_pair *p, const uint64_t *keys, uint64_t hash)
{
	struct entry **at = &p->buckets[hash & (p->nr_buckets - 1)];

	while (*at && ((*at)->hash != hash ||
		       memcmp((*at)->numbers, keys, p->nr_keys * sizeof(*keys))))
		at = &(*at)->next;
	return at;
}

/* Without more memory chains get longer, and that is all. */
static void grow(struct query_pair *p)
{
	size_t nr = p->nr_buckets * 2;
	struct entry **buckets = calloc(nr, sizeof(*buckets));

	if (!buckets)
		return;
	for (size_t i = 0; i < p->nr_buckets; i++) {
		struct entry *e = p->buckets[i], *next;

		for (; e; e = next) {
			next = e->next;
			e->next = buckets[e->hash & (nr - 1)];
			buckets[e->hash & (nr - 1)] = e;
		}
	}
	free(p->buckets);
	p->buckets = buckets;
	p->nr_buckets = nr;
}

static void unlink_entry(struct query_pair *p, struct entry **at)
{
	*at = (*at)->next;
	p->nr--;
}

int query_pair_start(struct query_pair *p, const uint64_t *keys,
		     const struct query_pair_start *s)
{
	uint64_t hash = hash_of(keys, p->nr_keys);
	struct entry **at = find(p, keys, hash), *before = *at, *e;

	take_back(p);
	if (before) {
		forget_before(p, before);
		unlink_entry(p, at);
	}
	e = new_entry(p, s->nr_bytes);
	if (!e) {
		if (before)
			drop_unended(p, before, true);
		return -ENOSPC;
	}
	e->before = before;
	e->hash = hash;
	e->time_ns = s->time_ns;
	e->cpu = s->cpu;
	e->task = s->task;
	e->stack = s->stack;
	e->nr_bytes = s->nr_bytes;
	memcpy(e->numbers, keys, p->nr_keys * sizeof(*keys));
	memcpy(e->numbers + p->nr_keys, s->values, p->nr_values * sizeof(*s->values));
	if (s->nr_bytes)
		memcpy(e->numbers + p->nr_keys + p->nr_values, s->bytes, s->nr_bytes);
	if (p->nr >= p->nr_buckets)
		grow(p);
	at = &p->buckets[hash & (p->nr_buckets - 1)];
	e->next = *at;
	*at = e;
	p->nr++;
	return 0;
}

bool query_pair_end(struct query_pair *p, const uint64_t *keys, uint64_t time_ns,
		    struct query_pair_start *out)
{
	struct entry **at = find(p, keys, hash_of(keys, p->nr_keys)), *e = *at;

	take_back(p);
	if (!e)
		return false;
	if (e->before && e->time_ns == time_ns) {
		p->given = e->before;
		e->before = NULL;
	} else {
		forget_before(p, e);
		unlink_entry(p, at);
		p->given = e;
	}
	describe(p, p->given, out);
	return true;
}

void query_pair_finish(struct query_pair *p, bool tell_waiting)
{
	take_back(p);
	for (size_t i = 0; i < p->nr_buckets; i++) {
		struct entry *e;

		while ((e = p->buckets[i])) {
			forget_before(p, e);
			unlink_entry(p, &p->buckets[i]);
			drop_unended(p, e, tell_waiting);
		}
	}
}
