#include "report/latency_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

		/* A row of threads that have too many rows may count none of them. */
		if (!row->nr_threads && !row->nr_spans && !row->wall_ns)
			continue;
		if (!l->opts.spans)
			split_on_cpu(row);
		add_total(l, row);
		l->rows[nr++] = *row;
	}
	l->nr_rows = nr;
	latency_sums_sort(l);
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
		err = latency_threads_add(l);
	if (!err && !is_stream)
		err = check_stories(l, d);
	if (!err)
		err = groups_begin(l->groups, l->trace, d);
	if (!err)
		err = l->opts.spans ? latency_spans(l, d) : latency_whole(l, d);
	if (!err && is_stream)
		err = check_stories(l, d);
	l->remarks.nr_impossible = l->story.nr_impossible;
	l->remarks.nr_unwoken = l->story.nr_unwoken;
	l->remarks.unwoken_ns = l->story.unwoken_ns;
	if (!err && groups_nr(l->groups) > LATENCY_MAX_ROWS)
		l->remarks.nr_more_groups = groups_nr(l->groups) - LATENCY_MAX_ROWS;
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

static void free_values(struct latency *l, struct latency_values *v)
{
	if (!v || v == &l->gone)
		return;
	latency_values_release(v);
	free(v);
}

void latency_free(struct latency *l)
{
	if (!l)
		return;
	for (uint32_t i = 0; i < l->nr_rows; i++)
		for (size_t k = 0; k < LATENCY_NR_VALUES; k++)
			free_values(l, l->rows[i].values[k]);
	for (uint32_t i = 0; i < l->nr_waits; i++)
		free_values(l, l->waits[i].values);
	latency_tops_release(&l->tops);
	intern_pairs_release(&l->pairs);
	groups_free(l->groups);
	free(l->group_of);
	free(l->threads);
	free(l->tasks);
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
	trace_time_range(l->trace, first_ns, last_ns);
	if (l->first_ns > *first_ns)
		*first_ns = l->first_ns;
	if (l->last_ns < *last_ns)
		*last_ns = l->last_ns;
}

uint64_t latency_sum(const struct latency_row *row)
{
	uint64_t sum = row->blocked_ns;

	for (size_t i = 0; i < LATENCY_NR_COLUMNS; i++)
		sum += row->ns[i];
	return sum;
}
