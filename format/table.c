#include "format/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

/* A smaller unit gains less than the frame of zstd costs. */
#define ZSTD_MIN_BYTES 32
#define MEDIAN_SAMPLE 512

struct table_encoder {
	ZSTD_CCtx *zstd;
	struct bytebuf *to;
	size_t nr, columns_left;
	int err;
	uint64_t *v;			/* the transformed column */
	size_t v_cap;
	struct bytebuf raw, packed, column;
};

int table_encoder_new(struct table_encoder **out, int zstd_level)
{
	struct table_encoder *e = calloc(1, sizeof(*e));

	*out = NULL;
	if (!e)
		return -ENOMEM;
	e->zstd = ZSTD_createCCtx();
	if (!e->zstd || ZSTD_isError(ZSTD_CCtx_setParameter(e->zstd, ZSTD_c_compressionLevel,
							    zstd_level))) {
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
	bytebuf_release(&e->raw);
	bytebuf_release(&e->packed);
	bytebuf_release(&e->column);
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

static unsigned int varint_bytes(uint64_t v)
{
	unsigned int n = 1;

	while (v >>= 7)
		n++;
	return n;
}

/*
 * Bytes as good as random, such as the low bytes of time differences, are not
 * worth trying.  The squared counts of random bytes sum up to about
 * n * n / 256 + n; a distribution that saves two percent has more.
 */
static bool is_noise(const uint8_t *bytes, size_t n)
{
	uint32_t counts[256] = { 0 };
	uint64_t squares = 0;

	for (size_t i = 0; i < n; i++)
		counts[bytes[i]]++;
	for (size_t i = 0; i < 256; i++)
		squares += (uint64_t)counts[i] * counts[i];
	return squares < (uint64_t)n * n / 256 * 21 / 20 + n;
}

/* One unit from e->raw to e->column. */
static void put_unit(struct table_encoder *e, bool try_zstd)
{
	struct bytebuf *raw = &e->raw, *packed = &e->packed, *column = &e->column;
	size_t bound = ZSTD_compressBound(raw->len), len = raw->len;

	bytebuf_clear(packed);
	if (try_zstd && raw->len >= ZSTD_MIN_BYTES && !bytebuf_reserve(packed, bound)) {
		len = ZSTD_compress2(e->zstd, packed->data, packed->cap, raw->data, raw->len);
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

static void put_varints(struct table_encoder *e, const uint64_t *v, size_t nr)
{
	bytebuf_clear(&e->raw);
	for (size_t i = 0; i < nr; i++)
		bytebuf_varint(&e->raw, v[i]);
	put_unit(e, true);
}

static void put_runs(struct table_encoder *e, const uint64_t *v, size_t nr)
{
	bytebuf_clear(&e->raw);
	for (size_t i = 0, run; i < nr; i += run) {
		for (run = 1; i + run < nr && v[i + run] == v[i]; run++)
			;
		bytebuf_varint(&e->raw, v[i]);
		bytebuf_varint(&e->raw, run);
	}
	put_unit(e, true);
}

static void put_planes(struct table_encoder *e, const uint64_t *v, size_t nr,
		       bool differences)
{
	struct bytebuf *raw = &e->raw;
	unsigned int width = 1;
	uint64_t all = 0;

	for (size_t i = 0; i < nr; i++)
		all |= v[i];
	while (width < 8 && all >> (8 * width))
		width++;
	bytebuf_u8(&e->column, (uint8_t)width);
	for (unsigned int k = 0; k < width; k++) {
		bytebuf_clear(raw);
		if (bytebuf_reserve(raw, nr)) {
			e->err = -ENOMEM;
			return;
		}
		for (size_t i = 0; i < nr; i++)
			raw->data[i] = (uint8_t)(v[i] >> (8 * k));
		raw->len = nr;
		/* Ids may look random and repeat all the same. */
		put_unit(e, !differences || !is_noise(raw->data, nr));
	}
}

static void put_layout(struct table_encoder *e, enum table_layout layout,
		       enum table_transform transform, const uint64_t *v, size_t nr)
{
	switch (layout) {
	case LAYOUT_VARINT:
		put_varints(e, v, nr);
		break;
	case LAYOUT_RUNS:
		put_runs(e, v, nr);
		break;
	case LAYOUT_PLANES:
		put_planes(e, v, nr, transform == TRANSFORM_DELTA);
		break;
	default:
		break;
	}
}

/*
 * The layout for numbers in no order.  Bytes before compression decide: runs
 * must win clearly, because zstd finds repeats by itself, and planes beat
 * varints as soon as most numbers need more than one byte.
 */
static enum table_layout choose_layout(const uint64_t *v, size_t nr, enum table_hint hint)
{
	size_t varint = 0, runs = 0;

	for (size_t i = 0; i < nr; i++) {
		unsigned int n = varint_bytes(v[i]);

		varint += n;
		if (!i || v[i] != v[i - 1])
			runs += n + 1;
	}
	if (runs * 4 < varint)
		return LAYOUT_RUNS;
	if (hint == TABLE_IDS || varint > nr + nr / 2)
		return LAYOUT_PLANES;
	return LAYOUT_VARINT;
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x < y ? -1 : x > y;
}

/* Of a sample spread over all deltas, as signed numbers. */
static uint64_t median_delta(const uint64_t *x, size_t nr)
{
	uint64_t sample[MEDIAN_SAMPLE];
	size_t nr_deltas = nr - 1, n = nr_deltas < MEDIAN_SAMPLE ? nr_deltas : MEDIAN_SAMPLE;
	const uint64_t sign = UINT64_C(1) << 63;

	for (size_t i = 0; i < n; i++) {
		size_t at = i * nr_deltas / n;

		sample[i] = (x[at + 1] - x[at]) ^ sign;
	}
	qsort(sample, n, sizeof(*sample), compare_u64);
	return sample[n / 2] ^ sign;
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

/*
 * The base that leaves the smallest numbers: the least number, taken as
 * unsigned, or as signed where that spans less.
 */
static uint64_t choose_base(const uint64_t *x, size_t nr)
{
	const uint64_t sign = UINT64_C(1) << 63;
	uint64_t min = UINT64_MAX, max = 0, smin = UINT64_MAX, smax = 0;

	for (size_t i = 0; i < nr; i++) {
		min = x[i] < min ? x[i] : min;
		max = x[i] > max ? x[i] : max;
		smin = (x[i] ^ sign) < smin ? x[i] ^ sign : smin;
		smax = (x[i] ^ sign) > smax ? x[i] ^ sign : smax;
	}
	return smax - smin < max - min ? smin ^ sign : min;
}

static void put_column(struct table_encoder *e, uint32_t id, enum table_transform transform,
		       enum table_layout layout, uint64_t base, uint64_t first)
{
	struct bytebuf *to = e->to;

	bytebuf_varint(to, id);
	bytebuf_u8(to, (uint8_t)transform);
	bytebuf_u8(to, (uint8_t)layout);
	bytebuf_varint(to, base);
	if (transform != TRANSFORM_NONE)
		bytebuf_varint(to, first);
	bytebuf_varint(to, e->column.len);
	bytebuf_put(to, e->column.data, e->column.len);
	if (e->column.err)
		e->err = -ENOMEM;
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

void table_numbers(struct table_encoder *e, uint32_t id, enum table_hint hint,
		   const uint64_t *x)
{
	size_t nr = e->nr, nr_v = nr;
	uint64_t *v = e->v, base;
	enum table_transform transform = TRANSFORM_NONE;
	enum table_layout layout;

	if (!begin_column(e) || put_plain_column(e, id, x))
		return;
	if (hint == TABLE_ASCENDING) {
		transform = TRANSFORM_DELTA;
		nr_v = nr - 1;
		base = median_delta(x, nr);
		for (size_t i = 0; i < nr_v; i++)
			v[i] = zigzag(x[i + 1] - x[i] - base);
		base = zigzag(base);
		layout = LAYOUT_PLANES;
	} else {
		base = choose_base(x, nr);
		for (size_t i = 0; i < nr; i++)
			v[i] = x[i] - base;
		layout = choose_layout(v, nr, hint);
	}
	put_layout(e, layout, transform, v, nr_v);
	put_column(e, id, transform, layout, base, x[0]);
}

void table_new_ids(struct table_encoder *e, uint32_t id, uint64_t known, const uint64_t *x)
{
	uint64_t *v = e->v, max = known;

	if (!begin_column(e) || put_plain_column(e, id, x))
		return;
	for (size_t i = 0; i < e->nr; i++) {
		if (x[i] > UINT64_MAX - TABLE_NEW_STEPS) {
			e->err = -EINVAL;
			return;
		}
		v[i] = x[i] + TABLE_NEW_STEPS;
		if (x[i] <= max)
			continue;
		if (x[i] - max <= TABLE_NEW_STEPS)
			v[i] = x[i] - max - 1;
		max = x[i];
	}
	put_layout(e, LAYOUT_PLANES, TRANSFORM_NEW, v, e->nr);
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
	put_unit(e, true);
	bytebuf_clear(&e->raw);
	bytebuf_put(&e->raw, bytes, total);
	put_unit(e, true);
	put_column(e, id, TRANSFORM_NONE, LAYOUT_BYTES, 0, 0);
}
