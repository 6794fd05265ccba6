#include "report/profile_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Scopes of texts: what was recorded, and what is shown for what was not. */
enum { SCOPE_TEXT, SCOPE_UNREAD };

/* --- groups ------------------------------------------------------------------ */

/* A context with the values that the keys have in it. */
struct valued {
	const struct profile *profile;
	const struct profile_section *section;
	const uint64_t *values;
	uint32_t context;
};

/* What ids of a field mean, as an id of p->texts. */
static uint64_t text_of(struct profile *p, const struct field_desc *f, uint32_t id)
{
	struct trace_string s;
	/* Not the same as a text that is empty, or that reads like this. */
	bool is_read = profile_keys_text(p->trace, p->names, f, id, &s);

	return textids_get(p->texts, is_read ? SCOPE_TEXT : SCOPE_UNREAD, s.text, s.len_bytes);
}

/* The values of all keys in a context. */
static void set_values(struct profile *p, const struct profile_section *s,
		       const struct profile_context *c, uint64_t *values)
{
	const struct profile_contexts *contexts = profile_sums_contexts(s->sums);
	size_t nr_fields = 0;

	for (size_t i = 0; i < p->keys->nr; i++) {
		const struct profile_key *key = p->keys->list[i];

		values[i] = 0;
		if (key->of == PROFILE_OF_TASK && !s->fields[i])
			values[i] = key->of_task(p->trace, trace_task(p->trace, c->task), p->texts);
		else if (key->role == ROLE_CPU)
			values[i] = c->cpu;
		else if (key->of == PROFILE_OF_RECORD || key->of == PROFILE_OF_TASK)
			values[i] = profile_contexts_field(contexts, c->fields,
							   nr_fields++);
		if (s->fields[i] && profile_keys_is_text(s->fields[i]))
			values[i] = text_of(p, s->fields[i], (uint32_t)values[i]);
	}
}

/* By what the values say, not by ids, which depend on the order of reading. */
static int compare_values(const void *va, const void *vb)
{
	const struct valued *a = va, *b = vb;
	const struct profile *p = a->profile;

	for (size_t i = 0; i < p->keys->nr; i++) {
		const struct field_desc *f = a->section->fields[i];
		uint64_t x = a->values[i], y = b->values[i];

		if (x == y)
			continue;
		if (f && f->type == FIELD_SIGNED)
			return (int64_t)x < (int64_t)y ? -1 : 1;
		if (f ? profile_keys_is_text(f) : p->keys->list[i]->kind == PROFILE_TEXT)
			return strcmp(textids_text(p->texts, (uint32_t)x),
				      textids_text(p->texts, (uint32_t)y));
		return x < y ? -1 : 1;
	}
	return 0;
}

/* Contexts with the same values are one group; group_of maps from contexts. */
static int make_groups(struct profile *p, struct profile_section *s, uint32_t *group_of)
{
	const struct profile_contexts *contexts = profile_sums_contexts(s->sums);
	size_t nr = profile_contexts_nr(contexts), width = p->keys->nr;
	struct valued *all = calloc(nr + 1, sizeof(*all));
	uint64_t *values = calloc((nr + 1) * width, sizeof(*values));

	s->values = calloc((nr + 1) * width, sizeof(*s->values));
	if (!all || !values || !s->values) {
		free(all);
		free(values);
		return -ENOMEM;
	}
	for (size_t i = 0; i < nr; i++) {
		struct profile_context c = profile_contexts_at(contexts, i);

		set_values(p, s, &c, values + i * width);
		all[i] = (struct valued) { p, s, values + i * width, (uint32_t)i };
	}
	qsort(all, nr, sizeof(*all), compare_values);
	for (size_t i = 0; i < nr; i++) {
		if (!i || compare_values(&all[i - 1], &all[i]))
			memcpy(s->values + s->nr_groups++ * width, all[i].values,
			       width * sizeof(*values));
		group_of[all[i].context] = s->nr_groups - 1;
	}
	free(all);
	free(values);
	return 0;
}

/* The list in the order of its groups, by counting. */
static int order_list(struct profile_section *s, const struct profile_sum *sums, size_t nr,
		      const uint32_t *group_of)
{
	size_t *at;

	s->list = malloc((nr + 1) * sizeof(*s->list));
	s->group_start = calloc((size_t)s->nr_groups + 2, sizeof(*s->group_start));
	if (!s->list || !s->group_start)
		return -ENOMEM;
	/* Counted two places on, so that filling in leaves each start in its place. */
	at = s->group_start + 1;
	for (size_t i = 0; i < nr; i++)
		if (group_of[sums[i].context] + 1 < s->nr_groups)
			at[group_of[sums[i].context] + 1]++;
	for (uint32_t g = 1; g < s->nr_groups; g++)
		at[g] += at[g - 1];
	for (size_t i = 0; i < nr; i++) {
		uint32_t group = group_of[sums[i].context];

		s->list[at[group]] = sums[i];
		s->list[at[group]++].context = group;
	}
	s->nr_list = nr;
	return 0;
}

/* So that all of them, and any of them, have a sum of 64 bits. */
static bool cut_off(struct profile_sum *sums, size_t nr)
{
	uint64_t left = UINT64_MAX;
	bool is_cut = false;

	for (size_t i = 0; i < nr; i++) {
		is_cut |= sums[i].weight > left || sums[i].weight == UINT64_MAX;
		if (sums[i].weight > left)
			sums[i].weight = left;
		left -= sums[i].weight;
	}
	return is_cut;
}

static int take_sums(struct profile *p, struct profile_section *s, bool counted)
{
	size_t nr, nr_contexts = profile_contexts_nr(profile_sums_contexts(s->sums));
	struct profile_sum *sums = profile_sums_list(s->sums, &nr);
	uint32_t *group_of = calloc(nr_contexts + 1, sizeof(*group_of));
	int err = group_of ? make_groups(p, s, group_of) : -ENOMEM;

	for (size_t i = 0; i < nr && counted; i++)
		sums[i].weight = sums[i].samples;
	s->overflow = cut_off(sums, nr);
	s->negative = profile_sums_negative(s->sums);
	s->sum_values = profile_sums_take_values(s->sums, &s->nr_sum_values);
	if (!err)
		err = order_list(s, sums, nr, group_of);
	free(group_of);
	profile_sums_free(s->sums);
	s->sums = NULL;
	return err;
}

/* --- rows -------------------------------------------------------------------- */

struct maker {
	struct profile_section *section;
	uint32_t section_at, group;
	uint32_t *row_of;		/* by frame: its row in this group, or an older one */
};

static struct profile_row *row_of(struct maker *m, uint32_t frame)
{
	struct profile_section *s = m->section;
	uint32_t at = m->row_of[frame];

	if (at < s->nr_rows && s->rows[at].group == m->group && s->rows[at].frame == frame)
		return &s->rows[at];
	if (s->nr_rows == s->rows_cap) {
		size_t cap = s->rows_cap ? s->rows_cap * 2 : 256;
		struct profile_row *rows = realloc(s->rows, cap * sizeof(*rows));

		if (!rows)
			return NULL;
		s->rows = rows;
		s->rows_cap = cap;
	}
	m->row_of[frame] = (uint32_t)s->nr_rows;
	s->rows[s->nr_rows] = (struct profile_row) {
		.section = m->section_at, .group = m->group, .frame = frame,
	};
	return &s->rows[s->nr_rows++];
}

static int add_children(void *ctx, const struct profile_node *node)
{
	struct profile_row *row;

	if (!node->topmost)
		return 0;
	row = row_of(ctx, node->row);
	if (!row)
		return -ENOMEM;
	row->children += node->weight;
	return 0;
}

/* The first values of a row are taken over as they are. */
static int move_values(struct profile_section *s, struct profile_row *row, uint32_t from)
{
	struct histogram *values = &s->sum_values[from], *grown;
	uint32_t cap;
	int err;

	if (row->values) {
		err = histogram_merge(&s->row_values[row->values], values);
		histogram_release(values);
		return err;
	}
	if (!s->nr_row_values)
		s->nr_row_values = 1;
	if (s->nr_row_values >= s->row_values_cap) {
		cap = s->row_values_cap ? s->row_values_cap * 2 : 64;
		grown = realloc(s->row_values, cap * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		s->row_values = grown;
		s->row_values_cap = cap;
	}
	row->values = s->nr_row_values++;
	s->row_values[row->values] = *values;
	histogram_init(values, values->is_signed);
	return 0;
}

static int make_group_rows(struct profile *p, struct maker *m)
{
	struct profile_section *s = m->section;
	const struct profile_sum *from = s->list + s->group_start[m->group];
	size_t nr = s->group_start[m->group + 1] - s->group_start[m->group];
	uint64_t frames = 0, unresolved = 0, truncated = 0;

	for (size_t i = 0; i < nr; i++) {
		uint32_t at = profile_trie_node(&s->trie, from[i].stack);
		const struct profile_stack *stack = &s->trie.stacks[at];
		struct profile_row *row = row_of(m, s->trie.nodes[at].row);

		if (!row)
			return -ENOMEM;
		row->samples += from[i].samples;
		row->self += from[i].weight;
		if (from[i].values && move_values(s, row, from[i].values))
			return -ENOMEM;
		s->samples += from[i].samples;
		s->weight += from[i].weight;
		frames += from[i].samples * stack->frames;
		unresolved += from[i].samples * stack->unresolved;
		p->has_stacks |= stack->frames > 1;
		truncated += from[i].samples * stack->truncated;
	}
	query_count_frames(p->query, frames, unresolved);
	query_count_truncated(p->query, truncated);
	return p->children ? profile_trie_sum(&s->trie, from, nr, add_children, m) : 0;
}

int profile_rows_make(struct profile *p, struct profile_section *s, bool counted)
{
	struct maker m = { .section = s, .section_at = (uint32_t)(s - p->sections) };
	int err = take_sums(p, s, counted);

	if (!err)
		err = profile_trie_build(&s->trie, p->trace, p->names, s->list, s->nr_list,
					 p->frame_kind);
	if (!err && p->children)
		err = profile_trie_link(&s->trie);
	if (err)
		return err;
	m.row_of = calloc((size_t)s->trie.nr_rows + 1, sizeof(*m.row_of));
	if (!m.row_of)
		return -ENOMEM;
	for (; m.group < s->nr_groups && !err; m.group++)
		err = make_group_rows(p, &m);
	free(m.row_of);
	return err;
}
