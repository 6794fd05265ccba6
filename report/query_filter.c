#include "report/query_filter.h"

#include "format/block.h"
#include "report/query.h"
#include "report/query_expr.h"
#include "report/query_list.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

struct query_filter {
	struct query_ranges pids, tids, cpus;
	struct query_names comms, events;
	const struct trace_event **added;	/* wanted, whatever they are called */
	size_t nr_added;
	bool only_added;		/* besides those asked for by name */
	struct query_expr *expr;	/* or NULL */
	uint8_t *task_passes;		/* by task id */
	uint32_t nr_tasks, tasks_cap;
	uint64_t nr_task_blocks;	/* read when task_passes was filled */
	uint32_t *rows;
	size_t rows_cap;
};

int query_filter_new(struct query_filter **out, const struct query_opts *opts, struct diag *d)
{
	struct query_filter *f = calloc(1, sizeof(*f));
	int err;

	if (!f)
		return diag_set(d, -ENOMEM, "out of memory");
	err = query_list_ranges(&f->pids, opts->pids, "process id", d);
	if (!err)
		err = query_list_ranges(&f->tids, opts->tids, "thread id", d);
	if (!err)
		err = query_list_ranges(&f->cpus, opts->cpus, "CPU", d);
	if (!err)
		err = query_list_names(&f->comms, opts->comms, "thread name", d);
	if (!err)
		err = query_list_names(&f->events, opts->events, "event name", d);
	if (!err && opts->filter)
		err = query_expr_new(&f->expr, opts->filter, d);
	if (err) {
		query_filter_free(f);
		return err;
	}
	*out = f;
	return 0;
}

void query_filter_free(struct query_filter *f)
{
	if (!f)
		return;
	query_list_release_ranges(&f->pids);
	query_list_release_ranges(&f->tids);
	query_list_release_ranges(&f->cpus);
	query_list_release_names(&f->comms);
	query_list_release_names(&f->events);
	query_expr_free(f->expr);
	free(f->added);
	free(f->task_passes);
	free(f->rows);
	free(f);
}

/* Whether a name is meant that does not merely stand for all events. */
static bool names_event(const struct query_filter *f, const struct trace_event *e)
{
	for (size_t i = 0; i < f->events.nr; i++) {
		const char *pattern = f->events.names[i];

		if (pattern[strspn(pattern, "*")] && !fnmatch(pattern, e->name, 0))
			return true;
	}
	return false;
}

bool query_filter_event(struct query_filter *f, const struct trace_event *e)
{
	for (size_t i = 0; i < f->nr_added; i++)
		if (f->added[i] == e)
			return true;
	if (e->part_of)
		return names_event(f, e);
	return (f->events.nr || !f->only_added) && query_list_match(&f->events, e->name);
}

void query_filter_want_added(struct query_filter *f)
{
	f->only_added = true;
}

int query_filter_add_event(struct query_filter *f, const struct trace_event *e)
{
	const struct trace_event **added = realloc(f->added, (f->nr_added + 1) * sizeof(*added));

	if (!added)
		return -ENOMEM;
	f->added = added;
	added[f->nr_added++] = e;
	return 0;
}

bool query_filter_cpu(const struct query_filter *f, uint64_t cpu)
{
	return query_list_has(&f->cpus, cpu);
}

/* What a recording of something else brings along, as people ask for it. */
static const char *whole_of(const char *name)
{
	static const char *const parts[] = { "offcpu", "blocked", "runq", "oncpu", "wakeup" };

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (!strcmp(name, parts[i]))
			return "sched";
	return NULL;
}

int query_filter_complain_event(const char *pattern, const struct trace *t, struct diag *d)
{
	char all[320] = "";
	size_t len = 0;

	for (size_t i = 0; i < trace_nr_events(t); i++) {
		const char *name = trace_event_at(t, i)->name;
		size_t name_len = strlen(name);

		if (len + name_len + 8 > sizeof(all)) {
			memcpy(all + len, ", ...", 6);
			break;
		}
		if (len) {
			memcpy(all + len, ", ", 2);
			len += 2;
		}
		memcpy(all + len, name, name_len + 1);
		len += name_len;
	}
	if (!trace_nr_events(t))
		return diag_set(d, -ENOENT, "no event '%.80s' in the trace: it has none", pattern);
	if (whole_of(pattern))
		return diag_set(d, -ENOENT, "no event '%.80s' in the trace: record with -e %s (it "
				"has: %s)", pattern, whole_of(pattern), all);
	return diag_set(d, -ENOENT, "no event '%.80s' in the trace (it has: %s)", pattern, all);
}

static bool wants_event(void *ctx, const struct trace_event *e)
{
	return query_filter_event(ctx, e);
}

/* A number or, of "comm", text.  -1: there is none. */
static int field_named(const struct trace_event *e, const char *name)
{
	uint8_t type = strcmp(name, "comm") ? FIELD_UNSIGNED : FIELD_STRING;

	for (uint32_t i = 0; i < e->nr_fields; i++)
		if (!strcmp(e->fields[i].name, name) &&
		    (e->fields[i].type == type ||
		     (e->fields[i].type == FIELD_SIGNED && type == FIELD_UNSIGNED)))
			return (int)i;
	return -1;
}

static int cpu_field(const struct trace_event *e)
{
	int field = e->by_role[ROLE_CPU];

	return field < 0 ? field_named(e, "cpu") : field;
}

/* Other records than those of a tally are of CPU 0 if they have no such column. */
static bool tells_cpu(const struct trace_event *e)
{
	return cpu_field(e) >= 0 || e->by_role[ROLE_COUNT] < 0;
}

/* Whether the records of the event can be chosen by what was asked for. */
static bool can_choose(const struct query_filter *f, const struct trace_event *e,
		       const char **lacks)
{
	bool has_task = e->by_role[ROLE_TASK] >= 0;

	if (f->cpus.nr && !tells_cpu(e))
		*lacks = "cpu";
	else if (f->pids.nr && !has_task && field_named(e, "pid") < 0)
		*lacks = "pid";
	else if (f->tids.nr && !has_task && field_named(e, "tid") < 0)
		*lacks = "tid";
	else if (f->comms.nr && !has_task && field_named(e, "comm") < 0)
		*lacks = "comm";
	else
		return true;
	return false;
}

/* An answer of nothing would read as if there were nothing. */
static int check_choice(struct query_filter *f, struct trace *t, struct diag *d)
{
	const struct trace_event *last = NULL;
	const char *lacks = NULL;

	for (size_t i = 0; i < trace_nr_events(t); i++) {
		const struct trace_event *e = trace_event_at(t, i);

		if (!query_filter_event(f, e))
			continue;
		if (can_choose(f, e, &lacks))
			return 0;
		last = e;
	}
	if (!last)
		return 0;
	return diag_set(d, -EINVAL, "records of '%s' cannot be chosen by %s: they do not tell it%s",
			last->name, lacks, last->by_role[ROLE_COUNT] < 0 ? "" :
			" (a tally does if it is recorded with by=pid,tid,comm or cpu)");
}

int query_filter_check_events(struct query_filter *f, struct trace *t, struct diag *d)
{
	int err;

	for (size_t p = 0; p < f->events.nr; p++) {
		size_t i = 0;

		while (i < trace_nr_events(t) &&
		       fnmatch(f->events.names[p], trace_event_at(t, i)->name, 0))
			i++;
		if (i == trace_nr_events(t))
			return query_filter_complain_event(f->events.names[p], t, d);
	}
	err = check_choice(f, t, d);
	if (err)
		return err;
	return f->expr ? query_expr_check(f->expr, t, wants_event, f, d) : 0;
}

static bool task_passes(const struct query_filter *f, const struct trace *t, uint32_t id)
{
	const struct trace_task *task = trace_task(t, id);

	if (!task)
		return false;
	return query_list_has(&f->pids, task->pid) && query_list_has(&f->tids, task->tid) &&
	       query_list_match(&f->comms, trace_text(t, task->comm));
}

/* Tasks come as the stream goes on, and a later entry overrides an earlier. */
static int update_tasks(struct query_filter *f, const struct trace *t)
{
	uint64_t nr_blocks = trace_block_stats(t)[BLOCK_TASKS].nr_blocks;
	uint32_t nr = trace_nr_tasks(t);

	if (f->task_passes && f->nr_tasks == nr && f->nr_task_blocks == nr_blocks)
		return 0;
	if (nr > f->tasks_cap || !f->task_passes) {
		uint8_t *grown;

		f->tasks_cap = nr + nr / 2 + 64;
		grown = realloc(f->task_passes, f->tasks_cap);
		if (!grown)
			return -ENOMEM;
		f->task_passes = grown;
	}
	for (uint32_t id = 0; id < nr; id++)
		f->task_passes[id] = task_passes(f, t, id);
	f->nr_tasks = nr;
	f->nr_task_blocks = nr_blocks;
	return 0;
}

static bool filters_tasks(const struct query_filter *f)
{
	return f->pids.nr || f->tids.nr || f->comms.nr;
}

/* Rows that passed so far, and the test of the next column. */
struct sieve {
	struct query_filter *f;
	struct trace_batch *b;
	bool all;
	size_t nr;
};

typedef bool (*sieve_fn)(const struct sieve *s, uint64_t value, const void *arg);

static bool sieve_task(const struct sieve *s, uint64_t id, const void *arg)
{
	(void)arg;
	return id < s->f->nr_tasks && s->f->task_passes[id];
}

static bool sieve_pid(const struct sieve *s, uint64_t pid, const void *arg)
{
	(void)arg;
	return query_list_has(&s->f->pids, pid);
}

static bool sieve_tid(const struct sieve *s, uint64_t tid, const void *arg)
{
	(void)arg;
	return query_list_has(&s->f->tids, tid);
}

static bool sieve_comm(const struct sieve *s, uint64_t id, const void *arg)
{
	(void)arg;
	return query_list_match(&s->f->comms, trace_text(s->b->trace, (uint32_t)id));
}

static bool sieve_cpu(const struct sieve *s, uint64_t cpu, const void *arg)
{
	(void)arg;
	return query_filter_cpu(s->f, cpu);
}

static bool sieve_nonzero(const struct sieve *s, uint64_t value, const void *arg)
{
	(void)s;
	(void)arg;
	return value;
}

static bool sieve_time(const struct sieve *s, uint64_t ns, const void *arg)
{
	const uint64_t *range = arg;

	(void)s;
	return ns >= range[0] && ns <= range[1];
}

static inline __attribute__((always_inline)) void
sieve_values(struct sieve *s, const uint64_t *values, sieve_fn passes, const void *arg)
{
	uint32_t *rows = s->f->rows;
	size_t nr = 0;

	/* Writes without a branch: what passes alternates in no order. */
	if (s->all) {
		for (size_t i = 0; i < s->nr; i++) {
			rows[nr] = (uint32_t)i;
			nr += passes(s, values[i], arg);
		}
	} else {
		for (size_t i = 0; i < s->nr; i++) {
			uint32_t row = rows[i];

			rows[nr] = row;
			nr += passes(s, values[row], arg);
		}
	}
	s->all = s->all && nr == s->nr;
	s->nr = nr;
}

/* A missing field reads as 0, as a missing column does. */
static inline __attribute__((always_inline)) int
sieve_column(struct sieve *s, int field, sieve_fn passes, const void *arg)
{
	const uint64_t *values;
	uint64_t constant = 0;

	if (!s->nr)
		return 0;
	if (field < 0 || trace_column_constant(s->b, (uint32_t)field, &constant)) {
		if (!passes(s, constant, arg))
			s->nr = 0;
		return 0;
	}
	values = trace_column(s->b, (uint32_t)field);
	if (!values)
		return -EBADMSG;
	sieve_values(s, values, passes, arg);
	return 0;
}

/* The rows of a part among those of its whole. */
static int sieve_part(struct sieve *s)
{
	const uint64_t *values;
	int err;

	if (!s->nr || !s->b->whole)
		return 0;
	err = trace_part_condition(s->b, &values);
	if (!err && values)
		sieve_values(s, values, sieve_nonzero, NULL);
	return err;
}

/* A record without a task may still say whose it is, as a tally by comm does. */
static int sieve_named(struct sieve *s)
{
	const struct trace_event *e = s->b->event;
	const struct query_filter *f = s->f;
	int pid = field_named(e, "pid"), tid = field_named(e, "tid");
	int comm = field_named(e, "comm"), err = 0;

	/* What does not tell it cannot be meant. */
	if ((f->pids.nr && pid < 0) || (f->tids.nr && tid < 0) || (f->comms.nr && comm < 0))
		s->nr = 0;
	if (f->pids.nr)
		err = sieve_column(s, pid, sieve_pid, NULL);
	if (!err && f->tids.nr)
		err = sieve_column(s, tid, sieve_tid, NULL);
	if (!err && f->comms.nr)
		err = sieve_column(s, comm, sieve_comm, NULL);
	return err;
}

static int sieve_whose(struct sieve *s)
{
	int field = s->b->event->by_role[ROLE_TASK];
	int err;

	if (field < 0)
		return sieve_named(s);
	err = update_tasks(s->f, s->b->trace);
	return err ? err : sieve_column(s, field, sieve_task, NULL);
}

static int reserve_rows(struct query_filter *f, size_t nr)
{
	uint32_t *rows;

	if (nr <= f->rows_cap)
		return 0;
	rows = realloc(f->rows, nr * sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	f->rows = rows;
	f->rows_cap = nr;
	return 0;
}

/* The expression has the last word: what else there is costs less. */
static int sieve_expr(struct sieve *s, uint64_t start_ns)
{
	struct query_expr_rows rows = { .rows = s->f->rows, .all = s->all, .nr = s->nr };
	int err = query_expr_sieve(s->f->expr, s->b, start_ns, &rows);

	s->all = rows.all;
	s->nr = rows.nr;
	return err;
}

int query_filter_rows(struct query_filter *f, struct trace_batch *b,
		      const struct query_span *span, struct query_rows *out)
{
	const int *by_role = b->event->by_role;
	uint64_t range[2] = { span->first_ns, span->last_ns };
	struct sieve s = { .f = f, .b = b, .all = true, .nr = b->nr };
	int err = reserve_rows(f, b->nr);

	if (!err && (b->first_ns < span->first_ns || b->last_ns > span->last_ns))
		err = sieve_column(&s, by_role[ROLE_TIME], sieve_time, range);
	if (!err)
		err = sieve_part(&s);
	if (!err && filters_tasks(f))
		err = sieve_whose(&s);
	if (!err && f->cpus.nr && !tells_cpu(b->event))
		s.nr = 0;
	if (!err && f->cpus.nr)
		err = sieve_column(&s, cpu_field(b->event), sieve_cpu, NULL);
	if (!err && f->expr && s.nr)
		err = sieve_expr(&s, span->start_ns);
	if (err)
		return err;
	out->rows = s.all ? NULL : f->rows;
	out->nr = s.nr;
	return 0;
}
