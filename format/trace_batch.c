#include "format/trace_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * Numbers are kept for the next batch, unless events of many shapes have left
 * more than any single batch can need; text is not.
 */
static void forget_cells(struct trace *t)
{
	bool too_many = t->cell_numbers > BLOCK_MAX_NUMBERS;

	for (size_t i = 0; i < TABLE_MAX_COLUMNS; i++) {
		struct trace_cell *cell = &t->cells[i];

		if (too_many) {
			free(cell->numbers);
			cell->numbers = NULL;
			cell->cap = 0;
		}
		free(cell->lens);
		free(cell->bytes);
		cell->lens = NULL;
		cell->bytes = NULL;
		cell->state = CELL_EMPTY;
	}
	if (too_many)
		t->cell_numbers = 0;
	t->cell_text_bytes = 0;
}

static bool is_wanted(const struct trace_want *want, const struct trace_block *b,
		      const struct trace_event *e)
{
	if (!want)
		return true;
	if (b->last_ns < want->first_ns || b->first_ns > want->last_ns)
		return false;
	return !want->event || want->event(want->ctx, e);
}

/* 1 when the block is a batch now, 0 when it is passed over. */
static int begin_batch(struct trace *t, struct trace_block *b, const struct trace_event *e,
		       const uint8_t *payload, struct trace_batch *batch)
{
	if (!payload)
		return 0;
	if ((uint64_t)b->nr_records * e->nr_fields > BLOCK_MAX_NUMBERS ||
	    table_parse(&t->table, payload, b->payload_bytes, b->nr_records)) {
		trace_blocks_damaged(t, b);
		return 0;
	}
	forget_cells(t);
	table_links_clear(&t->links);
	t->block = b;
	*batch = (struct trace_batch){
		.event = e,
		.nr = b->nr_records,
		.first_ns = b->first_ns,
		.last_ns = b->last_ns,
		.safe_ns = b->safe_ns,
		.trace = t,
	};
	return 1;
}

static int next_of_file(struct trace *t, const struct trace_want *want,
			struct trace_batch *batch)
{
	while (t->next_block < t->nr_blocks) {
		struct trace_block *b = &t->blocks[t->next_block++];
		const struct trace_event *e = trace_event_by_id(t, b->event);

		if (b->type != BLOCK_RECORDS || !b->nr_records || b->damaged)
			continue;
		if (!e || e->part_of) {
			trace_blocks_damaged(t, b);
			continue;
		}
		if (!is_wanted(want, b, e))
			continue;
		if (begin_batch(t, b, e, trace_blocks_payload(t, b, &t->window), batch))
			return 1;
		if (t->source.err)
			return t->source.err;
	}
	return 0;
}

static int next_of_stream(struct trace *t, const struct trace_want *want,
			  struct trace_batch *batch)
{
	struct trace_block *b = &t->stream_block;
	const struct trace_event *e;
	const uint8_t *payload;
	int ret;

	while ((ret = trace_blocks_stream(t, b, &payload)) > 0) {
		if (b->type != BLOCK_RECORDS) {
			int err = trace_dict_load(t, b, payload);

			if (err == -ENOMEM)
				return err;
			if (err)
				trace_blocks_damaged(t, b);
			continue;
		}
		e = trace_event_by_id(t, b->event);
		if (!e || e->part_of)
			trace_blocks_damaged(t, b);
		else if (b->nr_records && is_wanted(want, b, e) &&
			 begin_batch(t, b, e, payload, batch))
			return 1;
	}
	return ret;
}

int trace_next(struct trace *t, const struct trace_want *want,
	       struct trace_batch *batch, struct diag *d)
{
	int ret = t->stream ? next_of_stream(t, want, batch) : next_of_file(t, want, batch);

	if (ret < 0)
		diag_set(d, ret, "cannot read '%s': %s", t->name, strerror(-ret));
	return ret;
}

int trace_rewind(struct trace *t)
{
	if (t->stream)
		return -ESPIPE;
	t->next_block = 0;
	return 0;
}

/* What is in memory has no block that could be damaged. */
void trace_damaged(struct trace_batch *batch)
{
	if (batch->columns)
		return;
	if (batch->whole) {
		trace_damaged(batch->whole);
		return;
	}
	trace_blocks_damaged(batch->trace, batch->trace->block);
}

static const struct table_column *column_of(const struct trace *t, uint32_t field)
{
	return table_find(&t->table, field + 1);
}

static const uint64_t *read_column(struct trace_batch *batch, uint32_t field);

/* Fields of which another one's column is made. */
static const uint64_t *column_for_another(void *ctx, const struct table_column *c)
{
	struct trace_batch *batch = ctx;

	if (!c->id || c->id > batch->event->nr_fields ||
	    batch->event->fields[c->id - 1].type == FIELD_BYTES)
		return NULL;
	return read_column(batch, c->id - 1);
}

static const uint64_t *read_column(struct trace_batch *batch, uint32_t field)
{
	struct trace *t = batch->trace;
	struct trace_cell *cell = &t->cells[field];
	struct table_context context = { column_for_another, batch, &t->links };

	if (cell->state == CELL_EMPTY) {
		cell->state = CELL_DAMAGED;
		if (batch->nr > cell->cap) {
			uint64_t *numbers = realloc(cell->numbers,
						    batch->nr * sizeof(*numbers));

			if (!numbers)
				return NULL;
			t->cell_numbers += batch->nr - cell->cap;
			cell->numbers = numbers;
			cell->cap = batch->nr;
		}
		if (!table_read_in_context(t->decoder, &t->table, column_of(t, field), &context,
					   cell->numbers))
			cell->state = CELL_NUMBERS;
	}
	return cell->state == CELL_NUMBERS ? cell->numbers : NULL;
}

const uint64_t *trace_column(struct trace_batch *batch, uint32_t field)
{
	if (field >= batch->event->nr_fields || batch->event->fields[field].type == FIELD_BYTES)
		return NULL;
	if (batch->columns)
		return batch->columns[field];
	if (batch->whole)
		return trace_part_column(batch, field);
	return read_column(batch, field);
}

bool trace_column_constant(struct trace_batch *batch, uint32_t field, uint64_t *value)
{
	struct trace *t = batch->trace;

	if (field >= batch->event->nr_fields || batch->event->fields[field].type == FIELD_BYTES ||
	    batch->columns)
		return false;
	if (batch->whole)
		return trace_column_constant(batch->whole, trace_part_field(batch, field), value);
	return table_is_constant(&t->table, column_of(t, field), value);
}

static int read_bytes(struct trace_batch *batch, uint32_t field, struct trace_cell *cell)
{
	struct trace *t = batch->trace;
	const uint8_t *bytes;
	size_t total;
	int err;

	cell->lens = malloc(batch->nr * sizeof(*cell->lens));
	if (!cell->lens)
		return -ENOMEM;
	err = table_read_strings(t->decoder, &t->table, column_of(t, field), cell->lens,
				 &bytes, &total);
	if (err)
		return err;
	if (total > BLOCK_MAX_TEXT - t->cell_text_bytes)
		return -EBADMSG;
	/* The decoder's memory serves the next column, too. */
	cell->bytes = malloc(total + 1);
	if (!cell->bytes)
		return -ENOMEM;
	memcpy(cell->bytes, bytes, total);
	t->cell_text_bytes += total;
	return 0;
}

int trace_column_bytes(struct trace_batch *batch, uint32_t field,
		       const uint32_t **lens, const uint8_t **bytes)
{
	struct trace_cell *cell;
	int err;

	if (field >= batch->event->nr_fields || batch->event->fields[field].type != FIELD_BYTES)
		return -EINVAL;
	if (batch->columns) {
		*lens = batch->texts[field].lens;
		*bytes = batch->texts[field].bytes;
		return 0;
	}
	if (batch->whole)
		return trace_column_bytes(batch->whole, trace_part_field(batch, field), lens,
					  bytes);
	cell = &batch->trace->cells[field];
	if (cell->state == CELL_EMPTY) {
		err = read_bytes(batch, field, cell);
		cell->state = err ? CELL_DAMAGED : CELL_BYTES;
		if (err)
			return err;
	}
	if (cell->state != CELL_BYTES)
		return -EBADMSG;
	*lens = cell->lens;
	*bytes = cell->bytes;
	return 0;
}
