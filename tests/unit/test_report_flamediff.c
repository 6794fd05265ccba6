#include "report/flamediff_layout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "report/flamediff_tree.h"

#define MAX_DEPTH 8
#define NR_NAMES 6

static void add(struct flamediff_tree *t, enum flamediff_side side, const char *stack,
		uint64_t count, size_t nr_levels)
{
	assert_int_equal(flamediff_tree_add(t, side, &(struct flamediff_line) {
		.stack = stack, .len_bytes = strlen(stack), .count = count,
		.nr_levels = nr_levels }), 0);
}

/* The node of a path such as "a;b", by going down name by name; the root's is "". */
static size_t find(const struct flamediff_tree *t, const char *path)
{
	const struct textpool *names = flamediff_tree_names(t);
	size_t nr, node = 0;
	const struct flamediff_node *nodes = flamediff_tree_nodes(t, &nr);

	while (*path) {
		size_t len = strcspn(path, ";"), i = 1;

		for (; i < nr; i++) {
			const char *name = textpool_text(names, nodes[i].name);

			if (nodes[i].parent == node && strlen(name) == len &&
			    !strncmp(name, path, len))
				break;
		}
		assert_true(i < nr);
		node = i;
		path += len + (path[len] == ';');
	}
	return node;
}

static void expect(const struct flamediff_tree *t, const char *path, uint64_t base, uint64_t new)
{
	size_t nr;
	const struct flamediff_node *n = &flamediff_tree_nodes(t, &nr)[find(t, path)];

	assert_int_equal(n->amount[FLAMEDIFF_BASE], base);
	assert_int_equal(n->amount[FLAMEDIFF_NEW], new);
}

/* --- the tree -------------------------------------------------------------- */

static void test_merged(void **state)
{
	struct flamediff_tree *t;
	size_t nr;

	(void)state;
	assert_int_equal(flamediff_tree_new(&t, false), 0);
	add(t, FLAMEDIFF_BASE, "a;b", 1, 1);
	add(t, FLAMEDIFF_BASE, "a;b;c", 10, 1);
	add(t, FLAMEDIFF_BASE, "a;bb;c", 100, 1);
	add(t, FLAMEDIFF_BASE, "a", 1000, 1);
	add(t, FLAMEDIFF_NEW, "a;b;c;d", 2, 1);
	add(t, FLAMEDIFF_NEW, "a;b;cc", 20, 1);
	add(t, FLAMEDIFF_NEW, "a;b;c", 200, 1);
	add(t, FLAMEDIFF_NEW, "ab;b;c", 2000, 1);
	flamediff_tree_nodes(t, &nr);
	assert_int_equal(nr, 11);
	expect(t, "a", 1000, 0);
	expect(t, "a;b", 1, 0);
	expect(t, "a;b;c", 10, 200);
	expect(t, "a;bb;c", 100, 0);
	flamediff_tree_sum(t);
	expect(t, "", 1111, 2222);
	expect(t, "a", 1111, 222);
	expect(t, "a;b", 11, 222);
	expect(t, "a;b;c", 10, 202);
	expect(t, "a;b;c;d", 0, 2);
	expect(t, "ab;b;c", 0, 2000);
	flamediff_tree_free(t);
}

static void test_reverse(void **state)
{
	struct flamediff_tree *t;

	(void)state;
	assert_int_equal(flamediff_tree_new(&t, true), 0);
	add(t, FLAMEDIFF_BASE, "comm;7;outer;inner", 1, 2);
	add(t, FLAMEDIFF_NEW, "comm;7;other;inner", 2, 2);
	add(t, FLAMEDIFF_NEW, "comm;7", 4, 2);
	add(t, FLAMEDIFF_NEW, "outer;inner", 8, 0);
	flamediff_tree_sum(t);
	expect(t, "comm;7", 1, 6);
	expect(t, "comm;7;inner", 1, 2);
	expect(t, "comm;7;inner;outer", 1, 0);
	expect(t, "comm;7;inner;other", 0, 2);
	expect(t, "inner;outer", 0, 8);
	flamediff_tree_free(t);
}

#define NR_LINES 400

struct random_line {
	char stack[MAX_DEPTH * 4];
	uint64_t count;
	enum flamediff_side side;
};

static void make_lines(struct random_line *lines, uint64_t most)
{
	for (int i = 0; i < NR_LINES; i++) {
		struct random_line *l = &lines[i];
		int depth = 1 + rand() % MAX_DEPTH;

		l->stack[0] = '\0';
		for (int d = 0; d < depth; d++)
			sprintf(l->stack + strlen(l->stack), "%sf%d", d ? ";" : "",
				rand() % NR_NAMES);
		l->count = 1 + (uint64_t)rand() * (uint64_t)rand() % most;
		l->side = rand() % 2 ? FLAMEDIFF_NEW : FLAMEDIFF_BASE;
	}
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(((const struct random_line *)a)->stack,
		      ((const struct random_line *)b)->stack);
}

static struct flamediff_tree *tree_of(const struct random_line *lines)
{
	struct flamediff_tree *t;

	assert_int_equal(flamediff_tree_new(&t, false), 0);
	for (int i = 0; i < NR_LINES; i++)
		add(t, lines[i].side, lines[i].stack, lines[i].count, 0);
	flamediff_tree_sum(t);
	return t;
}

/* The order of lines matters to the speed only. */
static void test_any_order(void **state)
{
	static struct random_line lines[NR_LINES];
	struct flamediff_tree *drawn, *sorted;
	size_t nr, nr_sorted;

	(void)state;
	srand(7);
	make_lines(lines, 1000);
	drawn = tree_of(lines);
	qsort(lines, NR_LINES, sizeof(lines[0]), compare_lines);
	sorted = tree_of(lines);
	flamediff_tree_nodes(sorted, &nr_sorted);
	for (int i = 0; i < NR_LINES; i++) {
		const struct flamediff_node *n;
		uint64_t base, new;

		n = &flamediff_tree_nodes(drawn, &nr)[find(drawn, lines[i].stack)];
		base = n->amount[FLAMEDIFF_BASE];
		new = n->amount[FLAMEDIFF_NEW];
		expect(sorted, lines[i].stack, base, new);
	}
	assert_int_equal(nr, nr_sorted);
	flamediff_tree_free(drawn);
	flamediff_tree_free(sorted);
}

/* --- boxes ----------------------------------------------------------------- */

/* Each stands on the box of its parent's node, in its section. */
static void check_parents(const struct flame_layout *l, const struct flamediff_node *nodes,
			  const struct flamediff_shape *shape)
{
	for (size_t i = 1; i < l->nr; i++) {
		const struct flame_box *b = &l->boxes[i], *p = NULL;

		for (size_t k = 0; k < i && !p; k++)
			if (l->boxes[k].depth + 1 == b->depth && l->boxes[k].start <= b->start &&
			    b->start + b->width <= l->boxes[k].start + l->boxes[k].width)
				p = &l->boxes[k];
		assert_non_null(p);
		if (b->depth > 1 || !shape->sections) {
			assert_int_equal(p->name, nodes[b->name].parent);
			assert_int_equal(p->is_group, b->is_group);
		}
		if (l->boxes[i - 1].depth == b->depth)
			assert_true(l->boxes[i - 1].start + l->boxes[i - 1].width <= b->start);
	}
}

static void check_widths(const struct flame_layout *l, const struct flamediff_node *nodes,
			 const struct flamediff_shape *shape)
{
	enum flamediff_side other = shape->main == FLAMEDIFF_NEW ? FLAMEDIFF_BASE : FLAMEDIFF_NEW;

	for (size_t i = shape->sections; i < l->nr; i++) {
		const struct flame_box *b = &l->boxes[i];
		const struct flamediff_node *n = &nodes[b->name];
		enum flamediff_side side = b->is_group ? other : shape->main;
		double want = (double)n->amount[side] * shape->factor[side];
		double width = (double)b->width * shape->unit_weight;

		if (!b->is_group || !n->amount[shape->main])
			assert_true(width <= want * 1.000001 &&
				    width >= want * 0.999999 - 2 * shape->unit_weight);
		else
			assert_true(width <= want * 1.000001);
	}
}

static void check_layout(const struct flamediff_tree *t, enum flamediff_side main, double factor)
{
	struct flamediff_shape shape = { .main = main, .factor = { factor, 1 } };
	struct flamegraph_opts opts;
	struct flame_layout l;
	const struct flamediff_node *nodes;
	size_t nr, nr_main = 0, nr_boxes = 0;

	flamegraph_opts_init(&opts);
	opts.min_width = 0;
	assert_int_equal(flamediff_layout(&l, t, &shape, &opts), 0);
	nodes = flamediff_tree_nodes(t, &nr);
	for (size_t i = 0; i < nr; i++)
		nr_main += nodes[i].amount[main] > 0;
	for (size_t i = shape.sections; i < l.nr; i++)
		nr_boxes += !l.boxes[i].is_group;
	assert_int_equal(nr_boxes, nr_main);
	assert_int_equal(l.boxes[0].width, shape.total);
	assert_int_equal(l.left_out, 0);
	check_parents(&l, nodes, &shape);
	check_widths(&l, nodes, &shape);
	flamelayout_release(&l);
}

static void test_boxes(void **state)
{
	static const double factors[] = { 1, 0.001, 1.0 / 3, 7.5, 12345 };
	static const uint64_t most[] = { 3, 1000, UINT64_C(1) << 50 };
	static struct random_line lines[NR_LINES];

	(void)state;
	srand(11);
	for (size_t m = 0; m < sizeof(most) / sizeof(most[0]); m++) {
		struct flamediff_tree *t;

		make_lines(lines, most[m]);
		t = tree_of(lines);
		for (size_t i = 0; i < sizeof(factors) / sizeof(factors[0]); i++) {
			check_layout(t, FLAMEDIFF_NEW, factors[i]);
			check_layout(t, FLAMEDIFF_BASE, factors[i]);
		}
		flamediff_tree_free(t);
	}
}

/* What is gone stands aside to the same scale, on what leads to it. */
static void test_aside(void **state)
{
	struct flamediff_shape shape = { .main = FLAMEDIFF_NEW, .factor = { 2, 1 } };
	struct flamegraph_opts opts;
	struct flamediff_tree *t;
	struct flame_layout l;
	const struct flame_box *gone = NULL, *kept = NULL;

	(void)state;
	assert_int_equal(flamediff_tree_new(&t, false), 0);
	add(t, FLAMEDIFF_BASE, "a;kept", 50, 0);
	add(t, FLAMEDIFF_BASE, "a;gone;far", 10, 0);
	add(t, FLAMEDIFF_NEW, "a;kept", 80, 0);
	flamediff_tree_sum(t);
	flamegraph_opts_init(&opts);
	assert_int_equal(flamediff_layout(&l, t, &shape, &opts), 0);
	assert_true(shape.sections);
	assert_int_equal(l.nr, 1 + 2 + 2 + 2 + 1);
	for (size_t i = 0; i < l.nr; i++) {
		if (l.boxes[i].depth == 3 && l.boxes[i].is_group)
			gone = &l.boxes[i];
		else if (l.boxes[i].depth == 3)
			kept = &l.boxes[i];
	}
	assert_non_null(gone);
	assert_non_null(kept);
	assert_int_equal(gone->name, find(t, "a;gone"));
	assert_int_equal(kept->name, find(t, "a;kept"));
	/* 2 x 10 beside 80, but for what rounding down takes. */
	assert_in_range(gone->width, kept->width / 4 - 1, kept->width / 4 + 1);
	flamelayout_release(&l);
	flamediff_tree_free(t);
	/* What is too little to be seen needs no section. */
	assert_int_equal(flamediff_tree_new(&t, false), 0);
	add(t, FLAMEDIFF_BASE, "gone", 10, 0);
	add(t, FLAMEDIFF_NEW, "b", 10000000, 0);
	flamediff_tree_sum(t);
	opts.min_width = 1;
	assert_int_equal(flamediff_layout(&l, t, &shape, &opts), 0);
	assert_false(shape.sections);
	flamelayout_release(&l);
	flamediff_tree_free(t);
}

static void test_empty(void **state)
{
	struct flamediff_shape shape = { .main = FLAMEDIFF_NEW, .factor = { 1, 1 } };
	struct flamegraph_opts opts;
	struct flamediff_tree *t;
	struct flame_layout l;

	(void)state;
	flamegraph_opts_init(&opts);
	assert_int_equal(flamediff_tree_new(&t, false), 0);
	flamediff_tree_sum(t);
	assert_int_equal(flamediff_layout(&l, t, &shape, &opts), 0);
	assert_int_equal(l.nr, 1);
	flamelayout_release(&l);
	flamediff_tree_free(t);
	assert_int_equal(flamediff_tree_new(&t, false), 0);
	add(t, FLAMEDIFF_BASE, "a;b", 5, 0);
	flamediff_tree_sum(t);
	assert_int_equal(flamediff_layout(&l, t, &shape, &opts), 0);
	assert_true(shape.sections);
	assert_int_equal(l.nr, 4);
	for (size_t i = 0; i < l.nr; i++)
		assert_int_equal(l.boxes[i].width, shape.total);
	flamelayout_release(&l);
	flamediff_tree_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_merged), cmocka_unit_test(test_reverse),
		cmocka_unit_test(test_any_order), cmocka_unit_test(test_boxes),
		cmocka_unit_test(test_aside), cmocka_unit_test(test_empty),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
