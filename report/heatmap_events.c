#include "report/heatmap_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What an event is worth without --of: spans are what one looks for. */
enum rank { RANK_NONE, RANK_PLAIN, RANK_WEIGHT, RANK_SPAN };

static bool is_time(const struct measure *m)
{
	return m->field >= 0 && !strcmp(m->unit, "ns");
}

/* Where its records lie: only spans and samples that last cover time, and tallies name no CPU. */
static enum rank rank_utilization(const struct trace_event *e, const struct measure *m)
{
	if (e->by_role[ROLE_CPU] < 0 || m->is_tally || !is_time(m))
		return RANK_NONE;
	return e->by_role[ROLE_DURATION] == m->field ? RANK_SPAN : RANK_WEIGHT;
}

static enum rank rank_values(const struct trace_event *e, const struct measure *m, bool chosen)
{
	if (m->field < 0 || (m->is_tally && !m->has_buckets))
		return RANK_NONE;
	if (chosen || m->has_buckets || e->by_role[ROLE_DURATION] == m->field)
		return RANK_SPAN;
	return RANK_WEIGHT;
}

/* How well the event suits the picture; m is set. */
static enum rank rank(const struct heatmap *h, const struct trace_event *e, struct measure *m)
{
	const struct heatmap_opts *opts = h->opts;

	if (e->by_role[ROLE_TIME] < 0 || (opts->by && !groups_has_keys(opts->by, e)) ||
	    measure_init(m, e, opts->of, MEASURE_DURATION_FIRST, NULL))
		return RANK_NONE;
	if (opts->kind == HEATMAP_UTILIZATION)
		return rank_utilization(e, m);
	if (opts->kind == HEATMAP_VALUES)
		return rank_values(e, m, opts->of != NULL);
	return e->by_role[ROLE_INTERVAL] < 0 ? RANK_PLAIN : RANK_NONE;
}

/* Values of another kind have no place on the same axis. */
static bool is_alike(const struct heatmap *h, const struct measure *m)
{
	const struct measure *lead = &h->lead->measure;

	if (h->opts->kind != HEATMAP_VALUES)
		return m->is_tally == lead->is_tally;
	return m->has_buckets == lead->has_buckets && !strcmp(m->name, lead->name) &&
	       !strcmp(m->unit, lead->unit);
}

static struct heatmap_event *add(struct heatmap *h, const struct measure *m, bool drawn)
{
	struct heatmap_event *grown;
	size_t lead = h->lead ? (size_t)(h->lead - h->events) : 0;

	grown = realloc(h->events, (h->nr_events + 1) * sizeof(*grown));
	if (!grown)
		return NULL;
	h->events = grown;
	if (h->lead)
		h->lead = &grown[lead];
	grown += h->nr_events++;
	grown->measure = *m;
	grown->drawn = drawn;
	if (drawn && !h->lead)
		h->lead = grown;
	return grown;
}

static struct heatmap_event *find(struct heatmap *h, const struct trace_event *e)
{
	for (size_t i = 0; i < h->nr_events; i++)
		if (h->events[i].measure.event == e)
			return &h->events[i];
	return NULL;
}

/* All that -e names are drawn, if they are alike; without it one event. */
static bool joins(const struct heatmap *h, const struct measure *m)
{
	return !h->lead || (h->opts->chosen->events && is_alike(h, m));
}

const struct heatmap_event *heatmap_event(struct heatmap *h, const struct trace_event *e)
{
	const struct heatmap_event *known = find(h, e);
	struct measure m = { .event = e };
	enum rank r;

	if (!known) {
		r = rank(h, e, &m);
		known = add(h, &m, r != RANK_NONE && joins(h, &m));
		if (!known)
			return NULL;
		h->events[h->nr_events - 1].measure.event = e;
		h->other_events += r != RANK_NONE && !known->drawn;
	}
	return known->drawn ? known : NULL;
}

int heatmap_events_choose(struct heatmap *h, struct diag *d)
{
	struct trace *t = query_trace(h->query);
	const struct trace_event *best = NULL;
	enum rank best_rank = RANK_NONE;

	for (size_t i = 0; i < trace_nr_events(t) && !trace_is_stream(t); i++) {
		const struct trace_event *e = trace_event_at(t, i);
		struct measure m;
		enum rank r;

		if (!query_wants_event(h->query, e) || !e->nr_records)
			continue;
		r = rank(h, e, &m);
		if (r < best_rank || r == RANK_NONE ||
		    (r == best_rank && e->nr_records <= best->nr_records))
			continue;
		best = e;
		best_rank = r;
	}
	if (best && !heatmap_event(h, best))
		return diag_set(d, -ENOMEM, "out of memory");
	return 0;
}

static int complain(const struct heatmap *h, const struct trace_event *e, struct diag *d)
{
	struct measure m;
	int err = measure_init(&m, e, h->opts->of, MEASURE_DURATION_FIRST, d);

	if (err)
		return err;
	if (h->opts->kind == HEATMAP_UTILIZATION && e->by_role[ROLE_CPU] < 0)
		return diag_set(d, -EINVAL, "records of '%.80s' do not tell their CPU: utilization "
				"needs spans or samples", e->name);
	if (h->opts->kind == HEATMAP_UTILIZATION)
		return diag_set(d, -EINVAL, "records of '%.80s' cover no time: utilization needs "
				"spans, or samples whose weight is time", e->name);
	if (h->opts->kind == HEATMAP_SUBSECOND)
		return diag_set(d, -EINVAL, "'%.80s' is a tally: it does not tell when within its "
				"interval something happened", e->name);
	if (h->opts->of)
		return diag_set(d, -EINVAL, "'%.80s' of event '%.80s' has no values to draw", h->opts->of,
				e->name);
	return diag_set(d, -EINVAL, "event '%.80s' has no duration: choose a number with --of, or draw "
			"when it happens with --subsecond", e->name);
}

int heatmap_events_check(struct heatmap *h, struct diag *d)
{
	if (h->lead || !h->nr_events)
		return 0;
	for (size_t i = 0; i < h->nr_events && h->opts->by; i++)
		if (!groups_has_keys(h->opts->by, h->events[i].measure.event))
			return diag_set(d, -EINVAL, "event '%.80s' has no field for one of the keys to "
					"group by", h->events[i].measure.event->name);
	return complain(h, h->events[0].measure.event, d);
}
