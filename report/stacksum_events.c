#include "report/stacksum_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Samples are counted, as flame graphs always have it; spans have their time as width. */
static const char *what_of(const struct stacksum *s, const struct trace_event *e)
{
	bool is_counted = !s->opts.weighted && e->by_role[ROLE_DURATION] < 0 &&
			  e->by_role[ROLE_COUNT] < 0;

	return s->opts.of ? s->opts.of : is_counted ? "1" : NULL;
}

static bool choose_measure(const struct stacksum *s, const struct trace_event *e,
			   struct measure *m)
{
	struct diag d = { "" };

	return !measure_init(m, e, what_of(s, e), MEASURE_WEIGHT_FIRST, &d);
}

static bool same_kind(const struct measure *a, const struct measure *b)
{
	return (a->field < 0) == (b->field < 0) && !strcmp(a->unit, b->unit);
}

/* Whether the event has what this sum is made of, whatever it measures. */
static bool fits(const struct stacksum *s, const struct trace_event *e)
{
	if (s->opts.wall)
		return e->by_role[ROLE_SLICE] >= 0 || e == s->samples;
	if (s->opts.hops && (e->by_role[ROLE_WAKER] < 0 || e->by_role[ROLE_WAKER_STACK] < 0))
		return false;
	return s->opts.all_events || e->by_role[ROLE_STACK] >= 0;
}

/* Events come by turns, and are few. */
static void add_name(struct stacksum *s, const struct trace_event *e)
{
	size_t len = strlen(s->names), name_len = strlen(e->name);

	if (s->last == e || (len > 3 && !strcmp(s->names + len - 3, "...")))
		return;
	s->last = e;
	for (const char *at = s->names; (at = strstr(at, e->name)); at++)
		if ((at == s->names || at[-1] == ' ') && (!at[name_len] || at[name_len] == ','))
			return;
	if (len && len + name_len + 8 > sizeof(s->names))
		snprintf(s->names + len, sizeof(s->names) - len, ", ...");
	else
		snprintf(s->names + len, sizeof(s->names) - len, "%s%s", len ? ", " : "", e->name);
}

bool stacksum_events_want(struct stacksum *s, const struct trace_event *e)
{
	if (!fits(s, e))
		return false;
	if ((s->measure.event == e || choose_measure(s, e, &s->measure)) &&
	    (!s->event || e == s->event || s->opts.wall ||
	     (s->opts.all_events && same_kind(&s->measure, &s->first)))) {
		if (!s->event)
			s->first = s->measure;
		s->event = s->event ? s->event : e;
		add_name(s, e);
		return true;
	}
	s->others |= (uint64_t)1 << (e->id & 63);
	return false;
}

static bool may_come(const struct stacksum *s, const struct trace_event *e)
{
	return query_wants_event(s->query, e) &&
	       (e->nr_records || e->part_of || query_makes_event(s->query, e) ||
		trace_is_stream(s->trace));
}

/* Spans and samples of one unit make a sum if weights are summed, not samples counted. */
static bool weights_help(const struct stacksum *s)
{
	const char *unit = NULL;
	size_t nr = trace_nr_events(s->trace);

	for (size_t i = 0; i < nr && !unit; i++) {
		const struct trace_event *e = trace_event_at(s->trace, i);
		struct measure m;

		if (may_come(s, e) && fits(s, e) && choose_measure(s, e, &m) && m.field >= 0)
			unit = m.unit;
	}
	for (size_t i = 0; i < nr && unit; i++) {
		const struct trace_event *e = trace_event_at(s->trace, i);
		int weight = e->by_role[ROLE_WEIGHT];

		if (may_come(s, e) && fits(s, e) && weight >= 0 && *unit &&
		    what_of(s, e) && !strcmp(e->fields[weight].unit, unit))
			return true;
	}
	return false;
}

static bool are_several(const struct stacksum *s)
{
	struct measure first = { .event = NULL }, m;
	size_t nr = 0;

	for (size_t i = 0; i < trace_nr_events(s->trace); i++) {
		const struct trace_event *e = trace_event_at(s->trace, i);

		if (!may_come(s, e) || !fits(s, e) || !choose_measure(s, e, &m))
			continue;
		if (!first.event)
			first = m;
		nr += same_kind(&first, &m);
	}
	return nr > 1;
}

/* Samples of a clock tell more of the time on a CPU than where it ended. */
static void find_samples(struct stacksum *s)
{
	for (size_t i = 0; i < trace_nr_events(s->trace) && !s->samples; i++) {
		const struct trace_event *e = trace_event_at(s->trace, i);
		int weight = e->by_role[ROLE_WEIGHT];

		if (may_come(s, e) && weight >= 0 && e->by_role[ROLE_STACK] >= 0 &&
		    e->by_role[ROLE_DURATION] < 0 && !strcmp(e->fields[weight].unit, "ns"))
			s->samples = e;
	}
}

/* When the events are known: those of a pipe, with the first record. */
int stacksum_events_plan(struct stacksum *s, struct diag *d)
{
	const char *by = s->opts.by, *first = NULL;
	int err;

	if (s->planned)
		return 0;
	s->planned = true;
	if (s->opts.wall) {
		find_samples(s);
		s->opts.weighted = true;
	} else if (s->opts.all_events && !s->opts.of && !s->opts.weighted) {
		s->opts.weighted = weights_help(s);
	}
	if (!by && s->opts.all_events && !s->opts.wall && are_several(s))
		first = "event";
	err = stacklevels_parse(&s->levels, first, by ? by : "comm", d);
	if (!err)
		err = groups_new(&s->groups, &s->levels.keys);
	return err ? err : groups_begin(s->groups, s->trace, d);
}

static bool tells_waker_only(const struct trace_event *e)
{
	return e->by_role[ROLE_WAKER] >= 0 && e->by_role[ROLE_WAKER_STACK] < 0;
}

/* What was asked for and no event has; of a pipe, when it has been read. */
int stacksum_events_check(struct stacksum *s, struct diag *d)
{
	const char *name = NULL;
	bool any = false, lacks_stacks = false;

	for (size_t i = 0; i < trace_nr_events(s->trace); i++) {
		const struct trace_event *e = trace_event_at(s->trace, i);

		if (!query_wants_event(s->query, e))
			continue;
		name = e->name;
		lacks_stacks |= tells_waker_only(e);
		any |= fits(s, e) && (!s->opts.wall || e->by_role[ROLE_SLICE] >= 0);
	}
	if (!any && name && s->opts.wall)
		return diag_set(d, -EINVAL, "no event here tells when threads ran and when they "
				"waited, which --wall needs: record with -e sched");
	if (!any && s->opts.hops && lacks_stacks)
		return diag_set(d, -EINVAL, "who woke is told here, but not from which stack, which "
				"--hops needs: record without --no-stack");
	if (!any && name && s->opts.hops && s->opts.all_events)
		return diag_set(d, -EINVAL, "event '%.80s' does not tell who woke, with a stack: "
				"--hops needs waits of threads (record with -e sched)", name);
	if (!any && name && s->opts.hops)
		return diag_set(d, -EINVAL, "no event here tells who woke, with a stack: --hops "
				"needs waits of threads (record with -e sched)");
	if (trace_is_stream(s->trace) && profile_keys_check(&s->levels.keys, s->trace, d))
		return -EINVAL;
	return measure_check(s->query, s->opts.of, d);
}
