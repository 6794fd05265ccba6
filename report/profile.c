#include "report/profile.h"

#include "report/profile_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void profile_free(struct profile *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->nr_sections; i++) {
		struct profile_section *s = &p->sections[i];

		profile_sums_free(s->sums);
		profile_trie_release(&s->trie);
		for (uint32_t v = 1; v < s->nr_sum_values; v++)
			histogram_release(&s->sum_values[v]);
		for (uint32_t v = 1; v < s->nr_row_values; v++)
			histogram_release(&s->row_values[v]);
		free(s->sum_values);
		free(s->row_values);
		free(s->group_start);
		free(s->values);
		free(s->rows);
		free(s->list);
	}
	for (size_t i = 0; i < p->nr_tables; i++)
		free(p->tables[i].rows);
	for (size_t i = 0; i < p->nr_kept; i++)
		free(p->kept[i].weights);
	free(p->sections);
	free(p->tables);
	names_free(p->names);
	textids_free(p->texts);
	free(p);
}

/* --- reading ----------------------------------------------------------------- */

/* Samples stand for all that happened between them: how their weights differ says nothing. */
static bool is_distributed(const struct profile *p, const struct measure *m)
{
	if (m->field < 0 || (m->is_tally && !m->has_buckets))
		return false;
	return p->of || m->event->fields[m->field].role != ROLE_WEIGHT;
}

static struct profile_section *add_section(struct profile *p, const struct trace_event *e)
{
	struct profile_section *grown;
	struct diag d = { "" };

	grown = realloc(p->sections, (p->nr_sections + 1) * sizeof(*grown));
	if (!grown)
		return NULL;
	p->sections = grown;
	grown += p->nr_sections;
	memset(grown, 0, sizeof(*grown));
	grown->event = e;
	for (size_t i = 0; i < p->keys->nr; i++) {
		const struct profile_key *key = p->keys->list[i];
		int field = profile_keys_field(key, e);

		if (field >= 0 && (key->kind == PROFILE_FIELD || key->of == PROFILE_OF_TASK))
			grown->fields[i] = &e->fields[field];
	}
	measure_init(&grown->measure, e, p->of, MEASURE_WEIGHT_FIRST, &d);
	grown->distributed = is_distributed(p, &grown->measure);
	if (profile_sums_new(&grown->sums, p->keys, &grown->measure, grown->distributed,
			     p->trace, p->texts))
		return NULL;
	p->nr_sections++;
	return grown;
}

/* Whether the event has what is to be summed and all fields that it is to be grouped by. */
static bool has_fields(const struct profile *p, const struct trace_event *e)
{
	if (!measure_fits(e, p->of))
		return false;
	for (size_t i = 0; i < p->keys->nr; i++)
		if (p->keys->list[i]->kind == PROFILE_FIELD &&
		    profile_keys_field(p->keys->list[i], e) < 0)
			return false;
	return true;
}

static int add_batch(void *ctx, struct query_batch *b)
{
	struct profile *p = ctx;
	struct profile_section *s = NULL;
	int err;

	for (size_t i = p->nr_sections; i-- > 0 && !s;)
		if (p->sections[i].event == b->event)
			s = &p->sections[i];
	if (!s && !has_fields(p, b->event))
		return 0;
	if (!s)
		s = add_section(p, b->event);
	err = s ? profile_sums_add(s->sums, b) : -ENOMEM;
	if (err != -EBADMSG)
		return err;
	trace_damaged(b->batch);
	return 0;
}

/* --- tables ------------------------------------------------------------------ */

/* Weights of different kinds have no sum, though both be ns. */
static bool units_differ(const struct profile *p)
{
	const struct measure *first = &p->sections[0].measure;
	uint8_t role = first->field < 0 ? ROLE_NONE : first->event->fields[first->field].role;

	for (size_t i = 1; i < p->nr_sections; i++) {
		const struct measure *m = &p->sections[i].measure;

		if ((m->field < 0) != (first->field < 0) || strcmp(m->unit, first->unit) ||
		    (m->field >= 0 && m->event->fields[m->field].role != role))
			return true;
	}
	return false;
}

static enum profile_word word_of(const struct trace_event *e)
{
	if (e->by_role[ROLE_COUNT] >= 0)
		return PROFILE_HITS;
	if (e->by_role[ROLE_DURATION] >= 0)
		return PROFILE_SPANS;
	return e->by_role[ROLE_WEIGHT] >= 0 ? PROFILE_SAMPLES : PROFILE_RECORDS;
}

static bool has_event_key(const struct profile *p)
{
	for (size_t i = 0; i < p->keys->nr; i++)
		if (p->keys->list[i]->of == PROFILE_OF_EVENT)
			return true;
	return false;
}

/* Whether a goes before b: the same order however the records were read. */
static bool before(const struct profile *p, const struct profile_row *a,
		   const struct profile_row *b)
{
	if (p->children && a->children != b->children)
		return a->children > b->children;
	if (a->self != b->self)
		return a->self > b->self;
	if (a->children != b->children)
		return a->children > b->children;
	if (a->samples != b->samples)
		return a->samples > b->samples;
	if (a->section != b->section)
		return a->section < b->section;
	return a->group != b->group ? a->group < b->group : a->frame < b->frame;
}

static void merge(const struct profile *p, struct profile_row *to,
		  const struct profile_row *a, size_t nr_a,
		  const struct profile_row *b, size_t nr_b)
{
	while (nr_a && nr_b) {
		if (before(p, b, a)) {
			*to++ = *b++;
			nr_b--;
		} else {
			*to++ = *a++;
			nr_a--;
		}
	}
	memcpy(to, nr_a ? a : b, (nr_a ? nr_a : nr_b) * sizeof(*to));
}

/* A merge sort, because the order depends on the profile, which qsort() cannot pass on. */
static int sort_rows(const struct profile *p, struct profile_table *t)
{
	struct profile_row *from = t->rows, *to, *swap;

	to = malloc((t->nr_rows + 1) * sizeof(*to));
	if (!to)
		return -ENOMEM;
	for (size_t run = 1; run < t->nr_rows; run *= 2) {
		for (size_t i = 0; i < t->nr_rows; i += 2 * run) {
			size_t left = t->nr_rows - i;
			size_t nr_a = left < run ? left : run;
			size_t nr_b = left - nr_a < run ? left - nr_a : run;

			merge(p, to + i, from + i, nr_a, from + i + nr_a, nr_b);
		}
		swap = from;
		from = to;
		to = swap;
	}
	t->rows = from;
	free(to);
	return 0;
}

/* Moves the rows of the sections into one list. */
static int gather_rows(struct profile_table *t, struct profile_section *sections, size_t nr)
{
	struct profile_row *rows = sections[0].rows;
	size_t nr_rows = 0, at = sections[0].nr_rows;

	for (size_t i = 0; i < nr; i++)
		nr_rows += sections[i].nr_rows;
	sections[0].rows = NULL;
	t->rows = rows;
	t->nr_rows = nr_rows;
	if (nr == 1)
		return 0;
	rows = realloc(rows, (nr_rows + 1) * sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	t->rows = rows;
	for (size_t i = 1; i < nr; i++) {
		/* An event whose blocks are all damaged has no rows. */
		if (!sections[i].nr_rows)
			continue;
		memcpy(rows + at, sections[i].rows, sections[i].nr_rows * sizeof(*rows));
		at += sections[i].nr_rows;
		free(sections[i].rows);
		sections[i].rows = NULL;
	}
	return 0;
}

static void add_sums(struct profile_table *t, const struct profile_section *s)
{
	if (word_of(s->event) != t->word)
		t->word = PROFILE_RECORDS;
	t->samples += s->samples;
	t->negative += s->negative;
	t->distributed &= s->distributed;
	t->overflow |= s->overflow;
	if (__builtin_add_overflow(t->weight, s->weight, &t->weight)) {
		t->weight = UINT64_MAX;
		t->overflow = true;
	}
}

/* The rows of all given sections as one table. */
static int add_table(struct profile *p, size_t first, size_t nr, bool counted)
{
	struct profile_table *t = &p->tables[p->nr_tables++];
	const struct profile_section *s = &p->sections[first];
	int err;

	t->counted = counted || s->measure.field < 0;
	t->distributed = !t->counted;
	t->word = word_of(s->event);
	t->event = nr == 1 ? s->event->name : NULL;
	t->field = t->counted ? "" : s->measure.name;
	t->unit = t->counted ? "" : s->measure.unit;
	for (size_t i = first; i < first + nr; i++)
		add_sums(t, &p->sections[i]);
	err = gather_rows(t, p->sections + first, nr);
	return err ? err : sort_rows(p, t);
}

static int make_tables(struct profile *p)
{
	bool together = p->nr_sections > 1 && has_event_key(p);
	bool counted = together && units_differ(p);
	int err = 0;

	p->tables = calloc(p->nr_sections + 1, sizeof(*p->tables));
	if (!p->tables)
		return -ENOMEM;
	for (size_t i = 0; i < p->nr_sections && !err; i++)
		err = profile_rows_make(p, &p->sections[i], counted);
	if (!err && together)
		return add_table(p, 0, p->nr_sections, counted);
	for (size_t i = 0; i < p->nr_sections && !err; i++)
		err = add_table(p, i, 1, false);
	return err;
}

static int check_words(const struct profile *p, struct diag *d)
{
	int err = profile_keys_check(p->keys, p->trace, d);

	return err ? err : measure_check(p->query, p->of, d);
}

int profile_new(struct profile **out, struct query *q, const struct profile_keys *keys,
		const char *of, bool children, struct diag *d)
{
	struct profile *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return diag_set(d, -ENOMEM, "out of memory");
	p->query = q;
	p->trace = query_trace(q);
	p->keys = keys;
	p->of = of;
	p->children = children;
	p->frame_kind = PROFILE_NUMBER;
	if (profile_keys_find(keys, PROFILE_MODULE))
		p->frame_kind = PROFILE_MODULE;
	if (profile_keys_find(keys, PROFILE_SYMBOL))
		p->frame_kind = PROFILE_SYMBOL;
	err = trace_is_stream(p->trace) ? 0 : check_words(p, d);
	if (!err)
		err = textids_new(&p->texts);
	if (!err)
		err = names_new(&p->names, p->trace);
	if (!err)
		err = query_each_batch(q, add_batch, p, d);
	if (!err && trace_is_stream(p->trace))
		err = check_words(p, d);
	if (!err)
		err = make_tables(p);
	if (!err)
		err = names_error(p->names);
	if (err) {
		profile_free(p);
		return diag_set(d, err, "out of memory");
	}
	*out = p;
	return 0;
}

size_t profile_nr_tables(const struct profile *p)
{
	return p->nr_tables;
}

const struct profile_table *profile_table_at(const struct profile *p, size_t i)
{
	return i < p->nr_tables ? &p->tables[i] : NULL;
}

const struct histogram *profile_values(const struct profile *p, const struct profile_row *row)
{
	return row->values ? &p->sections[row->section].row_values[row->values] : NULL;
}

bool profile_is_cut(const struct profile *p, const struct profile_row *row)
{
	return p->sections[row->section].measure.is_cut;
}

bool profile_has_stacks(const struct profile *p)
{
	return p->has_stacks;
}

/* --- values ------------------------------------------------------------------ */

static size_t index_of(const struct profile *p, const struct profile_key *key)
{
	size_t i = 0;

	while (i + 1 < p->keys->nr && p->keys->list[i] != key)
		i++;
	return i;
}

/* A letter as text; anything else that a file may hold is shown as a number. */
static const char *letter_text(uint64_t v)
{
	static const char letters[] =
		"A\0B\0C\0D\0E\0F\0G\0H\0I\0J\0K\0L\0M\0N\0O\0P\0Q\0R\0S\0T\0U\0V\0W\0X\0Y\0Z\0"
		"a\0b\0c\0d\0e\0f\0g\0h\0i\0j\0k\0l\0m\0n\0o\0p\0q\0r\0s\0t\0u\0v\0w\0x\0y\0z";

	if (v >= 'A' && v <= 'Z')
		return letters + 2 * (v - 'A');
	if (v >= 'a' && v <= 'z')
		return letters + 2 * (v - 'a' + 26);
	return NULL;
}

struct profile_value profile_value(struct profile *p, const struct profile_row *row,
				   const struct profile_key *key)
{
	const struct profile_section *s = &p->sections[row->section];
	struct profile_value v = { 0 };
	size_t i;

	switch (key->of) {
	case PROFILE_OF_EVENT:
		v.text = s->event->name;
		return v;
	case PROFILE_OF_FRAME:
		/* A symbol knows its module, so rows of symbols have both. */
		v.frame = p->frame_kind == PROFILE_SYMBOL ? names_symbol(p->names, row->frame)
							  : names_module(p->names, row->frame);
		if (v.frame)
			v.text = key->kind == PROFILE_SYMBOL ? v.frame->symbol : v.frame->module;
		else
			v.text = "[unknown]";
		return v;
	default:
		i = index_of(p, key);
		v.number = s->values[row->group * p->keys->nr + i];
		v.field = s->fields[i];
		if (v.field ? profile_keys_is_text(v.field) : key->kind == PROFILE_TEXT)
			v.text = textids_text(p->texts, (uint32_t)v.number);
		else if (key->kind == PROFILE_USER && v.number == TASK_UID_UNKNOWN)
			v.text = "[unknown]";
		else if (key->kind == PROFILE_LETTER)
			v.text = letter_text(v.number);
		return v;
	}
}
