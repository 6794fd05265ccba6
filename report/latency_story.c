#include "report/latency_story.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "report/slicetime.h"
#include "report/valuenames.h"

static const enum field_role roles[LATENCY_NR_FIELDS] = {
	[LATENCY_TIME] = ROLE_TIME, [LATENCY_TASK] = ROLE_TASK,
	[LATENCY_DURATION] = ROLE_DURATION, [LATENCY_RUNNABLE] = ROLE_RUNNABLE,
	[LATENCY_SLICE] = ROLE_SLICE, [LATENCY_SKIPPED] = ROLE_SKIPPED,
	[LATENCY_USER] = ROLE_USER_TIME, [LATENCY_SYSTEM] = ROLE_SYSTEM_TIME,
	[LATENCY_IRQ] = ROLE_INTERRUPTED, [LATENCY_REASON] = ROLE_REASON,
	[LATENCY_IDLE] = ROLE_IDLE, [LATENCY_STACK] = ROLE_STACK, [LATENCY_WAKER] = ROLE_WAKER,
	[LATENCY_WAKER_STACK] = ROLE_WAKER_STACK, [LATENCY_CONTEXT] = ROLE_WAKER_CONTEXT,
	[LATENCY_EDGE] = ROLE_EDGE,
};

/* A role may be on any field of a strange file: numbers that are none are as if not there. */
static bool is_number(const struct trace_event *e, int field)
{
	return e->fields[field].type != FIELD_BYTES && e->fields[field].type != FIELD_STRING &&
	       e->fields[field].type != FIELD_FLOAT;
}

static bool is_time(const struct trace_event *e, enum field_role role)
{
	int field = e->by_role[role];

	return field >= 0 && e->fields[field].type == FIELD_UNSIGNED &&
	       !strcmp(e->fields[field].unit, "ns");
}

bool latency_story_is(const struct trace_event *e)
{
	int task = e->by_role[ROLE_TASK];

	return is_time(e, ROLE_SLICE) && is_time(e, ROLE_DURATION) && task >= 0 &&
	       e->fields[task].type == FIELD_TASK && e->by_role[ROLE_TIME] >= 0;
}

int latency_story_open(struct latency_story *s, const struct query_batch *b)
{
	int err = 0;

	if (s->event != b->event)
		memset(s->reasons, 0, sizeof(s->reasons));
	s->event = b->event;
	s->has_constants = false;
	for (size_t i = 0; i < LATENCY_NR_FIELDS && !err; i++) {
		int field = b->event->by_role[roles[i]];

		if (field >= 0 && !is_number(b->event, field))
			field = -1;
		err = column_open(&s->columns[i], b, field, 0);
	}
	return err;
}

/* --- names of numbers ------------------------------------------------------------------ */

/* False if the number has none: then it is itself. */
static bool put_name(char to[LATENCY_STORY_NAME_BYTES], const char *values, uint64_t number)
{
	struct valuenames n;
	const char *name;
	size_t len;

	valuenames_begin(&n, values, number);
	if (!values || *values != '=' || !valuenames_next(&n, &name, &len)) {
		snprintf(to, LATENCY_STORY_NAME_BYTES, "%llu", (unsigned long long)number);
		return false;
	}
	snprintf(to, LATENCY_STORY_NAME_BYTES, "%.*s", (int)len, name);
	return true;
}

/* The last name is that of all for which there is no room. */
static uint8_t add_name(struct latency_story_names *names, const char *name)
{
	uint8_t i = 0;

	while (i < names->nr && strcmp(names->names[i], name))
		i++;
	if (i < names->nr)
		return i;
	if (i >= LATENCY_STORY_REASONS - 1) {
		i = LATENCY_STORY_REASONS - 1;
		name = "(more)";
	}
	snprintf(names->names[i], LATENCY_STORY_NAME_BYTES, "%s", name);
	names->nr = (uint8_t)(i + 1);
	return i;
}

static uint8_t reason_of(struct latency_story *s, struct latency_story_names *names,
			 uint64_t number)
{
	int field = s->event->by_role[ROLE_REASON];
	char name[LATENCY_STORY_NAME_BYTES];
	uint8_t reason;

	if (number < LATENCY_STORY_REASONS && s->reasons[number])
		return (uint8_t)(s->reasons[number] - 1);
	if (field < 0)
		snprintf(name, sizeof(name), "(not told)");
	else
		put_name(name, s->event->fields[field].values, number);
	reason = add_name(names, name);
	if (number < LATENCY_STORY_REASONS)
		s->reasons[number] = (uint8_t)(reason + 1);
	return reason;
}

const char *latency_story_context(const struct trace *t, uint8_t context,
				  char to[LATENCY_STORY_NAME_BYTES])
{
	for (size_t i = 0; i < trace_nr_events(t) && context; i++) {
		const struct trace_event *e = trace_event_at(t, i);
		int field = e->by_role[ROLE_WAKER_CONTEXT];

		if (field >= 0 && latency_story_is(e) &&
		    put_name(to, e->fields[field].values, context))
			return to;
	}
	return NULL;
}

/* --- records --------------------------------------------------------------------------- */

/* The part that there can be of what is claimed. */
static void take(struct latency_story *s, uint64_t *claimed, uint64_t *left)
{
	uint64_t taken = *claimed < *left ? *claimed : *left;

	s->nr_impossible += taken < *claimed;
	*claimed = taken;
	*left -= taken;
}

/* The rare record that claims more than there was. */
static void cut_claims(struct latency_story *s, struct latency_piece *p, uint64_t off)
{
	uint64_t left = p->time_ns, in_slice;

	take(s, &off, &left);
	take(s, &p->on_ns, &left);
	take(s, &p->skipped_ns, &left);
	take(s, &p->runq_ns, &off);
	p->blocked_ns = off;
	in_slice = p->on_ns;
	take(s, &p->irq_ns, &in_slice);
	/* What it claimed may stand for all rows. */
	s->has_constants = false;
}

/* Numbers of some rows, one by one. */
static const uint64_t *numbers_of(const struct column *c, const uint32_t *rows, size_t i,
				  size_t nr, uint64_t room[LATENCY_STORY_PIECES])
{
	if (c->mask && !rows)
		return c->values + i;
	for (size_t k = 0; k < nr; k++)
		room[k] = column_at(c, rows ? rows[i + k] : 0);
	return room;
}

enum how { AS_TIME, AS_ID, AS_CONTEXT, AS_FLAG, AS_EDGE };

/* Durations and reasons are put in row by row. */
static const struct place {
	enum latency_story_field field;
	enum how how;
	size_t offset;
} places[] = {
	{ LATENCY_TIME, AS_TIME, offsetof(struct latency_piece, time_ns) },
	{ LATENCY_RUNNABLE, AS_TIME, offsetof(struct latency_piece, runq_ns) },
	{ LATENCY_SLICE, AS_TIME, offsetof(struct latency_piece, on_ns) },
	{ LATENCY_SKIPPED, AS_TIME, offsetof(struct latency_piece, skipped_ns) },
	{ LATENCY_IRQ, AS_TIME, offsetof(struct latency_piece, irq_ns) },
	{ LATENCY_USER, AS_TIME, offsetof(struct latency_piece, user_ticks_ns) },
	{ LATENCY_SYSTEM, AS_TIME, offsetof(struct latency_piece, system_ticks_ns) },
	{ LATENCY_TASK, AS_ID, offsetof(struct latency_piece, task) },
	{ LATENCY_STACK, AS_ID, offsetof(struct latency_piece, stack) },
	{ LATENCY_WAKER, AS_ID, offsetof(struct latency_piece, waker) },
	{ LATENCY_WAKER_STACK, AS_ID, offsetof(struct latency_piece, waker_stack) },
	{ LATENCY_CONTEXT, AS_CONTEXT, offsetof(struct latency_piece, context) },
	{ LATENCY_IDLE, AS_FLAG, offsetof(struct latency_piece, idle) },
	{ LATENCY_EDGE, AS_EDGE, offsetof(struct latency_piece, edge) },
};

/* One loop for each kind of number, so that a column goes by in few instructions. */
static void put_numbers(struct latency_piece *p, const struct place *place,
			const uint64_t *from, size_t nr)
{
	uint8_t *to = (uint8_t *)p + place->offset;
	const size_t step = sizeof(*p);

	switch (place->how) {
	case AS_TIME:
		for (size_t k = 0; k < nr; k++)
			*(uint64_t *)(to + k * step) = from[k];
		break;
	case AS_ID:
		for (size_t k = 0; k < nr; k++)
			*(uint32_t *)(to + k * step) = from[k] <= UINT32_MAX ?
						       (uint32_t)from[k] : 0;
		break;
	case AS_CONTEXT:
		for (size_t k = 0; k < nr; k++)
			to[k * step] = from[k] < UINT8_MAX ? (uint8_t)from[k] : UINT8_MAX;
		break;
	case AS_FLAG:
		for (size_t k = 0; k < nr; k++)
			*(bool *)(to + k * step) = from[k] != 0;
		break;
	case AS_EDGE:
		for (size_t k = 0; k < nr; k++)
			to[k * step] = from[k] & (EDGE_START | EDGE_END);
		break;
	}
}

static void put_columns(struct latency_story *s, const uint32_t *rows, size_t i, size_t nr)
{
	uint64_t room[LATENCY_STORY_PIECES];

	for (size_t k = 0; k < sizeof(places) / sizeof(places[0]); k++) {
		const struct column *c = &s->columns[places[k].field];

		if (!c->mask && s->has_constants)
			continue;
		/* Constants are put into all pieces, for later rows. */
		if (!c->mask)
			put_numbers(s->pieces, &places[k], numbers_of(c, rows, 0,
				    LATENCY_STORY_PIECES, room), LATENCY_STORY_PIECES);
		else
			put_numbers(s->pieces, &places[k], numbers_of(c, rows, i, nr, room), nr);
	}
	s->has_constants = true;
}

/* What goes on at the end of the recording has nobody who ends it. */
static void count_unwoken(struct latency_story *s, const struct latency_piece *p)
{
	if (p->runq_ns || (p->edge & EDGE_END))
		return;
	s->nr_unwoken++;
	if (__builtin_add_overflow(s->unwoken_ns, p->blocked_ns, &s->unwoken_ns))
		s->unwoken_ns = UINT64_MAX;
}

const struct latency_piece *latency_story_get(struct latency_story *s,
					      struct latency_story_names *names,
					      const struct query_batch *b, size_t i, size_t *nr)
{
	uint64_t off_room[LATENCY_STORY_PIECES], reason_room[LATENCY_STORY_PIECES];
	const uint64_t *off, *reason;
	bool tells_wakers;

	tells_wakers = s->event->by_role[ROLE_WAKER] >= 0;
	*nr = b->nr - i < LATENCY_STORY_PIECES ? b->nr - i : LATENCY_STORY_PIECES;
	put_columns(s, b->rows, i, *nr);
	off = numbers_of(&s->columns[LATENCY_DURATION], b->rows, i, *nr, off_room);
	reason = numbers_of(&s->columns[LATENCY_REASON], b->rows, i, *nr, reason_room);
	for (size_t k = 0; k < *nr; k++) {
		struct latency_piece *p = &s->pieces[k];
		uint64_t left = p->time_ns - off[k];

		p->blocked_ns = off[k] - p->runq_ns;
		if (off[k] > p->time_ns || p->on_ns > left || p->skipped_ns > left - p->on_ns ||
		    p->runq_ns > off[k] || p->irq_ns > p->on_ns)
			cut_claims(s, p, off[k]);
		p->reason = p->blocked_ns ? reason_of(s, names, reason[k]) : 0;
		if (!p->waker && p->blocked_ns && tells_wakers)
			count_unwoken(s, p);
	}
	return s->pieces;
}

/* --- cutting --------------------------------------------------------------------------- */

bool latency_story_cut(struct latency_piece *p, uint64_t first_ns, uint64_t last_ns)
{
	struct slicetime t = { p->on_ns, p->skipped_ns, p->blocked_ns, p->runq_ns };
	uint64_t on = p->on_ns;

	if (p->time_ns <= last_ns && p->time_ns - slicetime_ns(&t) >= first_ns)
		return true;
	if (!slicetime_cut(&t, p->time_ns, first_ns, last_ns))
		return false;
	p->on_ns = t.on_ns;
	p->skipped_ns = t.skipped_ns;
	p->blocked_ns = t.blocked_ns;
	p->runq_ns = t.runq_ns;
	p->irq_ns = slicetime_share(p->irq_ns, p->on_ns, on);
	if (p->irq_ns > p->on_ns)
		p->irq_ns = p->on_ns;
	p->user_ticks_ns = slicetime_share(p->user_ticks_ns, p->on_ns, on);
	p->system_ticks_ns = slicetime_share(p->system_ticks_ns, p->on_ns, on);
	if (p->time_ns > last_ns)
		p->time_ns = last_ns;
	return true;
}
