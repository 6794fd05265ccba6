#include "format/table.h"

#include <errno.h>
#include <stdlib.h>

#include "format/table_buckets.h"
#include "format/table_pack.h"

/*
 * Up to this level time counts: then what gains little from a search for repeats, because
 * it is noise whose bytes are not all as likely, gets the level that hardly searches.
 * Repeats that are short are there by chance, and cost more than they save.
 */
#define FAST_LEVEL 3
#define FAST_LEVEL_OF_NOISE 1
#define LEAST_REPEAT_OF_NOISE 7		/* bytes; the most that can be asked for */

/* least_repeat 0: as the level has it. */
static ZSTD_CCtx *new_context(int level, int least_repeat)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();

	if (c && (ZSTD_isError(ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, level)) ||
		  ZSTD_isError(ZSTD_CCtx_setParameter(c, ZSTD_c_minMatch, least_repeat)))) {
		ZSTD_freeCCtx(c);
		return NULL;
	}
	return c;
}

int table_encoder_new(struct table_encoder **out, int zstd_level)
{
	struct table_encoder *e = calloc(1, sizeof(*e));

	*out = NULL;
	if (!e)
		return -ENOMEM;
	e->zstd = new_context(zstd_level, 0);
	e->zstd_noise = zstd_level > FAST_LEVEL ? new_context(zstd_level, 0) :
			new_context(FAST_LEVEL_OF_NOISE, LEAST_REPEAT_OF_NOISE);
	if (!e->zstd || !e->zstd_noise) {
		table_encoder_free(e);
		return -ENOMEM;
	}
	*out = e;
	return 0;
}

void table_encoder_free(struct table_encoder *e)
{
	if (!e)
		return;
	ZSTD_freeCCtx(e->zstd);
	ZSTD_freeCCtx(e->zstd_noise);
	bytebuf_release(&e->raw);
	bytebuf_release(&e->packed);
	bytebuf_release(&e->column);
	bytebuf_release(&e->bits);
	free(e->v);
	free(e);
}

void table_begin(struct table_encoder *e, struct bytebuf *to, size_t nr, size_t nr_columns)
{
	e->to = to;
	e->nr = nr;
	e->columns_left = nr_columns;
	e->err = nr_columns > TABLE_MAX_COLUMNS ? -EINVAL : 0;
	if (nr > e->v_cap) {
		uint64_t *v = realloc(e->v, nr * sizeof(*v));

		if (!v) {
			e->err = -ENOMEM;
			return;
		}
		e->v = v;
		e->v_cap = nr;
	}
	bytebuf_varint(to, nr_columns);
}

int table_end(struct table_encoder *e)
{
	if (!e->err && e->columns_left)
		e->err = -EINVAL;
	return e->err ? e->err : e->to->err;
}

static uint64_t zigzag(uint64_t delta)
{
	return (delta << 1) ^ (0 - (delta >> 63));
}

static bool is_constant(const uint64_t *x, size_t nr)
{
	for (size_t i = 1; i < nr; i++)
		if (x[i] != x[0])
			return false;
	return true;
}

static bool is_progression(const uint64_t *x, size_t nr)
{
	for (size_t i = 2; i < nr; i++)
		if (x[i] - x[i - 1] != x[1] - x[0])
			return false;
	return true;
}

static void put_head(struct table_encoder *e, uint32_t id, enum table_transform transform,
		     enum table_layout layout, uint64_t base)
{
	bytebuf_varint(e->to, id);
	bytebuf_u8(e->to, (uint8_t)transform);
	bytebuf_u8(e->to, (uint8_t)layout);
	bytebuf_varint(e->to, base);
}

static void put_data(struct table_encoder *e)
{
	bytebuf_varint(e->to, e->column.len);
	bytebuf_put(e->to, e->column.data, e->column.len);
	if (e->column.err)
		e->err = -ENOMEM;
}

static void put_column(struct table_encoder *e, uint32_t id, enum table_transform transform,
		       enum table_layout layout, uint64_t base, uint64_t first)
{
	put_head(e, id, transform, layout, base);
	if (transform != TRANSFORM_NONE)
		bytebuf_varint(e->to, first);
	put_data(e);
}

/* True when a column may be added; counts it. */
static bool begin_column(struct table_encoder *e)
{
	if (!e->columns_left && !e->err)
		e->err = -EINVAL;
	if (e->err)
		return false;
	e->columns_left--;
	bytebuf_clear(&e->column);
	return true;
}

void table_constant(struct table_encoder *e, uint32_t id, uint64_t value)
{
	if (begin_column(e))
		put_column(e, id, TRANSFORM_NONE, LAYOUT_ZERO, e->nr ? value : 0, 0);
}

/* Columns that need no data; false if this is none. */
static bool put_plain_column(struct table_encoder *e, uint32_t id, const uint64_t *x)
{
	size_t nr = e->nr;

	if (!nr || is_constant(x, nr))
		put_column(e, id, TRANSFORM_NONE, LAYOUT_ZERO, nr ? x[0] : 0, 0);
	else if (is_progression(x, nr))
		put_column(e, id, TRANSFORM_DELTA, LAYOUT_ZERO, zigzag(x[1] - x[0]), x[0]);
	else
		return false;
	return true;
}

/* Differences from the usual one, or from the least. */
static void put_deltas(struct table_encoder *e, uint32_t id, const uint64_t *x)
{
	uint64_t *v = e->v, base = table_choose_step(x, e->nr), all = 0, least = UINT64_MAX;
	uint64_t sample[TABLE_BUCKETS_SAMPLE], other[TABLE_BUCKETS_SAMPLE];
	size_t nr = e->nr - 1, planes, buckets, steps, unused;
	size_t n = nr < TABLE_BUCKETS_SAMPLE ? nr : TABLE_BUCKETS_SAMPLE;
	unsigned int sub, step_sub;

	for (size_t i = 0; i < nr; i++) {
		v[i] = x[i + 1] - x[i];
		least = v[i] < least ? v[i] : least;
	}
	for (size_t i = 0; i < n; i++) {
		sample[i] = v[i * nr / n] - least;
		other[i] = zigzag(v[i * nr / n] - base);
	}
	step_sub = table_buckets_choose(sample, n, nr, &steps, &unused);
	sub = table_buckets_choose(other, n, nr, &buckets, &planes);
	if (steps < buckets && table_buckets_win(steps, planes)) {
		for (size_t i = 0; i < nr; i++)
			v[i] -= least;
		table_pack_buckets(e, v, nr, step_sub);
		put_column(e, id, TRANSFORM_STEP, LAYOUT_BUCKETS, least, x[0]);
		return;
	}
	for (size_t i = 0; i < nr; i++) {
		v[i] = zigzag(v[i] - base);
		all |= v[i];
	}
	if (table_buckets_win(buckets, planes)) {
		table_pack_buckets(e, v, nr, sub);
		put_column(e, id, TRANSFORM_DELTA, LAYOUT_BUCKETS, zigzag(base), x[0]);
	} else {
		table_pack_planes(e, v, nr, all, true);
		put_column(e, id, TRANSFORM_DELTA, LAYOUT_PLANES, zigzag(base), x[0]);
	}
}

void table_numbers(struct table_encoder *e, uint32_t id, enum table_hint hint,
		   const uint64_t *x)
{
	struct table_choice c;

	if (!begin_column(e) || put_plain_column(e, id, x))
		return;
	if (hint == TABLE_ASCENDING) {
		put_deltas(e, id, x);
		return;
	}
	table_choose_base(&c, x, e->nr);
	table_pack_values(e, hint, x, &c);
	put_column(e, id, TRANSFORM_NONE, c.layout, c.base, 0);
}

static void put_link(struct table_encoder *e, const struct table_link *link)
{
	bytebuf_u8(e->to, link->mode);
	bytebuf_varint(e->to, link->key);
	bytebuf_varint(e->to, link->time);
	bytebuf_u8(e->to, link->nr_terms);
	for (size_t i = 0; i < link->nr_terms; i++) {
		bytebuf_u8(e->to, link->terms[i].place |
			   (link->terms[i].minus ? TABLE_LINK_MINUS : 0));
		bytebuf_varint(e->to, link->terms[i].id);
	}
}

/* The data of a column of which sums have been made; says how it is stored. */
static struct table_choice put_stored(struct table_encoder *e, enum table_hint hint,
				      const uint64_t *v, const struct table_linked_sums *sums)
{
	struct table_choice c = {
		.layout = LAYOUT_ZERO, .range = sums->all, .nr_runs = sums->nr_runs,
	};

	/* What is predicted is 0; a sign makes a better base out of what is not. */
	if (sums->nr_runs > 1 && sums->all >> 63)
		table_choose_base(&c, v, e->nr);
	if (sums->nr_runs > 1)
		table_pack_values(e, hint, v, &c);
	else
		c.base = e->nr ? v[0] : 0;
	return c;
}

void table_linked(struct table_encoder *e, uint32_t id, enum table_hint hint,
		  const struct table_link *link, const uint64_t *v,
		  const struct table_linked_sums *sums)
{
	struct table_choice c;

	if (!begin_column(e))
		return;
	c = put_stored(e, hint, v, sums);
	put_head(e, id, TRANSFORM_LINKED, c.layout, c.base);
	put_link(e, link);
	put_data(e);
}

void table_grouped(struct table_encoder *e, uint32_t id, enum table_hint hint, uint32_t key,
		   const uint64_t *v, const struct table_linked_sums *sums)
{
	struct table_choice c;

	if (!begin_column(e))
		return;
	c = put_stored(e, hint, v, sums);
	put_head(e, id, TRANSFORM_GROUPED, c.layout, c.base);
	bytebuf_varint(e->to, key);
	put_data(e);
}

static int compare_places(const void *x, const void *y)
{
	const struct table_run *a = x, *b = y;

	return a->place < b->place ? -1 : a->place > b->place;
}

/* In order, and each in one piece; how many that are. */
static size_t join_runs(struct table_run *runs, size_t nr, uint64_t *all)
{
	size_t kept = 0;

	qsort(runs, nr, sizeof(*runs), compare_places);
	for (size_t i = 0; i < nr; i++) {
		*all |= runs[i].value;
		if (!kept || runs[kept - 1].value != runs[i].value)
			runs[kept++] = runs[i];
	}
	return kept;
}

bool table_grouped_runs(struct table_encoder *e, uint32_t id, uint32_t key,
			struct table_run *runs, size_t nr_runs)
{
	struct table_choice c = { .layout = LAYOUT_ZERO };

	c.nr_runs = join_runs(runs, nr_runs, &c.range);
	if (!c.nr_runs || c.range >> 63 || !table_choose_few_runs(&c, e->nr))
		return false;
	if (!begin_column(e))
		return true;
	if (c.nr_runs > 1) {
		c.layout = LAYOUT_RUNS;
		table_pack_runs(e, runs, c.nr_runs);
	}
	put_head(e, id, TRANSFORM_GROUPED, c.layout, c.nr_runs > 1 ? 0 : runs->value);
	bytebuf_varint(e->to, key);
	put_data(e);
	return true;
}

void table_new_ids(struct table_encoder *e, uint32_t id, uint64_t known, const uint64_t *x)
{
	uint64_t *v = e->v, max = known, all = 0;

	if (!begin_column(e) || put_plain_column(e, id, x))
		return;
	for (size_t i = 0; i < e->nr; i++) {
		if (x[i] > UINT64_MAX - TABLE_NEW_STEPS) {
			e->err = -EINVAL;
			return;
		}
		v[i] = x[i] + TABLE_NEW_STEPS;
		if (x[i] > max) {
			if (x[i] - max <= TABLE_NEW_STEPS)
				v[i] = x[i] - max - 1;
			max = x[i];
		}
		all |= v[i];
	}
	table_pack_planes(e, v, e->nr, all, false);
	put_column(e, id, TRANSFORM_NEW, LAYOUT_PLANES, 0, known);
}

void table_strings(struct table_encoder *e, uint32_t id,
		   const uint32_t *len_bytes, const void *bytes)
{
	size_t total = 0;

	if (!begin_column(e))
		return;
	bytebuf_clear(&e->raw);
	for (size_t i = 0; i < e->nr; i++) {
		bytebuf_varint(&e->raw, len_bytes[i]);
		total += len_bytes[i];
	}
	table_pack_unit(e, e->zstd);
	bytebuf_clear(&e->raw);
	bytebuf_put(&e->raw, bytes, total);
	table_pack_unit(e, e->zstd);
	put_column(e, id, TRANSFORM_NONE, LAYOUT_BYTES, 0, 0);
}
