#include "report/spansum.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/errnotext.h"

#define FIRST_INDEX 256

/* --- threads -------------------------------------------------------------------------- */

/*
 * The first name of the thread; parts of its chain may be missing.  A predecessor is the
 * older entry, which bounds the way through what a file claims.
 */
static uint32_t root_of(const struct trace *t, uint32_t task)
{
	const struct trace_task *k = trace_task(t, task);

	while (k && k->previous && k->previous < task && trace_task(t, k->previous)) {
		task = k->previous;
		k = trace_task(t, task);
	}
	return k ? task : 0;
}

static int grow_by_task(struct spansum *s, uint32_t task)
{
	uint32_t nr = trace_nr_tasks(s->trace);
	uint32_t *grown;

	if (nr <= task)
		nr = task + 1;
	grown = realloc(s->by_task, nr * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	memset(grown + s->nr_by_task, 0, (nr - s->nr_by_task) * sizeof(*grown));
	s->by_task = grown;
	s->nr_by_task = nr;
	return 0;
}

static int add_thread(struct spansum *s, uint32_t task)
{
	if (s->nr_threads == s->cap_threads) {
		size_t cap = s->cap_threads ? 2 * s->cap_threads : 64;
		struct spansum_thread *grown = realloc(s->threads, cap * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		s->threads = grown;
		s->cap_threads = cap;
	}
	s->threads[s->nr_threads++] = (struct spansum_thread) { .task = task };
	return 0;
}

/* Unknown tasks are one thread, the one without a name. */
static int thread_of(struct spansum *s, uint32_t task, uint32_t *thread)
{
	uint32_t root;

	if (task < s->nr_by_task && s->by_task[task]) {
		*thread = s->by_task[task] - 1;
		return 0;
	}
	root = root_of(s->trace, task);
	if (!root)
		task = 0;
	if ((task >= s->nr_by_task || root >= s->nr_by_task) && grow_by_task(s, task))
		return -ENOMEM;
	if (!s->by_task[root]) {
		if (add_thread(s, task))
			return -ENOMEM;
		s->by_task[root] = (uint32_t)s->nr_threads;
	}
	*thread = s->by_task[root] - 1;
	s->by_task[task] = s->by_task[root];
	if (s->threads[*thread].task < task)
		s->threads[*thread].task = task;
	return 0;
}

/* --- rows ----------------------------------------------------------------------------- */

static size_t slot_of(const struct spansum *s, uint32_t thread, const struct trace_event *e)
{
	uint64_t mixed = ((uint64_t)(uintptr_t)e >> 4 ^ (uint64_t)thread << 32) *
			 0x9e3779b97f4a7c15u;
	size_t i = (size_t)(mixed >> 32) & (s->nr_index - 1);

	while (s->index[i]) {
		const struct spansum_row *row = &s->rows[s->index[i] - 1];

		if (row->thread == thread && row->event == e)
			break;
		i = (i + 1) & (s->nr_index - 1);
	}
	return i;
}

static int grow_index(struct spansum *s)
{
	size_t nr = s->nr_index ? 2 * s->nr_index : FIRST_INDEX;
	uint32_t *index = calloc(nr, sizeof(*index));

	if (!index)
		return -ENOMEM;
	free(s->index);
	s->index = index;
	s->nr_index = nr;
	for (size_t i = 0; i < s->nr_rows; i++)
		index[slot_of(s, s->rows[i].thread, s->rows[i].event)] = (uint32_t)i + 1;
	return 0;
}

static int grow_rows(struct spansum *s)
{
	size_t cap = s->cap_rows ? 2 * s->cap_rows : 64;
	struct spansum_row *grown = realloc(s->rows, cap * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	s->rows = grown;
	s->cap_rows = cap;
	return 0;
}

/* NULL: out of memory.  Valid until the next one is made. */
static struct spansum_row *row_of(struct spansum *s, uint32_t thread,
				  const struct trace_event *e, bool is_signed)
{
	struct spansum_row *row;
	size_t slot;

	if (4 * (s->nr_rows + 1) > 3 * s->nr_index && grow_index(s))
		return NULL;
	slot = slot_of(s, thread, e);
	if (s->index[slot])
		return &s->rows[s->index[slot] - 1];
	if (s->nr_rows == s->cap_rows && grow_rows(s))
		return NULL;
	row = &s->rows[s->nr_rows++];
	*row = (struct spansum_row) { .event = e, .thread = thread };
	histogram_init(&row->durations, is_signed);
	s->index[slot] = (uint32_t)s->nr_rows;
	return row;
}

/* --- records -------------------------------------------------------------------------- */

/* The field of the role, if it is a number of that unit (NULL: any); else -1. */
static int number_of(const struct trace_event *e, enum field_role role, const char *unit)
{
	int field = e->by_role[role];
	const struct field_desc *f = field < 0 ? NULL : &e->fields[field];

	if (!f || (f->type != FIELD_UNSIGNED && f->type != FIELD_SIGNED))
		return -1;
	return unit && strcmp(f->unit, unit) ? -1 : field;
}

struct columns {
	const uint64_t *tasks, *durations, *results;	/* or NULL */
	bool is_signed;
};

/* False: a column is damaged. */
static bool find_columns(struct columns *c, struct query_batch *b)
{
	int duration = number_of(b->event, ROLE_DURATION, "ns");
	int result = number_of(b->event, ROLE_RESULT, NULL);
	int task = b->event->by_role[ROLE_TASK];

	*c = (struct columns) {
		.is_signed = b->event->fields[duration].type == FIELD_SIGNED };
	c->durations = trace_column(b->batch, (uint32_t)duration);
	if (task >= 0 && b->event->fields[task].type == FIELD_TASK)
		c->tasks = trace_column(b->batch, (uint32_t)task);
	else
		task = -1;
	if (result >= 0)
		c->results = trace_column(b->batch, (uint32_t)result);
	return c->durations && (task < 0 || c->tasks) && (result < 0 || c->results);
}

static int add_batch(void *ctx, struct query_batch *b)
{
	struct spansum *s = ctx;
	struct spansum_row *row = NULL;
	struct columns c;
	uint32_t thread;

	if (number_of(b->event, ROLE_DURATION, "ns") < 0)
		return 0;
	if (!find_columns(&c, b)) {
		trace_damaged(b->batch);
		return 0;
	}
	for (size_t i = 0; i < b->nr; i++) {
		size_t at = b->rows ? b->rows[i] : i;
		uint64_t task = c.tasks ? c.tasks[at] : 0;

		if (thread_of(s, task <= UINT32_MAX ? (uint32_t)task : 0, &thread))
			return -ENOMEM;
		if (!row || row->thread != thread)
			row = row_of(s, thread, b->event, c.is_signed);
		if (!row || histogram_add(&row->durations, c.durations[at]))
			return -ENOMEM;
		row->has_result = c.results;
		row->errors += c.results && errnotext_is(c.results[at]);
		s->threads[thread].nr_spans++;
		s->nr_spans++;
	}
	return 0;
}

double spansum_deviation(const struct spansum_row *row)
{
	double n = (double)row->durations.count, mean = histogram_mean(&row->durations);

	if (n < 2 || fpclassify(mean) == FP_ZERO)
		return 0;
	return 100 * histogram_deviation(&row->durations) / sqrt(n - 1) / fabs(mean);
}

/* --- order ------------------------------------------------------------------------------ */


/* The rows of a thread together, for now in the order of their numbers. */
static int compare_rows(const void *a, const void *b)
{
	const struct spansum_row *x = a, *y = b;

	if (x->thread != y->thread)
		return x->thread < y->thread ? -1 : 1;
	if (x->durations.sum > y->durations.sum || x->durations.sum < y->durations.sum)
		return x->durations.sum > y->durations.sum ? -1 : 1;
	return strcmp(x->event->name, y->event->name);
}

static int compare_threads(const void *a, const void *b)
{
	const struct spansum_thread *x = a, *y = b;

	if (x->nr_spans != y->nr_spans)
		return x->nr_spans > y->nr_spans ? -1 : 1;
	return x->task < y->task ? -1 : x->task > y->task;
}

static void sort(struct spansum *s)
{
	if (s->nr_rows)
		qsort(s->rows, s->nr_rows, sizeof(*s->rows), compare_rows);
	for (size_t i = 0; i < s->nr_rows; i++) {
		struct spansum_thread *t = &s->threads[s->rows[i].thread];

		if (!t->nr_rows++)
			t->first = i;
	}
	if (s->nr_threads)
		qsort(s->threads, s->nr_threads, sizeof(*s->threads), compare_threads);
}

/* --- life ------------------------------------------------------------------------------- */

static bool has_spans(struct query *q)
{
	struct trace *t = query_trace(q);

	for (size_t i = 0; i < trace_nr_events(t); i++) {
		const struct trace_event *e = trace_event_at(t, i);

		if (query_wants_event(q, e) && number_of(e, ROLE_DURATION, "ns") >= 0)
			return true;
	}
	return false;
}

int spansum_make(struct spansum **out, struct query *q, struct diag *d)
{
	struct spansum *s = calloc(1, sizeof(*s));
	int err = -ENOMEM;

	if (s) {
		s->trace = query_trace(q);
		err = query_each_batch(q, add_batch, s, d);
	}
	/* On a pipe events come with the records. */
	if (!err && !s->nr_spans && !has_spans(q))
		err = diag_set(d, -EINVAL, "no event has durations to sum up (record spans: "
			       "kymo record -e 'syscall:*')");
	if (!err)
		sort(s);
	if (err) {
		spansum_free(s);
		return d->text[0] ? err : diag_set(d, err, "cannot sum up the spans: %s",
						   strerror(-err));
	}
	*out = s;
	return 0;
}

void spansum_free(struct spansum *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->nr_rows; i++)
		histogram_release(&s->rows[i].durations);
	free(s->threads);
	free(s->rows);
	free(s->by_task);
	free(s->index);
	free(s);
}
