#include "report/stacksum.h"

#include "report/stacksum_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *stacksum_part_name(enum stacksum_part part)
{
	static const char *const names[STACKSUM_NR_PARTS] = {
		[STACKSUM_WHOLE] = "", [STACKSUM_ON_CPU] = "on CPU",
		[STACKSUM_WAITING] = "waiting for a CPU", [STACKSUM_BLOCKED] = "blocked",
		[STACKSUM_SKIPPED] = "short waits",
	};

	return names[part];
}

/* --- reading --------------------------------------------------------------------- */

struct reading {
	struct stacksum *sums;
	struct diag *d;
};

static int add_batch(void *ctx, struct query_batch *b)
{
	const struct reading *reading = ctx;
	struct stacksum *s = reading->sums;
	struct stacksum_columns c;
	int err = stacksum_events_plan(s, reading->d);

	if (err || !stacksum_events_want(s, b->event))
		return err;
	err = stacksum_rows_open(s, &c, b);
	if (!err)
		err = stacksum_rows_group(s, b);
	if (!err && s->chains)
		err = stacksum_wakers_add(s, &c, b);
	else if (!err && s->opts.wall)
		err = b->event == s->samples ? stacksum_wall_add_samples(s, &c, b)
					     : stacksum_wall_add(s, &c, b);
	else if (!err)
		err = stacksum_rows_add(s, &c, b);
	if (err != -EBADMSG)
		return err;
	trace_damaged(b->batch);
	return 0;
}

/* All records; what was handed over is there when this returns. */
static int read_all(struct stacksum *s, struct diag *d)
{
	struct reading reading = { s, d };
	int err = s->chains ? stacksum_wakers_begin(s) : 0, added;

	if (!err)
		err = query_each_batch(s->query, add_batch, &reading, d);
	if (s->handover) {
		added = handover_finish(s->handover);
		err = err ? err : added;
	}
	return !err && s->order ? chainorder_finish(s->order) : err;
}

int stacksum_read(struct stacksum *s, struct diag *d)
{
	bool is_stream = trace_is_stream(s->trace);
	int err = is_stream ? 0 : stacksum_events_plan(s, d);

	if (!err && !is_stream)
		err = stacksum_events_check(s, d);
	if (!err && s->order)
		query_give_all(s->query);
	if (!err && s->opts.wall)
		query_read_on(s->query);
	if (!err)
		err = read_all(s, d);
	if (!err && is_stream)
		err = stacksum_events_plan(s, d);
	if (!err && is_stream)
		err = stacksum_events_check(s, d);
	if (!err)
		err = stackcounts_sort(&s->counts);
	return err ? diag_set(d, err, "cannot sum stacks: %s", strerror(-err)) : 0;
}

int stacksum_new(struct stacksum **out, struct query *q, const struct stacksum_opts *opts)
{
	struct stacksum *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	s->query = q;
	s->trace = query_trace(q);
	s->opts = *opts;
	err = measure_scratch_new(&s->scratch);
	if (!err && opts->hops)
		err = chain_new(&s->chains, s->trace);
	if (!err && opts->hops)
		err = stacksum_chains_new(&s->known);
	if (!err && opts->hops > 1)
		err = chainorder_new(&s->order, s->chains, opts->hops, stacksum_chains_settle, s);
	if (err) {
		stacksum_free(s);
		return err;
	}
	*out = s;
	return 0;
}

void stacksum_free(struct stacksum *s)
{
	if (!s)
		return;
	handover_free(s->handover);
	chainorder_free(s->order);
	chain_free(s->chains);
	groups_free(s->groups);
	measure_scratch_free(s->scratch);
	stackcounts_release(&s->counts);
	free(s->row_groups);
	free(s->known);
	free(s);
}

/* --- what was found ------------------------------------------------------------------ */

const struct stacksum_entry *stacksum_entries(const struct stacksum *s, size_t *nr)
{
	*nr = s->counts.nr;
	return s->counts.list;
}

size_t stacksum_group_end(const struct stacksum *s, size_t begin)
{
	const struct stacksum_entry *e = s->counts.list;
	size_t end = begin;

	while (end < s->counts.nr && e[end].group == e[begin].group &&
	       e[end].part == e[begin].part)
		end++;
	return end;
}

const struct stacklevels *stacksum_levels(const struct stacksum *s)
{
	return &s->levels;
}

struct groups *stacksum_groups(const struct stacksum *s)
{
	return s->groups;
}

uint32_t stacksum_nr_groups(const struct stacksum *s)
{
	return (uint32_t)groups_nr(s->groups);
}

bool stacksum_has_parts(const struct stacksum *s)
{
	return s->opts.wall;
}

const struct chains *stacksum_chains(const struct stacksum *s)
{
	return s->chains;
}

uint64_t stacksum_total(const struct stacksum *s)
{
	return s->total;
}

uint64_t stacksum_records(const struct stacksum *s)
{
	return s->records;
}

const char *stacksum_event_names(const struct stacksum *s)
{
	return s->names;
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

const char *stacksum_measure(const struct stacksum *s)
{
	if (!s->event || s->first.field < 0)
		return NULL;
	return s->event->fields[s->first.field].role == ROLE_WEIGHT ? NULL : s->first.name;
}

struct stacksum_left_out stacksum_left_out(const struct stacksum *s)
{
	struct stacksum_left_out out = {
		.is_all = !s->total,
		.events = (uint32_t)__builtin_popcountll(s->others), .negative = s->negative,
		.idle = s->idle, .idle_records = s->idle_records,
		.ended = s->order ? chainorder_ended(s->order) : 0, .no_room = s->no_room,
		.overflow = s->overflow,
	};

	snprintf(out.unit, sizeof(out.unit), "%s", stacksum_unit(s));
	return out;
}
