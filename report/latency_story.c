#include "report/latency_story.h"

#include <stdio.h>
#include <string.h>

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

static uint64_t at(const struct latency_story *s, enum latency_story_field field, size_t row)
{
	return column_at(&s->columns[field], row);
}

static uint32_t id_at(const struct latency_story *s, enum latency_story_field field, size_t row)
{
	uint64_t id = at(s, field, row);

	return id <= UINT32_MAX ? (uint32_t)id : 0;
}

/* The part that there can be of what is claimed. */
static uint64_t take(struct latency_story *s, uint64_t claimed, uint64_t *left)
{
	uint64_t taken = claimed < *left ? claimed : *left;

	s->nr_impossible += taken < claimed;
	*left -= taken;
	return taken;
}

void latency_story_get(struct latency_story *s, struct latency_story_names *names, size_t row,
		       struct latency_piece *out)
{
	uint64_t left = at(s, LATENCY_TIME, row), off, in_slice;
	uint64_t context = at(s, LATENCY_CONTEXT, row);

	out->time_ns = left;
	off = take(s, at(s, LATENCY_DURATION, row), &left);
	out->on_ns = take(s, at(s, LATENCY_SLICE, row), &left);
	out->skipped_ns = take(s, at(s, LATENCY_SKIPPED, row), &left);
	out->runq_ns = take(s, at(s, LATENCY_RUNNABLE, row), &off);
	out->blocked_ns = off;
	in_slice = out->on_ns;
	out->irq_ns = take(s, at(s, LATENCY_IRQ, row), &in_slice);
	out->user_ticks_ns = at(s, LATENCY_USER, row);
	out->system_ticks_ns = at(s, LATENCY_SYSTEM, row);
	out->task = id_at(s, LATENCY_TASK, row);
	out->stack = id_at(s, LATENCY_STACK, row);
	out->waker = id_at(s, LATENCY_WAKER, row);
	out->waker_stack = id_at(s, LATENCY_WAKER_STACK, row);
	out->reason = out->blocked_ns ? reason_of(s, names, at(s, LATENCY_REASON, row)) : 0;
	out->idle = at(s, LATENCY_IDLE, row) != 0;
	out->still = (~at(s, LATENCY_EDGE, row) & (EDGE_START | EDGE_END)) == 0;
	out->context = context < UINT8_MAX ? (uint8_t)context : UINT8_MAX;
}

/* --- cutting --------------------------------------------------------------------------- */

/* What is left of `ns` that ended at *end_ns; *end_ns becomes its start. */
static uint64_t cut(uint64_t ns, uint64_t *end_ns, uint64_t first_ns, uint64_t last_ns)
{
	uint64_t from = *end_ns - ns, to = *end_ns;

	*end_ns = from;
	if (from < first_ns)
		from = first_ns;
	if (to > last_ns)
		to = last_ns;
	return to > from ? to - from : 0;
}

/* part / whole of v; the whole is not less than the part. */
static uint64_t share(uint64_t v, uint64_t part, uint64_t whole)
{
	double d = whole ? (double)v * ((double)part / (double)whole) : 0;

	return part >= whole || d >= (double)v ? v : (uint64_t)d;
}

bool latency_story_cut(struct latency_piece *p, uint64_t first_ns, uint64_t last_ns)
{
	uint64_t whole = latency_story_ns(p), end = p->time_ns, mixed, on = p->on_ns, left;

	if (p->time_ns <= last_ns && p->time_ns - whole >= first_ns)
		return true;
	p->runq_ns = cut(p->runq_ns, &end, first_ns, last_ns);
	p->blocked_ns = cut(p->blocked_ns, &end, first_ns, last_ns);
	mixed = on + p->skipped_ns;
	left = cut(mixed, &end, first_ns, last_ns);
	/* Where nothing is mixed nothing is rounded. */
	p->on_ns = p->skipped_ns ? share(on, left, mixed) : left;
	if (p->on_ns > left)
		p->on_ns = left;
	p->skipped_ns = left - p->on_ns;
	p->irq_ns = share(p->irq_ns, p->on_ns, on);
	if (p->irq_ns > p->on_ns)
		p->irq_ns = p->on_ns;
	p->user_ticks_ns = share(p->user_ticks_ns, p->on_ns, on);
	p->system_ticks_ns = share(p->system_ticks_ns, p->on_ns, on);
	if (p->time_ns > last_ns)
		p->time_ns = last_ns;
	return latency_story_ns(p) > 0;
}
