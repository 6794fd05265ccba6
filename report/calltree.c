#include "report/calltree.h"

#include "report/calltree_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_NODES 1024
/* 16 MB.  Chains make no more, whatever their number. */
#define MAX_CHAIN_NODES ((size_t)1 << 18)
/* An entry with such a part of the whole finds room before the others. */
#define WIDE_PART 16384

#define MARK_HASH_BITS 20
#define MAX_GENERATION ((1u << (32 - MARK_HASH_BITS)) - 1)

/* What tells one child of a node from another. */
struct step {
	uint32_t name;
	uint8_t kind, hop;
};

static uint64_t hash_of(uint32_t parent, const struct step *step)
{
	uint64_t x = (uint64_t)parent << 32 | step->name;

	x = (x ^ (uint64_t)(step->kind << 4 | step->hop) << 24) * 0x9e3779b97f4a7c15u;
	x ^= x >> 29;
	x *= 0xd6e8feb86659fd93u;
	return x ^ x >> 32;
}

static bool is_child(const struct calltree_node *n, uint32_t parent, const struct step *step)
{
	return n->parent == parent && n->name == step->name && n->kind == step->kind &&
	       n->hop == step->hop;
}

/* The slot of the node, or the free one where it belongs, marked for it. */
static struct slot *find(const struct calltree *t, uint32_t parent, const struct step *step,
			 bool *found)
{
	uint64_t hash = hash_of(parent, step);
	uint32_t mark = t->generation << MARK_HASH_BITS | (uint32_t)(hash >> (64 - MARK_HASH_BITS));

	for (size_t at = hash;; at++) {
		struct slot *s = &t->slots[at & (t->nr_slots - 1)];

		if (s->mark >> MARK_HASH_BITS != t->generation) {
			s->mark = mark;
			*found = false;
			return s;
		}
		*found = s->mark == mark && is_child(&t->nodes[s->node], parent, step);
		if (*found)
			return s;
	}
}

static int grow_nodes(struct calltree *t)
{
	size_t cap = t->cap ? t->cap * 2 : FIRST_NODES;
	struct calltree_node *nodes = realloc(t->nodes, cap * sizeof(*nodes));

	if (!nodes)
		return -ENOMEM;
	t->nodes = nodes;
	t->cap = cap;
	return 0;
}

static int grow_slots(struct calltree *t)
{
	size_t nr = t->nr_slots ? t->nr_slots * 2 : FIRST_NODES;
	struct slot *slots = calloc(nr, sizeof(*slots));
	bool found;

	if (!slots)
		return -ENOMEM;
	free(t->slots);
	t->slots = slots;
	t->nr_slots = nr;
	for (size_t i = 1; i < t->nr; i++) {
		const struct calltree_node *n = &t->nodes[i];
		const struct step step = { n->name, n->kind, n->hop };

		if (t->nodes[n->parent].first != i)
			find(t, n->parent, &step, &found)->node = (uint32_t)i;
	}
	return 0;
}

/* The child of that name, or 0; then it belongs into *slot, if there is one. */
static uint32_t look_up(const struct calltree *t, uint32_t parent, const struct step *step,
			struct slot **slot)
{
	uint32_t first = t->nodes[parent].first;
	bool found;

	*slot = NULL;
	if (!first || is_child(&t->nodes[first], parent, step))
		return first;
	*slot = find(t, parent, step, &found);
	return found ? (*slot)->node : 0;
}

/* The child of that name, made when there is none; 0 when memory ran out. */
static uint32_t child(struct calltree *t, uint32_t parent, const struct step *step)
{
	struct slot *s;
	uint32_t node;

	if (!step->name || (t->nr == t->cap && grow_nodes(t)) ||
	    (t->nr_in_slots * 2 >= t->nr_slots && grow_slots(t)))
		return 0;
	node = look_up(t, parent, step, &s);
	if (node)
		return node;
	node = (uint32_t)t->nr++;
	if (s) {
		s->node = node;
		t->nr_in_slots++;
	} else {
		t->nodes[parent].first = node;
	}
	t->nodes[node] = (struct calltree_node) {
		.parent = parent, .name = step->name, .kind = step->kind, .hop = step->hop,
		.depth = (uint16_t)(t->nodes[parent].depth + 1),
	};
	return node;
}

/* Whether a waker's node has to be done without; wakers that are there stay. */
static bool is_full(const struct calltree *t, uint32_t parent, const struct step *step)
{
	struct slot *s;
	uint32_t node;

	if (!step->hop || t->nr < MAX_CHAIN_NODES)
		return false;
	node = look_up(t, parent, step, &s);
	if (!node && s)
		s->mark = 0;
	return !node;
}

int calltree_go_on(struct calltree *t, uint32_t group, uint32_t *node, enum calltree_kind kind,
		   uint32_t id, uint32_t hop)
{
	struct step step = { .kind = (uint8_t)kind, .hop = (uint8_t)hop };
	uint32_t next;

	if (t->nodes[*node].depth >= CALLTREE_MAX_DEPTH)
		return 0;
	step.name = t->opts.name(t->opts.ctx, group, kind, id);
	if (step.name && is_full(t, *node, &step))
		return CALLTREE_NO_ROOM;
	next = child(t, *node, &step);
	if (!next)
		return -ENOMEM;
	*node = next;
	return 0;
}

static int push_path(struct calltree *t, uint32_t stack)
{
	size_t cap = t->cap_path ? t->cap_path * 2 : 256;
	uint32_t *path;

	if (t->nr_path == t->cap_path) {
		path = realloc(t->path, cap * sizeof(*path));
		if (!path)
			return -ENOMEM;
		t->path = path;
		t->cap_path = cap;
	}
	t->path[t->nr_path++] = stack;
	return 0;
}

static bool is_kernel(const struct calltree *t, uint32_t frame)
{
	const struct trace_frame *f = trace_frame(t->trace, frame);
	const struct trace_module *m = f ? trace_module(t->trace, f->module) : NULL;

	return m && (m->kind == MODULE_KERNEL || m->kind == MODULE_KERNEL_MODULE ||
		     m->kind == MODULE_BPF);
}

bool calltree_is_border(const struct calltree *t, uint32_t outer_stack, uint32_t frame)
{
	const struct trace_stack *outer;

	if (!t->opts.borders)
		return false;
	outer = trace_stack(t->trace, outer_stack);
	return outer && is_kernel(t, frame) && !is_kernel(t, outer->frame);
}

/* Up the trie to a stack that is known in this round, then down again. */
int calltree_descend(struct calltree *t, const struct stacksum_entry *e, uint32_t *out)
{
	const struct trace_stack *s;
	uint32_t stack = e->stack, node = 0;

	t->nr_path = 0;
	for (; (s = trace_stack(t->trace, stack)); stack = s->parent) {
		if (stack >= t->nr_stacks)
			break;
		if (t->memos[stack].round == t->round) {
			node = t->memos[stack].node;
			break;
		}
		if (push_path(t, stack))
			return -ENOMEM;
	}
	while (t->nr_path > 0) {
		stack = t->path[--t->nr_path];
		s = trace_stack(t->trace, stack);
		if (calltree_is_border(t, s->parent, s->frame) &&
		    calltree_go_on(t, e->group, &node, CALLTREE_BORDER, 0, 0))
			return -ENOMEM;
		if (calltree_go_on(t, e->group, &node, CALLTREE_FRAME, s->frame, 0))
			return -ENOMEM;
		t->memos[stack] = (struct memo) { t->round, node };
	}
	*out = node;
	return 0;
}

void calltree_settle(struct calltree *t, uint32_t node, const struct stacksum_entry *e)
{
	t->nodes[node].self += e->count;
	t->nodes[node].self_records += e->records;
}

static int add_entry(struct calltree *t, const struct stacksum_entry *e)
{
	uint32_t node;
	int err = calltree_descend(t, e, &node);

	if (!err && e->chain)
		err = calltree_wakers_ascend(t, e->group, e->chain, &node);
	if (err < 0)
		return err;
	t->cut += err == CALLTREE_NO_ROOM ? e->records : 0;
	calltree_settle(t, node, e);
	return 0;
}

int calltree_add(struct calltree *tree, const struct stacksum_entry *entries, size_t nr)
{
	bool in_order = !tree->opts.chains || nr < WIDE_PART;
	uint64_t total = 0, wide;
	int err = 0;

	tree->round++;
	if (tree->opts.chains && tree->opts.min_width)
		return calltree_wakers_add(tree, entries, nr);
	for (size_t i = 0; i < nr && !in_order; i++)
		total += entries[i].count;
	wide = total / WIDE_PART;
	for (size_t i = 0; i < nr && !err; i++)
		if (in_order || entries[i].count >= wide)
			err = add_entry(tree, &entries[i]);
	for (size_t i = 0; i < nr && !err && !in_order; i++)
		if (entries[i].count < wide)
			err = add_entry(tree, &entries[i]);
	return err;
}

uint64_t calltree_cut(const struct calltree *tree)
{
	return tree->cut;
}

uint64_t calltree_narrow(const struct calltree *tree)
{
	return tree->narrow;
}

const struct calltree_node *calltree_nodes(struct calltree *tree, size_t *nr)
{
	for (size_t i = 0; i < tree->nr; i++) {
		tree->nodes[i].total = tree->nodes[i].self;
		tree->nodes[i].records = tree->nodes[i].self_records;
	}
	for (size_t i = tree->nr - 1; i > 0; i--) {
		struct calltree_node *parent = &tree->nodes[tree->nodes[i].parent];

		parent->total += tree->nodes[i].total;
		parent->records += tree->nodes[i].records;
	}
	*nr = tree->nr;
	return tree->nodes;
}

void calltree_clear(struct calltree *tree)
{
	if (++tree->generation > MAX_GENERATION) {
		memset(tree->slots, 0, tree->nr_slots * sizeof(*tree->slots));
		tree->generation = 1;
	}
	tree->nodes[0] = (struct calltree_node) { .parent = 0 };
	tree->nr = 1;
	tree->nr_in_slots = 0;
}

int calltree_new(struct calltree **out, const struct calltree_opts *opts)
{
	struct calltree *tree = calloc(1, sizeof(*tree));

	if (!tree)
		return -ENOMEM;
	tree->opts = *opts;
	tree->trace = opts->trace;
	tree->nr_stacks = trace_nr_stacks(opts->trace);
	tree->memos = calloc((size_t)tree->nr_stacks + 1, sizeof(*tree->memos));
	if (opts->chains)
		tree->hops = calloc((size_t)1 << CALLTREE_HOPS_BITS, sizeof(*tree->hops));
	if (!tree->memos || (opts->chains && !tree->hops) ||
	    grow_nodes(tree) || grow_slots(tree)) {
		calltree_free(tree);
		return -ENOMEM;
	}
	calltree_clear(tree);
	*out = tree;
	return 0;
}

void calltree_free(struct calltree *tree)
{
	if (!tree)
		return;
	free(tree->nodes);
	free(tree->slots);
	free(tree->memos);
	free(tree->hops);
	free(tree->path);
	free(tree);
}
