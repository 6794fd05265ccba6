#include "report/groups.h"

#include "report/groups_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/column.h"

int groups_new(struct groups **out, const struct profile_keys *keys)
{
	struct groups *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	g->keys = keys;
	for (size_t i = 0; i < keys->nr; i++) {
		g->has_task_keys |= keys->list[i]->of == PROFILE_OF_TASK;
		g->has_other_keys |= keys->list[i]->of != PROFILE_OF_TASK;
	}
	intern_strings_init(&g->texts);
	intern_pairs_init(&g->folded);
	arena_init(&g->arena);
	*out = g;
	return 0;
}

static void forget_trace(struct groups *g)
{
	names_free(g->names);
	textids_free(g->task_texts);
	g->names = NULL;
	g->task_texts = NULL;
	free(g->strings.ids);
	free(g->tasks.ids);
	g->strings = g->tasks = (struct groups_cache) { 0 };
	for (size_t i = 0; i < PROFILE_MAX_KEYS; i++) {
		free(g->stacks[i].ids);
		g->stacks[i] = (struct groups_cache) { 0 };
	}
	g->event = NULL;
}

void groups_free(struct groups *g)
{
	if (!g)
		return;
	forget_trace(g);
	intern_strings_release(&g->texts);
	intern_pairs_release(&g->folded);
	arena_release(&g->arena);
	free(g->group_of);
	free(g->values);
	free(g->descs);
	free(g);
}

int groups_begin(struct groups *g, struct trace *t, struct diag *d)
{
	int err = 0;

	forget_trace(g);
	g->trace = t;
	for (size_t i = 0; i < g->keys->nr && trace_is_stream(t); i++)
		if (g->keys->list[i]->of == PROFILE_OF_FRAME)
			return diag_set(d, -EINVAL, "cannot group by '%s' from a pipe, where names of "
					"code come last: write it to a file first",
					g->keys->list[i]->name);
	if (!trace_is_stream(t))
		err = profile_keys_check(g->keys, t, d);
	if (!err)
		err = textids_new(&g->task_texts);
	if (!err)
		err = names_new(&g->names, t);
	return err == -ENOMEM ? diag_set(d, err, "out of memory") : err;
}

/* --- groups ------------------------------------------------------------------ */

static int keep_group(struct groups *g, uint32_t folded, const struct groups_value *values)
{
	size_t width = g->keys->nr;
	struct groups_value *grown;
	uint32_t *of, cap;

	if (folded >= g->group_of_cap) {
		cap = g->folded.cap;
		of = realloc(g->group_of, cap * sizeof(*of));
		if (!of)
			return -ENOMEM;
		memset(of + g->group_of_cap, 0, (cap - g->group_of_cap) * sizeof(*of));
		g->group_of = of;
		g->group_of_cap = cap;
	}
	if (g->group_of[folded])
		return 0;
	if (g->nr == g->cap) {
		cap = g->cap ? g->cap * 2 : 64;
		grown = realloc(g->values, cap * width * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		g->values = grown;
		g->cap = cap;
	}
	memcpy(g->values + g->nr * width, values, width * sizeof(*values));
	g->group_of[folded] = ++g->nr;
	return 0;
}

static bool is_of_task(const struct groups *g, size_t key)
{
	return g->keys->list[key]->of == PROFILE_OF_TASK;
}

/* Folds keys of tasks, or all others, into an id; 0 without memory. */
static uint32_t fold(struct groups *g, const uint64_t *raw, bool of_tasks, uint32_t id)
{
	struct groups_value v;

	for (size_t i = 0; i < g->keys->nr; i++) {
		if (is_of_task(g, i) != of_tasks)
			continue;
		groups_values_get(g, i, raw[i], &v);
		if (v.class >= GROUPS_TEXT && !v.number)
			return 0;
		id = intern_pair(&g->folded, (uint64_t)(i << 3 | v.class) << 32 | id, v.number);
		if (!id)
			return 0;
	}
	return id;
}

/* What the keys say of a task is decided once. */
static uint32_t fold_task(struct groups *g, const uint64_t *raw, uint64_t task)
{
	uint32_t *kept = groups_values_cached(&g->tasks, task, trace_nr_tasks(g->trace)), id;

	if (kept && *kept)
		return *kept;
	id = fold(g, raw, true, 0);
	/* On a pipe it may become known later. */
	if (kept && trace_task(g->trace, (uint32_t)task))
		*kept = id;
	return id;
}

/* The group of raw numbers, by key. */
static int find_group(struct groups *g, const uint64_t *raw, uint32_t *group)
{
	struct groups_value values[PROFILE_MAX_KEYS];
	uint32_t id = 0;

	if (g->task_key < g->keys->nr)
		id = fold_task(g, raw, raw[g->task_key]);
	else if (g->has_task_keys)
		id = fold(g, raw, true, 0);
	if (!id && g->has_task_keys)
		return -ENOMEM;
	if (g->has_other_keys)
		id = fold(g, raw, false, id);
	if (!id)
		return -ENOMEM;
	if (id >= g->group_of_cap || !g->group_of[id]) {
		for (size_t i = 0; i < g->keys->nr; i++)
			groups_values_get(g, i, raw[i], &values[i]);
		if (keep_group(g, id, values))
			return -ENOMEM;
	}
	*group = g->group_of[id] - 1;
	return 0;
}

/* Whether the group follows from the task alone, and so is decided once. */
static bool is_of_tasks(const struct groups *g)
{
	for (size_t i = 0; i < g->keys->nr; i++)
		if (g->sources[i].kind != GROUPS_OF_TASK)
			return false;
	return true;
}

/* Group + 1 of a task that had one before, else 0. */
static uint32_t known_group(const struct groups *g, uint64_t task)
{
	uint32_t id = task < g->tasks.cap ? g->tasks.ids[task] : 0;

	return id && id < g->group_of_cap ? g->group_of[id] : 0;
}

static int groups_of_tasks(struct groups *g, const struct column *tasks,
			   const struct query_batch *b, uint32_t *to)
{
	uint64_t raw[PROFILE_MAX_KEYS];

	for (size_t i = 0; i < b->nr; i++) {
		uint64_t task = column_at(tasks, b->rows ? b->rows[i] : i);
		uint32_t group = known_group(g, task);

		if (group) {
			to[i] = group - 1;
			continue;
		}
		for (size_t k = 0; k < g->keys->nr; k++)
			raw[k] = task;
		if (find_group(g, raw, &to[i]))
			return -ENOMEM;
	}
	return 0;
}

static int groups_of_rows(struct groups *g, const struct column *columns,
			  const struct query_batch *b, uint32_t *to)
{
	uint64_t raw[PROFILE_MAX_KEYS], last[PROFILE_MAX_KEYS] = { 0 };
	size_t nr = g->keys->nr;
	uint32_t group = 0;

	for (size_t i = 0; i < b->nr; i++) {
		size_t row = b->rows ? b->rows[i] : i;
		bool same = i > 0;

		for (size_t k = 0; k < nr; k++) {
			raw[k] = column_at(&columns[k], row);
			same = same && raw[k] == last[k];
		}
		if (!same && find_group(g, raw, &group))
			return -ENOMEM;
		memcpy(last, raw, nr * sizeof(*raw));
		to[i] = group;
	}
	return 0;
}

int groups_of(struct groups *g, struct query_batch *b, uint32_t *to)
{
	struct column columns[PROFILE_MAX_KEYS];
	int err;

	if (!g->keys->nr) {
		memset(to, 0, b->nr * sizeof(*to));
		return 0;
	}
	err = groups_values_bind(g, b->event);
	for (size_t i = 0; i < g->keys->nr && !err; i++)
		err = column_open(&columns[i], b, g->sources[i].kind == GROUPS_OF_EVENT ? -1 :
				  g->sources[i].field, 0);
	if (err)
		return err;
	return is_of_tasks(g) ? groups_of_tasks(g, &columns[0], b, to) :
	       groups_of_rows(g, columns, b, to);
}

size_t groups_nr(const struct groups *g)
{
	return g->keys->nr ? g->nr : 1;
}
