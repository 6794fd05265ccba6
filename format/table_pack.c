#include "format/table_pack.h"

#include <errno.h>

#include "format/table_buckets.h"

/* A smaller unit gains less than the frame of zstd costs. */
#define ZSTD_MIN_BYTES 32
#define VARINT_MAX_BYTES 10

static uint8_t *put_varint(uint8_t *to, uint64_t v)
{
	while (v >= 0x80) {
		*to++ = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	*to++ = (uint8_t)v;
	return to;
}

void table_pack_unit(struct table_encoder *e, ZSTD_CCtx *zstd)
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
	table_pack_unit(e, e->zstd_noise);
}

/* v = x - base, of which there are nr_runs runs. */
static void put_runs(struct table_encoder *e, const uint64_t *x, uint64_t base, size_t nr_runs)
{
	uint8_t *to = reserve_raw(e, nr_runs * 2 * VARINT_MAX_BYTES);

	if (!to)
		return;
	for (size_t i = 0, run; i < e->nr; i += run) {
		for (run = 1; i + run + 4 <= e->nr && table_choose_same(x + i + run);)
			run += 4;
		while (i + run < e->nr && x[i + run] == x[i])
			run++;
		to = put_varint(to, x[i] - base);
		to = put_varint(to, run);
	}
	e->raw.len = (size_t)(to - e->raw.data);
	table_pack_unit(e, e->zstd);
}

void table_pack_runs(struct table_encoder *e, const struct table_run *runs, size_t nr_runs)
{
	uint8_t *to = reserve_raw(e, nr_runs * 2 * VARINT_MAX_BYTES);

	if (!to)
		return;
	for (size_t i = 0; i < nr_runs; i++) {
		size_t end = i + 1 < nr_runs ? runs[i + 1].place : e->nr;

		to = put_varint(to, runs[i].value);
		to = put_varint(to, end - runs[i].place);
	}
	e->raw.len = (size_t)(to - e->raw.data);
	table_pack_unit(e, e->zstd);
}

void table_pack_planes(struct table_encoder *e, const uint64_t *v, size_t nr, uint64_t all,
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
			table_pack_unit(e, e->zstd);
		else
			table_pack_unit(e, table_choose_noise(to, nr) ? NULL :
				    k ? e->zstd : e->zstd_noise);
	}
}

void table_pack_buckets(struct table_encoder *e, const uint64_t *v, size_t nr, unsigned int sub)
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
	table_pack_unit(e, e->zstd_noise);
	if (reserve_raw(e, bits_bytes))
		bytebuf_put(&e->raw, bits, bits_bytes);
	table_pack_unit(e, NULL);
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
	if (!table_buckets_win(buckets, planes))
		return false;
	for (size_t i = 0; i < e->nr; i++)
		v[i] = x[i] - base;
	table_pack_buckets(e, v, e->nr, sub);
	return true;
}

void table_pack_values(struct table_encoder *e, enum table_hint hint, const uint64_t *x,
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
		table_pack_planes(e, c->base ? e->v : x, e->nr, c->range, false);
	else
		put_varints(e, c->base ? e->v : x, e->nr, c->range);
}
