#include "report/folded.h"

#include "report/calltree.h"
#include "report/digits.h"
#include "report/stackquality.h"
#include "report/textids.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * Texts of names, by id.  They lie in chunks and never move, as the table that
 * tells equal ones apart points into them.
 */
struct texts {
	struct textids *ids;
	const char **by_id;
	uint32_t cap;
	char **chunks;
	size_t nr_chunks, used, room;	/* of the last chunk */
};

struct folded {
	const struct folded_opts *opts;
	struct query *query;
	struct names *names;
	struct stacksum *sums;
	struct texts texts;
	uint32_t *frame_name;	/* by frame * 2 + java; 0: not asked yet */
	uint32_t nr_frames;
	struct bytebuf scratch;
	struct calltree tree;
	uint64_t frames, unresolved;
};

/* --- names ----------------------------------------------------------------- */

/* A copy that stays where it is. */
static const char *keep(struct texts *t, const void *text, size_t len)
{
	char **chunks, *to;

	if (len + 1 > t->room - t->used) {
		t->room = len + 1 > 65536 ? len + 1 : 65536;
		t->used = 0;
		chunks = realloc(t->chunks, (t->nr_chunks + 1) * sizeof(*chunks));
		if (!chunks)
			goto failed;
		t->chunks = chunks;
		chunks[t->nr_chunks] = malloc(t->room);
		if (!chunks[t->nr_chunks])
			goto failed;
		t->nr_chunks++;
	}
	to = t->chunks[t->nr_chunks - 1] + t->used;
	memcpy(to, text, len);
	to[len] = '\0';
	t->used += len + 1;
	return to;
failed:
	t->used = t->room = 0;
	return NULL;
}

static int remember(struct texts *t, uint32_t id, const char *text)
{
	uint32_t cap = t->cap ? t->cap * 2 : 1024;
	const char **by_id;

	if (id >= t->cap) {
		by_id = realloc(t->by_id, cap * sizeof(*by_id));
		if (!by_id)
			return -ENOMEM;
		t->by_id = by_id;
		t->cap = cap;
	}
	t->by_id[id] = text;
	return 0;
}

/* The id of the text in the scratch buffer; 0 when memory ran out. */
static uint32_t text_id(struct folded *f)
{
	struct texts *t = &f->texts;
	uint32_t before = textids_nr(t->ids), id;
	const char *text;

	if (f->scratch.err)
		return 0;
	text = keep(t, f->scratch.len ? f->scratch.data : (const uint8_t *)"", f->scratch.len);
	if (!text)
		return 0;
	id = textids_get(t->ids, 0, text, f->scratch.len);
	if (textids_nr(t->ids) == before)
		t->used -= f->scratch.len + 1;
	else if (id && remember(t, id, text))
		return 0;
	return id;
}

static uint32_t frame_name(void *ctx, uint32_t group, uint32_t frame)
{
	struct folded *f = ctx;
	bool java = strncmp(stacksum_group(f->sums, group)->comm, "java", 4) == 0;
	uint32_t *name = &f->frame_name[(frame < f->nr_frames ? frame : 0) * 2 + java];

	if (!*name) {
		bytebuf_clear(&f->scratch);
		folded_frame(&f->scratch, names_frame(f->names, frame), f->opts, java);
		*name = text_id(f);
	}
	return *name;
}

/* Groups become frames of the tree like others: their number gives way to a text. */
static int name_groups(struct folded *f)
{
	for (size_t i = 1; i < f->tree.nr; i++) {
		struct calltree_node *n = &f->tree.nodes[i];

		if (!n->is_group)
			continue;
		bytebuf_clear(&f->scratch);
		folded_group(&f->scratch, stacksum_group(f->sums, n->name), f->opts->sum.by);
		n->name = text_id(f);
		if (!n->name)
			return -ENOMEM;
	}
	return 0;
}

/* --- order ----------------------------------------------------------------- */

/*
 * Lines are sorted as texts.  Among siblings the line that ends in "foo" comes
 * before "foo.part", and that before the lines that go on with "foo;": so a
 * name has two places in the order, as an end and as a beginning.
 */
struct place {
	const char *text;
	uint32_t name;
	bool goes_on;
};

static int compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	const unsigned char *s = (const unsigned char *)x->text;
	const unsigned char *t = (const unsigned char *)y->text;
	unsigned int c, d;

	while (*s && *s == *t)
		s++, t++;
	c = *s ? *s : x->goes_on ? ';' : 0;
	d = *t ? *t : y->goes_on ? ';' : 0;
	return c < d ? -1 : c > d;
}

/* ranks[name * 2 + goes_on] is the place in the order. */
static uint32_t *rank_names(const struct texts *t)
{
	size_t nr = (size_t)textids_nr(t->ids) * 2;
	struct place *places = malloc((nr + 1) * sizeof(*places));
	uint32_t *ranks = malloc((nr + 2) * sizeof(*ranks));

	if (!places || !ranks) {
		free(places);
		free(ranks);
		return NULL;
	}
	for (size_t i = 0; i < nr; i++)
		places[i] = (struct place) {
			.name = (uint32_t)(i / 2 + 1), .goes_on = i & 1,
			.text = t->by_id[i / 2 + 1],
		};
	if (nr)
		qsort(places, nr, sizeof(*places), compare_places);
	for (size_t i = 0; i < nr; i++)
		ranks[places[i].name * 2 + places[i].goes_on] = (uint32_t)i;
	free(places);
	return ranks;
}

/* One line, or all lines below a node. */
struct item {
	uint32_t parent, rank, node;
	bool goes_on;
};

static int compare_items(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	if (x->parent != y->parent)
		return x->parent < y->parent ? -1 : 1;
	return x->rank < y->rank ? -1 : x->rank > y->rank;
}

static struct item *sort_items(const struct calltree *tree, const uint32_t *ranks, size_t *out_nr)
{
	struct item *items = malloc(tree->nr * 2 * sizeof(*items));
	size_t nr = 0;

	if (!items)
		return NULL;
	for (size_t i = 1; i < tree->nr; i++) {
		const struct calltree_node *n = &tree->nodes[i];

		if (n->self)
			items[nr++] = (struct item) {
				n->parent, ranks[n->name * 2], (uint32_t)i, false };
		if (n->total > n->self)
			items[nr++] = (struct item) {
				n->parent, ranks[n->name * 2 + 1], (uint32_t)i, true };
	}
	if (nr)
		qsort(items, nr, sizeof(*items), compare_items);
	*out_nr = nr;
	return items;
}

/* --- lines ----------------------------------------------------------------- */

static void put_line(struct output *o, const struct bytebuf *path, uint64_t count)
{
	struct bytebuf *to = output_buffer(o);

	bytebuf_put(to, path->data, path->len);
	bytebuf_put(to, " ", 1);
	digits_put(to, count);
	bytebuf_put(to, "\n", 1);
	output_settle(o);
}

struct level {
	size_t item;		/* next one to write */
	uint32_t parent;
	size_t path_len;
};

/* Where the items of each parent start. */
static size_t *index_items(const struct item *items, size_t nr, size_t nr_nodes)
{
	size_t *first = malloc((nr_nodes + 1) * sizeof(*first));

	if (!first)
		return NULL;
	for (size_t i = 0; i < nr_nodes; i++)
		first[i] = nr;
	for (size_t i = nr; i-- > 0;)
		first[items[i].parent] = i;
	return first;
}

static int write_items(struct folded *f, const struct item *items, size_t nr,
		       const size_t *first, struct output *o)
{
	struct level *levels = malloc((CALLTREE_MAX_DEPTH + 2) * sizeof(*levels));
	struct bytebuf *path = &f->scratch;
	size_t depth = 0;

	if (!levels)
		return -ENOMEM;
	levels[0] = (struct level) { .item = first[0] };
	bytebuf_clear(path);
	while (!path->err && !output_error(o)) {
		struct level *l = &levels[depth];
		const struct item *item = &items[l->item];
		const char *text;

		path->len = l->path_len;
		if (l->item == nr || item->parent != l->parent) {
			if (depth-- == 0)
				break;
			continue;
		}
		l->item++;
		text = f->texts.by_id[f->tree.nodes[item->node].name];
		bytebuf_put(path, text, strlen(text));
		if (!item->goes_on) {
			put_line(o, path, f->tree.nodes[item->node].self);
			continue;
		}
		bytebuf_put(path, ";", 1);
		levels[++depth] = (struct level) {
			first[item->node], item->node, path->len };
	}
	free(levels);
	return path->err;
}

static int write_sorted(struct folded *f, struct output *o)
{
	static const char no_stack[] = "[no stack]";
	uint32_t *ranks = rank_names(&f->texts);
	struct item *items = NULL;
	size_t *first = NULL, nr = 0;
	int err = -ENOMEM;

	if (ranks)
		items = sort_items(&f->tree, ranks, &nr);
	free(ranks);
	if (items)
		first = index_items(items, nr, f->tree.nr);
	if (first)
		err = write_items(f, items, nr, first, o);
	if (!err && f->tree.nodes[0].self) {
		bytebuf_clear(&f->scratch);
		bytebuf_put(&f->scratch, no_stack, sizeof(no_stack) - 1);
		put_line(o, &f->scratch, f->tree.nodes[0].self);
	}
	free(first);
	free(items);
	return err;
}

static void folded_release(struct folded *f)
{
	calltree_release(&f->tree);
	textids_free(f->texts.ids);
	for (size_t i = 0; i < f->texts.nr_chunks; i++)
		free(f->texts.chunks[i]);
	free(f->texts.chunks);
	free(f->texts.by_id);
	free(f->frame_name);
	bytebuf_release(&f->scratch);
	stacksum_free(f->sums);
	names_free(f->names);
}

static int folded_build(struct folded *f, uint32_t *other_events, struct diag *d)
{
	const struct calltree_opts opts = {
		.groups = f->opts->sum.by != STACKSUM_BY_NONE,
		.frame_name = frame_name, .ctx = f,
	};
	int err;

	err = stacksum_new(&f->sums, f->query, &f->opts->sum);
	if (!err)
		err = stacksum_read(f->sums, d);
	if (!err)
		err = names_new(&f->names, query_trace(f->query));
	if (!err)
		err = textids_new(&f->texts.ids);
	if (err)
		return err;
	*other_events = stacksum_other_events(f->sums);
	f->nr_frames = trace_nr_frames(query_trace(f->query));
	f->frame_name = calloc((size_t)f->nr_frames + 1, 2 * sizeof(*f->frame_name));
	if (!f->frame_name)
		return -ENOMEM;
	err = calltree_build(&f->tree, query_trace(f->query), f->sums, &opts);
	if (!err)
		err = name_groups(f);
	if (!err)
		err = stackquality_count(f->sums, f->names, f->query);
	return err;
}

int folded_write(struct query *q, const struct folded_opts *opts, struct output *o,
		 uint32_t *other_events, struct diag *d)
{
	struct folded f = { .opts = opts, .query = q };
	int err;

	bytebuf_init(&f.scratch);
	*other_events = 0;
	err = folded_build(&f, other_events, d);
	if (!err)
		err = write_sorted(&f, o);
	folded_release(&f);
	return err ? diag_set(d, err, "cannot fold stacks: %s", strerror(-err)) : 0;
}
