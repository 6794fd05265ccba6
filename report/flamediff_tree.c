#include "report/flamediff_tree.h"

#include "format/bytebuf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_NODES 1024
#define FIRST_SLOTS 2048

/*
 * A node by (parent, name), but for those that stand next to their parents, as most do;
 * some bits of the hash spare most looks at the node.
 */
struct slot {
	uint32_t hash, node;	/* node 0: free */
};

/* A frame of the line added last: where its name ends, and its node. */
struct level {
	size_t end;
	uint32_t node;
};

struct flamediff_tree {
	bool reverse;
	struct textpool *names;
	struct flamediff_node *nodes;
	size_t nr, cap;
	struct slot *slots;
	size_t nr_slots;	/* a power of two */
	size_t nr_in_slots;
	struct bytebuf last;	/* the line added last */
	struct level *levels;	/* of its frames, the outermost first */
	size_t nr_levels, cap_levels;
};

/* --- nodes ----------------------------------------------------------------- */

static uint64_t hash_of(uint32_t parent, uint32_t name)
{
	uint64_t x = ((uint64_t)parent << 32 | name) * 0x9e3779b97f4a7c15u;

	x ^= x >> 29;
	x *= 0xd6e8feb86659fd93u;
	return x ^ x >> 32;
}

/* Where the node is, or belongs. */
static struct slot *find_slot(const struct flamediff_tree *t, uint32_t parent, uint32_t name)
{
	uint64_t hash = hash_of(parent, name);

	for (uint64_t at = hash;; at++) {
		struct slot *s = &t->slots[at & (t->nr_slots - 1)];

		if (!s->node) {
			s->hash = (uint32_t)(hash >> 32);
			return s;
		}
		if (s->hash == (uint32_t)(hash >> 32) && t->nodes[s->node].parent == parent &&
		    t->nodes[s->node].name == name)
			return s;
	}
}

static int grow_slots(struct flamediff_tree *t)
{
	size_t nr = t->nr_slots ? t->nr_slots * 2 : FIRST_SLOTS;
	struct slot *slots = calloc(nr, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	free(t->slots);
	t->slots = slots;
	t->nr_slots = nr;
	for (size_t i = 1; i < t->nr; i++)
		if (t->nodes[i].parent != i - 1)
			find_slot(t, t->nodes[i].parent, t->nodes[i].name)->node = (uint32_t)i;
	return 0;
}

static int grow_nodes(struct flamediff_tree *t)
{
	size_t cap = t->cap ? t->cap + t->cap / 2 : FIRST_NODES;
	struct flamediff_node *nodes;

	if (cap > UINT32_MAX / 2)
		return -ENOMEM;
	nodes = realloc(t->nodes, cap * sizeof(*nodes));
	if (!nodes)
		return -ENOMEM;
	t->nodes = nodes;
	t->cap = cap;
	return 0;
}

/* The child of that name, made when there is none; 0 when memory ran out. */
static uint32_t child_of_id(struct flamediff_tree *t, uint32_t parent, uint32_t id)
{
	const struct flamediff_node *next = &t->nodes[parent + 1];
	struct slot *slot;

	if (parent + 1 < t->nr && next->parent == parent && next->name == id)
		return parent + 1;
	if (!id || (t->nr == t->cap && grow_nodes(t)) ||
	    (t->nr_in_slots * 4 >= t->nr_slots * 3 && grow_slots(t)))
		return 0;
	if (parent + 1 < t->nr) {
		slot = find_slot(t, parent, id);
		if (slot->node)
			return slot->node;
		slot->node = (uint32_t)t->nr;
		t->nr_in_slots++;
	}
	t->nodes[t->nr] = (struct flamediff_node) { .parent = parent, .name = id };
	return (uint32_t)t->nr++;
}

static uint32_t child(struct flamediff_tree *t, uint32_t parent, const char *name, size_t len)
{
	return child_of_id(t, parent, textpool_put(t->names, name, len));
}

static size_t frame_end(const char *stack, size_t at, size_t len)
{
	const char *end = memchr(stack + at, ';', len - at);

	return end ? (size_t)(end - stack) : len;
}

/* --- outermost frames next to the root ------------------------------------- */

/* How many frames the line shares with the last one, from the outermost on. */
static size_t levels_in_common(const struct flamediff_tree *t, const char *stack, size_t len)
{
	const char *last = (const char *)t->last.data;
	size_t most = len < t->last.len ? len : t->last.len, same = 0, nr = 0;

	while (same < most && last[same] == stack[same])
		same++;
	while (nr < t->nr_levels && t->levels[nr].end <= same &&
	       (t->levels[nr].end == len || stack[t->levels[nr].end] == ';'))
		nr++;
	return nr;
}

static int push_level(struct flamediff_tree *t, size_t end, uint32_t node)
{
	size_t cap = t->cap_levels ? t->cap_levels * 2 : 128;
	struct level *levels;

	if (t->nr_levels == t->cap_levels) {
		levels = realloc(t->levels, cap * sizeof(*levels));
		if (!levels)
			return -ENOMEM;
		t->levels = levels;
		t->cap_levels = cap;
	}
	t->levels[t->nr_levels++] = (struct level) { end, node };
	return 0;
}

static int descend(struct flamediff_tree *t, const char *stack, size_t len, uint32_t *out)
{
	size_t at, end;
	uint32_t node = 0;

	t->nr_levels = levels_in_common(t, stack, len);
	at = t->nr_levels ? t->levels[t->nr_levels - 1].end + 1 : 0;
	if (t->nr_levels)
		node = t->levels[t->nr_levels - 1].node;
	for (; at <= len; at = end + 1) {
		end = frame_end(stack, at, len);
		node = child(t, node, stack + at, end - at);
		if (!node || push_level(t, end, node))
			return -ENOMEM;
	}
	bytebuf_clear(&t->last);
	bytebuf_put(&t->last, stack, len);
	*out = node;
	return t->last.err;
}

/* --- innermost frames next to the root ------------------------------------- */

static int climb(struct flamediff_tree *t, const struct flamediff_line *l, uint32_t *out)
{
	const char *stack = l->stack;
	size_t first = 0, begin, end = l->len_bytes;
	uint32_t node = 0;

	for (size_t i = 0; i < l->nr_levels && first <= end; i++, first = begin + 1) {
		begin = frame_end(stack, first, end);
		node = child(t, node, stack + first, begin - first);
		if (!node)
			return -ENOMEM;
	}
	while (first <= end) {
		for (begin = end; begin > first && stack[begin - 1] != ';'; begin--)
			;
		node = child(t, node, stack + begin, end - begin);
		if (!node)
			return -ENOMEM;
		if (begin == first)
			break;
		end = begin - 1;
	}
	*out = node;
	return 0;
}

/* --- whole trees ----------------------------------------------------------- */

static uint32_t child_of_node(struct flamediff_tree *t, uint32_t parent,
			      const struct folded_tree *tree, uint32_t node, uint32_t *names)
{
	uint32_t name = tree->nodes[node].name;
	const char *text = textpool_text(tree->names, name);

	if (!names[name])
		names[name] = textpool_put(t->names, text, strlen(text));
	return child_of_id(t, parent, names[name]);
}

static int merge_forward(struct flamediff_tree *t, enum flamediff_side side,
			 const struct folded_tree *tree, uint32_t top, uint32_t *names)
{
	uint32_t *index = malloc(tree->nr * sizeof(*index));
	int err = index ? 0 : -ENOMEM;

	if (index)
		index[0] = top;
	for (uint32_t i = 1; i < tree->nr && !err; i++) {
		const struct calltree_node *n = &tree->nodes[i];

		index[i] = child_of_node(t, index[n->parent], tree, i, names);
		if (index[i])
			t->nodes[index[i]].amount[side] += n->self;
		else
			err = -ENOMEM;
	}
	free(index);
	return err;
}

static int merge_reversed(struct flamediff_tree *t, enum flamediff_side side,
			  const struct folded_tree *tree, uint32_t top, uint32_t *names)
{
	for (uint32_t i = 1; i < tree->nr; i++) {
		uint32_t node = top;

		if (!tree->nodes[i].self)
			continue;
		for (uint32_t at = i; at; at = tree->nodes[at].parent) {
			node = child_of_node(t, node, tree, at, names);
			if (!node)
				return -ENOMEM;
		}
		t->nodes[node].amount[side] += tree->nodes[i].self;
	}
	return 0;
}

int flamediff_tree_merge(struct flamediff_tree *t, enum flamediff_side side,
			 const struct folded_tree *tree, size_t nr_levels, uint32_t *names)
{
	const char *label = tree->label;
	size_t len = strlen(label), at = 0, end;
	uint32_t top = 0;

	for (size_t i = 0; i < nr_levels && at <= len; i++, at = end + 1) {
		end = frame_end(label, at, len);
		top = child(t, top, label + at, end - at);
		if (!top)
			return -ENOMEM;
	}
	return t->reverse ? merge_reversed(t, side, tree, top, names)
			  : merge_forward(t, side, tree, top, names);
}

/* --- all ------------------------------------------------------------------- */

int flamediff_tree_add(struct flamediff_tree *t, enum flamediff_side side,
		       const struct flamediff_line *line)
{
	uint32_t node;
	int err = t->reverse ? climb(t, line, &node)
			     : descend(t, line->stack, line->len_bytes, &node);

	if (!err)
		t->nodes[node].amount[side] += line->count;
	return err;
}

const struct flamediff_node *flamediff_tree_nodes(const struct flamediff_tree *t, size_t *nr)
{
	*nr = t->nr;
	return t->nodes;
}

void flamediff_tree_sum(struct flamediff_tree *t)
{
	for (size_t i = t->nr - 1; i > 0; i--)
		for (int side = 0; side < FLAMEDIFF_SIDES; side++)
			t->nodes[t->nodes[i].parent].amount[side] += t->nodes[i].amount[side];
}

const struct textpool *flamediff_tree_names(const struct flamediff_tree *t)
{
	return t->names;
}

int flamediff_tree_new(struct flamediff_tree **out, bool reverse)
{
	struct flamediff_tree *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->reverse = reverse;
	bytebuf_init(&t->last);
	if (textpool_new(&t->names) || grow_nodes(t) || grow_slots(t)) {
		flamediff_tree_free(t);
		return -ENOMEM;
	}
	t->nodes[0] = (struct flamediff_node) { .parent = 0 };
	t->nr = 1;
	*out = t;
	return 0;
}

void flamediff_tree_free(struct flamediff_tree *t)
{
	if (!t)
		return;
	textpool_free(t->names);
	bytebuf_release(&t->last);
	free(t->nodes);
	free(t->slots);
	free(t->levels);
	free(t);
}
