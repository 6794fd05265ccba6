#include "report/flamelayout_reverse.h"

#include <errno.h>
#include <stdlib.h>

/*
 * Turned round, stacks share no trie: a tree of them can be many times larger
 * than the dictionary.  So none is built: the stacks are split by their
 * innermost frame, each part by the next one, and so on, in one array.
 */
struct item {
	uint32_t stack;		/* what is left of it */
	uint32_t name;		/* of the frame taken off last */
	uint64_t count, records;
};

/* Items [begin, end) stand below one box, or below one that was left out. */
struct range {
	size_t begin, end;
	uint64_t start;
	uint32_t depth;
	bool narrow;
};

/* The items of one name in a range: a box. */
struct run {
	const struct frame_name *name;
	size_t begin, end;
	uint64_t width, records;
};

struct turner {
	const struct trace *trace;
	struct names *names;
	const struct flamelayout_opts *opts;
	struct flame_layout *out;
	size_t cap_boxes;
	struct item *items;
	struct range *todo;	/* disjoint, so never more than items */
	size_t nr_todo;
	struct run *runs;
	uint32_t *depths;	/* frames of a stack, by id */
	uint32_t nr_stacks;
};

static int add_box(struct turner *t, const struct flame_box *box)
{
	size_t cap = t->cap_boxes ? t->cap_boxes * 2 : 256;
	struct flame_box *boxes;

	if (t->out->nr == t->cap_boxes) {
		boxes = realloc(t->out->boxes, cap * sizeof(*boxes));
		if (!boxes)
			return -ENOMEM;
		t->out->boxes = boxes;
		t->cap_boxes = cap;
	}
	t->out->boxes[t->out->nr++] = *box;
	return 0;
}

static int compare_items(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	return x->name < y->name ? -1 : x->name > y->name;
}

static int compare_runs(const void *a, const void *b)
{
	const struct run *x = a, *y = b;

	return flamelayout_compare_names(x->name, y->name);
}

/* Takes one frame off each stack; the items that had one are moved to the end. */
static size_t take_frames(struct turner *t, const struct range *r)
{
	size_t left = r->end;

	for (size_t i = r->end; i-- > r->begin;) {
		struct item item = t->items[i];
		const struct trace_stack *s = trace_stack(t->trace, item.stack);

		if (!s)
			continue;
		item.stack = s->parent;
		item.name = names_frame(t->names, s->frame)->symbol_id;
		t->items[i] = t->items[--left];
		t->items[left] = item;
	}
	return left;
}

static size_t find_runs(struct turner *t, size_t begin, size_t end)
{
	size_t nr = 0;

	if (end > begin)
		qsort(&t->items[begin], end - begin, sizeof(*t->items), compare_items);
	for (size_t i = begin; i < end; i++) {
		const struct item *item = &t->items[i];

		if (i == begin || item->name != item[-1].name)
			t->runs[nr++] = (struct run) {
				.name = names_symbol(t->names, item->name), .begin = i };
		t->runs[nr - 1].end = i + 1;
		t->runs[nr - 1].width += item->count;
		t->runs[nr - 1].records += item->records;
	}
	return nr;
}

/* A parent has a smaller id, so one pass knows them all. */
static int measure_stacks(struct turner *t)
{
	const struct trace_stack *s;

	t->nr_stacks = trace_nr_stacks(t->trace);
	t->depths = calloc((size_t)t->nr_stacks + 1, sizeof(*t->depths));
	if (!t->depths)
		return -ENOMEM;
	for (uint32_t id = 1; id < t->nr_stacks; id++) {
		s = trace_stack(t->trace, id);
		if (s)
			t->depths[id] = 1 + (s->parent < id ? t->depths[s->parent] : 0);
	}
	return 0;
}

/* How many frames stand below a narrow range, when it need not be split for that. */
static bool count_frames(struct turner *t, const struct range *r)
{
	uint32_t most = 0;

	/* Too deep to matter: as if the shorter stacks were parts of the longest. */
	if (!r->narrow || (r->end - r->begin > 1 && r->depth < FLAMELAYOUT_MAX_DEPTH))
		return false;
	for (size_t i = r->begin; i < r->end; i++) {
		uint32_t stack = t->items[i].stack;

		if (stack < t->nr_stacks && t->depths[stack] > most)
			most = t->depths[stack];
	}
	t->out->left_out += most;
	return true;
}

static int split(struct turner *t, struct range r)
{
	size_t begin, nr;
	int err = 0;

	if (count_frames(t, &r))
		return 0;
	begin = take_frames(t, &r);
	nr = find_runs(t, begin, r.end);
	if (names_error(t->names))
		return -ENOMEM;
	if (!r.narrow && nr > 1)
		qsort(t->runs, nr, sizeof(*t->runs), compare_runs);
	for (size_t i = 0; i < nr && !err; i++) {
		const struct run *run = &t->runs[i];
		struct range below = { run->begin, run->end, r.start, r.depth + 1, r.narrow };

		if (run->width < t->opts->min_width || r.depth >= FLAMELAYOUT_MAX_DEPTH)
			below.narrow = true;
		if (below.narrow)
			t->out->left_out++;
		else
			err = add_box(t, &(struct flame_box) {
				.start = r.start, .width = run->width,
				.records = run->records, .depth = r.depth + 1,
				.name = t->items[run->begin].name });
		r.start += run->width;
		t->todo[t->nr_todo++] = below;
	}
	return err;
}

static int split_all(struct turner *t)
{
	int err = 0;

	while (t->nr_todo > 0 && !err)
		err = split(t, t->todo[--t->nr_todo]);
	return err;
}

/* The boxes of the levels that are new with the i-th run; narrow: the last is left out. */
static int add_levels(struct turner *t, const struct stacksum *sums,
		      const struct flamelayout_run *runs, size_t nr, size_t i, uint64_t start,
		      bool *narrow)
{
	size_t level = i ? flamelayout_same_levels(sums, &runs[i - 1], &runs[i]) : 0;
	int err = 0;

	*narrow = runs[i].total < t->opts->min_width;
	for (; level < flamelayout_nr_levels(sums) && !err; level++) {
		struct flame_box box = flamelayout_level_box(sums, &runs[i], level);

		box.start = start;
		box.depth = (uint32_t)level + 1;
		for (size_t k = i; k < nr; k++) {
			if (k > i && flamelayout_same_levels(sums, &runs[k - 1], &runs[k]) <= level)
				break;
			box.width += runs[k].total;
			box.records += runs[k].records;
		}
		if (box.width < t->opts->min_width)
			t->out->left_out++;
		else
			err = add_box(t, &box);
	}
	return err;
}

/* Items are in the order of the entries. */
static int split_groups(struct turner *t, const struct stacksum *sums)
{
	uint64_t start = 0;
	size_t nr;
	struct flamelayout_run *runs = flamelayout_runs(sums, &nr);
	int err = runs ? 0 : -ENOMEM;

	for (size_t i = 0; i < nr && !err; i++) {
		struct range below = { runs[i].begin, runs[i].end, start,
				       (uint32_t)flamelayout_nr_levels(sums), false };

		err = add_levels(t, sums, runs, nr, i, start, &below.narrow);
		start += runs[i].total;
		t->todo[t->nr_todo++] = below;
	}
	free(runs);
	return err;
}

int flamelayout_reverse(struct flame_layout *out, const struct trace *trace, struct names *names,
			const struct stacksum *sums, const struct flamelayout_opts *opts)
{
	struct turner t = { .trace = trace, .names = names, .opts = opts, .out = out };
	size_t nr;
	const struct stacksum_entry *e = stacksum_entries(sums, &nr);
	int err;

	t.items = malloc((nr + 1) * sizeof(*t.items));
	t.todo = malloc((nr + 1) * sizeof(*t.todo));
	t.runs = malloc((nr + 1) * sizeof(*t.runs));
	err = t.items && t.todo && t.runs ? measure_stacks(&t) : -ENOMEM;
	if (!err) {
		for (size_t i = 0; i < nr; i++)
			t.items[i] = (struct item) {
				.stack = e[i].stack, .count = e[i].count,
				.records = e[i].records };
		err = add_box(&t, &(struct flame_box) {
			.width = stacksum_total(sums), .records = stacksum_records(sums) });
	}
	if (!err && flamelayout_nr_levels(sums))
		err = split_groups(&t, sums);
	else if (!err && nr)
		t.todo[t.nr_todo++] = (struct range) { .end = nr };
	if (!err)
		err = split_all(&t);
	free(t.items);
	free(t.todo);
	free(t.runs);
	free(t.depths);
	return err;
}
