#include "report/stacksum.h"

#include "report/measure.h"
#include "report/textids.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/column.h"

#define NO_GROUP UINT32_MAX

/* Open addressing; a count of 0 marks a free slot. */
struct entries {
	struct stacksum_entry *list;
	size_t nr, cap;		/* cap is a power of two */
};

struct stacksum {
	struct query *query;
	struct trace *trace;
	struct stacksum_opts opts;
	struct entries slots;
	struct textids *comms;
	struct stacksum_group *groups;
	uint32_t *group_hash;	/* group + 1 by (comm, pid, tid); 0 is free */
	uint32_t nr_groups, cap_groups;
	uint32_t *task_group;	/* by task id, NO_GROUP: not asked yet */
	uint32_t nr_tasks;
	const struct trace_event *event;	/* the first; others must measure the same */
	struct measure measure;			/* of the event of the batch */
	struct measure first;
	struct measure_scratch *scratch;
	uint64_t total, records, negative;
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

static struct stacksum_entry *find_slot(struct entries *l, uint32_t group, uint32_t stack)
{
	uint64_t at = mix((uint64_t)group << 32 | stack);
	struct stacksum_entry *e;

	for (;; at++) {
		e = &l->list[at & (l->cap - 1)];
		if (!e->count || (e->stack == stack && e->group == group))
			return e;
	}
}

static int grow_slots(struct entries *l)
{
	struct entries bigger = { .cap = l->cap ? l->cap * 2 : 4096, .nr = l->nr };

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

/* Samples are counted, as flame graphs always have it; spans have their time as width. */
static bool choose_measure(struct stacksum *s, const struct trace_event *e)
{
	bool is_counted = !s->opts.weighted && e->by_role[ROLE_DURATION] < 0 &&
			  e->by_role[ROLE_COUNT] < 0;
	const char *of = s->opts.of ? s->opts.of : is_counted ? "1" : NULL;
	struct diag d = { "" };

	if (s->measure.event == e)
		return true;
	return !measure_init(&s->measure, e, of, MEASURE_WEIGHT_FIRST, &d);
}

static bool same_kind(const struct measure *a, const struct measure *b)
{
	return (a->field < 0) == (b->field < 0) && !strcmp(a->unit, b->unit);
}

static bool wanted(struct stacksum *s, const struct trace_event *e)
{
	if (!s->opts.all_events && e->by_role[ROLE_STACK] < 0)
		return false;
	if (choose_measure(s, e) &&
	    (!s->event || e == s->event || (s->opts.all_events && same_kind(&s->measure, &s->first)))) {
		if (!s->event)
			s->first = s->measure;
		s->event = s->event ? s->event : e;
		return true;
	}
	s->others |= (uint64_t)1 << (e->id & 63);
	return false;
}

static int field_named(const struct trace_event *e, const char *name, bool is_text)
{
	for (uint32_t i = 0; i < e->nr_fields; i++)
		if (!strcmp(e->fields[i].name, name))
			return (e->fields[i].type == FIELD_STRING) == is_text &&
			       e->fields[i].type != FIELD_BYTES ? (int)i : -1;
	return -1;
}

/* What is read of a batch; a column that the event does not have is 0. */
struct columns {
	struct column stack, task, comm, pid, tid;
	bool has_task;
	struct measure_rows rows;
};

/* Tallies have no task, but may be counted by what tells one. */
static int open_columns(struct stacksum *s, struct columns *c, const struct query_batch *b)
{
	const struct trace_event *e = b->event;
	int err = column_open(&c->stack, b, e->by_role[ROLE_STACK], 0);

	c->has_task = e->by_role[ROLE_TASK] >= 0 || s->opts.by == STACKSUM_BY_NONE;
	if (!err)
		err = column_open(&c->task, b, s->opts.by == STACKSUM_BY_NONE ? -1 :
				  e->by_role[ROLE_TASK], 0);
	if (!err && !c->has_task)
		err = column_open(&c->comm, b, field_named(e, "comm", true), 0);
	if (!err && !c->has_task)
		err = column_open(&c->pid, b, field_named(e, "pid", false), 0);
	if (!err && !c->has_task)
		err = column_open(&c->tid, b, field_named(e, "tid", false), 0);
	return err ? err : measure_rows(&s->measure, b, s->scratch, &c->rows);
}

static uint32_t group_of_row(struct stacksum *s, const struct columns *c, size_t row)
{
	struct stacksum_group g = { .comm = "[unknown]" };
	uint64_t comm;

	if (c->has_task)
		return group_of(s, column_at(&c->task, row));
	comm = column_at(&c->comm, row);
	if (comm && comm <= UINT32_MAX)
		g.comm = trace_text(s->trace, (uint32_t)comm);
	if (s->opts.by >= STACKSUM_BY_PID)
		g.pid = (uint32_t)column_at(&c->pid, row);
	if (s->opts.by >= STACKSUM_BY_TID)
		g.tid = (uint32_t)column_at(&c->tid, row);
	return find_group(s, &g);
}

/* What a row adds. */
static uint64_t count_of(struct stacksum *s, const struct measure_rows *r, size_t row)
{
	uint64_t value = 1, times = r->counts ? r->counts[row] : 1, count;

	if (r->sums) {
		value = !r->first || r->first[row] ? r->sums[row] : 0;
		times = 1;
	} else if (r->values) {
		value = r->values[row];
	}
	if (s->measure.is_signed && (int64_t)value < 0) {
		s->negative += times;
		return 0;
	}
	return __builtin_mul_overflow(value, times, &count) ? UINT64_MAX : count;
}

static int add_batch(void *ctx, struct query_batch *b)
{
	struct stacksum *s = ctx;
	uint64_t nr_stacks = trace_nr_stacks(s->trace);
	struct columns c;
	int err;

	if (!wanted(s, b->event))
		return 0;
	err = open_columns(s, &c, b);
	if (err == -EBADMSG) {
		trace_damaged(b->batch);
		return 0;
	}
	if (!err)
		err = prepare_tasks(s);
	for (size_t i = 0; i < b->nr && !err; i++) {
		size_t row = b->rows ? b->rows[i] : i;
		uint32_t group = group_of_row(s, &c, row);
		uint64_t stack = column_at(&c.stack, row);

		if (group == NO_GROUP)
			return -ENOMEM;
		err = add(s, group, stack < nr_stacks ? (uint32_t)stack : 0,
			  count_of(s, &c.rows, row));
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
	struct entries *l = &s->slots;
	size_t nr = 0;
	bool is_stream = trace_is_stream(s->trace);
	int err = is_stream ? 0 : measure_check(s->query, s->opts.of, d);

	if (!err)
		err = query_each_batch(s->query, add_batch, s, d);
	if (!err && is_stream)
		err = measure_check(s->query, s->opts.of, d);
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
	if (textids_new(&s->comms) || measure_scratch_new(&s->scratch)) {
		stacksum_free(s);
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
	measure_scratch_free(s->scratch);
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
	if (!s->event || s->first.field < 0)
		return "samples";
	return *s->first.unit ? s->first.unit : s->first.name;
}

struct stacksum_left_out stacksum_left_out(const struct stacksum *s)
{
	return (struct stacksum_left_out) {
		.events = (uint32_t)__builtin_popcountll(s->others), .negative = s->negative,
	};
}
