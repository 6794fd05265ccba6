#include "format/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "format/block.h"
#include "format/cursor.h"

#define VARINT_MAX_BYTES 10

struct table_decoder {
	ZSTD_DCtx *zstd;
	struct bytebuf lens, bytes;	/* unpacked units */
};

int table_decoder_new(struct table_decoder **out)
{
	struct table_decoder *d = calloc(1, sizeof(*d));

	*out = NULL;
	if (!d)
		return -ENOMEM;
	d->zstd = ZSTD_createDCtx();
	if (!d->zstd) {
		free(d);
		return -ENOMEM;
	}
	*out = d;
	return 0;
}

void table_decoder_free(struct table_decoder *d)
{
	if (!d)
		return;
	ZSTD_freeDCtx(d->zstd);
	bytebuf_release(&d->lens);
	bytebuf_release(&d->bytes);
	free(d);
}

static void parse_column(struct table_column *col, struct cursor *c)
{
	uint64_t id = cursor_varint(c), data_bytes;

	col->transform = cursor_u8(c);
	col->layout = cursor_u8(c);
	col->base = cursor_varint(c);
	col->first = col->transform != TRANSFORM_NONE ? cursor_varint(c) : 0;
	data_bytes = cursor_varint(c);
	col->data = cursor_bytes(c, data_bytes);
	col->data_bytes = (size_t)data_bytes;
	col->id = (uint32_t)id;
	if (id > UINT32_MAX || col->transform > TRANSFORM_NEW ||
	    (col->transform == TRANSFORM_NEW && col->base))
		cursor_fail(c);
}

int table_parse(struct table *t, const void *payload, size_t payload_bytes, size_t nr)
{
	struct cursor c;
	uint64_t nr_columns;

	t->nr = nr;
	t->nr_columns = 0;
	if (nr > BLOCK_MAX_RECORDS)
		return -EBADMSG;
	cursor_init(&c, payload, payload_bytes);
	nr_columns = cursor_varint(&c);
	if (nr_columns > TABLE_MAX_COLUMNS)
		return -EBADMSG;
	for (size_t i = 0; i < nr_columns && !c.err; i++)
		parse_column(&t->columns[i], &c);
	if (cursor_done(&c))
		return -EBADMSG;
	t->nr_columns = (size_t)nr_columns;
	return 0;
}

const struct table_column *table_find(const struct table *t, uint32_t id)
{
	for (size_t i = 0; i < t->nr_columns; i++)
		if (t->columns[i].id == id)
			return &t->columns[i];
	return NULL;
}

bool table_is_constant(const struct table *t, const struct table_column *c, uint64_t *value)
{
	if (!c) {
		*value = 0;
		return true;
	}
	if (c->transform == TRANSFORM_NEW || c->layout != LAYOUT_ZERO || c->data_bytes)
		return false;
	if (c->transform == TRANSFORM_NONE)
		*value = c->base;
	else if (t->nr <= 1 || !c->base)
		*value = c->first;
	else
		return false;
	return true;
}

/*
 * The bytes of one unit, unpacked if need be at the end of `room`; NULL when it
 * is damaged or larger than max_bytes.  The size is limited before anything is
 * allocated, and a frame of zstd must declare that very size.
 */
static const uint8_t *read_unit(struct table_decoder *d, struct cursor *c, uint64_t max_bytes,
				struct bytebuf *room, size_t *raw_bytes)
{
	uint8_t codec = cursor_u8(c);
	uint64_t raw = cursor_varint(c);
	uint64_t stored = codec == CODEC_ZSTD ? cursor_varint(c) : raw;
	const uint8_t *bytes = cursor_bytes(c, stored);

	*raw_bytes = (size_t)raw;
	if (!bytes || raw > max_bytes)
		return NULL;
	if (codec == CODEC_RAW)
		return bytes;
	if (codec != CODEC_ZSTD || ZSTD_getFrameContentSize(bytes, stored) != raw)
		return NULL;
	if (bytebuf_reserve(room, raw ? raw : 1) ||
	    ZSTD_decompressDCtx(d->zstd, room->data + room->len, raw, bytes, stored) != raw)
		return NULL;
	bytes = room->data + room->len;
	room->len += raw;
	return bytes;
}

static int read_varints(struct table_decoder *d, struct cursor *c, uint64_t *v, size_t nr)
{
	size_t len;
	const uint8_t *raw = read_unit(d, c, (uint64_t)nr * VARINT_MAX_BYTES, &d->bytes, &len);
	struct cursor in;

	if (!raw)
		return -EBADMSG;
	cursor_init(&in, raw, len);
	for (size_t i = 0; i < nr; i++) {
		/* Nearly all are one byte; the cursor checks the others. */
		if (in.at < in.end && *in.at < 0x80)
			v[i] = *in.at++;
		else
			v[i] = cursor_varint(&in);
	}
	return cursor_done(&in);
}

static int read_runs(struct table_decoder *d, struct cursor *c, uint64_t *v, size_t nr)
{
	size_t len, at = 0;
	const uint8_t *raw = read_unit(d, c, (uint64_t)nr * 2 * VARINT_MAX_BYTES, &d->bytes, &len);
	struct cursor in;

	if (!raw)
		return -EBADMSG;
	cursor_init(&in, raw, len);
	while (cursor_left(&in)) {
		uint64_t value = cursor_varint(&in), run = cursor_varint(&in);

		if (in.err || !run || run > nr - at)
			return -EBADMSG;
		for (size_t end = at + (size_t)run; at < end; at++)
			v[at] = value;
	}
	return at == nr ? cursor_done(&in) : -EBADMSG;
}

/* One pass over v, whatever the width, and the common widths without a loop. */
static void join_planes(uint64_t *v, size_t nr, const uint8_t *const *planes, unsigned int width)
{
	const uint8_t *p0 = planes[0], *p1 = planes[1], *p2 = planes[2];

	switch (width) {
	case 1:
		for (size_t i = 0; i < nr; i++)
			v[i] = p0[i];
		return;
	case 2:
		for (size_t i = 0; i < nr; i++)
			v[i] = p0[i] | (uint64_t)p1[i] << 8;
		return;
	default:
		for (size_t i = 0; i < nr; i++)
			v[i] = p0[i] | (uint64_t)p1[i] << 8 | (uint64_t)p2[i] << 16;
	}
	for (unsigned int k = 3; k < width; k++)
		for (size_t i = 0; i < nr; i++)
			v[i] |= (uint64_t)planes[k][i] << (8 * k);
}

static int read_planes(struct table_decoder *d, struct cursor *c, uint64_t *v, size_t nr)
{
	const uint8_t *planes[8] = { NULL };
	unsigned int width = cursor_u8(c);

	/* Room for all planes at once, so that none of them moves. */
	if (width < 1 || width > 8 || bytebuf_reserve(&d->bytes, nr * width))
		return -EBADMSG;
	for (unsigned int k = 0; k < width; k++) {
		size_t len;

		planes[k] = read_unit(d, c, nr, &d->bytes, &len);
		if (!planes[k] || len != nr)
			return -EBADMSG;
	}
	join_planes(v, nr, planes, width);
	return 0;
}

static int read_layout(struct table_decoder *d, const struct table_column *col,
		       uint64_t *v, size_t nr)
{
	struct cursor c;
	int err;

	cursor_init(&c, col->data, col->data_bytes);
	switch (col->layout) {
	case LAYOUT_ZERO:
		memset(v, 0, nr * sizeof(*v));
		err = 0;
		break;
	case LAYOUT_VARINT:
		err = read_varints(d, &c, v, nr);
		break;
	case LAYOUT_PLANES:
		err = read_planes(d, &c, v, nr);
		break;
	case LAYOUT_RUNS:
		err = read_runs(d, &c, v, nr);
		break;
	default:
		return -EBADMSG;
	}
	if (d->bytes.err)
		return -ENOMEM;
	return err ? err : cursor_done(&c);
}

static uint64_t unzigzag(uint64_t v)
{
	return (v >> 1) ^ (0 - (v & 1));
}

static int read_delta(struct table_decoder *d, const struct table_column *c, uint64_t *out,
		      size_t nr)
{
	uint64_t value = c->first, step = unzigzag(c->base);
	int err = read_layout(d, c, out + 1, nr - 1);

	if (err)
		return err;
	out[0] = value;
	for (size_t i = 1; i < nr; i++) {
		value += step + unzigzag(out[i]);
		out[i] = value;
	}
	return 0;
}

static void undo_new(uint64_t *x, size_t nr, uint64_t max)
{
	for (size_t i = 0; i < nr; i++) {
		uint64_t v = x[i], step = max + 1 + v;

		v = v < TABLE_NEW_STEPS ? step : v - TABLE_NEW_STEPS;
		max = v > max ? v : max;
		x[i] = v;
	}
}

int table_read_numbers(struct table_decoder *d, const struct table *t,
		       const struct table_column *c, uint64_t *out)
{
	size_t nr = t->nr;
	uint64_t value;
	int err;

	if (table_is_constant(t, c, &value)) {
		for (size_t i = 0; i < nr; i++)
			out[i] = value;
		return 0;
	}
	if (!nr)
		return 0;
	bytebuf_clear(&d->bytes);
	if (c->transform == TRANSFORM_NONE) {
		err = read_layout(d, c, out, nr);
		for (size_t i = 0; !err && c->base && i < nr; i++)
			out[i] += c->base;
		return err;
	}
	if (c->transform == TRANSFORM_DELTA)
		return read_delta(d, c, out, nr);
	err = read_layout(d, c, out, nr);
	if (!err)
		undo_new(out, nr, c->first);
	return err;
}

static int read_lengths(uint32_t *lens, size_t nr, const uint8_t *raw, size_t raw_bytes,
			size_t total_bytes)
{
	struct cursor in;
	size_t left = total_bytes;

	cursor_init(&in, raw, raw_bytes);
	for (size_t i = 0; i < nr; i++) {
		uint64_t len = cursor_varint(&in);

		if (len > left)
			return -EBADMSG;
		left -= (size_t)len;
		lens[i] = (uint32_t)len;
	}
	return left ? -EBADMSG : cursor_done(&in);
}

int table_read_strings(struct table_decoder *d, const struct table *t,
		       const struct table_column *c, uint32_t *lens,
		       const uint8_t **bytes, size_t *total_bytes)
{
	const uint8_t *raw_lens;
	struct cursor in;
	size_t len;

	*bytes = (const uint8_t *)"";
	*total_bytes = 0;
	if (!c) {
		memset(lens, 0, t->nr * sizeof(*lens));
		return 0;
	}
	if (c->layout != LAYOUT_BYTES || c->transform != TRANSFORM_NONE || c->base)
		return -EBADMSG;
	bytebuf_clear(&d->bytes);
	bytebuf_clear(&d->lens);
	cursor_init(&in, c->data, c->data_bytes);
	raw_lens = read_unit(d, &in, (uint64_t)t->nr * VARINT_MAX_BYTES, &d->lens, &len);
	if (raw_lens)
		*bytes = read_unit(d, &in, BLOCK_MAX_TEXT, &d->bytes, total_bytes);
	if (d->bytes.err || d->lens.err)
		return -ENOMEM;
	if (!raw_lens || !*bytes || cursor_done(&in))
		return -EBADMSG;
	return read_lengths(lens, t->nr, raw_lens, len, *total_bytes);
}
