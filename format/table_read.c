#include "format/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/block.h"
#include "format/table_linked.h"
#include "format/table_unpack.h"

static bool has_stored(struct table_decoder *d, size_t nr)
{
	if (nr > d->stored_cap) {
		free(d->stored);
		d->stored = malloc(nr * sizeof(*d->stored));
		d->stored_cap = d->stored ? nr : 0;
	}
	return d->stored;
}

static uint64_t unzigzag(uint64_t v)
{
	return (v >> 1) ^ (0 - (v & 1));
}

static int read_delta(struct table_decoder *d, const struct table_column *c, uint64_t *out,
		      size_t nr)
{
	uint64_t value = c->first, step = unzigzag(c->base);
	int err = table_unpack_numbers(d, c, out + 1, nr - 1);

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
	int err = table_unpack_numbers(d, c, out + 1, nr - 1);
	uint64_t value = c->first, base = c->base;

	out[0] = value;
	for (size_t i = 1; i < nr && !err; i++)
		out[i] = value += base + out[i];
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
	err = table_unpack_numbers(d, c, out, t->nr);
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
	uint64_t base = c->base, *stored;
	const uint32_t *places;
	int err;

	if (!key)
		return -EBADMSG;
	places = table_links_places(context->links, c->link.key, key, t->nr);
	if (!places || !has_stored(d, t->nr))
		return -ENOMEM;
	bytebuf_clear(&d->bytes);
	stored = d->stored;
	err = table_unpack_numbers(d, c, stored, t->nr);
	for (size_t i = 0, nr = err ? 0 : t->nr; i < nr; i++)
		out[i] = base + stored[places[i]];
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
		err = table_unpack_numbers(d, c, out, nr);
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
		err = table_unpack_numbers(d, c, out, nr);
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
	raw_lens = table_unpack_unit(d, &in, (uint64_t)t->nr * TABLE_UNPACK_VARINT_BYTES, &d->lens, &len);
	if (raw_lens)
		*bytes = table_unpack_unit(d, &in, BLOCK_MAX_TEXT, &d->bytes, total_bytes);
	if (d->bytes.err || d->lens.err)
		return -ENOMEM;
	if (!raw_lens || !*bytes || cursor_done(&in))
		return -EBADMSG;
	return read_lengths(lens, t->nr, raw_lens, len, *total_bytes);
}
