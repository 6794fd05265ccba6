#include "format/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

/* A smaller unit gains less than the frame of zstd costs. */
#define ZSTD_MIN_BYTES 32
#define MEDIAN_SAMPLE 512
#define NOISE_SAMPLE 4096
#define VARINT_MAX_BYTES 10

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

/* Seven bits a byte, without a loop: right for all 64 lengths. */
static unsigned int varint_bytes(uint64_t v)
{
	unsigned int bits = 64 - (unsigned int)__builtin_clzll(v | 1);

	return (bits * 9 + 64) / 64;
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

/*
 * Bytes as good as random, such as the low bytes of time differences, are not
 * worth trying.  The squared counts of random bytes sum up to about
 * n * n / 256 + n; a distribution that saves two percent has more.  Some
 * thousand bytes tell; two arrays of counts, because equal neighbours would
 * wait for each other.
 */
static bool is_noise(const uint8_t *bytes, size_t nr)
{
	size_t step = nr / NOISE_SAMPLE + 1, n = nr / step;
	uint32_t even[256] = { 0 }, odd[256] = { 0 };
	uint64_t squares = 0;

	for (size_t i = 0; i + 1 < n; i += 2) {
		even[bytes[i * step]]++;
		odd[bytes[(i + 1) * step]]++;
	}
	n &= ~(size_t)1;
	for (size_t i = 0; i < 256; i++)
		squares += (uint64_t)(even[i] + odd[i]) * (even[i] + odd[i]);
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

static void put_varints(struct table_encoder *e, const uint64_t *v, size_t nr)
{
	uint8_t *to = reserve_raw(e, nr * VARINT_MAX_BYTES);

	if (!to)
		return;
	for (size_t i = 0; i < nr; i++)
		to = put_varint(to, v[i]);
	e->raw.len = (size_t)(to - e->raw.data);
	put_unit(e, true);
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
	put_unit(e, true);
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
		put_unit(e, !differences || !is_noise(to, nr));
	}
}

/* What would be s[at] if s were sorted (Hoare's selection). */
static uint64_t select_u64(uint64_t *s, ptrdiff_t n, ptrdiff_t at)
{
	for (ptrdiff_t first = 0, last = n - 1; first < last;) {
		ptrdiff_t i = first, j = last;
		uint64_t pivot = s[at], swap;

		while (i <= j) {
			for (; s[i] < pivot; i++)
				;
			for (; s[j] > pivot; j--)
				;
			if (i > j)
				break;
			swap = s[i];
			s[i++] = s[j];
			s[j--] = swap;
		}
		first = j < at ? i : first;
		last = i > at ? j : last;
	}
	return s[at];
}

/* Of a sample spread over all deltas, as signed numbers. */
static uint64_t median_delta(const uint64_t *x, size_t nr)
{
	uint64_t sample[MEDIAN_SAMPLE] = { 0 };
	size_t nr_deltas = nr - 1, n = nr_deltas < MEDIAN_SAMPLE ? nr_deltas : MEDIAN_SAMPLE;
	const uint64_t sign = UINT64_C(1) << 63;

	for (size_t i = 0; i < n; i++) {
		size_t at = i * nr_deltas / n;

		sample[i] = (x[at + 1] - x[at]) ^ sign;
	}
	return select_u64(sample, (ptrdiff_t)n, (ptrdiff_t)n / 2) ^ sign;
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
 * unsigned, or as signed where that spans less.  Counts the runs on the way.
 */
static uint64_t choose_base(const uint64_t *x, size_t nr, uint64_t *range, size_t *nr_runs)
{
	const uint64_t sign = UINT64_C(1) << 63;
	uint64_t min = x[0], max = x[0], smin = UINT64_MAX, smax = 0;
	size_t runs = 1;

	for (size_t i = 1; i < nr; i++) {
		min = x[i] < min ? x[i] : min;
		max = x[i] > max ? x[i] : max;
		runs += x[i] != x[i - 1];
	}
	*nr_runs = runs;
	*range = max - min;
	if (max < sign || min >= sign)
		return min;
	for (size_t i = 0; i < nr; i++) {
		smin = (x[i] ^ sign) < smin ? x[i] ^ sign : smin;
		smax = (x[i] ^ sign) > smax ? x[i] ^ sign : smax;
	}
	if (smax - smin >= *range)
		return min;
	*range = smax - smin;
	return smin ^ sign;
}

/*
 * The layout for numbers in no order, v = x - base.  Bytes before compression
 * decide: runs must win clearly, because zstd finds repeats by itself, and planes
 * beat varints as soon as most numbers need more than one byte.
 */
static enum table_layout choose_layout(const uint64_t *v, size_t nr, uint64_t range,
				       enum table_hint hint)
{
	size_t varint = 0, runs = varint_bytes(v[0]) + 1;

	if (range < 0x80)
		varint = nr;
	for (size_t i = 0; i < nr && range >= 0x80; i++)
		varint += varint_bytes(v[i]);
	for (size_t i = 1; i < nr; i++)
		if (v[i] != v[i - 1])
			runs += varint_bytes(v[i]) + 1;
	if (runs * 4 < varint)
		return LAYOUT_RUNS;
	if (hint == TABLE_IDS || varint > nr + nr / 2)
		return LAYOUT_PLANES;
	return LAYOUT_VARINT;
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

static void put_deltas(struct table_encoder *e, uint32_t id, const uint64_t *x)
{
	uint64_t *v = e->v, base = median_delta(x, e->nr), all = 0;
	size_t nr = e->nr - 1;

	for (size_t i = 0; i < nr; i++) {
		v[i] = zigzag(x[i + 1] - x[i] - base);
		all |= v[i];
	}
	put_planes(e, v, nr, all, true);
	put_column(e, id, TRANSFORM_DELTA, LAYOUT_PLANES, zigzag(base), x[0]);
}

void table_numbers(struct table_encoder *e, uint32_t id, enum table_hint hint,
		   const uint64_t *x)
{
	enum table_layout layout = LAYOUT_RUNS;
	uint64_t *v = e->v, base, range;
	size_t nr = e->nr, nr_runs;

	if (!begin_column(e) || put_plain_column(e, id, x))
		return;
	if (hint == TABLE_ASCENDING) {
		put_deltas(e, id, x);
		return;
	}
	base = choose_base(x, nr, &range, &nr_runs);
	/* With so few runs nothing else can be chosen below. */
	if (nr_runs * (varint_bytes(range) + 1) * 4 >= nr) {
		for (size_t i = 0; i < nr; i++)
			v[i] = x[i] - base;
		layout = choose_layout(v, nr, range, hint);
	}
	if (layout == LAYOUT_RUNS)
		put_runs(e, x, base, nr_runs);
	else if (layout == LAYOUT_PLANES)
		put_planes(e, v, nr, range, false);
	else
		put_varints(e, v, nr);
	put_column(e, id, TRANSFORM_NONE, layout, base, 0);
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
	put_unit(e, true);
	bytebuf_clear(&e->raw);
	bytebuf_put(&e->raw, bytes, total);
	put_unit(e, true);
	put_column(e, id, TRANSFORM_NONE, LAYOUT_BYTES, 0, 0);
}
