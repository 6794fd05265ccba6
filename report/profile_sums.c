#include "report/profile_sums.h"

#include "format/intern.h"

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
	const struct trace *trace;
	struct textids *texts;
	bool by_task;
	int cpu_field;			/* -1: no key asks for it */
	int fields[PROFILE_MAX_KEYS];	/* of the event, in the order of the keys */
	size_t nr_fields;
	/* Several fields are one id, folded in value by value; one is its own number. */
	struct intern_pairs folded;
	uint64_t last_values[PROFILE_MAX_KEYS];
	uint64_t last_folded;		/* 0: none yet */
	struct profile_sum *sums;	/* sums[0] is not used */
	uint32_t nr, cap;
	uint32_t *slots;		/* numbers of sums; 0 is a free one */
	size_t nr_slots;
	unsigned int shift;		/* 64 - log2(nr_slots) */
	struct intern_pairs contexts;	/* (task, CPU), fields; ids from 1 */
	struct profile_context last;	/* the context that was asked for last, */
	uint32_t last_id;		/* and its id, or 0 */
	uint32_t *same_task;		/* by task: the first one with its values, or 0 */
	uint32_t nr_tasks;
	struct intern_pairs task_values;
	uint32_t *first_task;		/* by id of task_values */
	uint32_t first_task_cap;
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
			s->by_task = true;
		else if (key->role == ROLE_CPU)
			s->cpu_field = field;
		else if (key->of == PROFILE_OF_RECORD || key->of == PROFILE_OF_TASK)
			s->fields[s->nr_fields++] = field;
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
	s->trace = t;
	s->texts = texts;
	intern_pairs_init(&s->contexts);
	intern_pairs_init(&s->task_values);
	intern_pairs_init(&s->folded);
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
	intern_pairs_release(&s->contexts);
	intern_pairs_release(&s->task_values);
	intern_pairs_release(&s->folded);
	for (uint32_t i = 1; s->values && i < s->nr; i++)
		histogram_release(&s->values[i]);
	free(s->values);
	measure_scratch_free(s->scratch);
	free(s->same_task);
	free(s->first_task);
	free(s->slots);
	free(s->sums);
	free(s);
}

/* --- contexts ---------------------------------------------------------------- */

/* One id for all that the keys say of a task: folded in, value by value. */
static uint32_t task_values_id(struct profile_sums *s, uint32_t task)
{
	uint32_t id = 0;

	for (size_t i = 0; i < s->keys->nr; i++) {
		const struct profile_key *key = s->keys->list[i];
		uint64_t value;

		if (key->of != PROFILE_OF_TASK)
			continue;
		value = key->of_task(s->trace, trace_task(s->trace, task), s->texts);
		id = intern_pair(&s->task_values, (uint64_t)i << 32 | id, value);
		if (!id)
			return 0;
	}
	return id;
}

/*
 * Tasks that all keys call the same become one, so that a thousand threads of
 * one name cost no more than one.  A later entry of a pipe may still change a
 * task, so there they stay apart until the end.
 */
static uint32_t find_same_task(struct profile_sums *s, uint32_t task)
{
	uint32_t values = task_values_id(s, task);
	uint32_t *grown;

	if (!values)
		return task;
	if (values >= s->first_task_cap) {
		uint32_t cap = s->task_values.cap;

		grown = realloc(s->first_task, cap * sizeof(*grown));
		if (!grown)
			return task;
		for (uint32_t i = s->first_task_cap; i < cap; i++)
			grown[i] = 0;
		s->first_task = grown;
		s->first_task_cap = cap;
	}
	if (!s->first_task[values])
		s->first_task[values] = task;
	return s->first_task[values];
}

static uint32_t same_task(struct profile_sums *s, uint32_t task)
{
	if (trace_is_stream(s->trace) || task >= trace_nr_tasks(s->trace))
		return task;
	if (!s->same_task) {
		s->nr_tasks = trace_nr_tasks(s->trace);
		s->same_task = calloc(s->nr_tasks, sizeof(*s->same_task));
		if (!s->same_task)
			return task;
	}
	if (!s->same_task[task])
		s->same_task[task] = find_same_task(s, task);
	return s->same_task[task];
}

/* 0 when out of memory. */
static uint32_t context_id(struct profile_sums *s, const struct profile_context *c)
{
	uint32_t task = s->by_task ? same_task(s, c->task) : 0;

	s->last = *c;
	s->last_id = intern_pair(&s->contexts, (uint64_t)task << 32 | c->cpu, c->fields);
	return s->last_id;
}

size_t profile_sums_nr_contexts(const struct profile_sums *s)
{
	return s->contexts.nr - 1;
}

struct profile_context profile_sums_context(const struct profile_sums *s, size_t i)
{
	const struct intern_pair *pair = &s->contexts.by_id[i + 1];

	return (struct profile_context) {
		.task = (uint32_t)(pair->a >> 32), .cpu = (uint32_t)pair->a,
		.fields = pair->b,
	};
}

uint64_t profile_sums_field(const struct profile_sums *s, uint64_t fields, size_t key)
{
	if (s->nr_fields == 1)
		return fields;
	/* The last field was folded in last. */
	for (size_t i = s->nr_fields - 1; i > key; i--)
		fields = (uint32_t)s->folded.by_id[fields].a;
	return s->folded.by_id[fields].b;
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
	int err = column_open(&c->task, b, s->by_task ? by_role[ROLE_TASK] : -1, 0);

	if (!err)
		err = column_open(&c->cpu, b, s->cpu_field, 0);
	for (size_t i = 0; i < s->nr_fields && !err; i++)
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
	bool same = s->last_folded != 0;
	uint64_t id = 0;

	for (size_t i = 0; i < s->nr_fields; i++) {
		uint64_t value = column_at(&c->fields[i], row);

		same = same && s->last_values[i] == value;
		s->last_values[i] = value;
	}
	if (same)
		return s->last_folded;
	for (size_t i = 0; i < s->nr_fields; i++) {
		id = intern_pair(&s->folded, (uint64_t)i << 32 | id, s->last_values[i]);
		if (!id)
			break;
	}
	s->last_folded = id;
	return id;
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
	uint32_t id = s->last_id, stack = (uint32_t)column_at(&c->stack, row);
	struct profile_sum *sum;
	uint64_t weight;

	if (s->nr_fields == 1)
		context.fields = column_at(&c->fields[0], row);
	else if (s->nr_fields)
		context.fields = fold_fields(s, c, row);
	if (s->nr_fields > 1 && !context.fields)
		return -ENOMEM;
	if (!id || context.task != s->last.task || context.cpu != s->last.cpu ||
	    context.fields != s->last.fields)
		id = context_id(s, &context);
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
