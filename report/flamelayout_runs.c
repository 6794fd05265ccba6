#include "report/flamelayout_reverse.h"

#include <stdlib.h>
#include <string.h>

/* For the order; the groups are the same for all. */
struct ordered {
	struct flamelayout_run run;
	const struct groups *groups;
};

static int compare(const void *a, const void *b)
{
	const struct ordered *x = a, *y = b;
	int order;

	if (x->run.group == y->run.group)
		return x->run.part < y->run.part ? -1 : x->run.part > y->run.part;
	/* Those without keys are the largest number, and come last. */
	if (x->run.group == STACKLEVELS_NO_GROUP || y->run.group == STACKLEVELS_NO_GROUP)
		return x->run.group < y->run.group ? -1 : 1;
	order = groups_compare(x->groups, x->run.group, y->run.group);
	return order ? order : x->run.group < y->run.group ? -1 : 1;
}

struct flamelayout_run *flamelayout_runs(const struct stacksum *sums, size_t *nr)
{
	size_t nr_entries, nr_runs = 0;
	const struct stacksum_entry *e = stacksum_entries(sums, &nr_entries);
	struct ordered *list;
	struct flamelayout_run *runs;

	for (size_t i = 0; i < nr_entries; i = stacksum_group_end(sums, i))
		nr_runs++;
	list = calloc(nr_runs + 1, sizeof(*list));
	runs = calloc(nr_runs + 1, sizeof(*runs));
	*nr = 0;
	for (size_t i = 0, end; list && runs && i < nr_entries; i = end) {
		struct ordered *o = &list[(*nr)++];

		end = stacksum_group_end(sums, i);
		o->groups = stacksum_groups(sums);
		o->run = (struct flamelayout_run) {
			.group = e[i].group, .part = e[i].part, .begin = i, .end = end };
		for (size_t k = i; k < end; k++) {
			o->run.total += e[k].count;
			o->run.records += e[k].records;
		}
	}
	if (*nr)
		qsort(list, *nr, sizeof(*list), compare);
	for (size_t i = 0; i < *nr; i++)
		runs[i] = list[i].run;
	if (!list) {
		free(runs);
		runs = NULL;
	}
	free(list);
	return runs;
}

static size_t nr_group_levels(const struct stacksum *sums)
{
	return stacksum_levels(sums)->nr;
}

size_t flamelayout_nr_levels(const struct stacksum *sums)
{
	return nr_group_levels(sums) + stacksum_has_parts(sums);
}

static bool same_text(const struct stacksum *sums, uint32_t a, uint32_t b, size_t level)
{
	struct bytebuf x, y;
	bool same;

	bytebuf_init(&x);
	bytebuf_init(&y);
	stacklevels_put(stacksum_levels(sums), stacksum_groups(sums), a, level,
			STACKLEVELS_PICTURE, &x);
	stacklevels_put(stacksum_levels(sums), stacksum_groups(sums), b, level,
			STACKLEVELS_PICTURE, &y);
	same = x.len == y.len && (!x.len || !memcmp(x.data, y.data, x.len));
	bytebuf_release(&x);
	bytebuf_release(&y);
	return same;
}

size_t flamelayout_same_levels(const struct stacksum *sums, const struct flamelayout_run *a,
			       const struct flamelayout_run *b)
{
	size_t nr = nr_group_levels(sums), level = 0;

	if (a->group == b->group)
		return nr + (a->part == b->part);
	if (a->group == STACKLEVELS_NO_GROUP || b->group == STACKLEVELS_NO_GROUP)
		return 0;
	while (level + 1 < nr && same_text(sums, a->group, b->group, level))
		level++;
	return level;
}

struct flame_box flamelayout_level_box(const struct stacksum *sums,
				       const struct flamelayout_run *run, size_t level)
{
	if (level < nr_group_levels(sums))
		return (struct flame_box) {
			.name = run->group, .is_group = true, .level = (uint8_t)level };
	return (struct flame_box) { .name = run->part, .is_part = true };
}
