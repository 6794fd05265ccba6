#include "format/trace_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NR_EVENT_COLUMNS EVENT_FIELD_FROM
#define MAX_ROWS 65536

/* The block as columns: cell (row, column id) of nr rows. */
struct event_rows {
	uint64_t *v;
	size_t nr;
};

static uint64_t cell(const struct event_rows *r, size_t row, enum event_column column)
{
	return r->v[(column - 1) * r->nr + row];
}

static uint8_t small(uint64_t v)
{
	return v < UINT8_MAX ? (uint8_t)v : UINT8_MAX;
}

static const char *text(const struct trace *t, uint64_t id)
{
	return trace_text(t, id <= BLOCK_MAX_ID ? (uint32_t)id : 0);
}

/* NULL when there is none. */
static const char *text_or_null(const struct trace *t, uint64_t id)
{
	const char *s = text(t, id);

	return *s ? s : NULL;
}

/* What makes it a part.  It must fit the whole, which stands before it. */
static int make_part(struct trace *t, const struct event_rows *r, size_t first,
		     struct trace_event *e)
{
	uint64_t whole = cell(r, first, EVENT_PART_OF);
	const char **from;

	if (!whole)
		return 0;
	from = arena_alloc(&t->arena, e->nr_fields * sizeof(*from));
	if (!from)
		return -ENOMEM;
	t->used_bytes += e->nr_fields * sizeof(*from);
	for (uint32_t f = 0; f < e->nr_fields; f++)
		from[f] = text(t, cell(r, first + f, EVENT_FIELD_FROM));
	e->part_of = whole <= BLOCK_MAX_EVENT ? (uint32_t)whole : 0;
	e->part_if = text_or_null(t, cell(r, first, EVENT_PART_IF));
	e->part_from = from;
	return e->part_of != e->id && trace_part_whole(t, e) ? 0 : -EBADMSG;
}

static int make_event(struct trace *t, const struct event_rows *r, size_t first, uint32_t nr)
{
	size_t size = sizeof(struct trace_event) + nr * sizeof(struct field_desc);
	int err;
	uint32_t id = (uint32_t)cell(r, first, EVENT_ID);
	struct trace_event *e;
	struct field_desc *fields;

	if (t->used_bytes + size > trace_dict_limit(t))
		return -EBADMSG;
	e = arena_alloc(&t->arena, sizeof(*e));
	fields = arena_alloc(&t->arena, nr * sizeof(*fields));
	if (!e || !fields)
		return -ENOMEM;
	t->used_bytes += size;
	*e = (struct trace_event){
		.id = id,
		.name = text(t, cell(r, first, EVENT_NAME)),
		.nr_fields = nr,
		.fields = fields,
		.format = text(t, cell(r, first, EVENT_FORMAT)),
	};
	for (size_t i = 0; i < ROLE_MAX; i++)
		e->by_role[i] = -1;
	for (uint32_t f = 0; f < nr; f++) {
		fields[f] = (struct field_desc){
			.name = text(t, cell(r, first + f, EVENT_FIELD_NAME)),
			.type = small(cell(r, first + f, EVENT_FIELD_TYPE)),
			.role = small(cell(r, first + f, EVENT_FIELD_ROLE)),
			.hint = small(cell(r, first + f, EVENT_FIELD_HINT)),
			.class = small(cell(r, first + f, EVENT_FIELD_CLASS)),
			.unit = text(t, cell(r, first + f, EVENT_FIELD_UNIT)),
			.values = text_or_null(t, cell(r, first + f, EVENT_FIELD_VALUES)),
		};
		if (cell(r, first + f, EVENT_FIELD) != f + 1)
			return -EBADMSG;
		if (fields[f].role < ROLE_MAX && e->by_role[fields[f].role] < 0)
			e->by_role[fields[f].role] = (int)f;
	}
	if (e->by_role[ROLE_TIME] < 0)
		return -EBADMSG;
	err = make_part(t, r, first, e);
	if (err)
		return err;
	if (!t->events[id]) {
		uint32_t *slot = trace_list_add(&t->event_ids, 1, &t->used_bytes,
						trace_dict_limit(t));

		if (!slot)
			return -EBADMSG;
		*slot = id;
	}
	t->events[id] = e;
	return 0;
}

static int make_events(struct trace *t, const struct event_rows *r)
{
	int err = 0, bad = 0;

	for (size_t i = 0, nr; i < r->nr && err != -ENOMEM; i += nr) {
		uint64_t id = cell(r, i, EVENT_ID);

		for (nr = 1; i + nr < r->nr && cell(r, i + nr, EVENT_ID) == id; nr++)
			;
		err = -EBADMSG;
		if (id && id <= BLOCK_MAX_EVENT && nr < TABLE_MAX_COLUMNS)
			err = make_event(t, r, i, (uint32_t)nr);
		bad = err ? err : bad;
	}
	return bad;
}

int trace_events_load(struct trace *t, const struct table *table)
{
	struct event_rows r = { .nr = table->nr };
	int err = 0;

	if (r.nr > MAX_ROWS)
		return -EBADMSG;
	if (!t->events)
		t->events = calloc(BLOCK_MAX_EVENT + 1, sizeof(*t->events));
	r.v = malloc((r.nr + 1) * NR_EVENT_COLUMNS * sizeof(*r.v));
	if (!t->events || !r.v)
		err = -ENOMEM;
	for (uint32_t id = 1; !err && id <= NR_EVENT_COLUMNS; id++)
		err = table_read_numbers(t->decoder, table, table_find(table, id),
					 r.v + (id - 1) * r.nr);
	if (!err)
		err = make_events(t, &r);
	free(r.v);
	return err;
}
