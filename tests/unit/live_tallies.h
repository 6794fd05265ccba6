/*
 * Tallies of probes put together by hand, and what is collected of them.
 */
#ifndef UNIT_LIVE_TALLIES_H
#define UNIT_LIVE_TALLIES_H

#include "live_probes.h"

#include "record/tally.h"

#define MAX_ROWS 20000

/* All rows of all intervals, those of one key and bucket summed up. */
struct rows {
	struct kept_row {
		uint8_t key[TALLY_MAX_KEY_BYTES];
		int32_t bucket;
		uint64_t count, sum, least, most;
		bool has_values;
	} list[MAX_ROWS];
	size_t nr;
	uint32_t key_bytes;
	bool is_signed;
	/* Of the collection under way: what breaks the order of rows. */
	uint8_t last_key[TALLY_MAX_KEY_BYTES];
	int32_t last_bucket;
	bool any;
	uint64_t misplaced;
};

static inline bool row_is_less(const struct rows *r, uint64_t a, uint64_t b)
{
	return r->is_signed ? (int64_t)a < (int64_t)b : a < b;
}

static inline void keep_row(void *ctx, const struct tally_row *row)
{
	struct rows *r = ctx;
	struct kept_row *k = r->list;
	bool same = r->any && !memcmp(r->last_key, row->key, r->key_bytes);

	if (row->first == same || (same && row->bucket <= r->last_bucket) || !row->count)
		r->misplaced++;
	memcpy(r->last_key, row->key, r->key_bytes);
	r->last_bucket = row->bucket;
	r->any = true;
	while (k < r->list + r->nr &&
	       (k->bucket != row->bucket || memcmp(k->key, row->key, r->key_bytes)))
		k++;
	if (k == r->list + MAX_ROWS)
		return;
	if (k == r->list + r->nr) {
		r->nr++;
		memset(k, 0, sizeof(*k));
		memcpy(k->key, row->key, r->key_bytes);
		k->bucket = row->bucket;
	}
	k->count += row->count;
	if (!row->first)
		return;
	k->sum += row->sum;
	if (!k->has_values || row_is_less(r, row->least, k->least))
		k->least = row->least;
	if (!k->has_values || row_is_less(r, k->most, row->most))
		k->most = row->most;
	k->has_values = true;
}

static inline void rows_collect(struct rows *r, struct tally *t)
{
	r->key_bytes = t->key_bytes;
	r->is_signed = t->is_signed;
	r->any = false;
	tally_collect(t, keep_row, r);
}

/* All buckets of one key together. */
static inline struct kept_row rows_of_key(const struct rows *r, const void *key, size_t bytes)
{
	struct kept_row all = { 0 };

	for (const struct kept_row *k = r->list; k < r->list + r->nr; k++) {
		if (memcmp(k->key, key, bytes))
			continue;
		all.count += k->count;
		all.sum += k->sum;
		if (!k->has_values)
			continue;
		if (!all.has_values || row_is_less(r, k->least, all.least))
			all.least = k->least;
		if (!all.has_values || row_is_less(r, all.most, k->most))
			all.most = k->most;
		all.has_values = true;
	}
	return all;
}

static inline uint64_t rows_hits(const struct rows *r)
{
	uint64_t hits = 0;

	for (const struct kept_row *k = r->list; k < r->list + r->nr; k++)
		hits += k->count;
	return hits;
}

/* Gives the probe a tally in the words of users. */
static inline int live_tally(struct live *l, struct live_probe *lp, const char *text)
{
	struct tally_spec spec;
	int err = tally_parse(&spec, text, &l->diag);

	if (err)
		return err;
	err = tally_bind(&lp->p, &spec, &l->diag);
	tally_spec_release(&spec);
	return err;
}

static inline int live_variable_is_id(void *ctx, const char *name, uint32_t var, enum expr_type *type)
{
	struct live_probe *lp = ctx;

	(void)name, (void)var;
	lp->v.filter_values[var] = (struct probe_value){
		.steps = { { .op = FETCH_CTX, .size = 8, .value = 8 } }, .nr_steps = 1,
		.result = RESULT_NUMBER, .size = 8,
	};
	*type = EXPR_UNSIGNED;
	return 0;
}

static inline void live_name_fields(struct live_probe *lp, const char *const *names)
{
	for (size_t i = 0; i < lp->p.nr_fields; i++)
		lp->fields[i].name = strdup(names[i]);
}

static inline void live_forget_names(struct live_probe *lp)
{
	for (size_t i = 0; i < lp->p.nr_fields; i++)
		free(lp->fields[i].name);
}

/* sys_enter of getppid alone.  -errno where the kernel does not describe it. */
static inline int live_open_enter(struct live *l, struct live_probe **enter)
{
	static struct probe_value values[2];
	char text[64];
	int err;

	live_init(l);
	err = live_add_typed(l, "sys_enter", enter);
	if (err)
		return err;
	(*enter)->v.filter_values = values;
	snprintf(text, sizeof(text), "id == %d", SYS_getppid);
	err = expr_parse(&(*enter)->p.filter, text, NULL);
	return err ? err : expr_bind((*enter)->p.filter, live_variable_is_id, *enter, NULL, NULL);
}

static inline void live_close_tally(struct live *l)
{
	for (uint32_t i = 0; i < l->nr_probes; i++) {
		live_forget_names(&l->probes[i]);
		live_forget_names(&l->starts[i]);
		expr_free(l->probes[i].p.filter);
		tally_free(l->probes[i].p.tally);
	}
	live_close(l);
}

#endif
