#include "format/trace_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* On a pipe more events may come; they take their ids from below. */
static uint32_t free_id(const struct trace *t)
{
	uint32_t id = BLOCK_MAX_EVENT;

	if (!t->stream)
		for (id = 1; id <= BLOCK_MAX_EVENT && t->events[id];)
			id++;
	while (id && id <= BLOCK_MAX_EVENT && t->events[id])
		id--;
	return id <= BLOCK_MAX_EVENT ? id : 0;
}

static int copy_field(struct trace *t, struct field_desc *to, const struct field_desc *from)
{
	*to = *from;
	to->name = arena_text(&t->arena, from->name, strlen(from->name));
	to->unit = arena_text(&t->arena, from->unit, strlen(from->unit));
	if (from->values)
		to->values = arena_text(&t->arena, from->values, strlen(from->values));
	return to->name && to->unit && !to->values == !from->values ? 0 : -ENOMEM;
}

/* A part of an event that is known; -EINVAL when it does not fit. */
static int copy_part(struct trace *t, struct trace_event *e, const struct event_desc *desc)
{
	const char **from = arena_alloc(&t->arena, desc->nr_fields * sizeof(*from));

	if (!from)
		return -ENOMEM;
	for (size_t i = 0; i < trace_nr_events(t); i++)
		if (!strcmp(trace_event_at(t, i)->name, desc->part_of))
			e->part_of = trace_event_at(t, i)->id;
	if (desc->part_if)
		e->part_if = arena_text(&t->arena, desc->part_if, strlen(desc->part_if));
	for (uint32_t f = 0; f < desc->nr_fields; f++) {
		from[f] = arena_text(&t->arena, desc->part_from[f], strlen(desc->part_from[f]));
		if (!from[f])
			return -ENOMEM;
	}
	e->part_from = from;
	if (!e->part_if != !desc->part_if)
		return -ENOMEM;
	return trace_part_whole(t, e) ? 0 : -EINVAL;
}

int trace_add_event(struct trace *t, const struct event_desc *desc,
		    const struct trace_event **out)
{
	struct trace_event *e = arena_alloc(&t->arena, sizeof(*e));
	struct field_desc *fields = arena_alloc(&t->arena, desc->nr_fields * sizeof(*fields));
	uint32_t *slot;
	int err = 0;

	if (!t->events)
		t->events = calloc(BLOCK_MAX_EVENT + 1, sizeof(*t->events));
	if (!e || !fields || !t->events)
		return -ENOMEM;
	*e = (struct trace_event){
		.id = free_id(t),
		.name = arena_text(&t->arena, desc->name, strlen(desc->name)),
		.nr_fields = desc->nr_fields, .fields = fields, .format = "",
	};
	if (!e->id)
		return -ENOSPC;
	for (size_t i = 0; i < ROLE_MAX; i++)
		e->by_role[i] = -1;
	for (uint32_t f = 0; f < desc->nr_fields && !err; f++) {
		err = copy_field(t, &fields[f], &desc->fields[f]);
		if (fields[f].role < ROLE_MAX && e->by_role[fields[f].role] < 0)
			e->by_role[fields[f].role] = (int)f;
	}
	if (!err && desc->part_of)
		err = copy_part(t, e, desc);
	if (err)
		return err;
	slot = trace_list_add(&t->event_ids, 1, &t->used_bytes, UINT64_MAX);
	if (!e->name || !slot)
		return -ENOMEM;
	*slot = e->id;
	t->events[e->id] = e;
	*out = e;
	return 0;
}
