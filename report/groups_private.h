/*
 * What the files of the groups share.  Nobody else includes this.
 */
#ifndef REPORT_GROUPS_PRIVATE_H
#define REPORT_GROUPS_PRIVATE_H

#include "format/arena.h"
#include "format/intern.h"
#include "report/groups.h"
#include "report/names.h"

/* Numbers of both signs are one order; texts that could not be read are no texts. */
enum groups_class { GROUPS_NEGATIVE, GROUPS_NUMBER, GROUPS_FLOAT, GROUPS_TEXT, GROUPS_UNREAD };

struct groups_value {
	uint64_t number;	/* of texts: an id of the groups' texts */
	enum groups_class class;
	uint32_t desc;		/* how the first of its group is printed */
};

enum groups_source_kind { GROUPS_OF_TASK, GROUPS_OF_FIELD, GROUPS_OF_FRAME, GROUPS_OF_EVENT };

/* Where the value of a key is in the records of one event. */
struct groups_source {
	enum groups_source_kind kind;
	int field;
	bool is_text, is_signed, is_float;
	uint32_t desc;
};

/* Texts by id of the trace, as ids of the groups; 0: not looked up yet. */
struct groups_cache {
	uint32_t *ids;
	size_t cap;
};

struct groups {
	const struct profile_keys *keys;
	struct trace *trace;
	struct names *names;
	struct textids *task_texts;	/* of this trace: what keys of tasks ask for */
	struct groups_cache strings, tasks;
	struct groups_cache stacks[PROFILE_MAX_KEYS];
	const struct trace_event *event;	/* that the sources are of */
	struct groups_source sources[PROFILE_MAX_KEYS];
	size_t task_key;		/* the first whose source is the task, or keys->nr */
	bool has_task_keys, has_other_keys;
	struct intern_strings texts;	/* class 1: unread */
	struct intern_pairs folded;	/* (key, class, folded before), number */
	uint32_t *group_of;		/* by folded id: group + 1, or 0 */
	uint32_t group_of_cap;
	struct groups_value *values;	/* by group, keys->nr each */
	uint32_t nr, cap;
	struct field_desc *descs;
	uint32_t nr_descs;
	struct arena arena;		/* texts of descs */
};

/* From now on values are of records of the event.  -ENOENT: it has no field for a key. */
int groups_values_bind(struct groups *g, const struct trace_event *e);
/* Of the number in the key's column.  A text that is 0: out of memory. */
void groups_values_get(struct groups *g, size_t key, uint64_t raw, struct groups_value *v);
/* Where the id's entry is kept; NULL: it is not known, or out of memory. */
uint32_t *groups_values_cached(struct groups_cache *c, uint64_t id, size_t nr_known);

#endif
