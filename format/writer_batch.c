#include "format/writer_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GROWTH 4		/* of a batch, at a time */
#define NO_CPU UINT32_MAX	/* what nobody knows the CPU of */

/* Room for `cap` rows, of which as many wait in the tile. */
static int set_room(struct writer_batch *b, uint32_t cap, uint32_t tile_rows)
{
	size_t nr_fields = b->source->nr_fields;
	uint64_t *columns = malloc((size_t)cap * nr_fields * sizeof(*columns));
	uint64_t *tile = malloc((tile_rows ? nr_fields * WRITER_STEP : 1) * sizeof(*tile));

	if (!columns || !tile) {
		free(columns);
		free(tile);
		return -ENOMEM;
	}
	for (size_t f = 0; f < nr_fields && b->nr_split; f++)
		if (b->varies[f])
			memcpy(columns + f * cap, b->columns + f * b->cap,
			       b->nr_split * sizeof(*columns));
	free(b->columns);
	free(b->tile);
	free(b->order_space);
	b->order_space = NULL;
	b->columns = columns;
	b->tile = tile;
	b->cap = cap;
	b->tile_rows = tile_rows;
	return 0;
}

static struct writer_batch *new_batch(struct writer_source *s, uint32_t cap, uint32_t tile_rows)
{
	struct writer_batch *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->source = s;
	b->first = calloc(s->nr_fields, sizeof(*b->first));
	b->varies = calloc(s->nr_fields, sizeof(*b->varies));
	if (!b->first || !b->varies || set_room(b, cap, tile_rows)) {
		writer_batch_free(b);
		return NULL;
	}
	return b;
}

static uint32_t tile_rows_of(uint32_t cap)
{
	return cap < WRITER_STEP ? cap : WRITER_STEP;
}

struct writer_batch *writer_batch_new(struct writer_source *s)
{
	return new_batch(s, s->usual_cap, tile_rows_of(s->usual_cap));
}

int writer_batch_grow(struct writer_batch *b)
{
	struct writer_source *s = b->source;
	uint32_t cap = b->cap < s->cap / GROWTH ? b->cap * GROWTH : s->cap;
	int err;

	writer_batch_split(b);
	err = set_room(b, cap, tile_rows_of(cap));
	if (!err)
		s->usual_cap = cap;
	return err;
}

void writer_batch_free(struct writer_batch *b)
{
	if (!b)
		return;
	free(b->columns);
	free(b->first);
	free(b->varies);
	free(b->tile);
	free(b->order_space);
	bytebuf_release(&b->texts);
	free(b);
}

void writer_batch_clear(struct writer_batch *b)
{
	b->nr = b->nr_split = 0;
	b->is_ordered = false;
	memset(b->varies, 0, b->source->nr_fields * sizeof(*b->varies));
	bytebuf_clear(&b->texts);
}

struct writer_batch *writer_batch_copy(struct writer_batch *b)
{
	struct writer_batch *copy = new_batch(b->source, b->nr, 0);

	if (!copy)
		return NULL;
	writer_batch_split(b);
	for (size_t f = 0; f < b->source->nr_fields; f++) {
		copy->first[f] = b->first[f];
		copy->varies[f] = b->varies[f];
		if (b->varies[f])
			memcpy(copy->columns + f * copy->cap, b->columns + f * b->cap,
			       b->nr * sizeof(*b->columns));
	}
	bytebuf_put(&copy->texts, b->texts.data, b->texts.len);
	copy->nr = copy->nr_split = b->nr;
	copy->safe_ns = b->safe_ns;
	copy->known_stack = b->known_stack;
	copy->known_frame = b->known_frame;
	/* The order is soon found again. */
	if (copy->texts.err) {
		writer_batch_free(copy);
		return NULL;
	}
	return copy;
}

size_t writer_batch_bytes(const struct writer_batch *b)
{
	return sizeof(*b) + (size_t)b->nr * b->source->nr_fields * sizeof(*b->columns) +
	       b->texts.len;
}

/* Whether all of them are `value`; without a branch in between, so that several are at once. */
static bool is_all(const uint64_t *x, size_t nr, uint64_t value)
{
	uint64_t differs[4] = { 0 };
	size_t i = 0;

	for (; i + 4 <= nr; i += 4)
		for (size_t k = 0; k < 4; k++)
			differs[k] |= x[i + k] ^ value;
	for (; i < nr; i++)
		differs[0] |= x[i] ^ value;
	return !(differs[0] | differs[1] | differs[2] | differs[3]);
}

void writer_batch_split(struct writer_batch *b)
{
	size_t nr_fields = b->source->nr_fields, nr = b->nr - b->nr_split;

	if (!nr)
		return;
	for (size_t f = 0; f < nr_fields; f++) {
		const uint64_t *from = b->tile + f * WRITER_STEP;
		uint64_t *column = b->columns + f * b->cap;

		if (!b->nr_split)
			b->first[f] = from[0];
		if (!b->varies[f]) {
			if (is_all(from, nr, b->first[f]))
				continue;
			for (size_t i = 0; i < b->nr_split; i++)
				column[i] = b->first[f];
			b->varies[f] = true;
		}
		memcpy(column + b->nr_split, from, nr * sizeof(*column));
	}
	b->nr_split = b->nr;
}

/* --- losses ---------------------------------------------------------------------------- */

static uint64_t hits_of(const struct writer_batch *b, size_t i)
{
	const struct writer_source *s = b->source;

	return s->count_field < s->nr_fields ? writer_batch_value(b, i, s->count_field) : 1;
}

uint64_t writer_batch_hits(const struct writer_batch *b)
{
	uint64_t hits = 0;

	for (uint32_t i = 0; i < b->nr; i++)
		hits += hits_of(b, i);
	return hits;
}

int writer_batch_losses(const struct writer_batch *b, struct writer_rows *r)
{
	const struct writer_source *s = b->source;
	int err = 0;

	for (uint32_t first = 0, past; first < b->nr && !err; first = past) {
		uint64_t cells[6] = { UINT64_MAX, 0, 0, s->event, LOSS_OUTPUT, 0 };

		for (past = first; past < b->nr; past++) {
			uint64_t time = writer_batch_value(b, past, s->time_field);
			uint64_t cpu = s->cpu_field < s->nr_fields ?
				       writer_batch_value(b, past, s->cpu_field) : NO_CPU;

			if (past > first && cpu != cells[LOSS_CPU - 1])
				break;
			cells[LOSS_CPU - 1] = cpu;
			if (time < cells[LOSS_FIRST - 1])
				cells[LOSS_FIRST - 1] = time;
			cells[LOSS_LAST - 1] = time;
			cells[LOSS_COUNT - 1] += hits_of(b, past);
		}
		err = writer_rows_add(r, ROWS_LOSS, cells);
	}
	return err;
}
