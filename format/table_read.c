#include "format/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "format/block.h"
#include "format/cursor.h"
#include "format/table_buckets.h"
#include "format/table_linked.h"

#define VARINT_MAX_BYTES 10

struct table_decoder {
	ZSTD_DCtx *zstd;
	struct bytebuf lens, bytes;	/* unpacked units */
	uint64_t *stored;		/* of a column that is grouped */
	size_t stored_cap;
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
	free(d->stored);
	free(d);
}

static bool has_stored(struct table_decoder *d, size_t nr)
{
	if (nr > d->stored_cap) {
		free(d->stored);
		d->stored = malloc(nr * sizeof(*d->stored));
		d->stored_cap = d->stored ? nr : 0;
	}
	return d->stored;
}

static uint32_t parse_id(struct cursor *c)
{
	uint64_t id = cursor_varint(c);

	if (id > UINT32_MAX)
		cursor_fail(c);
	return (uint32_t)id;
}

/* Columns stand before those that are predicted from them, so that there is no circle. */
static void parse_link(const struct table *t, struct table_column *col, struct cursor *c)
{
	struct table_link *link = &col->link;
	uint8_t nr_terms;

	link->mode = cursor_u8(c);
	link->key = parse_id(c);
	link->time = parse_id(c);
	nr_terms = cursor_u8(c);
	if (link->mode > LINK_MATCH || !nr_terms || nr_terms > TABLE_LINK_TERMS ||
	    !table_find(t, link->key) || !table_find(t, link->time))
		cursor_fail(c);
	for (link->nr_terms = 0; link->nr_terms < nr_terms && !c->err; link->nr_terms++) {
		struct table_term *term = &link->terms[link->nr_terms];
		uint8_t place = cursor_u8(c);

		term->place = place & ~TABLE_LINK_MINUS;
		term->minus = place & TABLE_LINK_MINUS;
		term->id = parse_id(c);
		if (term->place > PLACE_AFTER_BEFORE || table_find(t, term->id))
			continue;
		if (term->id != col->id || term->place != PLACE_BEFORE || term->minus ||
		    nr_terms != 1)
			cursor_fail(c);
	}
	for (size_t i = 0; i < link->nr_terms; i++)
		if (link->terms[i].place > PLACE_AFTER_BEFORE)
			cursor_fail(c);
}

static void parse_column(const struct table *t, struct table_column *col, struct cursor *c)
{
	uint64_t data_bytes;

	col->id = parse_id(c);
	col->transform = cursor_u8(c);
	col->layout = cursor_u8(c);
	col->base = cursor_varint(c);
	col->first = 0;
	if (col->transform == TRANSFORM_LINKED) {
		parse_link(t, col, c);
	} else if (col->transform == TRANSFORM_GROUPED) {
		col->link.key = parse_id(c);
		if (!table_find(t, col->link.key))
			cursor_fail(c);
	} else if (col->transform != TRANSFORM_NONE) {
		col->first = cursor_varint(c);
	}
	data_bytes = cursor_varint(c);
	col->data = cursor_bytes(c, data_bytes);
	col->data_bytes = (size_t)data_bytes;
	if (col->transform > TRANSFORM_GROUPED ||
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
	for (; t->nr_columns < nr_columns && !c.err; t->nr_columns++)
		parse_column(t, &t->columns[t->nr_columns], &c);
	if (!cursor_done(&c))
		return 0;
	t->nr_columns = 0;
	return -EBADMSG;
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
	if (c->transform == TRANSFORM_NEW || c->transform == TRANSFORM_LINKED ||
	    c->layout != LAYOUT_ZERO || c->data_bytes)
		return false;
	if (c->transform == TRANSFORM_NONE || c->transform == TRANSFORM_GROUPED)
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

static int read_buckets(struct table_decoder *d, struct cursor *c, uint64_t *v, size_t nr)
{
	unsigned int sub = cursor_u8(c);
	const uint8_t *symbols, *bits;
	size_t nr_symbols, bits_bytes;

	if (sub < TABLE_BUCKETS_MIN_SUB || sub > TABLE_BUCKETS_MAX_SUB ||
	    bytebuf_reserve(&d->bytes, nr * (sizeof(*v) + 1)))
		return -EBADMSG;
	symbols = read_unit(d, c, nr, &d->bytes, &nr_symbols);
	bits = symbols ? read_unit(d, c, nr * sizeof(*v), &d->bytes, &bits_bytes) : NULL;
	if (!bits || nr_symbols != nr ||
	    !table_buckets_join(v, nr, sub, symbols, bits, bits_bytes))
		return -EBADMSG;
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

static int read_steps(struct table_decoder *d, const struct table_column *c, uint64_t *out,
		      size_t nr)
{
	int err = read_layout(d, c, out + 1, nr - 1);

	out[0] = c->first;
	for (size_t i = 1; i < nr && !err; i++)
		out[i] += out[i - 1] + c->base;
	return err;
}

/* The others of a column's prediction have been read. */
static int read_linked(struct table_decoder *d, const struct table *t,
		       const struct table_column *c, struct table_context *context,
		       uint64_t *out)
{
	const uint64_t *columns[TABLE_LINK_TERMS] = { NULL }, *key, *time;
	const uint32_t *before;
	int err;

	key = context->column(context->ctx, table_find(t, c->link.key));
	time = context->column(context->ctx, table_find(t, c->link.time));
	if (!key || !time)
		return -EBADMSG;
	for (size_t i = 0; i < c->link.nr_terms; i++) {
		const struct table_column *term = table_find(t, c->link.terms[i].id);

		columns[i] = term == c ? out : context->column(context->ctx, term);
		if (!columns[i])
			return -EBADMSG;
	}
	before = table_links_before(context->links, c->link.time, time, c->link.key, key, t->nr);
	if (!before)
		return -ENOMEM;
	bytebuf_clear(&d->bytes);
	err = read_layout(d, c, out, t->nr);
	for (size_t i = 0; !err && c->base && i < t->nr; i++)
		out[i] += c->base;
	if (!err)
		table_linked_undo(&c->link, columns, time, before, context->links->order, t->nr,
				  out);
	return err;
}

/* The numbers as they are stored, and then where each belongs. */
static int read_grouped(struct table_decoder *d, const struct table *t,
			const struct table_column *c, struct table_context *context,
			uint64_t *out)
{
	const uint64_t *key = context->column(context->ctx, table_find(t, c->link.key));
	const uint32_t *places;
	int err;

	if (!key)
		return -EBADMSG;
	places = table_links_places(context->links, c->link.key, key, t->nr);
	if (!places || !has_stored(d, t->nr))
		return -ENOMEM;
	bytebuf_clear(&d->bytes);
	err = read_layout(d, c, d->stored, t->nr);
	for (size_t i = 0; i < t->nr && !err; i++)
		out[i] = c->base + d->stored[places[i]];
	return err;
}

int table_read_in_context(struct table_decoder *d, const struct table *t,
			  const struct table_column *c, struct table_context *context,
			  uint64_t *out)
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
	switch (c->transform) {
	case TRANSFORM_NONE:
		err = read_layout(d, c, out, nr);
		for (size_t i = 0; !err && c->base && i < nr; i++)
			out[i] += c->base;
		return err;
	case TRANSFORM_DELTA:
		return read_delta(d, c, out, nr);
	case TRANSFORM_STEP:
		return read_steps(d, c, out, nr);
	case TRANSFORM_LINKED:
		return read_linked(d, t, c, context, out);
	case TRANSFORM_GROUPED:
		return read_grouped(d, t, c, context, out);
	default:
		err = read_layout(d, c, out, nr);
		if (!err)
			undo_new(out, nr, c->first);
		return err;
	}
}

/* Columns that others are predicted from, while one is read. */
struct memo {
	struct table_decoder *d;
	const struct table *t;
	struct table_links links;
	struct table_context context;
	uint64_t *columns[TABLE_MAX_COLUMNS];
	int err;
};

static const uint64_t *read_for_another(void *ctx, const struct table_column *c)
{
	struct memo *m = ctx;
	uint64_t **numbers = &m->columns[c - m->t->columns];

	if (*numbers)
		return *numbers;
	*numbers = malloc(m->t->nr * sizeof(**numbers));
	m->err = *numbers ? table_read_in_context(m->d, m->t, c, &m->context, *numbers) :
			    -ENOMEM;
	return m->err ? NULL : *numbers;
}

int table_read_numbers(struct table_decoder *d, const struct table *t,
		       const struct table_column *c, uint64_t *out)
{
	struct memo *m;
	int err;

	if (!c || (c->transform != TRANSFORM_LINKED && c->transform != TRANSFORM_GROUPED))
		return table_read_in_context(d, t, c, NULL, out);
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	*m = (struct memo){ .d = d, .t = t, .context = { read_for_another, m, &m->links } };
	err = table_read_in_context(d, t, c, &m->context, out);
	for (size_t i = 0; i < t->nr_columns; i++)
		free(m->columns[i]);
	table_links_release(&m->links);
	err = m->err ? m->err : err;
	free(m);
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
