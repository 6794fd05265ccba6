#include "format/trace_private.h"

#include <string.h>

struct trace_string trace_string(const struct trace *t, uint32_t id)
{
	const struct trace_string *s = trace_array_get(&t->strings, id);

	return s ? *s : (struct trace_string){ "", 0, CLASS_NONE };
}

const char *trace_text(const struct trace *t, uint32_t id)
{
	return trace_string(t, id).text;
}

const struct trace_task *trace_task(const struct trace *t, uint32_t id)
{
	return trace_array_get(&t->tasks, id);
}

const struct trace_module *trace_module(const struct trace *t, uint32_t id)
{
	return trace_array_get(&t->modules, id);
}

const struct trace_frame *trace_frame(const struct trace *t, uint32_t id)
{
	return trace_array_get(&t->frames, id);
}

const struct trace_stack *trace_stack(const struct trace *t, uint32_t id)
{
	return trace_array_get(&t->stacks, id);
}

uint32_t trace_nr_tasks(const struct trace *t)
{
	return t->tasks.nr;
}

uint32_t trace_nr_modules(const struct trace *t)
{
	return t->modules.nr;
}

uint32_t trace_nr_frames(const struct trace *t)
{
	return t->frames.nr;
}

uint32_t trace_nr_stacks(const struct trace *t)
{
	return t->stacks.nr;
}

uint32_t trace_nr_strings(const struct trace *t)
{
	return t->strings.nr;
}

size_t trace_nr_symbols(const struct trace *t)
{
	return t->symbols.nr ? t->symbols.nr - 1 : 0;
}

size_t trace_nr_events(const struct trace *t)
{
	return t->event_ids.nr;
}

const struct trace_event *trace_event_at(const struct trace *t, size_t i)
{
	const uint32_t *ids = (const void *)t->event_ids.v;

	return i < t->event_ids.nr ? t->events[ids[i]] : NULL;
}

const struct trace_event *trace_event_by_id(const struct trace *t, uint32_t id)
{
	return t->events && id <= BLOCK_MAX_EVENT ? t->events[id] : NULL;
}

size_t trace_nr_host(const struct trace *t)
{
	return t->hosts.nr;
}

void trace_host_at(const struct trace *t, size_t i, const char **key, const char **value)
{
	const struct trace_host_row *rows = (const void *)t->hosts.v;

	*key = i < t->hosts.nr ? trace_text(t, rows[i].key) : "";
	*value = i < t->hosts.nr ? trace_text(t, rows[i].value) : "";
}

const char *trace_host(const struct trace *t, const char *key)
{
	const char *k, *value;

	for (size_t i = t->hosts.nr; i-- > 0;) {
		trace_host_at(t, i, &k, &value);
		if (!strcmp(k, key))
			return value;
	}
	return NULL;
}

const struct trace_clock *trace_clocks(const struct trace *t, size_t *nr)
{
	*nr = t->clocks.nr;
	return (const void *)t->clocks.v;
}

const struct trace_loss *trace_losses(const struct trace *t, size_t *nr)
{
	*nr = t->losses.nr;
	return (const void *)t->losses.v;
}

const struct trace_cost *trace_costs(const struct trace *t, size_t *nr)
{
	*nr = t->costs.nr;
	return (const void *)t->costs.v;
}
