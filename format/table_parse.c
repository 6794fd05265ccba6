#include "format/table.h"

#include <errno.h>

#include "format/block.h"
#include "format/cursor.h"

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
