#include "report/hist.h"

#include "report/hist_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int hist_new(struct hist **out, const struct hist_opts *opts)
{
	struct hist *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->opts = opts;
	arena_init(&h->texts);
	if (groups_new(&h->groups, opts->keys) || measure_scratch_new(&h->scratch)) {
		hist_free(h);
		return -ENOMEM;
	}
	*out = h;
	return 0;
}

void hist_free(struct hist *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < h->nr_tables; i++) {
		struct hist_work *t = h->tables[i];

		for (size_t c = 0; c < t->shown.nr_cells; c++) {
			histogram_release(&t->shown.cells[c].values);
			slots_release(&t->shown.cells[c].split);
		}
		free(t->shown.cells);
		intern_pairs_release(&t->cells);
		free(t);
	}
	free(h->tables);
	free(h->chosen);
	free(h->group_of);
	groups_free(h->groups);
	measure_scratch_free(h->scratch);
	arena_release(&h->texts);
	free(h);
}

/* --- tables ------------------------------------------------------------------ */

static bool has_event_key(const struct hist *h)
{
	for (size_t i = 0; i < h->opts->keys->nr; i++)
		if (h->opts->keys->list[i]->of == PROFILE_OF_EVENT)
			return true;
	return false;
}

static void set_rows(struct hist_work *t, const struct hist_opts *o, bool is_signed)
{
	const struct histshape_unit *unit = o->shape.unit;

	t->shown.rows = (struct histrows) {
		.shape = o->shape, .scale = 1, .is_signed = is_signed,
	};
	if (!t->shown.is_time) {
		t->shown.rows.shape.unit = NULL;
		return;
	}
	/* Steps without a unit are in the field's own; so are buckets. */
	if (!unit)
		unit = histshape_find_unit(o->shape.kind == HISTSHAPE_LOG2 ? HIST_USUAL_UNIT : "ns");
	t->shown.rows.shape.unit = unit;
	t->shown.rows.scale = unit->ns;
}

static void set_whole(struct hist_work *t)
{
	int32_t first = t->shown.rows.is_signed ? -BUCKETS_LAST : 0;

	for (int32_t b = first; b <= BUCKETS_LAST; b++)
		t->whole[b + BUCKETS_LAST] = histrows_whole(&t->shown.rows, b);
}

static const char *copy(struct hist *h, const char *text)
{
	return arena_text(&h->texts, text, strlen(text));
}

static struct hist_work *new_table(struct hist *h, const struct measure *m)
{
	struct hist_work **grown = realloc(h->tables, (h->nr_tables + 1) * sizeof(struct hist_work *));
	struct hist_work *t;

	if (!grown)
		return NULL;
	h->tables = grown;
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	intern_pairs_init(&t->cells);
	t->shown.event = has_event_key(h) ? NULL : copy(h, m->event->name);
	t->shown.field = copy(h, m->name);
	t->shown.unit = copy(h, m->unit);
	if ((!t->shown.event && !has_event_key(h)) || !t->shown.field || !t->shown.unit) {
		free(t);
		return NULL;
	}
	t->shown.is_time = !strcmp(m->unit, "ns");
	set_rows(t, h->opts, m->is_signed);
	set_whole(t);
	h->tables[h->nr_tables++] = t;
	return t;
}

/* The table of what is measured, made if it is not there; NULL without memory. */
static struct hist_work *find_table(struct hist *h, const struct measure *m)
{
	for (size_t i = 0; i < h->nr_tables; i++) {
		const struct hist_table *t = &h->tables[i]->shown;

		if ((!t->event || !strcmp(t->event, m->event->name)) &&
		    !strcmp(t->field, m->name) && !strcmp(t->unit, m->unit) &&
		    t->rows.is_signed == m->is_signed)
			return h->tables[i];
	}
	return new_table(h, m);
}

/* --- what is asked of an event ------------------------------------------------ */

/* Why the event has no distribution, or NULL. */
static const char *complain(const struct hist *h, const struct trace_event *e,
			    struct measure *m, struct diag *d)
{
	if (measure_init(m, e, h->opts->of, MEASURE_DURATION_FIRST, d))
		return d->text;
	if (m->field < 0 && h->opts->of)
		diag_set(d, -EINVAL, "event '%.80s': '%.80s' is 1 in each record: choose a field with "
			 "--of", e->name, h->opts->of);
	else if (m->field < 0)
		measure_complain(e, d);
	else if (m->is_tally && !m->has_buckets)
		diag_set(d, -EINVAL, "event '%.80s' is a tally without a histogram (record it with "
			 "hist=%.80s)", e->name, m->name);
	else if (!groups_has_keys(h->opts->keys, e))
		diag_set(d, -EINVAL, "event '%.80s' has not all of the fields to group by", e->name);
	else
		return NULL;
	return d->text;
}

static struct hist_chosen *add_chosen(struct hist *h, const struct trace_event *e)
{
	struct hist_chosen *grown = realloc(h->chosen, (h->nr_chosen + 1) * sizeof(*grown)), *c;
	struct diag d = { "" };
	const char *why;

	if (!grown)
		return NULL;
	h->chosen = grown;
	c = &grown[h->nr_chosen];
	*c = (struct hist_chosen) { .event = e };
	why = complain(h, e, &c->measure, &d);
	if (why && !h->nr_left_out++)
		memcpy(h->why, why, strnlen(why, HIST_WHY_BYTES - 1) + 1);
	if (!why) {
		c->table = find_table(h, &c->measure);
		if (!c->table)
			return NULL;
	}
	h->nr_chosen++;
	return c;
}

static struct hist_chosen *find_chosen(struct hist *h, const struct trace_event *e)
{
	for (size_t i = 0; i < h->nr_chosen; i++)
		if (h->chosen[i].event == e)
			return &h->chosen[i];
	return add_chosen(h, e);
}

/* --- records ----------------------------------------------------------------- */

static struct hist_cell *find_cell(struct hist_work *t, uint64_t interval, uint32_t group)
{
	uint32_t id = intern_pair(&t->cells, interval, group);
	struct hist_cell *grown;
	uint32_t cap;

	if (!id)
		return NULL;
	if (id <= t->shown.nr_cells)
		return &t->shown.cells[id - 1];
	if (t->shown.nr_cells == t->cap) {
		cap = t->cap ? t->cap * 2 : 16;
		grown = realloc(t->shown.cells, cap * sizeof(*grown));
		if (!grown)
			return NULL;
		t->shown.cells = grown;
		t->cap = cap;
	}
	grown = &t->shown.cells[t->shown.nr_cells++];
	*grown = (struct hist_cell) { .group = group, .interval = interval };
	histogram_init(&grown->values, t->shown.rows.is_signed);
	return grown;
}

static int add_value(const struct hist_work *t, struct hist_cell *c, uint64_t value, uint64_t count)
{
	const struct histrows *r = &t->shown.rows;
	int32_t bucket = r->is_signed ? buckets_signed_index((int64_t)value)
				      : (int32_t)buckets_index(value);

	if (!t->whole[bucket + BUCKETS_LAST] &&
	    slots_add(&c->split, histrows_of(r, value), count))
		return -ENOMEM;
	return histogram_add_many(&c->values, value, count);
}

static int add_bucket(const struct hist_work *t, struct hist_cell *c, const struct measure_rows *m,
		      size_t row)
{
	const struct histrows *r = &t->shown.rows;
	int32_t bucket = measure_bucket(m->buckets[row]);
	uint64_t count = m->counts ? m->counts[row] : 1;

	if (!r->is_signed && bucket < 0)
		bucket = 0;
	if (!t->whole[bucket + BUCKETS_LAST] &&
	    slots_add(&c->split, histrows_of_bucket(r, bucket), count))
		return -ENOMEM;
	if (histogram_add_bucket(&c->values, bucket, count))
		return -ENOMEM;
	if (m->first && m->first[row] && m->sums && m->least && m->most)
		histogram_add_sums(&c->values, m->sums[row], m->least[row], m->most[row]);
	return 0;
}

/* A tally's record is about the time before its own: the middle tells where it belongs. */
static uint64_t interval_of(const struct hist *h, const struct measure_rows *m,
			    const uint64_t *times, size_t row)
{
	uint64_t at = times[row], back = m->intervals ? m->intervals[row] / 2 : 0;

	at = at > h->start_ns + back ? at - h->start_ns - back : 0;
	return at / h->opts->every_ns;
}

static int add_rows(struct hist *h, struct query_batch *b, struct hist_work *t,
		    const struct measure_rows *m, const uint64_t *times)
{
	struct hist_cell *c = NULL;

	for (size_t i = 0; i < b->nr; i++) {
		size_t row = b->rows ? b->rows[i] : i;
		uint64_t interval = times ? interval_of(h, m, times, row) : 0;
		int err;

		if (!c || c->group != h->group_of[i] || c->interval != interval)
			c = find_cell(t, interval, h->group_of[i]);
		if (!c)
			return -ENOMEM;
		err = m->buckets ? add_bucket(t, c, m, row) :
		      add_value(t, c, m->values[row], m->counts ? m->counts[row] : 1);
		if (err)
			return err;
	}
	return 0;
}

static int reserve(struct hist *h, size_t nr)
{
	uint32_t *grown;

	if (nr <= h->group_cap)
		return 0;
	grown = realloc(h->group_of, nr * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	h->group_of = grown;
	h->group_cap = nr;
	return 0;
}

static int add_batch(void *ctx, struct query_batch *b)
{
	struct hist *h = ctx;
	struct hist_chosen *c = find_chosen(h, b->event);
	const uint64_t *times = NULL;
	struct measure_rows m;
	int err;

	if (!c || reserve(h, b->nr))
		return -ENOMEM;
	if (!c->table)
		return 0;
	/* On a pipe the start is known from the first record on. */
	h->start_ns = query_start_ns(h->query);
	err = measure_rows(&c->measure, b, h->scratch, &m);
	if (!err && h->opts->every_ns) {
		times = trace_column(b->batch, (uint32_t)b->event->by_role[ROLE_TIME]);
		err = times ? 0 : -EBADMSG;
	}
	if (!err)
		err = groups_of(h->groups, b, h->group_of);
	if (!err)
		err = add_rows(h, b, c->table, &m, times);
	if (err != -EBADMSG)
		return err;
	trace_damaged(b->batch);
	return 0;
}

/* Every chosen event has its table or its reason, also without records. */
static int choose_events(struct hist *h, struct query *q, struct diag *d)
{
	struct trace *t = query_trace(q);
	size_t nr_tables = 0;

	for (size_t i = 0; i < trace_nr_events(t); i++) {
		const struct trace_event *e = trace_event_at(t, i);
		struct hist_chosen *c;

		if (!query_wants_event(q, e))
			continue;
		c = find_chosen(h, e);
		if (!c)
			return diag_set(d, -ENOMEM, "out of memory");
		nr_tables += c->table != NULL;
	}
	if (nr_tables || !h->nr_chosen)
		return 0;
	return diag_set(d, -EINVAL, "%s", h->why);
}

int hist_add(struct hist *h, struct query *q, struct diag *d)
{
	bool is_stream = trace_is_stream(query_trace(q));
	int err;

	h->query = q;
	h->nr_chosen = 0;
	err = groups_begin(h->groups, query_trace(q), d);
	if (!err && !is_stream)
		err = choose_events(h, q, d);
	if (!err)
		err = query_each_batch(q, add_batch, h, d);
	if (!err && is_stream)
		err = choose_events(h, q, d);
	h->query = NULL;
	h->nr_chosen = 0;
	return err == -ENOMEM ? diag_set(d, err, "out of memory") : err;
}
