#include "format/trace_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool find_field(const struct trace_event *e, const char *name, size_t len, uint32_t *out)
{
	for (uint32_t f = 0; f < e->nr_fields; f++) {
		const char *s = e->fields[f].name;

		if (strlen(s) == len && !memcmp(s, name, len)) {
			*out = f;
			return true;
		}
	}
	return false;
}

static bool is_unsigned(const struct trace_event *e, uint32_t field)
{
	return e->fields[field].type == FIELD_UNSIGNED;
}

int trace_part_source(const struct trace_event *whole, const char *text, uint8_t type,
		      struct trace_part_source *out)
{
	const char *minus = strchr(text, '-');
	uint8_t from;

	*out = (struct trace_part_source){ 0, TRACE_PART_PLAIN };
	if (!*text)
		return -EBADMSG;
	if (find_field(whole, text, strlen(text), &out->field)) {
		from = whole->fields[out->field].type;
		return type ? (from == type ? 0 : -EBADMSG) : from == FIELD_BYTES ? -EBADMSG : 0;
	}
	if (!minus || !find_field(whole, text, (size_t)(minus - text), &out->field) ||
	    !find_field(whole, minus + 1, strlen(minus + 1), &out->minus))
		return -EBADMSG;
	return is_unsigned(whole, out->field) && is_unsigned(whole, out->minus) &&
	       (!type || type == FIELD_UNSIGNED) ? 0 : -EBADMSG;
}

const struct trace_event *trace_part_whole(const struct trace *t, const struct trace_event *e)
{
	const struct trace_event *whole = trace_event_by_id(t, e->part_of);
	struct trace_part_source source;
	int err = 0;

	if (!e->part_of || !whole || whole->part_of)
		return NULL;
	if (e->part_if)
		err = trace_part_source(whole, e->part_if, 0, &source);
	for (uint32_t f = 0; f < e->nr_fields && !err; f++)
		err = trace_part_source(whole, e->part_from[f], e->fields[f].type, &source);
	return err ? NULL : whole;
}

/* --- batches ------------------------------------------------------------------- */

/* The columns that are computed, each once. */
static int list_difference(struct trace_part *p, const struct trace_part_source *source,
			   size_t limit)
{
	if (source->minus == TRACE_PART_PLAIN)
		return 0;
	for (size_t i = 0; i < p->nr_differences; i++)
		if (p->differences[i].source.field == source->field &&
		    p->differences[i].source.minus == source->minus)
			return 0;
	/* So that a part takes no more memory than its whole may. */
	if (p->nr_differences == limit)
		return -EBADMSG;
	p->differences[p->nr_differences].source = *source;
	p->differences[p->nr_differences++].is_made = false;
	return 0;
}

/* What is known of the times without a look at them. */
static void set_times(struct trace_batch *b, const struct trace_part_source *time)
{
	if ((int)time->field != b->whole->event->by_role[ROLE_TIME]) {
		b->first_ns = 0;
		b->last_ns = UINT64_MAX;
	} else if (time->minus != TRACE_PART_PLAIN) {
		b->first_ns = 0;
	}
}

int trace_part_batch(struct trace_batch *whole, const struct trace_event *e,
		     struct trace_batch *out)
{
	struct trace_part *p = &whole->trace->part;
	int err = 0;

	if (!e->part_of || e->part_of != whole->event->id || e->nr_fields > TABLE_MAX_COLUMNS)
		return -EBADMSG;
	p->nr_differences = 0;
	p->has_condition = e->part_if != NULL;
	if (p->has_condition)
		err = trace_part_source(whole->event, e->part_if, 0, &p->condition);
	if (!err && p->has_condition)
		err = list_difference(p, &p->condition, whole->event->nr_fields);
	for (uint32_t f = 0; f < e->nr_fields && !err; f++) {
		err = trace_part_source(whole->event, e->part_from[f], e->fields[f].type,
					&p->sources[f]);
		if (!err)
			err = list_difference(p, &p->sources[f], whole->event->nr_fields);
	}
	if (err)
		return err;
	*out = *whole;
	out->event = e;
	out->whole = whole;
	out->columns = NULL;
	out->texts = NULL;
	set_times(out, &p->sources[e->by_role[ROLE_TIME]]);
	return 0;
}

static uint64_t subtract(uint64_t *to, const uint64_t *a, const uint64_t *b, size_t nr)
{
	uint64_t negative = 0;

	for (size_t i = 0; i < nr; i++) {
		bool less = a[i] < b[i];

		to[i] = less ? 0 : a[i] - b[i];
		negative += less;
	}
	return negative;
}

static const uint64_t *difference(struct trace_batch *whole, struct trace_difference *x)
{
	struct trace_part *p = &whole->trace->part;
	const uint64_t *a, *b;

	if (x->is_made)
		return x->values;
	if (whole->nr > x->cap) {
		uint64_t *values = realloc(x->values, whole->nr * sizeof(*values));

		if (!values)
			return NULL;
		x->values = values;
		x->cap = whole->nr;
	}
	a = trace_column(whole, x->source.field);
	b = trace_column(whole, x->source.minus);
	if (!a || !b)
		return NULL;
	p->nr_negative += subtract(x->values, a, b, whole->nr);
	x->is_made = true;
	return x->values;
}

static const uint64_t *column(struct trace_batch *whole, const struct trace_part_source *source)
{
	struct trace_part *p = &whole->trace->part;

	if (source->minus == TRACE_PART_PLAIN)
		return trace_column(whole, source->field);
	for (size_t i = 0; i < p->nr_differences; i++)
		if (p->differences[i].source.field == source->field &&
		    p->differences[i].source.minus == source->minus)
			return difference(whole, &p->differences[i]);
	return NULL;
}

const uint64_t *trace_part_column(struct trace_batch *batch, uint32_t field)
{
	return column(batch->whole, &batch->trace->part.sources[field]);
}

uint32_t trace_part_field(const struct trace_batch *batch, uint32_t field)
{
	const struct trace_part_source *source = &batch->trace->part.sources[field];

	return source->minus == TRACE_PART_PLAIN ? source->field : TRACE_PART_PLAIN;
}

int trace_part_condition(struct trace_batch *batch, const uint64_t **values)
{
	const struct trace_part *p = &batch->trace->part;

	*values = p->has_condition ? column(batch->whole, &p->condition) : NULL;
	return p->has_condition && !*values ? -EBADMSG : 0;
}

uint64_t trace_part_negative(const struct trace *t)
{
	return t->part.nr_negative;
}

void trace_part_release(struct trace *t)
{
	for (size_t i = 0; i < TABLE_MAX_COLUMNS; i++)
		free(t->part.differences[i].values);
}
