#include "report/query_sieve.h"

#include "format/block.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- columns that tell whose a record is --------------------------------------------- */

int query_sieve_field(const struct trace_event *e, const char *name)
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

	return field < 0 ? query_sieve_field(e, "cpu") : field;
}

bool query_sieve_tells_cpu(const struct trace_event *e)
{
	return cpu_field(e) >= 0 || e->by_role[ROLE_COUNT] < 0;
}

/* --- tasks that pass ------------------------------------------------------------------- */

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

/* --- rows ---------------------------------------------------------------------------- */

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
	return query_list_has(&s->f->cpus, cpu);
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
	int pid = query_sieve_field(e, "pid"), tid = query_sieve_field(e, "tid");
	int comm = query_sieve_field(e, "comm"), err = 0;

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

int query_sieve_rows(struct query_filter *f, struct trace_batch *b,
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
	if (!err && f->cpus.nr && !query_sieve_tells_cpu(b->event))
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
