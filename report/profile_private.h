/*
 * What the files of the profile share.  Nobody else includes this.
 */
#ifndef REPORT_PROFILE_PRIVATE_H
#define REPORT_PROFILE_PRIVATE_H

#include "report/profile.h"
#include "report/profile_sums.h"
#include "report/profile_trie.h"

/* The records of one event. */
struct profile_section {
	const struct trace_event *event;
	/* Of keys whose value is a field of the event, else NULL. */
	const struct field_desc *fields[PROFILE_MAX_KEYS];
	struct profile_sums *sums;
	struct profile_trie trie;
	struct profile_sum *list;	/* ordered by group; context is the group now */
	size_t nr_list;
	size_t *group_start;		/* nr_groups + 1 indices into list */
	uint32_t nr_groups;
	uint64_t *values;		/* of the keys, keys->nr for each group */
	struct profile_row *rows;
	size_t nr_rows, rows_cap;
	uint64_t samples, weight, negative;
	bool overflow;
	struct measure measure;
	bool distributed;
	/* Of the sums, until their rows have them; and of the rows, [0] not used. */
	struct histogram *sum_values, *row_values;
	uint32_t nr_sum_values, nr_row_values, row_values_cap;
};

/* Sums of a group, kept because rows of few groups alternate: see profile_tree(). */
struct profile_kept {
	const struct profile_section *section;
	uint32_t group;
	struct profile_weight *weights;
};

#define PROFILE_MAX_KEPT 16
#define PROFILE_KEPT_BYTES (16u << 20)

struct profile {
	struct query *query;
	struct trace *trace;
	const struct profile_keys *keys;
	const char *of;
	enum profile_kind frame_kind;
	bool children, has_stacks;
	struct names *names;
	struct textids *texts;
	struct profile_section *sections;
	size_t nr_sections;
	struct profile_table *tables;
	size_t nr_tables;
	struct profile_kept kept[PROFILE_MAX_KEPT];
	size_t nr_kept, next_kept;
};

/*
 * Names, rows and sums of a section, when all records are read.  counted:
 * every record weighs 1.
 */
int profile_rows_make(struct profile *p, struct profile_section *s, bool counted);

#endif
