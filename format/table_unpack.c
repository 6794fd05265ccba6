#include "format/table_unpack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/table_buckets.h"

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
	free(d->stored);
	free(d);
}

/* A frame of zstd must declare the very size. */
const uint8_t *table_unpack_unit(struct table_decoder *d, struct cursor *c, uint64_t max_bytes,
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
	const uint8_t *raw = table_unpack_unit(d, c, (uint64_t)nr * TABLE_UNPACK_VARINT_BYTES, &d->bytes, &len);
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
	const uint8_t *raw = table_unpack_unit(d, c, (uint64_t)nr * 2 * TABLE_UNPACK_VARINT_BYTES, &d->bytes, &len);
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

		planes[k] = table_unpack_unit(d, c, nr, &d->bytes, &len);
		if (!planes[k] || len != nr)
			return -EBADMSG;
	}
	join_planes(v, nr, planes, width);
	return 0;
}

static int read_buckets(struct table_decoder *d, struct cursor *c, uint64_t *v, size_t nr)
{
	unsigned int sub = cursor_u8(c);
	const uint8_t *symbols, *bits;
	size_t nr_symbols, bits_bytes;

	if (sub < TABLE_BUCKETS_MIN_SUB || sub > TABLE_BUCKETS_MAX_SUB ||
	    bytebuf_reserve(&d->bytes, nr * (sizeof(*v) + 1)))
		return -EBADMSG;
	symbols = table_unpack_unit(d, c, nr, &d->bytes, &nr_symbols);
	bits = symbols ? table_unpack_unit(d, c, nr * sizeof(*v), &d->bytes, &bits_bytes) : NULL;
	if (!bits || nr_symbols != nr ||
	    !table_buckets_join(v, nr, sub, symbols, bits, bits_bytes))
		return -EBADMSG;
	return 0;
}

int table_unpack_numbers(struct table_decoder *d, const struct table_column *col,
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
	case LAYOUT_BUCKETS:
		err = read_buckets(d, &c, v, nr);
		break;
	default:
		return -EBADMSG;
	}
	if (d->bytes.err)
		return -ENOMEM;
	return err ? err : cursor_done(&c);
}
