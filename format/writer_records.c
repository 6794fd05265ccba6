#include "format/writer_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_numbered(uint8_t type)
{
	return type == FIELD_STACK || type == FIELD_FRAME;
}

/* Of one that has none yet. */
static uint64_t new_number(struct writer *w, uint8_t type, uint64_t id)
{
	if (type == FIELD_STACK)
		writer_numbers_stack(w, id);
	else
		writer_numbers_frame(w, id);
	return writer_numbers_file(type == FIELD_STACK ? &w->stack_numbers : &w->frame_numbers,
				   id);
}

static inline uint64_t number_of(struct writer *w, uint8_t type, const struct writer_numbers *n,
				 uint64_t id)
{
	uint32_t number = id < n->cap ? n->to_file[id] : 0;

	return number || !id ? number : new_number(w, type, id);
}

static void number_column(struct writer *w, struct writer_batch *b, uint32_t field)
{
	uint64_t *column = b->columns + field * (size_t)b->cap;
	uint8_t type = b->source->types[field];
	const struct writer_numbers *n = type == FIELD_STACK ? &w->stack_numbers :
							       &w->frame_numbers;
	const uint32_t *order = b->order;
	uint32_t nr = b->varies[field] ? b->nr : 0;

	if (!nr)
		b->first[field] = number_of(w, type, n, b->first[field]);
	for (uint32_t i = 0; i < nr && order; i++)
		column[order[i]] = number_of(w, type, n, column[order[i]]);
	for (uint32_t i = 0; i < nr && !order; i++)
		column[i] = number_of(w, type, n, column[i]);
}

void writer_records_number(struct writer *w, struct writer_source *s)
{
	struct writer_batch *b = s->batch;

	if (!b || !b->nr || !s->nr_numbered || b->is_ordered)
		return;
	writer_block_fail(w, writer_order_find(b, &w->order));
	if (w->err)
		return;
	b->known_stack = w->stack_numbers.last;
	b->known_frame = w->frame_numbers.last;
	for (uint32_t k = 0; k < s->nr_numbered; k++)
		number_column(w, b, s->numbered[k]);
}

/* Nobody takes them: they are told as lost, by CPU. */
static void refuse(struct writer *w, struct writer_batch *b)
{
	int err = writer_order_find(b, &w->order);

	w->refused_records += writer_batch_hits(b);
	writer_block_fail(w, err ? err : writer_batch_losses(b, &w->rows[ROWS_LOSS]));
	writer_batch_clear(b);
}

/*
 * A batch that is rather empty is copied, so that events which are many and rare
 * do not each hold memory for a full block.
 */
static void hand_over(struct writer *w, struct writer_source *s)
{
	struct writer_batch *b = s->batch, *copy;

	if (b->nr >= b->cap / 4) {
		s->batch = NULL;
		writer_block_fail(w, writer_worker_records(w->worker, b));
		return;
	}
	copy = writer_batch_copy(b);
	writer_batch_clear(b);
	writer_block_fail(w, copy ? writer_worker_records(w->worker, copy) : -ENOMEM);
}

void writer_records_flush(struct writer *w, struct writer_source *s, uint64_t safe_ns)
{
	struct writer_batch *b = s->batch;

	if (!b || !b->nr)
		return;
	b->safe_ns = safe_ns;
	if (w->err) {
		writer_batch_clear(b);
	} else if (!w->worker) {
		writer_pack_records(&w->pack, b);
		writer_block_fail(w, w->pack.err);
		writer_batch_clear(b);
	} else if (!writer_worker_room(w->worker, writer_batch_bytes(b))) {
		refuse(w, b);
	} else {
		hand_over(w, s);
	}
}

/* --- the table ------------------------------------------------------------------------ */

static int grow(struct writer_pack *p, const struct writer_batch *b)
{
	size_t nr = (size_t)b->nr * b->source->nr_fields;

	if (b->order && nr > p->columns_cap) {
		free(p->columns);
		p->columns_cap = 0;
		p->columns = malloc(nr * sizeof(*p->columns));
		if (!p->columns)
			return -ENOMEM;
		p->columns_cap = nr;
	}
	if (b->source->has_texts && b->nr > p->lens_cap) {
		free(p->lens);
		p->lens_cap = 0;
		p->lens = malloc(b->nr * sizeof(*p->lens));
		if (!p->lens)
			return -ENOMEM;
		p->lens_cap = b->nr;
	}
	return 0;
}

/* Puts the columns in order, where they are not.  Those that do not vary stay unwritten. */
static int order_columns(struct writer_linked *l)
{
	struct writer_pack *p = l->p;
	const struct writer_batch *b = l->b;
	int err = grow(p, b);

	l->columns = b->order ? p->columns : b->columns;
	l->stride = b->order ? b->nr : b->cap;
	for (uint32_t f = 0; f < b->source->nr_fields && b->order && !err; f++) {
		const uint64_t *from = b->columns + f * (size_t)b->cap;
		uint64_t *to = p->columns + f * (size_t)b->nr;

		for (size_t i = 0; i < b->nr && b->varies[f]; i++)
			to[i] = from[b->order[i]];
	}
	return err;
}

static enum table_hint column_hint(uint8_t type, uint8_t role)
{
	switch (role) {
	case ROLE_TIME:
		return TABLE_ASCENDING;
	case ROLE_DURATION:
	case ROLE_SLICE:
	case ROLE_RUNNABLE:
	case ROLE_SKIPPED:
	case ROLE_INTERRUPTED:
		return TABLE_NOISY;
	default:
		break;
	}
	switch (type) {
	case FIELD_STRING:
	case FIELD_TASK:
	case FIELD_STACK:
	case FIELD_FLOAT:
		return TABLE_IDS;
	default:
		return TABLE_PLAIN;
	}
}

static int put_texts(struct writer_pack *p, const struct writer_batch *b, uint32_t field)
{
	bytebuf_clear(&p->texts);
	for (size_t i = 0; i < b->nr; i++) {
		uint64_t where = writer_batch_value(b, i, field);
		size_t offset = (size_t)(where >> WRITER_TEXT_SHIFT);

		p->lens[i] = where & ((1u << WRITER_TEXT_SHIFT) - 1);
		bytebuf_put(&p->texts, b->texts.data + offset, p->lens[i]);
	}
	if (!p->texts.err)
		table_strings(p->encoder, field + 1, p->lens, p->texts.data);
	return p->texts.err;
}

static int put_field(const struct writer_linked *l, uint32_t f)
{
	struct writer_pack *p = l->p;
	const struct writer_batch *b = l->b;
	const struct writer_source *s = b->source;
	const uint64_t *column = l->columns + f * l->stride;

	if (s->types[f] == FIELD_BYTES)
		return put_texts(p, b, f);
	if (!b->varies[f])
		table_constant(p->encoder, f + 1, b->first[f]);
	else if (is_numbered(s->types[f]))
		table_new_ids(p->encoder, f + 1, s->types[f] == FIELD_STACK ?
			      b->known_stack : b->known_frame, column);
	else
		table_numbers(p->encoder, f + 1, column_hint(s->types[f], s->roles[f]), column);
	return 0;
}

/*
 * Columns that can be predicted from others stand behind all that cannot, in the order in
 * which they are predicted from each other.
 */
int writer_records_encode(struct writer_pack *p, const struct writer_batch *b)
{
	const struct writer_source *s = b->source;
	struct writer_linked linked = { .p = p, .b = b };
	int err = order_columns(&linked);

	if (err)
		return err;
	writer_linked_begin(&linked);
	table_begin(p->encoder, &p->block, b->nr, s->nr_fields);
	for (uint32_t f = 0; f < s->nr_fields && !err; f++)
		if (!linked.is_later[f])
			err = put_field(&linked, f);
	for (uint32_t i = 0; i < linked.nr_later && !err; i++) {
		uint32_t f = linked.later[i];

		err = writer_linked_put(&linked, f, column_hint(s->types[f], s->roles[f]));
		if (err == -ENOENT)
			err = put_field(&linked, f);
	}
	return err ? err : table_end(p->encoder);
}
