#include "report/stacksum.h"

#include "report/textids.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NO_GROUP UINT32_MAX

/* Open addressing; a count of 0 marks a free slot. */
struct slots {
	struct stacksum_entry *list;
	size_t nr, cap;		/* cap is a power of two */
};

struct stacksum {
	struct query *query;
	struct trace *trace;
	struct stacksum_opts opts;
	struct slots slots;
	struct textids *comms;
	struct stacksum_group *groups;
	uint32_t *group_hash;	/* group + 1 by (comm, pid, tid); 0 is free */
	uint32_t nr_groups, cap_groups;
	uint32_t *task_group;	/* by task id, NO_GROUP: not asked yet */
	uint32_t nr_tasks;
	const struct trace_event *event;
	uint64_t total, records;
	uint64_t others;	/* a bit for each event left out, by id modulo 64 */
};

static uint64_t mix(uint64_t x)
{
	x *= 0x9e3779b97f4a7c15u;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93u;
	return x ^ x >> 32;
}

/* --- groups ---------------------------------------------------------------- */

static uint32_t comm_id(struct stacksum *s, const char *comm)
{
	return textids_get(s->comms, 0, comm, strlen(comm));
}

static uint64_t group_key(struct stacksum *s, const struct stacksum_group *g)
{
	return mix((uint64_t)comm_id(s, g->comm) << 32 ^ mix((uint64_t)g->pid << 32 | g->tid));
}

static int grow_groups(struct stacksum *s)
{
	uint32_t cap = s->cap_groups ? s->cap_groups * 2 : 64;
	struct stacksum_group *groups = realloc(s->groups, cap * sizeof(*groups));
	uint32_t *hash;

	if (!groups)
		return -ENOMEM;
	s->groups = groups;
	hash = calloc((size_t)cap * 2, sizeof(*hash));
	if (!hash)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->nr_groups; i++) {
		uint64_t at = group_key(s, &groups[i]);

		while (hash[at & (cap * 2 - 1)])
			at++;
		hash[at & (cap * 2 - 1)] = i + 1;
	}
	free(s->group_hash);
	s->group_hash = hash;
	s->cap_groups = cap;
	return 0;
}

/* The group of those three, or NO_GROUP when memory ran out. */
static uint32_t find_group(struct stacksum *s, const struct stacksum_group *g)
{
	uint32_t id;
	uint64_t at;

	if (!comm_id(s, g->comm))
		return NO_GROUP;
	if (s->nr_groups == s->cap_groups && grow_groups(s))
		return NO_GROUP;
	for (at = group_key(s, g);; at++) {
		id = s->group_hash[at & (s->cap_groups * 2 - 1)];
		if (!id)
			break;
		if (s->groups[id - 1].pid == g->pid && s->groups[id - 1].tid == g->tid &&
		    strcmp(s->groups[id - 1].comm, g->comm) == 0)
			return id - 1;
	}
	s->group_hash[at & (s->cap_groups * 2 - 1)] = ++s->nr_groups;
	s->groups[s->nr_groups - 1] = *g;
	return s->nr_groups - 1;
}

static uint32_t group_of_new_task(struct stacksum *s, uint32_t task)
{
	const struct trace_task *t = trace_task(s->trace, task);
	struct stacksum_group g = { .comm = "" };

	if (s->opts.by >= STACKSUM_BY_COMM)
		g.comm = t ? trace_text(s->trace, t->comm) : "[unknown]";
	if (t && s->opts.by >= STACKSUM_BY_PID)
		g.pid = t->pid;
	if (t && s->opts.by >= STACKSUM_BY_TID)
		g.tid = t->tid;
	return find_group(s, &g);
}

/* Tasks stand in the file before their records, so the table fits the batch. */
static int prepare_tasks(struct stacksum *s)
{
	uint32_t nr = trace_nr_tasks(s->trace);
	uint32_t *list;

	if (nr == 0)
		nr = 1;
	if (nr <= s->nr_tasks)
		return 0;
	list = realloc(s->task_group, nr * sizeof(*list));
	if (!list)
		return -ENOMEM;
	memset(list + s->nr_tasks, 0xff, (nr - s->nr_tasks) * sizeof(*list));
	s->task_group = list;
	s->nr_tasks = nr;
	return 0;
}

static uint32_t group_of(struct stacksum *s, uint64_t task)
{
	if (task >= s->nr_tasks)
		task = 0;
	if (s->task_group[task] == NO_GROUP)
		s->task_group[task] = group_of_new_task(s, (uint32_t)task);
	return s->task_group[task];
}

/* --- sums ------------------------------------------------------------------ */

static struct stacksum_entry *find_slot(struct slots *l, uint32_t group, uint32_t stack)
{
	uint64_t at = mix((uint64_t)group << 32 | stack);
	struct stacksum_entry *e;

	for (;; at++) {
		e = &l->list[at & (l->cap - 1)];
		if (!e->count || (e->stack == stack && e->group == group))
			return e;
	}
}

static int grow_slots(struct slots *l)
{
	struct slots bigger = { .cap = l->cap ? l->cap * 2 : 4096, .nr = l->nr };

	bigger.list = calloc(bigger.cap, sizeof(*bigger.list));
	if (!bigger.list)
		return -ENOMEM;
	for (size_t i = 0; i < l->cap; i++) {
		const struct stacksum_entry *e = &l->list[i];

		if (e->count)
			*find_slot(&bigger, e->group, e->stack) = *e;
	}
	free(l->list);
	*l = bigger;
	return 0;
}

static int add(struct stacksum *s, uint32_t group, uint32_t stack, uint64_t count)
{
	struct stacksum_entry *e;

	s->records++;
	if (count > UINT64_MAX - s->total)
		count = UINT64_MAX - s->total;
	if (!count)
		return 0;
	if (s->slots.nr * 4 >= s->slots.cap * 3 && grow_slots(&s->slots))
		return -ENOMEM;
	e = find_slot(&s->slots, group, stack);
	if (!e->count) {
		e->group = group;
		e->stack = stack;
		s->slots.nr++;
	}
	e->count += count;
	s->total += count;
	return 0;
}

/* --- reading --------------------------------------------------------------- */

static bool wanted(struct stacksum *s, const struct trace_event *e)
{
	if (s->opts.all_events) {
		if (!s->event)
			s->event = e;
		return true;
	}
	if (e->by_role[ROLE_STACK] < 0)
		return false;
	if (!s->event)
		s->event = e;
	if (e->id == s->event->id)
		return true;
	s->others |= (uint64_t)1 << (e->id & 63);
	return false;
}

/* The column of a role; *ok becomes false when it is there and damaged. */
static const uint64_t *column(struct query_batch *b, enum field_role role, bool *ok)
{
	int field = b->event->by_role[role];
	const uint64_t *values;

	if (field < 0)
		return NULL;
	values = trace_column(b->batch, (uint32_t)field);
	if (!values)
		*ok = false;
	return values;
}

static int add_batch(void *ctx, struct query_batch *b)
{
	struct stacksum *s = ctx;
	const uint64_t *tasks = NULL, *stacks, *weights = NULL;
	uint64_t nr_stacks = trace_nr_stacks(s->trace);
	bool ok = true;
	int err;

	if (!wanted(s, b->event))
		return 0;
	stacks = column(b, ROLE_STACK, &ok);
	if (s->opts.by != STACKSUM_BY_NONE)
		tasks = column(b, ROLE_TASK, &ok);
	if (s->opts.weighted)
		weights = column(b, ROLE_WEIGHT, &ok);
	if (!ok) {
		trace_damaged(b->batch);
		return 0;
	}
	err = prepare_tasks(s);
	for (size_t i = 0; i < b->nr && !err; i++) {
		size_t row = b->rows ? b->rows[i] : i;
		uint32_t group = group_of(s, tasks ? tasks[row] : 0);
		uint64_t stack = stacks ? stacks[row] : 0;

		if (group == NO_GROUP)
			return -ENOMEM;
		err = add(s, group, stack < nr_stacks ? (uint32_t)stack : 0,
			  weights ? weights[row] : 1);
	}
	return err;
}

static int compare_entries(const void *a, const void *b)
{
	const struct stacksum_entry *x = a, *y = b;

	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	return x->stack < y->stack ? -1 : x->stack > y->stack;
}

int stacksum_read(struct stacksum *s, struct diag *d)
{
	struct slots *l = &s->slots;
	size_t nr = 0;
	int err = query_each_batch(s->query, add_batch, s, d);

	if (err)
		return diag_set(d, err, "cannot sum stacks: %s", strerror(-err));
	for (size_t i = 0; i < l->cap; i++)
		if (l->list[i].count)
			l->list[nr++] = l->list[i];
	if (nr)
		qsort(l->list, nr, sizeof(*l->list), compare_entries);
	return 0;
}

int stacksum_new(struct stacksum **out, struct query *q, const struct stacksum_opts *opts)
{
	struct stacksum *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->query = q;
	s->trace = query_trace(q);
	s->opts = *opts;
	if (textids_new(&s->comms)) {
		free(s);
		return -ENOMEM;
	}
	*out = s;
	return 0;
}

void stacksum_free(struct stacksum *s)
{
	if (!s)
		return;
	textids_free(s->comms);
	free(s->slots.list);
	free(s->groups);
	free(s->group_hash);
	free(s->task_group);
	free(s);
}

const struct stacksum_entry *stacksum_entries(const struct stacksum *s, size_t *nr)
{
	*nr = s->slots.nr;
	return s->slots.list;
}

uint32_t stacksum_nr_groups(const struct stacksum *s)
{
	return s->nr_groups;
}

const struct stacksum_group *stacksum_group(const struct stacksum *s, uint32_t group)
{
	return &s->groups[group];
}

uint64_t stacksum_total(const struct stacksum *s)
{
	return s->total;
}

uint64_t stacksum_records(const struct stacksum *s)
{
	return s->records;
}

size_t stacksum_group_end(const struct stacksum *s, size_t begin)
{
	size_t end = begin;

	while (end < s->slots.nr && s->slots.list[end].group == s->slots.list[begin].group)
		end++;
	return end;
}

const char *stacksum_event(const struct stacksum *s)
{
	return s->event ? s->event->name : NULL;
}

const char *stacksum_unit(const struct stacksum *s)
{
	int field = s->event ? s->event->by_role[ROLE_WEIGHT] : -1;

	if (!s->opts.weighted || field < 0)
		return "samples";
	return *s->event->fields[field].unit ? s->event->fields[field].unit
					     : s->event->fields[field].name;
}

uint32_t stacksum_other_events(const struct stacksum *s)
{
	return (uint32_t)__builtin_popcountll(s->others);
}
