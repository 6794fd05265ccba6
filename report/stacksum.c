#include "report/stacksum.h"

#include "report/chainorder.h"
#include "report/measure.h"
#include "report/stackcounts.h"
#include "report/stackwall.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/column.h"

/* Of stacks with chains so many different ones are told apart: 6 MB. */
#define MAX_CHAINED ((size_t)98304)

struct stacksum {
	struct query *query;
	struct trace *trace;
	struct stacksum_opts opts;
	struct stackcounts counts;
	struct stacklevels levels;
	struct groups *groups;
	uint32_t *row_groups;		/* of the rows of a batch that passed */
	size_t cap_rows;
	bool planned;
	const struct trace_event *event;	/* the first; others must measure the same */
	const struct trace_event *last;		/* that was wanted */
	char names[128];			/* of those that were */
	const struct trace_event *samples;	/* of time on a CPU, in a sum of all time */
	struct measure measure;			/* of the event of the batch */
	struct measure first;
	struct measure_scratch *scratch;
	struct chains *chains;			/* NULL: no hops */
	struct chainorder *order;		/* NULL: at most one */
	uint64_t total, records, negative, idle, idle_records, no_room;
	uint64_t others;	/* a bit for each event left out, by id modulo 64 */
};

const char *stacksum_part_name(enum stacksum_part part)
{
	static const char *const names[STACKSUM_NR_PARTS] = {
		[STACKSUM_WHOLE] = "", [STACKSUM_ON_CPU] = "on CPU",
		[STACKSUM_WAITING] = "waiting for a CPU", [STACKSUM_BLOCKED] = "blocked",
		[STACKSUM_SKIPPED] = "short waits",
	};

	return names[part];
}

static int add(struct stacksum *s, struct stacksum_entry e)
{
	s->records += e.records;
	if (e.count > UINT64_MAX - s->total)
		e.count = UINT64_MAX - s->total;
	if (!e.count)
		return 0;
	s->total += e.count;
	return stackcounts_add(&s->counts, &e);
}

/* --- which events -------------------------------------------------------------- */

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

static bool wanted(struct stacksum *s, const struct trace_event *e)
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
	       (e->nr_records || e->part_of || trace_is_stream(s->trace));
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
static int plan(struct stacksum *s, struct diag *d)
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

/* --- rows ------------------------------------------------------------------------ */

/* What is read of a batch; a column that the event does not have is 0. */
struct columns {
	struct column stack, idle;
	struct measure_rows rows;
	uint64_t nr_stacks;
};

static int open_columns(struct stacksum *s, struct columns *c, const struct query_batch *b)
{
	const int *by_role = b->event->by_role;
	int err = column_open(&c->stack, b, by_role[ROLE_STACK], 0);

	c->nr_stacks = trace_nr_stacks(s->trace);
	if (!err)
		err = column_open(&c->idle, b, s->opts.idle ? -1 : by_role[ROLE_IDLE], 0);
	return err ? err : measure_rows(&s->measure, b, s->scratch, &c->rows);
}

static int find_groups(struct stacksum *s, struct query_batch *b)
{
	int err;

	if (b->nr > s->cap_rows) {
		uint32_t *grown = realloc(s->row_groups, b->nr * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		s->row_groups = grown;
		s->cap_rows = b->nr;
	}
	err = groups_of(s->groups, b, s->row_groups);
	if (err != -ENOENT)
		return err;
	memset(s->row_groups, 0xff, b->nr * sizeof(*s->row_groups));
	return 0;
}

static uint32_t stack_at(const struct columns *c, size_t row)
{
	uint64_t stack = column_at(&c->stack, row);

	return stack < c->nr_stacks ? (uint32_t)stack : 0;
}

/* What a row adds. */
static uint64_t count_of(struct stacksum *s, const struct measure_rows *r, size_t row,
			 uint64_t *times)
{
	uint64_t value = 1, count;

	*times = r->counts ? r->counts[row] : 1;
	if (r->sums) {
		count = !r->first || r->first[row] ? r->sums[row] : 0;
		if (s->measure.is_signed && (int64_t)count < 0) {
			s->negative++;
			return 0;
		}
		return count;
	}
	if (r->values)
		value = r->values[row];
	if (s->measure.is_signed && (int64_t)value < 0) {
		s->negative += *times;
		return 0;
	}
	return __builtin_mul_overflow(value, *times, &count) ? UINT64_MAX : count;
}

/* Whether the row is of a thread that waits for work, which is not shown. */
static bool hide(struct stacksum *s, const struct columns *c, size_t row)
{
	uint64_t count, times;

	if (!column_at(&c->idle, row))
		return false;
	count = count_of(s, &c->rows, row, &times);
	s->idle_records += times;
	s->idle = count > UINT64_MAX - s->idle ? UINT64_MAX : s->idle + count;
	return true;
}

static int add_rows(struct stacksum *s, const struct columns *c, const struct query_batch *b)
{
	int err = 0;

	for (size_t i = 0; i < b->nr && !err; i++) {
		size_t row = b->rows ? b->rows[i] : i;
		struct stacksum_entry e = { .group = s->row_groups[i], .stack = stack_at(c, row) };

		if (hide(s, c, row))
			continue;
		e.count = count_of(s, &c->rows, row, &e.records);
		err = add(s, e);
	}
	return err;
}

/* --- wakeups --------------------------------------------------------------------- */

struct wakers {
	struct column time, task, waker, waker_stack, context, duration, runnable;
	const struct field_desc *context_field;
	bool starts_woken;	/* the record is of the time from the wakeup on */
};

/* A part that is the time in which the thread could run begins with the wakeup. */
static bool is_runnable_part(const struct trace *t, const struct trace_event *e)
{
	const struct trace_event *whole = trace_part_whole(t, e);
	int duration = e->by_role[ROLE_DURATION];
	struct trace_part_source from;

	return whole && duration >= 0 && whole->by_role[ROLE_RUNNABLE] >= 0 &&
	       !trace_part_source(whole, e->part_from[duration], e->fields[duration].type, &from) &&
	       (int)from.field == whole->by_role[ROLE_RUNNABLE];
}

static int open_wakers(const struct stacksum *s, struct wakers *w, const struct query_batch *b)
{
	const struct trace_event *e = b->event;
	const int *by_role = e->by_role;
	struct {
		struct column *column;
		enum field_role role;
	} list[] = {
		{ &w->time, ROLE_TIME }, { &w->task, ROLE_TASK }, { &w->waker, ROLE_WAKER },
		{ &w->waker_stack, ROLE_WAKER_STACK }, { &w->context, ROLE_WAKER_CONTEXT },
		{ &w->duration, ROLE_DURATION }, { &w->runnable, ROLE_RUNNABLE },
	};
	int err = 0;

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]) && !err; i++)
		err = column_open(list[i].column, b, by_role[list[i].role], 0);
	w->context_field = by_role[ROLE_WAKER_CONTEXT] < 0 ? NULL :
			   &e->fields[by_role[ROLE_WAKER_CONTEXT]];
	w->starts_woken = is_runnable_part(s->trace, e);
	return err;
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static uint64_t thread_of(const struct trace *trace, uint64_t task)
{
	const struct trace_task *t = task <= UINT32_MAX ? trace_task(trace, (uint32_t)task) : NULL;

	return t ? (uint64_t)t->pid << 32 | t->tid : 0;
}

/* The wait of a row, and who ended it. */
static int get_wait(struct stacksum *s, const struct columns *c, const struct wakers *w,
		    size_t row, struct chainorder_wait *out)
{
	uint64_t task = column_at(&w->task, row), waker = column_at(&w->waker, row);
	uint64_t context = column_at(&w->context, row), time_ns = column_at(&w->time, row);
	uint64_t stack = column_at(&w->waker_stack, row);
	uint64_t duration = column_at(&w->duration, row);
	int err;

	*out = (struct chainorder_wait) { .time_ns = time_ns };
	out->thread = thread_of(s->trace, task);
	out->until_ns = less(time_ns, w->starts_woken ? duration : column_at(&w->runnable, row));
	out->from_ns = w->starts_woken ? 0 : less(time_ns, duration);
	if (!waker && !context)
		return 0;
	err = chain_waker(s->chains, waker <= UINT32_MAX ? (uint32_t)waker : 0,
			  stack < c->nr_stacks ? (uint32_t)stack : 0, w->context_field, context,
			  &out->by);
	if (!err && out->by.is_thread)
		out->waker = thread_of(s->trace, waker);
	return err;
}

/* When there are too many different chains, new ones count for shorter ones. */
static int add_wait(void *ctx, const struct chainorder_wait *w, uint32_t chain)
{
	struct stacksum *s = ctx;
	struct stacksum_entry e = {
		.group = w->group, .stack = w->stack, .chain = chain,
		.records = w->times, .count = w->value,
	};

	s->no_room += w->by.name && !chain;
	if (s->counts.nr >= MAX_CHAINED && chain && !stackcounts_has(&s->counts, &e)) {
		s->no_room++;
		do
			e.chain = chain_at(s->chains, e.chain)->shorter;
		while (e.chain && !stackcounts_has(&s->counts, &e));
	}
	return add(s, e);
}

static int add_one_wait(struct stacksum *s, const struct chainorder_wait *w)
{
	uint32_t chain = 0;

	if (s->order)
		return chainorder_add(s->order, w);
	if (!w->counts)
		return 0;
	if (w->by.name)
		chain = chain_link(s->chains, &w->by, 0);
	return add_wait(s, w, chain);
}

/* Rows that were left out are seen, too: they are of threads that may have woken. */
static int add_waits(struct stacksum *s, const struct columns *c, const struct query_batch *b)
{
	struct chainorder_wait wait;
	struct wakers w;
	size_t passed = 0;
	int err = open_wakers(s, &w, b);

	for (size_t row = 0; row < b->batch->nr && !err; row++) {
		bool counts = passed < b->nr && (!b->rows || b->rows[passed] == row);
		uint32_t group = counts ? s->row_groups[passed++] : 0;

		if (!counts && !s->order)
			continue;
		if (!column_at(&w.duration, row) && !counts)
			continue;
		err = get_wait(s, c, &w, row, &wait);
		if (err)
			break;
		if (counts && !hide(s, c, row)) {
			wait.counts = true;
			wait.group = group;
			wait.stack = stack_at(c, row);
			wait.value = count_of(s, &c->rows, row, &wait.times);
		}
		err = add_one_wait(s, &wait);
	}
	if (!err && s->order)
		err = chainorder_until(s->order, b->batch->safe_ns);
	return err;
}

/* --- all the time of threads ------------------------------------------------------ */

static int add_wall(struct stacksum *s, const struct columns *c, const struct query_batch *b)
{
	struct stackwall_columns w;
	struct stackwall_row r;
	uint64_t first_ns, last_ns;
	int err = stackwall_open(&w, b);

	query_range(s->query, &first_ns, &last_ns);
	for (size_t i = 0; i < b->nr && !err; i++) {
		size_t row = b->rows ? b->rows[i] : i;

		stackwall_get(&w, row, first_ns, last_ns, &r);
		if (s->samples)
			r.ns[STACKSUM_ON_CPU] = 0;
		if (column_at(&c->idle, row) && r.ns[STACKSUM_BLOCKED]) {
			s->idle_records++;
			s->idle += r.ns[STACKSUM_BLOCKED];
			r.ns[STACKSUM_BLOCKED] = 0;
		}
		for (int part = STACKSUM_ON_CPU; part < STACKSUM_NR_PARTS && !err; part++)
			if (r.ns[part])
				err = add(s, (struct stacksum_entry) {
					.group = s->row_groups[i], .stack = stack_at(c, row),
					.part = (uint32_t)part, .records = 1,
					.count = r.ns[part] });
	}
	return err;
}

/* Records of the time after the range are handed out, for waits that began in it. */
static int add_samples(struct stacksum *s, const struct columns *c, const struct query_batch *b)
{
	uint64_t first_ns, last_ns;
	struct column time;
	int err = column_open(&time, b, b->event->by_role[ROLE_TIME], 0);

	query_range(s->query, &first_ns, &last_ns);
	for (size_t i = 0; i < b->nr && !err; i++) {
		size_t row = b->rows ? b->rows[i] : i;
		struct stacksum_entry e = {
			.group = s->row_groups[i], .stack = stack_at(c, row),
			.part = STACKSUM_ON_CPU,
		};

		if (column_at(&time, row) > last_ns)
			continue;
		e.count = count_of(s, &c->rows, row, &e.records);
		err = add(s, e);
	}
	return err;
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
	struct columns c;
	int err = plan(s, reading->d);

	if (err || !wanted(s, b->event))
		return err;
	err = open_columns(s, &c, b);
	if (!err)
		err = find_groups(s, b);
	if (!err && s->chains)
		err = add_waits(s, &c, b);
	else if (!err && s->opts.wall)
		err = b->event == s->samples ? add_samples(s, &c, b) : add_wall(s, &c, b);
	else if (!err)
		err = add_rows(s, &c, b);
	if (err != -EBADMSG)
		return err;
	trace_damaged(b->batch);
	return 0;
}

/* What was asked for and no event has; of a pipe, when it has been read. */
static int check(struct stacksum *s, struct diag *d)
{
	const char *name = NULL;
	bool any = false;

	for (size_t i = 0; i < trace_nr_events(s->trace); i++) {
		const struct trace_event *e = trace_event_at(s->trace, i);

		if (!query_wants_event(s->query, e))
			continue;
		name = e->name;
		any |= fits(s, e) && (!s->opts.wall || e->by_role[ROLE_SLICE] >= 0);
	}
	if (!any && name && s->opts.wall)
		return diag_set(d, -EINVAL, "no event here tells when threads ran and when they "
				"waited, which --wall needs: record with -e sched");
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

int stacksum_read(struct stacksum *s, struct diag *d)
{
	struct reading reading = { s, d };
	bool is_stream = trace_is_stream(s->trace);
	int err = is_stream ? 0 : plan(s, d);

	if (!err && !is_stream)
		err = check(s, d);
	if (!err && s->order)
		query_give_all(s->query);
	if (!err && s->opts.wall)
		query_read_on(s->query);
	if (!err)
		err = query_each_batch(s->query, add_batch, &reading, d);
	if (!err && s->order)
		err = chainorder_finish(s->order);
	if (!err && is_stream)
		err = plan(s, d);
	if (!err && is_stream)
		err = check(s, d);
	if (err)
		return diag_set(d, err, "cannot sum stacks: %s", strerror(-err));
	stackcounts_sort(&s->counts);
	return 0;
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
	if (!err && opts->hops > 1)
		err = chainorder_new(&s->order, s->chains, opts->hops, add_wait, s);
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
	chainorder_free(s->order);
	chain_free(s->chains);
	groups_free(s->groups);
	measure_scratch_free(s->scratch);
	stackcounts_release(&s->counts);
	free(s->row_groups);
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
		.events = (uint32_t)__builtin_popcountll(s->others), .negative = s->negative,
		.idle = s->idle, .idle_records = s->idle_records,
		.ended = s->order ? chainorder_ended(s->order) : 0, .no_room = s->no_room,
	};

	snprintf(out.unit, sizeof(out.unit), "%s", stacksum_unit(s));
	return out;
}
