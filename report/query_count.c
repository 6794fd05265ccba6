#include "report/query_private.h"

#include "report/query_quality.h"

void query_count_frames(struct query *q, uint64_t frames, uint64_t unresolved)
{
	q->frames += frames;
	q->unresolved += unresolved;
}

void query_count_truncated(struct query *q, uint64_t stacks)
{
	q->truncated_stacks += stacks;
}

void query_count_cut(struct query *q, uint64_t spans, uint64_t cut_ns)
{
	q->cut_spans += spans;
	q->cut_ns += cut_ns;
}

static bool loss_counts(struct query *q, const struct trace_loss *l)
{
	const struct trace_event *e = trace_event_by_id(q->trace, l->event);

	if (l->last_ns < q->first_ns || l->first_ns > q->last_ns)
		return false;
	return query_filter_cpu(q->filter, l->cpu) && (!e || query_wants_block(q, e));
}

/* Whether all events that are asked for have a field with the role. */
static bool all_have(struct query *q, enum field_role role)
{
	for (size_t i = 0; i < trace_nr_events(q->trace); i++) {
		const struct trace_event *e = trace_event_at(q->trace, i);

		if (query_filter_event(q->filter, e) && e->by_role[role] < 0)
			return false;
	}
	return true;
}

/* Causes that are not known yet are losses. */
static uint64_t *counter(struct query_quality *out, uint32_t cause)
{
	switch (cause) {
	case LOSS_SIDEBAND:
		return &out->lost_notes;
	case LOSS_NO_START:
		return &out->no_start;
	case LOSS_NO_END:
		return &out->no_end;
	default:
		return &out->lost;
	}
}

static void count_spans(struct query *q, struct query_quality *out)
{
	struct query_spans_counts counts;

	query_spans_get_counts(q->spans, &counts);
	out->no_start = counts.no_start;
	out->no_end = counts.no_end;
	out->lost = counts.lost;
}

const struct query_opts *query_asked(const struct query *q)
{
	return &q->asked;
}

void query_get_quality(struct query *q, struct query_quality *out)
{
	const struct trace_loss *losses;
	size_t nr;

	*out = (struct query_quality) {
		.records = q->records,
		/* A span may have a weight, too: the time that is its own. */
		.is_sampled = all_have(q, ROLE_WEIGHT) &&
			      !(trace_nr_events(q->trace) && all_have(q, ROLE_DURATION)),
		.is_tallied = all_have(q, ROLE_COUNT) && trace_nr_events(q->trace),
		.frames = q->frames, .unresolved = q->unresolved,
		.truncated_stacks = q->truncated_stacks,
		.cut_spans = q->cut_spans, .cut_ns = q->cut_ns,
		.negative = trace_part_negative(q->trace) - q->negative_before,
	};
	if (q->spans)
		count_spans(q, out);
	trace_get_health(q->trace, &out->health);
	losses = trace_losses(q->trace, &nr);
	for (size_t i = 0; i < nr; i++) {
		if (!loss_counts(q, &losses[i]))
			continue;
		*counter(out, losses[i].cause) += losses[i].count;
	}
}

bool query_quality_line(struct query *q, char *to, size_t size_bytes)
{
	struct query_quality quality;

	query_get_quality(q, &quality);
	return query_quality_print(&quality, to, size_bytes);
}
