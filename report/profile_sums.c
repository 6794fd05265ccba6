#include "report/profile_sums.h"

#include <errno.h>
#include <stdlib.h>

#include "report/column.h"

#define FIRST_SLOTS 8192

/*
 * The sums lie one after the other and only their numbers in the hash table:
 * it has room to spare, and a sum has eight times the size of a number.
 */
struct profile_sums {
	const struct profile_keys *keys;
	struct measure measure;
	struct measure_scratch *scratch;
	bool distribute;
	uint64_t negative;
	struct histogram *values;	/* as many as sums have room; NULL: not asked for */
	struct profile_contexts contexts;
	int cpu_field;			/* -1: no key asks for it */
	int fields[PROFILE_MAX_KEYS];	/* of the event, in the order of the keys */
	struct profile_sum *sums;	/* sums[0] is not used */
	uint32_t nr, cap;
	uint32_t *slots;		/* numbers of sums; 0 is a free one */
	size_t nr_slots;
	unsigned int shift;		/* 64 - log2(nr_slots) */
};

static inline size_t slot_of(const struct profile_sums *s, uint32_t context, uint32_t stack)
{
	uint64_t key = (uint64_t)context << 32 | stack;

	return (size_t)((key * 0x9e3779b97f4a7c15u) >> s->shift);
}

static int grow_values(struct profile_sums *s, uint32_t cap)
{
	struct histogram *values;

	if (!s->distribute)
		return 0;
	values = realloc(s->values, cap * sizeof(*values));
	if (!values)
		return -ENOMEM;
	s->values = values;
	return 0;
}

/* Twice the slots, and room for sums until half of them are in use. */
static int grow(struct profile_sums *s)
{
	size_t nr_slots = s->nr_slots ? s->nr_slots * 2 : FIRST_SLOTS;
	struct profile_sum *sums;
	uint32_t *slots;

	if (nr_slots > UINT32_MAX)
		return -ENOMEM;
	sums = realloc(s->sums, nr_slots / 2 * sizeof(*sums));
	if (!sums)
		return -ENOMEM;
	s->sums = sums;
	slots = calloc(nr_slots, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	free(s->slots);
	s->slots = slots;
	s->nr_slots = nr_slots;
	if (grow_values(s, (uint32_t)(nr_slots / 2)))
		return -ENOMEM;
	s->cap = (uint32_t)(nr_slots / 2);
	s->shift--;
	for (uint32_t i = 1; i < s->nr; i++) {
		size_t at = slot_of(s, sums[i].context, sums[i].stack);

		while (slots[at])
			at = (at + 1) & (nr_slots - 1);
		slots[at] = i;
	}
	return 0;
}

static void choose_columns(struct profile_sums *s, const struct trace_event *e)
{
	s->cpu_field = -1;
	for (size_t i = 0; i < s->keys->nr; i++) {
		const struct profile_key *key = s->keys->list[i];

		int field = profile_keys_field(key, e);

		if (key->of == PROFILE_OF_TASK && field < 0)
			s->contexts.by_task = true;
		else if (key->role == ROLE_CPU)
			s->cpu_field = field;
		else if (key->of == PROFILE_OF_RECORD || key->of == PROFILE_OF_TASK)
			s->fields[s->contexts.nr_fields++] = field;
	}
}

int profile_sums_new(struct profile_sums **out, const struct profile_keys *keys,
		     const struct measure *m, bool distribute, const struct trace *t,
		     struct textids *texts)
{
	struct profile_sums *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->nr = 1;
	s->keys = keys;
	s->measure = *m;
	s->distribute = distribute;
	profile_contexts_init(&s->contexts, keys, t, texts);
	s->shift = 64 - (unsigned int)__builtin_ctz(FIRST_SLOTS) + 1;
	if (grow(s) || measure_scratch_new(&s->scratch)) {
		profile_sums_free(s);
		return -ENOMEM;
	}
	choose_columns(s, m->event);
	*out = s;
	return 0;
}

void profile_sums_free(struct profile_sums *s)
{
	if (!s)
		return;
	profile_contexts_release(&s->contexts);
	for (uint32_t i = 1; s->values && i < s->nr; i++)
		histogram_release(&s->values[i]);
	free(s->values);
	measure_scratch_free(s->scratch);
	free(s->slots);
	free(s->sums);
	free(s);
}

/* --- sums -------------------------------------------------------------------- */

/* The sum of the context and stack, made if it is not there; NULL without memory. */
static inline struct profile_sum *find(struct profile_sums *s, uint32_t context, uint32_t stack)
{
	struct profile_sum *sum;
	size_t at;

	if (s->nr == s->cap && grow(s))
		return NULL;
	at = slot_of(s, context, stack);
	for (; s->slots[at]; at = (at + 1) & (s->nr_slots - 1)) {
		sum = &s->sums[s->slots[at]];
		if (sum->stack == stack && sum->context == context)
			return sum;
	}
	s->slots[at] = s->nr;
	sum = &s->sums[s->nr++];
	*sum = (struct profile_sum) { .context = context, .stack = stack };
	if (s->distribute) {
		sum->values = s->nr - 1;
		histogram_init(&s->values[sum->values], s->measure.is_signed);
	}
	return sum;
}

struct columns {
	struct column task, cpu, stack, weight, fields[PROFILE_MAX_KEYS];
	struct measure_rows rows;
	bool is_plain;		/* weight has all that is measured */
};

/* Of most events a record counts once and with the number in one column. */
static int weights_open(struct columns *c, const struct profile_sums *s,
			const struct query_batch *b)
{
	const struct measure *m = &s->measure;

	c->is_plain = !m->is_tally && !measure_cuts(m, b) &&
		      b->event->by_role[ROLE_COUNT] < 0 &&
		      (m->field < 0 || b->event->fields[m->field].type != FIELD_FLOAT);
	if (c->is_plain)
		return column_open(&c->weight, b, m->field, 1);
	return measure_rows(m, b, s->scratch, &c->rows);
}

static int columns_open(struct columns *c, const struct profile_sums *s, struct query_batch *b)
{
	const int *by_role = b->event->by_role;
	int err = column_open(&c->task, b, s->contexts.by_task ? by_role[ROLE_TASK] : -1, 0);

	if (!err)
		err = column_open(&c->cpu, b, s->cpu_field, 0);
	for (size_t i = 0; i < s->contexts.nr_fields && !err; i++)
		err = column_open(&c->fields[i], b, s->fields[i], 0);
	if (!err)
		err = column_open(&c->stack, b, by_role[ROLE_STACK], 0);
	if (!err)
		err = weights_open(c, s, b);
	return err;
}

/* 0 when out of memory. */
static uint64_t fold_fields(struct profile_sums *s, const struct columns *c, size_t row)
{
	uint64_t values[PROFILE_MAX_KEYS];

	for (size_t i = 0; i < s->contexts.nr_fields; i++)
		values[i] = column_at(&c->fields[i], row);
	return profile_contexts_fold(&s->contexts, values);
}

static inline void add_weight(struct profile_sums *s, struct profile_sum *sum, uint64_t value,
			      uint64_t count)
{
	uint64_t weight;

	if (s->measure.is_signed && (int64_t)value < 0) {
		s->negative += count;
		return;
	}
	if (__builtin_mul_overflow(value, count, &weight) ||
	    __builtin_add_overflow(sum->weight, weight, &sum->weight))
		sum->weight = UINT64_MAX;
}

/* `whole` is the value before it was cut. */
static inline int add_value(struct profile_sums *s, struct profile_sum *sum, uint64_t value,
			    uint64_t whole, uint64_t count)
{
	sum->samples += count;
	add_weight(s, sum, value, count);
	return s->distribute ? histogram_add_many(&s->values[sum->values], whole, count) : 0;
}

/* A row of a tally, or a value that is none as it stands in the file. */
static int add_measured(struct profile_sums *s, struct profile_sum *sum,
			const struct measure_rows *r, size_t row)
{
	uint64_t count = r->counts ? r->counts[row] : 1, value = r->values ? r->values[row] : 1;
	bool has_sum = r->sums && (!r->first || r->first[row]);
	struct histogram *values = s->distribute ? &s->values[sum->values] : NULL;

	if (!s->measure.is_tally)
		return add_value(s, sum, value, r->whole ? r->whole[row] : value, count);
	sum->samples += count;
	if (has_sum)
		add_weight(s, sum, r->sums[row], 1);
	else if (!r->sums && r->values)
		add_weight(s, sum, r->values[row], count);
	if (!values || !r->buckets)
		return 0;
	if (has_sum && r->first && r->least && r->most)
		histogram_add_sums(values, r->sums[row], r->least[row], r->most[row]);
	return histogram_add_bucket(values, measure_bucket(r->buckets[row]), count);
}

static inline int add_row(struct profile_sums *s, const struct columns *c, size_t row)
{
	struct profile_context context = {
		.task = (uint32_t)column_at(&c->task, row),
		.cpu = (uint32_t)column_at(&c->cpu, row),
	};
	uint32_t stack = (uint32_t)column_at(&c->stack, row), id;
	struct profile_sum *sum;
	uint64_t weight;

	if (s->contexts.nr_fields == 1)
		context.fields = column_at(&c->fields[0], row);
	else if (s->contexts.nr_fields)
		context.fields = fold_fields(s, c, row);
	if (s->contexts.nr_fields > 1 && !context.fields)
		return -ENOMEM;
	id = profile_contexts_id(&s->contexts, &context);
	if (!id)
		return -ENOMEM;
	sum = find(s, id - 1, stack);
	if (!sum)
		return -ENOMEM;
	if (!c->is_plain)
		return add_measured(s, sum, &c->rows, row);
	weight = column_at(&c->weight, row);
	return add_value(s, sum, weight, weight, 1);
}

int profile_sums_add(struct profile_sums *s, struct query_batch *b)
{
	struct columns c;
	int err = columns_open(&c, s, b);

	for (size_t i = 0; i < b->nr && !err; i++)
		err = add_row(s, &c, b->rows ? b->rows[i] : i);
	return err;
}

const struct profile_contexts *profile_sums_contexts(const struct profile_sums *s)
{
	return &s->contexts;
}

uint64_t profile_sums_negative(const struct profile_sums *s)
{
	return s->negative;
}

struct histogram *profile_sums_take_values(struct profile_sums *s, uint32_t *nr)
{
	struct histogram *values = s->values;

	*nr = values ? s->nr : 0;
	s->values = NULL;
	return values;
}

struct profile_sum *profile_sums_list(struct profile_sums *s, size_t *nr)
{
	*nr = s->nr - 1;
	return s->sums + 1;
}
