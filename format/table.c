#include "format/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "format/table_buckets.h"
#include "format/table_choose.h"

/* A smaller unit gains less than the frame of zstd costs. */
#define ZSTD_MIN_BYTES 32
#define VARINT_MAX_BYTES 10

/*
 * Up to this level time counts: then what gains little from a search for repeats, because
 * it is noise whose bytes are not all as likely, gets the level that hardly searches.
 */
#define FAST_LEVEL 3
#define FAST_LEVEL_OF_NOISE 1

struct table_encoder {
	ZSTD_CCtx *zstd;
	ZSTD_CCtx *zstd_noise;		/* for bytes that hardly repeat but are not alike often */
	struct bytebuf *to;
	size_t nr, columns_left;
	int err;
	uint64_t *v;			/* the transformed column */
	size_t v_cap;
	struct bytebuf raw, packed, column, bits;
};

static ZSTD_CCtx *new_context(int level)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();

	if (c && ZSTD_isError(ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, level))) {
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
	e->zstd = new_context(zstd_level);
	e->zstd_noise = new_context(zstd_level > FAST_LEVEL ? zstd_level : FAST_LEVEL_OF_NOISE);
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

static uint8_t *put_varint(uint8_t *to, uint64_t v)
{
	while (v >= 0x80) {
		*to++ = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	*to++ = (uint8_t)v;
	return to;
}

/* One unit from e->raw to e->column; without a context as it is. */
static void put_unit(struct table_encoder *e, ZSTD_CCtx *zstd)
{
	struct bytebuf *raw = &e->raw, *packed = &e->packed, *column = &e->column;
	size_t bound = ZSTD_compressBound(raw->len), len = raw->len;

	bytebuf_clear(packed);
	if (zstd && raw->len >= ZSTD_MIN_BYTES && !bytebuf_reserve(packed, bound)) {
		len = ZSTD_compress2(zstd, packed->data, packed->cap, raw->data, raw->len);
		if (ZSTD_isError(len))
			len = raw->len;
	}
	if (raw->err || packed->err)
		e->err = -ENOMEM;
	if (len < raw->len) {
		bytebuf_u8(column, CODEC_ZSTD);
		bytebuf_varint(column, raw->len);
		bytebuf_varint(column, len);
		bytebuf_put(column, packed->data, len);
	} else {
		bytebuf_u8(column, CODEC_RAW);
		bytebuf_varint(column, raw->len);
		bytebuf_put(column, raw->data, raw->len);
	}
}

/* Room for that many bytes, or NULL. */
static uint8_t *reserve_raw(struct table_encoder *e, size_t size_bytes)
{
	bytebuf_clear(&e->raw);
	if (bytebuf_reserve(&e->raw, size_bytes)) {
		e->err = -ENOMEM;
		return NULL;
	}
	return e->raw.data;
}

/* `range` is the greatest of them. */
static void put_varints(struct table_encoder *e, const uint64_t *v, size_t nr, uint64_t range)
{
	uint8_t *to = reserve_raw(e, nr * VARINT_MAX_BYTES);

	if (!to)
		return;
	for (size_t i = 0; i < nr && range < 0x80; i++)
		*to++ = (uint8_t)v[i];
	for (size_t i = 0; i < nr && range >= 0x80; i++)
		to = put_varint(to, v[i]);
	e->raw.len = (size_t)(to - e->raw.data);
	put_unit(e, e->zstd);
}

/* v = x - base, of which there are nr_runs runs. */
static void put_runs(struct table_encoder *e, const uint64_t *x, uint64_t base, size_t nr_runs)
{
	uint8_t *to = reserve_raw(e, nr_runs * 2 * VARINT_MAX_BYTES);

	if (!to)
		return;
	for (size_t i = 0, run; i < e->nr; i += run) {
		for (run = 1; i + run < e->nr && x[i + run] == x[i]; run++)
			;
		to = put_varint(to, x[i] - base);
		to = put_varint(to, run);
	}
	e->raw.len = (size_t)(to - e->raw.data);
	put_unit(e, e->zstd);
}

/* `all` has the bits that any of them has. */
static void put_planes(struct table_encoder *e, const uint64_t *v, size_t nr, uint64_t all,
		       bool differences)
{
	unsigned int width = 1;

	while (width < 8 && all >> (8 * width))
		width++;
	bytebuf_u8(&e->column, (uint8_t)width);
	for (unsigned int k = 0; k < width; k++) {
		uint8_t *to = reserve_raw(e, nr);

		if (!to)
			return;
		for (size_t i = 0; i < nr; i++)
			to[i] = (uint8_t)(v[i] >> (8 * k));
		e->raw.len = nr;
		/* Ids may look random and repeat all the same. */
		if (!differences)
			put_unit(e, e->zstd);
		else
			put_unit(e, table_choose_noise(to, nr) ? NULL :
				    k ? e->zstd : e->zstd_noise);
	}
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

/* Whether buckets are worth it: they are slower than planes. */
static bool is_less(size_t bucket_bytes, size_t plane_bytes)
{
	return bucket_bytes + bucket_bytes / 32 < plane_bytes;
}

static void put_buckets(struct table_encoder *e, const uint64_t *v, size_t nr, unsigned int sub)
{
	uint8_t *symbols = reserve_raw(e, nr), *bits;
	size_t bits_bytes;

	bytebuf_clear(&e->bits);
	if (!symbols || bytebuf_reserve(&e->bits, nr * sizeof(*v) + sizeof(*v))) {
		e->err = -ENOMEM;
		return;
	}
	bits = e->bits.data;
	bits_bytes = table_buckets_split(v, nr, sub, symbols, bits);
	bytebuf_u8(&e->column, (uint8_t)sub);
	e->raw.len = nr;
	put_unit(e, e->zstd_noise);
	if (reserve_raw(e, bits_bytes))
		bytebuf_put(&e->raw, bits, bits_bytes);
	put_unit(e, NULL);
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
	if (steps < buckets && is_less(steps, planes)) {
		for (size_t i = 0; i < nr; i++)
			v[i] -= least;
		put_buckets(e, v, nr, step_sub);
		put_column(e, id, TRANSFORM_STEP, LAYOUT_BUCKETS, least, x[0]);
		return;
	}
	for (size_t i = 0; i < nr; i++) {
		v[i] = zigzag(v[i] - base);
		all |= v[i];
	}
	if (is_less(buckets, planes)) {
		put_buckets(e, v, nr, sub);
		put_column(e, id, TRANSFORM_DELTA, LAYOUT_BUCKETS, zigzag(base), x[0]);
	} else {
		put_planes(e, v, nr, all, true);
		put_column(e, id, TRANSFORM_DELTA, LAYOUT_PLANES, zigzag(base), x[0]);
	}
}

/* Numbers with noise, if buckets are the best of all for them. */
static bool try_buckets(struct table_encoder *e, const uint64_t *x, uint64_t base)
{
	uint64_t sample[TABLE_BUCKETS_SAMPLE], *v = e->v;
	size_t n = e->nr < TABLE_BUCKETS_SAMPLE ? e->nr : TABLE_BUCKETS_SAMPLE;
	size_t buckets, planes;
	unsigned int sub;

	for (size_t i = 0; i < n; i++)
		sample[i] = x[i * e->nr / n] - base;
	sub = table_buckets_choose(sample, n, e->nr, &buckets, &planes);
	if (!is_less(buckets, planes))
		return false;
	for (size_t i = 0; i < e->nr; i++)
		v[i] = x[i] - base;
	put_buckets(e, v, e->nr, sub);
	return true;
}

/* x = base + v, and base is known; says what the layout is. */
static void put_values(struct table_encoder *e, enum table_hint hint, const uint64_t *x,
		       struct table_choice *c)
{
	if (hint == TABLE_NOISY && !table_choose_runs(c, x, e->nr) &&
	    try_buckets(e, x, c->base)) {
		c->layout = LAYOUT_BUCKETS;
		return;
	}
	table_choose_layout(c, x, e->nr, hint);
	if (c->layout == LAYOUT_RUNS) {
		put_runs(e, x, c->base, c->nr_runs);
		return;
	}
	for (size_t i = 0; i < e->nr && c->base; i++)
		e->v[i] = x[i] - c->base;
	if (c->layout == LAYOUT_PLANES)
		put_planes(e, c->base ? e->v : x, e->nr, c->range, false);
	else
		put_varints(e, c->base ? e->v : x, e->nr, c->range);
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
	put_values(e, hint, x, &c);
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
		put_values(e, hint, v, &c);
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
	put_planes(e, v, e->nr, all, false);
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
	put_unit(e, e->zstd);
	bytebuf_clear(&e->raw);
	bytebuf_put(&e->raw, bytes, total);
	put_unit(e, e->zstd);
	put_column(e, id, TRANSFORM_NONE, LAYOUT_BYTES, 0, 0);
}
