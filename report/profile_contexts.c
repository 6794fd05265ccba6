#include "report/profile_contexts.h"

#include <stdlib.h>
#include <string.h>

void profile_contexts_init(struct profile_contexts *c, const struct profile_keys *keys,
			   const struct trace *t, struct textids *texts)
{
	*c = (struct profile_contexts) { .keys = keys, .trace = t, .texts = texts };
	intern_pairs_init(&c->folded);
	intern_pairs_init(&c->ids);
	intern_pairs_init(&c->task_values);
}

void profile_contexts_release(struct profile_contexts *c)
{
	intern_pairs_release(&c->folded);
	intern_pairs_release(&c->ids);
	intern_pairs_release(&c->task_values);
	free(c->same_task);
	free(c->first_task);
}

/* One id for all that the keys say of a task: folded in, value by value. */
static uint32_t task_values_id(struct profile_contexts *c, uint32_t task)
{
	uint32_t id = 0;

	for (size_t i = 0; i < c->keys->nr; i++) {
		const struct profile_key *key = c->keys->list[i];
		uint64_t value;

		if (key->of != PROFILE_OF_TASK)
			continue;
		value = key->of_task(c->trace, trace_task(c->trace, task), c->texts);
		id = intern_pair(&c->task_values, (uint64_t)i << 32 | id, value);
		if (!id)
			return 0;
	}
	return id;
}

/*
 * Tasks that all keys call the same become one, so that a thousand threads of
 * one name cost no more than one.  A later entry of a pipe may still change a
 * task, so there they stay apart until the end.
 */
static uint32_t find_same_task(struct profile_contexts *c, uint32_t task)
{
	uint32_t values = task_values_id(c, task);
	uint32_t *grown;

	if (!values)
		return task;
	if (values >= c->first_task_cap) {
		uint32_t cap = c->task_values.cap;

		grown = realloc(c->first_task, cap * sizeof(*grown));
		if (!grown)
			return task;
		for (uint32_t i = c->first_task_cap; i < cap; i++)
			grown[i] = 0;
		c->first_task = grown;
		c->first_task_cap = cap;
	}
	if (!c->first_task[values])
		c->first_task[values] = task;
	return c->first_task[values];
}

static uint32_t same_task(struct profile_contexts *c, uint32_t task)
{
	if (trace_is_stream(c->trace) || task >= trace_nr_tasks(c->trace))
		return task;
	if (!c->same_task) {
		c->nr_tasks = trace_nr_tasks(c->trace);
		c->same_task = calloc(c->nr_tasks, sizeof(*c->same_task));
		if (!c->same_task)
			return task;
	}
	if (!c->same_task[task])
		c->same_task[task] = find_same_task(c, task);
	return c->same_task[task];
}

uint32_t profile_contexts_get(struct profile_contexts *c, const struct profile_context *wanted)
{
	uint32_t task = c->by_task ? same_task(c, wanted->task) : 0;

	c->last = *wanted;
	c->last_id = intern_pair(&c->ids, (uint64_t)task << 32 | wanted->cpu, wanted->fields);
	return c->last_id;
}

uint64_t profile_contexts_fold(struct profile_contexts *c, const uint64_t *values)
{
	size_t bytes = c->nr_fields * sizeof(*values);
	uint64_t id = 0;

	if (c->last_folded && !memcmp(c->last_values, values, bytes))
		return c->last_folded;
	for (size_t i = 0; i < c->nr_fields; i++) {
		id = intern_pair(&c->folded, (uint64_t)i << 32 | id, values[i]);
		if (!id)
			break;
	}
	memcpy(c->last_values, values, bytes);
	c->last_folded = id;
	return id;
}

size_t profile_contexts_nr(const struct profile_contexts *c)
{
	return c->ids.nr - 1;
}

struct profile_context profile_contexts_at(const struct profile_contexts *c, size_t i)
{
	const struct intern_pair *pair = &c->ids.by_id[i + 1];

	return (struct profile_context) {
		.task = (uint32_t)(pair->a >> 32), .cpu = (uint32_t)pair->a,
		.fields = pair->b,
	};
}

uint64_t profile_contexts_field(const struct profile_contexts *c, uint64_t fields, size_t key)
{
	if (c->nr_fields == 1)
		return fields;
	/* The last field was folded in last. */
	for (size_t i = c->nr_fields - 1; i > key; i--)
		fields = (uint32_t)c->folded.by_id[fields].a;
	return c->folded.by_id[fields].b;
}
