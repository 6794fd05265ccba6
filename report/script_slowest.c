#include "report/script_slowest.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	uint64_t duration_ns, time_ns, seq;
	const struct trace_event *event;
	uint8_t *bytes;			/* of its FIELD_BYTES, behind the values */
	uint64_t values[];
};

/* A heap with the shortest on top, which is the next to go. */
struct slowest {
	struct entry **heap;
	size_t nr, cap, limit;
	uint64_t next_seq;
	bool any;			/* an event has a duration */
};

static bool is_shorter(const struct entry *a, const struct entry *b)
{
	if (a->duration_ns != b->duration_ns)
		return a->duration_ns < b->duration_ns;
	return a->time_ns != b->time_ns ? a->time_ns > b->time_ns : a->seq > b->seq;
}

static void sift_down(struct slowest *s, struct entry *e)
{
	size_t at = 0, child;

	while ((child = 2 * at + 1) < s->nr) {
		if (child + 1 < s->nr && is_shorter(s->heap[child + 1], s->heap[child]))
			child++;
		if (!is_shorter(s->heap[child], e))
			break;
		s->heap[at] = s->heap[child];
		at = child;
	}
	s->heap[at] = e;
}

static int push(struct slowest *s, struct entry *e)
{
	size_t at = s->nr;

	if (s->nr == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 64;
		struct entry **heap = realloc(s->heap, cap * sizeof(struct entry *));

		if (!heap)
			return -ENOMEM;
		s->heap = heap;
		s->cap = cap;
	}
	s->nr++;
	for (; at && is_shorter(e, s->heap[(at - 1) / 2]); at = (at - 1) / 2)
		s->heap[at] = s->heap[(at - 1) / 2];
	s->heap[at] = e;
	return 0;
}

/* --- taking a record in --------------------------------------------------------------- */

static int read_column(struct query_batch *b, uint32_t field, const uint64_t **values,
		       uint64_t *constant)
{
	*values = NULL;
	if (trace_column_constant(b->batch, field, constant))
		return 0;
	*values = trace_column(b->batch, field);
	return *values ? 0 : -EBADMSG;
}

/* Where the text of a row lies among that of all rows. */
static int find_bytes(struct query_batch *b, uint32_t field, uint32_t row,
		      const uint8_t **from, uint32_t *len)
{
	const uint32_t *lens;
	int err = trace_column_bytes(b->batch, field, &lens, from);

	for (uint32_t i = 0; i < row && !err; i++)
		*from += lens[i];
	*len = err ? 0 : lens[row];
	return err;
}

static int count_bytes(struct query_batch *b, uint32_t row, size_t *nr)
{
	const struct trace_event *e = b->event;
	const uint8_t *from;
	uint32_t len;
	int err = 0;

	*nr = 0;
	for (uint32_t f = 0; f < e->nr_fields && !err; f++) {
		if (e->fields[f].type != FIELD_BYTES)
			continue;
		err = find_bytes(b, f, row, &from, &len);
		*nr += len;
	}
	return err;
}

static int copy_fields(struct query_batch *b, uint32_t row, struct entry *e)
{
	const uint64_t *values;
	const uint8_t *from;
	uint64_t at = 0;
	uint32_t len;
	int err = 0;

	for (uint32_t f = 0; f < b->event->nr_fields && !err; f++) {
		if (b->event->fields[f].type != FIELD_BYTES) {
			err = read_column(b, f, &values, &e->values[f]);
			if (!err && values)
				e->values[f] = values[row];
			continue;
		}
		err = find_bytes(b, f, row, &from, &len);
		if (err)
			return err;
		memcpy(e->bytes + at, from, len);
		e->values[f] = at << 32 | len;
		at += len;
	}
	return err;
}

static int keep(struct slowest *s, struct query_batch *b, uint32_t row,
		const struct entry *head)
{
	size_t nr_bytes, size;
	struct entry *e;
	int err = count_bytes(b, row, &nr_bytes);

	if (err)
		return err;
	size = sizeof(*e) + b->event->nr_fields * sizeof(*e->values);
	e = malloc(size + nr_bytes);
	if (!e)
		return -ENOMEM;
	*e = *head;
	e->bytes = (uint8_t *)e + size;
	err = copy_fields(b, row, e);
	if (!err && s->nr < s->limit)
		err = push(s, e);
	else if (!err) {
		free(s->heap[0]);
		sift_down(s, e);
	}
	if (err)
		free(e);
	return err;
}

static int add_batch(void *ctx, struct query_batch *b)
{
	const int *by_role = b->event->by_role;
	const uint64_t *durations, *times;
	uint64_t duration = 0, time = 0;
	struct slowest *s = ctx;
	int err;

	if (by_role[ROLE_DURATION] < 0 || by_role[ROLE_TIME] < 0)
		return 0;
	s->any = true;
	err = read_column(b, (uint32_t)by_role[ROLE_DURATION], &durations, &duration);
	if (!err)
		err = read_column(b, (uint32_t)by_role[ROLE_TIME], &times, &time);
	for (size_t i = 0; i < b->nr && !err; i++) {
		uint32_t row = b->rows ? b->rows[i] : (uint32_t)i;
		const struct entry head = {
			.duration_ns = durations ? durations[row] : duration,
			.time_ns = times ? times[row] : time,
			.seq = s->next_seq++, .event = b->event,
		};

		if (s->nr < s->limit || is_shorter(s->heap[0], &head))
			err = keep(s, b, row, &head);
	}
	if (err != -EBADMSG)
		return err;
	trace_damaged(b->batch);
	return 0;
}

/* --- giving them out ------------------------------------------------------------------- */

static int compare(const void *va, const void *vb)
{
	const struct entry *const *a = va, *const *b = vb;

	return is_shorter(*b, *a) ? -1 : 1;
}

static uint32_t role(const struct entry *e, enum field_role r)
{
	int field = e->event->by_role[r];

	return field < 0 ? 0 : (uint32_t)e->values[field];
}

static int give(const struct slowest *s, query_record_fn fn, void *ctx)
{
	int err = 0;

	for (size_t i = 0; i < s->nr && !err; i++) {
		const struct entry *e = s->heap[i];
		const struct query_record r = {
			.event = e->event, .time_ns = e->time_ns, .cpu = role(e, ROLE_CPU),
			.task = role(e, ROLE_TASK), .stack = role(e, ROLE_STACK),
			.values = e->values, .bytes = e->bytes,
		};

		err = fn(ctx, &r);
	}
	return err;
}

/* Events without records count, too. */
static bool has_durations(struct query *q)
{
	struct trace *t = query_trace(q);

	for (size_t i = 0; i < trace_nr_events(t); i++) {
		const struct trace_event *e = trace_event_at(t, i);

		if (query_wants_event(q, e) && e->by_role[ROLE_DURATION] >= 0)
			return true;
	}
	return !trace_nr_events(t);
}

int script_slowest_each(struct query *q, uint64_t nr, query_record_fn fn, void *ctx,
			struct diag *d)
{
	struct slowest s = { .limit = nr };
	int err = query_each_batch(q, add_batch, &s, d);

	if (!err && !s.any && !has_durations(q))
		err = diag_set(d, -EINVAL, "no record has a duration (spans have: -e 'A..B@KEY' "
			       "makes them of two events)");
	if (!err) {
		if (s.nr)
			qsort(s.heap, s.nr, sizeof(struct entry *), compare);
		err = give(&s, fn, ctx);
	}
	for (size_t i = 0; i < s.nr; i++)
		free(s.heap[i]);
	free(s.heap);
	return err == -ENOMEM ? diag_set(d, err, "out of memory") : err;
}
