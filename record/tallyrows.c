/*
 * The reader of a tally: learns which keys and buckets there are, and empties them.
 */
#include "record/tallymaps.h"

#include <stdlib.h>
#include <string.h>

#define SIGN_BIT (UINT64_C(1) << 63)

/* --- what there is ----------------------------------------------------------------------- */

static int by_key_and_bucket(const void *a, const void *b)
{
	const struct tallymaps_entry *x = a, *y = b;

	if (x->owner != y->owner)
		return x->owner < y->owner ? -1 : 1;
	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return (x->bucket > y->bucket) - (x->bucket < y->bucket);
}

static const uint8_t *row_of(const struct tallymaps_numbers *n, uint32_t number)
{
	return n->area + (size_t)number * n->row_bytes;
}

/* The first word of a row, which says whether the rest can be believed. */
static uint64_t word_of(const struct tallymaps_numbers *n, uint32_t number)
{
	return __atomic_load_n((const uint64_t *)(const void *)row_of(n, number),
			       __ATOMIC_ACQUIRE);
}

static uint32_t owner_of(const struct tallymaps *m, uint32_t key)
{
	uint64_t owner = 0;

	if (m->key_skip || !m->key_bytes)
		memcpy(&owner, row_of(&m->keys, key) + sizeof(uint64_t), sizeof(owner));
	return owner < m->nr_owners ? (uint32_t)owner : 0;
}

static void add_entry(struct tallymaps *m, size_t *nr, uint32_t key, int32_t bucket,
		      uint32_t number)
{
	m->entries[(*nr)++] = (struct tallymaps_entry){
		.owner = owner_of(m, key), .key = key, .bucket = bucket, .number = number,
	};
}

/* False while it cannot be told yet. */
static bool learn_key(struct tallymaps *m, size_t *nr, uint32_t number)
{
	uint64_t word = word_of(&m->keys, number);

	if (word == TALLYMAPS_OPEN)
		return false;
	if (word == TALLYMAPS_READY && !m->histogram)
		add_entry(m, nr, number, 0, number);
	return true;
}

static bool learn_bucket(struct tallymaps *m, size_t *nr, uint32_t number)
{
	uint64_t word = word_of(&m->buckets, number);
	uint32_t key = (uint32_t)word - 1;

	if (!word)
		return false;
	if (word == TALLYMAPS_PAIR_UNUSED || key >= m->keys.max)
		return true;
	/* Its key was seen by another program before it was published. */
	if (!m->keys.known[key])
		return false;
	add_entry(m, nr, key, (int32_t)(word >> 32), number);
	return true;
}

static void learn(struct tallymaps *m, struct tallymaps_numbers *n, size_t *nr,
		  bool (*one)(struct tallymaps *m, size_t *nr, uint32_t number))
{
	uint64_t next = __atomic_load_n(&m->next[n->next_offset / sizeof(uint64_t)],
					__ATOMIC_ACQUIRE);

	if (next > n->max)
		next = n->max;
	for (uint32_t i = n->first_open; i < next; i++)
		if (!n->known[i])
			n->known[i] = one(m, nr, i);
	while (n->first_open < next && n->known[n->first_open])
		n->first_open++;
}

/* Those from `from` on go to their places among the others. */
static void merge(struct tallymaps *m, size_t from, size_t nr)
{
	struct tallymaps_entry *e = m->entries, *fresh = m->fresh;
	size_t left = from, right = nr - from, to = nr;

	qsort(e + from, right, sizeof(*e), by_key_and_bucket);
	memcpy(fresh, e + from, right * sizeof(*e));
	while (right) {
		if (left && by_key_and_bucket(&e[left - 1], &fresh[right - 1]) > 0)
			e[--to] = e[--left];
		else
			e[--to] = fresh[--right];
	}
}

/* Takes over what has got a number since the last call. */
static void find_new(struct tallymaps *m)
{
	size_t nr = m->nr_entries;
	uint32_t owner = 0;

	learn(m, &m->keys, &nr, learn_key);
	if (m->histogram)
		learn(m, &m->buckets, &nr, learn_bucket);
	if (nr == m->nr_entries)
		return;
	merge(m, m->nr_entries, nr);
	m->nr_entries = nr;
	for (size_t i = 0; i < nr; i++)
		while (owner < m->entries[i].owner)
			m->first[++owner] = i;
	while (owner < m->nr_owners)
		m->first[++owner] = nr;
}

/* --- what it holds ------------------------------------------------------------------------ */

static uint64_t take(uint64_t *from)
{
	/* What is zero stays in the cache of those who count. */
	return __atomic_load_n(from, __ATOMIC_RELAXED) ?
	       __atomic_exchange_n(from, 0, __ATOMIC_ACQ_REL) : 0;
}

static uint64_t take_count(struct tallymaps *m, const struct tallymaps_entry *e)
{
	uint64_t count = 0;

	for (uint32_t part = 0; part < m->nr_parts; part++)
		count += m->histogram ?
			 take(&m->counts[(size_t)part * m->buckets.max + e->number]) :
			 take(&m->counters[(size_t)part * m->keys.max + e->key].count);
	return count;
}

static void take_values(const struct tally *t, uint32_t key, struct tally_row *row)
{
	uint64_t flip = t->is_signed ? SIGN_BIT : 0;
	struct tallymaps_limits now = { 0, 0 };
	struct tallymaps *m = t->maps;

	row->sum = row->least = row->most = 0;
	if (t->measure == TALLY_NOTHING)
		return;
	for (uint32_t part = 0; part < m->nr_parts; part++) {
		struct tally_counters *c = &m->counters[(size_t)part * m->keys.max + key];
		uint64_t of_part = take(&c->most);

		now.most = of_part > now.most ? of_part : now.most;
		of_part = take(&c->least);
		now.least = of_part > now.least ? of_part : now.least;
		row->sum += take(&c->sum);
	}
	/* Hits that were under way then are in the sum and the limits of the row before. */
	if (!now.most && !now.least)
		now = m->limits[key];
	m->limits[key] = now;
	row->most = now.most ^ flip;
	row->least = ~now.least ^ flip;
}

/* One key: counts first, since what they count is in the sums by then. */
static void collect_key(struct tally *t, const struct tallymaps_entry *e, size_t nr,
			tally_row_fn fn, void *ctx)
{
	struct tallymaps *m = t->maps;
	struct tally_row row = { .first = true };
	uint64_t hits = 0;

	for (size_t i = 0; i < nr; i++)
		hits += m->row_counts[i] = take_count(m, &e[i]);
	/* A sum without a count belongs to the next interval. */
	if (!hits)
		return;
	take_values(t, e->key, &row);
	row.key = row_of(&m->keys, e->key) + sizeof(uint64_t) + m->key_skip;
	for (size_t i = 0; i < nr; i++) {
		if (!m->row_counts[i])
			continue;
		row.bucket = e[i].bucket;
		row.count = m->row_counts[i];
		fn(ctx, &row);
		row.first = false;
		row.sum = row.least = row.most = 0;
	}
}

void tallyrows_collect(struct tally *t, tally_row_fn fn, void *ctx)
{
	struct tallymaps *m = t->maps;
	size_t i, end, last;

	find_new(m);
	i = m->first[t->owner];
	last = m->first[t->owner + 1];
	for (; i < last; i = end) {
		for (end = i + 1; end < last && m->entries[end].key == m->entries[i].key;)
			end++;
		collect_key(t, &m->entries[i], end - i, fn, ctx);
	}
}
