/*
 * The contexts in which the records of one event were seen: task, CPU and fields, as far
 * as the keys of a profile ask for them, each by a number.
 */
#ifndef REPORT_PROFILE_CONTEXTS_H
#define REPORT_PROFILE_CONTEXTS_H

#include "format/intern.h"
#include "report/profile_keys.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Members that no key asks for are 0. */
struct profile_context {
	uint32_t task, cpu;
	uint64_t fields;	/* the only field, or profile_contexts_fold() of several */
};

struct profile_contexts {
	/* What the keys ask for; the caller's, unchanged from the first context on. */
	bool by_task;
	size_t nr_fields;
	/* Private to the functions below. */
	const struct profile_keys *keys;
	const struct trace *trace;
	struct textids *texts;
	/* Several fields are one id, folded in value by value; one is its own number. */
	struct intern_pairs folded;
	uint64_t last_values[PROFILE_MAX_KEYS];
	uint64_t last_folded;		/* 0: none yet */
	struct intern_pairs ids;	/* (task, CPU), fields; ids from 1 */
	struct profile_context last;	/* the context that was asked for last, */
	uint32_t last_id;		/* and its id, or 0 */
	uint32_t *same_task;		/* by task: the first one with its values, or 0 */
	uint32_t nr_tasks;
	struct intern_pairs task_values;
	uint32_t *first_task;		/* by id of task_values */
	uint32_t first_task_cap;
};

/* All but c must outlive it. */
void profile_contexts_init(struct profile_contexts *c, const struct profile_keys *keys,
			   const struct trace *t, struct textids *texts);
void profile_contexts_release(struct profile_contexts *c);
/* What stands for the values of all fields; 0 when out of memory. */
uint64_t profile_contexts_fold(struct profile_contexts *c, const uint64_t *values);
/* Looks up a context, whatever was asked for last. */
uint32_t profile_contexts_get(struct profile_contexts *c, const struct profile_context *wanted);

/* The id of a context, from 1; 0 when out of memory. */
static inline uint32_t profile_contexts_id(struct profile_contexts *c,
					   const struct profile_context *wanted)
{
	if (c->last_id && wanted->task == c->last.task && wanted->cpu == c->last.cpu &&
	    wanted->fields == c->last.fields)
		return c->last_id;
	return profile_contexts_get(c, wanted);
}

size_t profile_contexts_nr(const struct profile_contexts *c);
/* By id - 1. */
struct profile_context profile_contexts_at(const struct profile_contexts *c, size_t i);
/* The number that a field has in a context; `key` counts the keys of fields, from 0. */
uint64_t profile_contexts_field(const struct profile_contexts *c, uint64_t fields, size_t key);

#endif
