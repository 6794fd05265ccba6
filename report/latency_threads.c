/*
 * Threads and rows: who is who in what the records tell.
 */
#include "report/latency_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int latency_threads_groups(struct latency *l, struct query_batch *b)
{
	uint32_t *grown;
	int err;

	if (b->nr > l->group_cap) {
		grown = realloc(l->group_of, b->nr * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		l->group_of = grown;
		l->group_cap = b->nr;
	}
	err = groups_of(l->groups, b, l->group_of);
	if (groups_nr(l->groups) <= LATENCY_MAX_ROWS)
		return err;
	for (size_t i = 0; i < b->nr && !err; i++)
		if (l->group_of[i] > LATENCY_MAX_ROWS)
			l->group_of[i] = LATENCY_MAX_ROWS;
	return err;
}

static struct latency_row *row_of(struct latency *l, uint32_t group)
{
	uint32_t cap = l->cap_rows ? 2 * l->cap_rows : 64;
	struct latency_row *grown;

	while (group >= l->nr_rows) {
		if (l->nr_rows == l->cap_rows) {
			grown = realloc(l->rows, cap * sizeof(*grown));
			if (!grown)
				return NULL;
			l->rows = grown;
			l->cap_rows = cap;
			cap *= 2;
		}
		l->rows[l->nr_rows] = (struct latency_row) { .group = l->nr_rows };
		l->nr_rows++;
	}
	return &l->rows[group];
}

static uint32_t known_thread(const struct latency *l, uint32_t task)
{
	return task < l->nr_tasks ? l->tasks[task].thread : 0;
}

/* The thread's name before, which is an older entry; parts of its chain may be missing. */
static uint32_t older_name(const struct trace *t, uint32_t task)
{
	const struct trace_task *k = trace_task(t, task);

	return k && k->previous < task && trace_task(t, k->previous) ? k->previous : 0;
}

static int grow_tasks(struct latency *l, uint32_t task)
{
	uint32_t nr = trace_nr_tasks(l->trace);
	struct latency_task *grown;

	if (nr <= task)
		nr = task + 1;
	grown = realloc(l->tasks, nr * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	memset(grown + l->nr_tasks, 0, (nr - l->nr_tasks) * sizeof(*grown));
	l->tasks = grown;
	l->nr_tasks = nr;
	return 0;
}

int latency_threads_add(struct latency *l)
{
	uint32_t cap = l->cap_threads ? 2 * l->cap_threads : 64;
	struct latency_thread *grown;

	if (l->nr_threads == l->cap_threads) {
		grown = realloc(l->threads, cap * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		l->threads = grown;
		l->cap_threads = cap;
	}
	l->threads[l->nr_threads++] = (struct latency_thread) { .first_ns = UINT64_MAX };
	return 0;
}

uint32_t latency_threads_of(struct latency *l, uint32_t task)
{
	uint32_t thread = known_thread(l, task), at = task, older;

	if (thread || !trace_task(l->trace, task))
		return thread;
	if (task >= l->nr_tasks && grow_tasks(l, task))
		return UINT32_MAX;
	while ((older = older_name(l->trace, at)) && !l->tasks[at].thread)
		at = older;
	thread = l->tasks[at].thread;
	if (!thread) {
		if (latency_threads_add(l))
			return UINT32_MAX;
		thread = l->nr_threads - 1;
	}
	/* All names on the way are known now, so that no part of a chain is walked twice. */
	for (at = task; at && !l->tasks[at].thread; at = older_name(l->trace, at))
		l->tasks[at].thread = thread;
	return thread;
}

uint32_t latency_threads_comm(struct latency *l, uint32_t task)
{
	const struct trace_task *k;

	if (task < l->nr_tasks && l->tasks[task].comm)
		return l->tasks[task].comm - 1;
	k = trace_task(l->trace, task);
	if (!k || (task >= l->nr_tasks && grow_tasks(l, task)))
		return k ? k->comm : 0;
	l->tasks[task].comm = k->comm + 1;
	return k->comm;
}

/* A process is called like its first thread. */
static void name_row(struct latency *l, struct latency_row *row, uint32_t task)
{
	const struct trace_task *new = trace_task(l->trace, task);
	const struct trace_task *old = trace_task(l->trace, row->task);

	if (!new)
		return;
	if (!old || (new->pid == new->tid && (old->pid != old->tid || row->task < task)))
		row->task = task;
}

/* True if the pair is new; without memory it is not. */
static bool add_pair(struct latency *l, uint32_t thread, uint32_t group)
{
	uint32_t before = l->pairs.nr;

	if (before >= LATENCY_MAX_PAIRS)
		return false;
	return intern_pair(&l->pairs, thread, group) >= before && l->pairs.nr > before;
}

int latency_threads_meet(struct latency *l, uint32_t thread, uint32_t group, uint32_t task)
{
	struct latency_thread *t = &l->threads[thread];
	struct latency_row *row;

	if (t->row == group + 1 && !l->of_processes)
		return 0;
	row = row_of(l, group);
	if (!row)
		return -ENOMEM;
	if (known_thread(l, task) == thread && thread)
		l->tasks[task].row = group + 1;
	if (l->of_processes)
		name_row(l, row, task);
	if (t->row == group + 1)
		return 0;
	if (!t->row) {
		row->nr_threads++;
		l->total.nr_threads++;
	} else {
		if (!t->is_shared)
			add_pair(l, thread, t->row - 1);
		t->is_shared = true;
		row->nr_threads += add_pair(l, thread, group);
	}
	t->row = group + 1;
	return 0;
}
