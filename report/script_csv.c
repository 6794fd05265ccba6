#include "report/script_private.h"

#include <string.h>

#include "report/escape.h"

static void put_column(struct script *s, const struct script_event *e, size_t i,
		       const struct query_record *r)
{
	const struct script_column *c = &s->plan.columns[i];
	struct script_value v = { .kind = SCRIPT_NOTHING };

	if (c->value) {
		c->value(s, r, &v);
		script_put_value(s, &v);
	} else if (e->fields[i] >= 0) {
		script_event_put_field(s, r, (uint32_t)e->fields[i]);
	}
}

void script_csv_put(struct script *s, const struct script_event *e,
		    const struct query_record *r)
{
	bool first = true;

	for (size_t i = 0; i < s->plan.nr_columns; i++) {
		script_put_comma(s, &first);
		put_column(s, e, i, r);
	}
	for (size_t i = 0; i < s->nr_csv; i++) {
		script_put_comma(s, &first);
		if (e->cells[i] >= 0)
			script_event_put_field(s, r, (uint32_t)e->cells[i]);
	}
	if (s->plan.stack) {
		script_put_comma(s, &first);
		script_put_stack(s, r->stack);
	}
	bytebuf_put(s->to, "\n", 1);
}

static bool is_column(const struct script *s, const char *name)
{
	for (size_t i = 0; i < s->plan.nr_columns; i++)
		if (!strcmp(s->plan.columns[i].name, name))
			return true;
	return !strcmp(name, "stack");
}

int script_csv_begin(struct script *s)
{
	bool first = true;
	int err = s->plan.others ? script_event_make_csv(s) : 0;

	for (size_t i = 0; i < s->plan.nr_columns; i++) {
		script_put_comma(s, &first);
		escape_csv(s->to, s->plan.columns[i].name, strlen(s->plan.columns[i].name));
	}
	for (size_t i = 0; i < s->nr_csv; i++) {
		script_put_comma(s, &first);
		if (is_column(s, s->csv[i]))
			bytebuf_text(s->to, "fields.");
		escape_csv(s->to, s->csv[i], strlen(s->csv[i]));
	}
	if (s->plan.stack) {
		script_put_comma(s, &first);
		bytebuf_text(s->to, "stack");
	}
	bytebuf_put(s->to, "\n", 1);
	return err;
}
