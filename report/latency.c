#include "report/latency_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- groups and threads ------------------------------------------------------------------ */

int latency_groups_of(struct latency *l, struct query_batch *b)
{
	uint32_t *grown;

	if (b->nr > l->group_cap) {
		grown = realloc(l->group_of, b->nr * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		l->group_of = grown;
		l->group_cap = b->nr;
	}
	return groups_of(l->groups, b, l->group_of);
}

struct latency_row *latency_row_of(struct latency *l, uint32_t group)
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

/* The first name of the thread, which is the older entry; parts of its chain may be missing. */
static uint32_t root_of(const struct trace *t, uint32_t task)
{
	const struct trace_task *k = trace_task(t, task);

	while (k && k->previous && k->previous < task && trace_task(t, k->previous)) {
		task = k->previous;
		k = trace_task(t, task);
	}
	return k ? task : 0;
}

static int grow_tasks(struct latency *l, uint32_t task)
{
	uint32_t nr = trace_nr_tasks(l->trace);
	uint32_t *grown;

	if (nr <= task)
		nr = task + 1;
	grown = realloc(l->thread_of_task, nr * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	memset(grown + l->nr_by_task, 0, (nr - l->nr_by_task) * sizeof(*grown));
	l->thread_of_task = grown;
	l->nr_by_task = nr;
	return 0;
}

static int add_thread(struct latency *l)
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

uint32_t latency_thread_of(struct latency *l, uint32_t task)
{
	uint32_t root;

	if (task < l->nr_by_task && l->thread_of_task[task])
		return l->thread_of_task[task];
	root = root_of(l->trace, task);
	if (!root)
		return 0;
	if ((task >= l->nr_by_task || root >= l->nr_by_task) && grow_tasks(l, task))
		return UINT32_MAX;
	if (!l->thread_of_task[root]) {
		if (add_thread(l))
			return UINT32_MAX;
		l->thread_of_task[root] = l->nr_threads - 1;
	}
	l->thread_of_task[task] = l->thread_of_task[root];
	return l->thread_of_task[task];
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

int latency_meet(struct latency *l, uint32_t thread, uint32_t group, uint32_t task)
{
	struct latency_thread *t = &l->threads[thread];
	struct latency_row *row;

	if (t->row == group + 1 && (!l->of_processes || l->rows[group].task == task))
		return 0;
	row = latency_row_of(l, group);
	if (!row)
		return -ENOMEM;
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

/* --- sums -------------------------------------------------------------------------------- */

int latency_add_value(struct latency *l, struct latency_values **to, uint64_t value)
{
	struct latency_values *v = *to;
	uint32_t nr;
	int err;

	if (!v && l->values_bytes > LATENCY_VALUES_BYTES) {
		l->remarks.nr_no_room++;
		return 0;
	}
	if (!v) {
		v = *to = calloc(1, sizeof(*v));
		if (!v)
			return -ENOMEM;
		l->values_bytes += sizeof(*v);
	}
	nr = v->nr;
	err = latency_values_add(v, value);
	l->values_bytes += (v->nr - nr) * sizeof(*v->counts);
	return err;
}

static struct latency_wait *add_wait(struct latency *l, struct latency_row *row)
{
	uint32_t cap = l->cap_waits ? 2 * l->cap_waits : 64;
	struct latency_wait *grown;

	if (l->nr_waits == l->cap_waits) {
		grown = realloc(l->waits, cap * sizeof(*grown));
		if (!grown)
			return NULL;
		l->waits = grown;
		l->cap_waits = cap;
	}
	grown = &l->waits[l->nr_waits];
	*grown = (struct latency_wait) { .id = l->nr_waits++, .next = row->first_wait };
	row->first_wait = l->nr_waits;
	row->nr_waits++;
	return grown;
}

/* There are a few in a row; the one that was last looked for is the first. */
static struct latency_wait *find_wait(struct latency *l, struct latency_row *row, uint8_t reason,
				      bool idle)
{
	uint32_t *link = &row->first_wait, at;
	struct latency_wait *w;

	for (at = *link; at; link = &w->next, at = *link) {
		w = &l->waits[at - 1];
		if (w->reason != reason || w->idle != idle)
			continue;
		*link = w->next;
		w->next = row->first_wait;
		row->first_wait = at;
		return w;
	}
	w = add_wait(l, row);
	if (w) {
		w->reason = reason;
		w->idle = idle;
	}
	return w;
}

int latency_add_wait(struct latency *l, uint32_t group, const struct latency_piece *p,
		     uint64_t ns)
{
	struct latency_row *row = &l->rows[group];
	struct latency_wait *w = find_wait(l, row, p->reason, p->idle);
	const struct trace_task *waker;
	struct latency_top top;

	if (!w)
		return -ENOMEM;
	w->ns += ns;
	w->count++;
	row->blocked_ns += ns;
	row->idle_ns += p->idle ? ns : 0;
	row->still_ns += p->still && !p->idle ? ns : 0;
	if (!(p->stack | p->waker | p->waker_stack | p->context))
		return 0;
	waker = trace_task(l->trace, p->waker);
	top = (struct latency_top) {
		.wait = w->id, .stack = p->stack, .waker_stack = p->waker_stack,
		.waker = waker ? waker->comm : 0, .context = p->context, .count = 1, .ns = ns,
	};
	return latency_tops_add(&l->tops, &top);
}

int latency_add_wait_value(struct latency *l, uint32_t group, uint8_t reason, bool idle,
			   uint64_t value)
{
	struct latency_wait *w = find_wait(l, &l->rows[group], reason, idle);

	return w ? latency_add_value(l, &w->values, value) : -ENOMEM;
}

bool latency_add_wall(struct latency *l, struct latency_row *row, uint64_t ns)
{
	if (ns > UINT64_MAX - l->total.wall_ns) {
		l->remarks.nr_overflow++;
		return false;
	}
	l->total.wall_ns += ns;
	row->wall_ns += ns;
	return true;
}

/* --- the end ----------------------------------------------------------------------------- */

static void split_on_cpu(struct latency_row *row)
{
	uint64_t on_ns = row->ns[LATENCY_ON_CPU], user_ns;
	double ticks = row->user_ticks + row->system_ticks;
	double part = (double)on_ns * (row->user_ticks / (ticks > 0 ? ticks : 1));

	if (!(ticks > 0))
		return;
	user_ns = part < (double)on_ns ? (uint64_t)part : on_ns;
	row->ns[LATENCY_ON_USER] = user_ns;
	row->ns[LATENCY_ON_KERNEL] = on_ns - user_ns;
	row->ns[LATENCY_ON_CPU] = 0;
}

static int compare_waits(const void *a, const void *b)
{
	const struct latency_wait *const *x = a, *const *y = b;

	if ((*x)->ns != (*y)->ns)
		return (*x)->ns > (*y)->ns ? -1 : 1;
	return (*x)->id < (*y)->id ? -1 : 1;
}

static void sort_waits(struct latency *l)
{
	const struct latency_wait **to = l->sorted_waits;

	for (uint32_t i = 0; i < l->nr_rows; i++) {
		struct latency_row *row = &l->rows[i];
		size_t nr = 0;

		row->waits = to;
		for (uint32_t at = row->first_wait; at; at = l->waits[at - 1].next)
			if (l->waits[at - 1].ns)
				to[nr++] = &l->waits[at - 1];
		if (nr)
			qsort(to, nr, sizeof(*to), compare_waits);
		row->nr_waits = nr;
		to += nr;
	}
}

static int compare_rows(const void *a, const void *b)
{
	const struct latency_row *x = a, *y = b;
	uint64_t busy_x = x->wall_ns - x->idle_ns - x->still_ns;
	uint64_t busy_y = y->wall_ns - y->idle_ns - y->still_ns;

	if (busy_x != busy_y)
		return busy_x > busy_y ? -1 : 1;
	if (x->wall_ns != y->wall_ns)
		return x->wall_ns > y->wall_ns ? -1 : 1;
	return x->group < y->group ? -1 : x->group > y->group;
}

static void add_total(struct latency *l, const struct latency_row *row)
{
	for (size_t i = 0; i < LATENCY_NR_COLUMNS; i++)
		l->total.ns[i] += row->ns[i];
	l->total.blocked_ns += row->blocked_ns;
	l->total.idle_ns += row->idle_ns;
	l->total.nr_spans += row->nr_spans;
}

static int finish(struct latency *l)
{
	uint32_t nr = 0;

	l->sorted_waits = calloc((size_t)l->nr_waits + 1, sizeof(*l->sorted_waits));
	if (!l->sorted_waits)
		return -ENOMEM;
	for (uint32_t i = 0; i < l->nr_rows; i++) {
		struct latency_row *row = &l->rows[i];

		if (!row->nr_threads && !row->nr_spans)
			continue;
		if (!l->opts.spans)
			split_on_cpu(row);
		add_total(l, row);
		l->rows[nr++] = *row;
	}
	l->nr_rows = nr;
	sort_waits(l);
	if (nr)
		qsort(l->rows, nr, sizeof(*l->rows), compare_rows);
	return latency_tops_sort(&l->tops, l->nr_waits);
}

/* --- life -------------------------------------------------------------------------------- */

static int choose_keys(struct latency *l, struct diag *d)
{
	l->of_processes = !l->opts.keys && !l->opts.spans;
	if (l->opts.keys)
		return 0;
	l->opts.keys = &l->own_keys;
	return profile_keys_parse(&l->own_keys, l->opts.spans ? "event" : "pid", d);
}

/* On a pipe events come with the records. */
static int check_stories(const struct latency *l, struct diag *d)
{
	for (size_t i = 0; i < trace_nr_events(l->trace); i++)
		if (latency_story_is(trace_event_at(l->trace, i)))
			return 0;
	return diag_set(d, -EINVAL, "no event of this trace tells where threads waited "
			"(record with -e sched)");
}

static int read_all(struct latency *l, struct diag *d)
{
	bool is_stream = trace_is_stream(l->trace);
	int err = choose_keys(l, d);

	if (!err)
		err = groups_new(&l->groups, l->opts.keys);
	if (!err)
		err = add_thread(l);
	if (!err && !is_stream)
		err = check_stories(l, d);
	if (!err)
		err = groups_begin(l->groups, l->trace, d);
	if (!err)
		err = l->opts.spans ? latency_spans(l, d) : latency_whole(l, d);
	if (!err && is_stream)
		err = check_stories(l, d);
	l->remarks.nr_impossible = l->story.nr_impossible;
	return err ? err : finish(l);
}

int latency_new(struct latency **out, struct query *q, const struct latency_opts *opts,
		struct diag *d)
{
	struct latency *l = calloc(1, sizeof(*l));
	int err = -ENOMEM;

	if (l) {
		l->query = q;
		l->trace = query_trace(q);
		l->opts = *opts;
		intern_pairs_init(&l->pairs);
		err = read_all(l, d);
	}
	if (err) {
		latency_free(l);
		return d->text[0] ? err : diag_set(d, err, "cannot tell where the time went: %s",
						   strerror(-err));
	}
	*out = l;
	return 0;
}

static void free_values(struct latency_values *v)
{
	if (v)
		latency_values_release(v);
	free(v);
}

void latency_free(struct latency *l)
{
	if (!l)
		return;
	for (uint32_t i = 0; i < l->nr_rows; i++)
		for (size_t k = 0; k < LATENCY_NR_VALUES; k++)
			free_values(l->rows[i].values[k]);
	for (uint32_t i = 0; i < l->nr_waits; i++)
		free_values(l->waits[i].values);
	latency_tops_release(&l->tops);
	intern_pairs_release(&l->pairs);
	groups_free(l->groups);
	free(l->group_of);
	free(l->threads);
	free(l->thread_of_task);
	free(l->rows);
	free(l->waits);
	free(l->sorted_waits);
	free(l);
}

const struct latency_row *latency_rows(const struct latency *l, size_t *nr)
{
	*nr = l->nr_rows;
	return l->rows;
}

const struct latency_row *latency_total(const struct latency *l)
{
	return &l->total;
}

struct groups *latency_groups(struct latency *l)
{
	return l->groups;
}

const struct profile_keys *latency_keys(const struct latency *l)
{
	return l->opts.keys;
}

bool latency_is_of_processes(const struct latency *l)
{
	return l->of_processes;
}

struct latency_tops *latency_tops(struct latency *l)
{
	return &l->tops;
}

const char *latency_reason(const struct latency *l, uint8_t reason)
{
	return l->names.names[reason];
}

void latency_get_remarks(const struct latency *l, struct latency_remarks *out)
{
	*out = l->remarks;
}

void latency_range(const struct latency *l, uint64_t *first_ns, uint64_t *last_ns)
{
	*first_ns = l->first_ns;
	*last_ns = l->last_ns;
}

uint64_t latency_sum(const struct latency_row *row)
{
	uint64_t sum = row->blocked_ns;

	for (size_t i = 0; i < LATENCY_NR_COLUMNS; i++)
		sum += row->ns[i];
	return sum;
}
