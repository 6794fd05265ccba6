#include "format/trace_private.h"

#include <errno.h>
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
