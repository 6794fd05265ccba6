#include "report/query_filter.h"

#include "report/query.h"
#include "report/query_complain.h"
#include "report/query_sieve.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

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

static bool wants_event(void *ctx, const struct trace_event *e)
{
	return query_filter_event(ctx, e);
}

/* Whether the records of the event can be chosen by what was asked for. */
static bool can_choose(const struct query_filter *f, const struct trace_event *e,
		       const char **lacks)
{
	bool has_task = e->by_role[ROLE_TASK] >= 0;

	if (f->cpus.nr && !query_sieve_tells_cpu(e))
		*lacks = "cpu";
	else if (f->pids.nr && !has_task && query_sieve_field(e, "pid") < 0)
		*lacks = "pid";
	else if (f->tids.nr && !has_task && query_sieve_field(e, "tid") < 0)
		*lacks = "tid";
	else if (f->comms.nr && !has_task && query_sieve_field(e, "comm") < 0)
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
			return query_complain_event(f->events.names[p], t, d);
	}
	err = check_choice(f, t, d);
	if (err)
		return err;
	return f->expr ? query_expr_check(f->expr, t, wants_event, f, d) : 0;
}
