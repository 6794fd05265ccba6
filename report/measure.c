#include "report/measure.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/buckets.h"

#define KNOWN_BYTES 240

struct measure_scratch {
	uint64_t *values;
	size_t cap;
};

int measure_scratch_new(struct measure_scratch **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void measure_scratch_free(struct measure_scratch *s)
{
	if (!s)
		return;
	free(s->values);
	free(s);
}

/* --- the choice -------------------------------------------------------------- */

static bool is_number(const struct field_desc *f)
{
	return f->type == FIELD_UNSIGNED || f->type == FIELD_SIGNED || f->type == FIELD_FLOAT;
}

/* What a tally's record has besides its key and what was measured. */
static bool is_bookkeeping(const struct field_desc *f)
{
	return f->role >= ROLE_LEAST && f->role <= ROLE_INTERVAL;
}

static int named(const struct trace_event *e, const char *name)
{
	int bucket = e->by_role[ROLE_BUCKET];

	if (bucket >= 0 && !strcmp(e->fields[bucket].name, name))
		return bucket;
	for (uint32_t i = 0; i < e->nr_fields; i++)
		if (!strcmp(e->fields[i].name, name) && !is_bookkeeping(&e->fields[i]))
			return (int)i;
	if (!strcmp(name, "duration"))
		return e->by_role[ROLE_DURATION];
	if (!strcmp(name, "weight"))
		return e->by_role[ROLE_WEIGHT];
	return -1;
}

static int usual_field(const struct trace_event *e, enum measure_default usual)
{
	static const enum field_role roles[][2] = {
		[MEASURE_WEIGHT_FIRST] = { ROLE_WEIGHT, ROLE_DURATION },
		[MEASURE_DURATION_FIRST] = { ROLE_DURATION, ROLE_WEIGHT },
	};

	if (e->by_role[ROLE_BUCKET] >= 0)
		return e->by_role[ROLE_BUCKET];
	if (e->by_role[ROLE_SUM] >= 0)
		return e->by_role[ROLE_SUM];
	for (size_t i = 0; i < 2; i++)
		if (e->by_role[roles[usual][i]] >= 0)
			return e->by_role[roles[usual][i]];
	return -1;
}

static void choose(struct measure *m, const struct trace_event *e, int field)
{
	const struct field_desc *f = field < 0 ? NULL : &e->fields[field];
	int like = field;

	*m = (struct measure) { .event = e, .field = -1, .name = "", .unit = "" };
	if (!f || f->role == ROLE_COUNT)
		return;
	m->field = field;
	m->name = f->name;
	m->unit = f->unit ? f->unit : "";
	m->has_buckets = f->role == ROLE_BUCKET;
	m->is_tally = f->role == ROLE_BUCKET || f->role == ROLE_SUM;
	/* A bucket is an index, which may be signed whatever its values are. */
	if (m->has_buckets && e->by_role[ROLE_LEAST] >= 0)
		like = e->by_role[ROLE_LEAST];
	else if (m->has_buckets && e->by_role[ROLE_SUM] >= 0)
		like = e->by_role[ROLE_SUM];
	m->is_signed = e->fields[like].type == FIELD_SIGNED || f->type == FIELD_FLOAT;
}

bool measure_fits(const struct trace_event *e, const char *of)
{
	int field = of && strcmp(of, "1") ? named(e, of) : -1;

	return !of || !strcmp(of, "1") || (field >= 0 && is_number(&e->fields[field]));
}

/* The fields that may be asked for; "none". */
static void list_numbers(const struct trace_event *e, char known[KNOWN_BYTES])
{
	size_t len = 0;

	strcpy(known, "none");
	for (uint32_t i = 0; i < e->nr_fields; i++) {
		const struct field_desc *f = &e->fields[i];

		if (!is_number(f) || is_bookkeeping(f) || f->role == ROLE_TIME || !*f->name)
			continue;
		if (len + strlen(f->name) + 8 > KNOWN_BYTES) {
			snprintf(known + len, KNOWN_BYTES - len, ", ...");
			break;
		}
		len += (size_t)snprintf(known + len, KNOWN_BYTES - len, "%s%s",
					len ? ", " : "", f->name);
	}
}

static int complain(const struct trace_event *e, const char *of, struct diag *d)
{
	char known[KNOWN_BYTES];

	list_numbers(e, known);
	if (named(e, of) >= 0)
		return diag_set(d, -EINVAL, "field '%.80s' of event '%.80s' is no number (numbers "
				"there: %s)", of, e->name, known);
	return diag_set(d, -EINVAL, "event '%.80s' has no field '%.80s' (numbers there: %s)",
			e->name, of, known);
}

int measure_complain(const struct trace_event *e, struct diag *d)
{
	char known[KNOWN_BYTES];

	list_numbers(e, known);
	return diag_set(d, -EINVAL, "event '%.80s' has no duration and no weight: choose a field with "
			"--of (numbers there: %s)", e->name, known);
}

int measure_check(struct query *q, const char *of, struct diag *d)
{
	const struct trace *t = query_trace(q);
	struct diag why = { "" };

	for (size_t i = 0; i < trace_nr_events(t); i++) {
		const struct trace_event *e = trace_event_at(t, i);

		if (!query_wants_event(q, e))
			continue;
		if (measure_fits(e, of))
			return 0;
		complain(e, of, &why);
	}
	return why.text[0] ? diag_set(d, -EINVAL, "%s", why.text) : 0;
}

static bool is_time_taken(const struct trace_event *e, int field)
{
	return field >= 0 && field == e->by_role[ROLE_DURATION] &&
	       e->fields[field].type != FIELD_FLOAT && e->by_role[ROLE_COUNT] < 0 &&
	       !strcmp(e->fields[field].unit, "ns");
}

int measure_init(struct measure *m, const struct trace_event *e, const char *of,
		 enum measure_default usual, struct diag *d)
{
	if (!measure_fits(e, of))
		return complain(e, of, d);
	if (!of)
		choose(m, e, usual_field(e, usual));
	else
		choose(m, e, strcmp(of, "1") ? named(e, of) : -1);
	/* A role may stand on anything in a file of others. */
	if (m->field >= 0 && !is_number(&e->fields[m->field]))
		choose(m, e, -1);
	m->is_cut = usual == MEASURE_WEIGHT_FIRST && is_time_taken(e, m->field);
	return 0;
}

/* --- rows -------------------------------------------------------------------- */

static int column(const struct query_batch *b, int field, const uint64_t **out)
{
	*out = field < 0 ? NULL : trace_column(b->batch, (uint32_t)field);
	return field >= 0 && !*out ? -EBADMSG : 0;
}

static int reserve(struct measure_scratch *s, size_t nr)
{
	uint64_t *grown;

	if (nr <= s->cap)
		return 0;
	grown = realloc(s->values, nr * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	s->values = grown;
	s->cap = nr;
	return 0;
}

static uint64_t rounded(uint64_t bits)
{
	double d;

	memcpy(&d, &bits, sizeof(d));
	if (isnan(d))
		return 0;
	/* 2^63 is no int64_t. */
	if (d >= 0x1p63)
		return INT64_MAX;
	return (uint64_t)(d <= -0x1p63 ? INT64_MIN : llround(d));
}

int32_t measure_bucket(uint64_t bucket)
{
	int64_t index = (int64_t)bucket;

	if (index > BUCKETS_LAST)
		return BUCKETS_LAST;
	return index < -BUCKETS_LAST ? -BUCKETS_LAST : (int32_t)index;
}

static uint64_t middle_of(uint64_t bucket, bool is_signed)
{
	int32_t index = measure_bucket(bucket);

	if (is_signed)
		return (uint64_t)buckets_signed_middle(index);
	return index < 0 ? 0 : buckets_middle((uint32_t)index);
}

static int convert(const struct measure *m, const struct query_batch *b,
		   struct measure_scratch *s, struct measure_rows *out)
{
	bool is_float = m->event->fields[m->field].type == FIELD_FLOAT;
	const uint64_t *from = out->values;

	if (!m->has_buckets && !is_float)
		return 0;
	if (reserve(s, b->batch->nr))
		return -ENOMEM;
	for (size_t i = 0; i < b->nr; i++) {
		size_t row = b->rows ? b->rows[i] : i;

		s->values[row] = is_float ? rounded(from[row]) : middle_of(from[row], m->is_signed);
	}
	out->values = s->values;
	return 0;
}

static int tally_rows(const struct measure *m, const struct query_batch *b,
		      struct measure_rows *out)
{
	const int *by_role = m->event->by_role;
	int err = column(b, by_role[ROLE_SUM], &out->sums);

	if (!err)
		err = column(b, by_role[ROLE_LEAST], &out->least);
	if (!err)
		err = column(b, by_role[ROLE_MOST], &out->most);
	if (!err)
		err = column(b, by_role[ROLE_FIRST], &out->first);
	if (m->has_buckets)
		out->buckets = out->values;
	else
		out->values = NULL;
	return err;
}

bool measure_cuts(const struct measure *m, const struct query_batch *b)
{
	uint64_t first_ns = 0, last_ns;

	if (m->is_cut && b->query)
		query_range(b->query, &first_ns, &last_ns);
	return first_ns > 0;
}

/* What lies before from_ns of a span; one that is negative is nothing. */
static uint64_t cut_off(uint64_t time_ns, uint64_t duration_ns, uint64_t from_ns)
{
	uint64_t inside_ns = time_ns > from_ns ? time_ns - from_ns : 0;

	return (int64_t)duration_ns > 0 && duration_ns > inside_ns ? duration_ns - inside_ns : 0;
}

/* The first value that is cut makes a copy of them necessary. */
static int cut(const struct query_batch *b, struct measure_scratch *s, struct measure_rows *out)
{
	const uint64_t *times, *durations = out->values;
	uint64_t first_ns, last_ns, cut_ns = 0;
	size_t nr_cut = 0;

	query_range(b->query, &first_ns, &last_ns);
	if (column(b, b->event->by_role[ROLE_TIME], &times))
		return -EBADMSG;
	if (reserve(s, b->batch->nr))
		return -ENOMEM;
	for (size_t i = 0; i < b->nr; i++) {
		size_t row = b->rows ? b->rows[i] : i;
		uint64_t off = cut_off(times[row], durations[row], first_ns);

		s->values[row] = durations[row] - off;
		nr_cut += off != 0;
		if (__builtin_add_overflow(cut_ns, off, &cut_ns))
			cut_ns = UINT64_MAX;
	}
	if (!nr_cut)
		return 0;
	out->values = s->values;
	out->whole = durations;
	query_count_cut(b->query, nr_cut, cut_ns);
	return 0;
}

int measure_rows(const struct measure *m, const struct query_batch *b,
		 struct measure_scratch *s, struct measure_rows *out)
{
	const int *by_role = m->event->by_role;
	int err;

	*out = (struct measure_rows) { 0 };
	err = column(b, m->field, &out->values);
	if (!err)
		err = column(b, by_role[ROLE_COUNT], &out->counts);
	if (!err)
		err = column(b, by_role[ROLE_INTERVAL], &out->intervals);
	if (!err && m->is_tally)
		err = tally_rows(m, b, out);
	if (!err && m->field >= 0)
		err = convert(m, b, s, out);
	return err || !measure_cuts(m, b) ? err : cut(b, s, out);
}
