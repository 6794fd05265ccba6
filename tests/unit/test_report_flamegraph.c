#include "report/flamelayout_reverse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "report/calltree.h"
#include "report/folded.h"
#include "tests/unit/memory_trace.h"

#define NR_SAMPLES 5000
#define NR_FUNCTIONS 40
#define NR_TASKS 9		/* of three comms */
#define MAX_DEPTH 12

/* A trace whose stacks are random, and the query on it. */
struct fixture {
	char path[64];
	struct query *q;
	struct names *names;
	struct stacksum *sums;
};

static uint32_t function_frame(struct writer *w, uint32_t function)
{
	/* Two functions of each name, in two modules; each at two addresses. */
	uint32_t module = 1 + function % 2;

	return writer_frame(w, module, (function / 2) * 0x100 + (uint32_t)(rand() % 2) * 8);
}

static void announce(struct writer *w)
{
	char text[32];

	for (uint32_t m = 1; m <= 2; m++) {
		snprintf(text, sizeof(text), "/lib/m%u.so", m);
		writer_module(w, &(struct writer_module) {
			.id = m, .kind = MODULE_ELF,
			.path = writer_string(w, CLASS_PATH, text, strlen(text)) });
		for (uint32_t f = 0; f < NR_FUNCTIONS / 2; f++) {
			int len = snprintf(text, sizeof(text), "f%u", f);

			writer_symbol(w, m, f * 0x100, 0x100,
				      writer_string(w, CLASS_SYMBOL, text, (size_t)len));
		}
	}
	for (uint32_t t = 1; t <= NR_TASKS; t++) {
		int len = snprintf(text, sizeof(text), "comm%u", t % 3);

		writer_task(w, &(struct writer_task) {
			.id = t, .pid = 100 + t / 2, .tid = 100 + t,
			.comm = writer_string(w, CLASS_COMMAND, text, (size_t)len) });
	}
}

static void write_samples(struct writer *w)
{
	const struct field_desc fields[] = {
		{ "time", FIELD_UNSIGNED, ROLE_TIME, 0, 0, "ns", NULL },
		{ "cpu", FIELD_UNSIGNED, ROLE_CPU, 0, 0, "", NULL },
		{ "task", FIELD_TASK, ROLE_TASK, 0, 0, "", NULL },
		{ "stack", FIELD_STACK, ROLE_STACK, 0, 0, "", NULL },
		{ "period", FIELD_UNSIGNED, ROLE_WEIGHT, 0, 0, "ns", NULL },
	};
	const struct event_desc desc = { .name = "test", .nr_fields = 5, .fields = fields };
	uint32_t event = writer_event(w, &desc);

	for (uint64_t i = 0; i < NR_SAMPLES; i++) {
		uint32_t stack = 0;
		int depth = rand() % MAX_DEPTH;

		for (int d = 0; d < depth; d++) {
			uint32_t function = (uint32_t)rand() % (d < 3 ? 3 : NR_FUNCTIONS);

			stack = writer_stack(w, stack, function_frame(w, function));
		}
		writer_record(w, event, (uint64_t[]) {
			1000 + i, 0, 1 + (uint64_t)rand() % NR_TASKS, stack, 1 + i % 7 });
	}
}

static int put_file(void *ctx, const void *bytes, size_t size_bytes, bool droppable)
{
	(void)droppable;
	return fwrite(bytes, 1, size_bytes, ctx) == size_bytes ? 0 : -EIO;
}

static void fixture_write(struct fixture *f, void (*samples)(struct writer *w))
{
	struct writer_output out = { .put = put_file };
	struct writer *w;
	FILE *file;

	*f = (struct fixture) { .path = "/tmp/kymo-flamegraph-XXXXXX" };
	file = fdopen(mkstemp(f->path), "wb");
	assert_non_null(file);
	out.ctx = file;
	srand(3);
	assert_int_equal(writer_open(&w, &out, 1, 1), 0);
	announce(w);
	samples(w);
	assert_int_equal(writer_close(w), 0);
	assert_int_equal(fclose(file), 0);
}

static void fixture_read(struct fixture *f, const char *by, bool weighted)
{
	const struct stacksum_opts opts = { .by = by, .weighted = weighted };
	struct diag d = { "" };

	assert_int_equal(query_open(&f->q, &(struct query_opts) { .input = f->path }, &d), 0);
	assert_int_equal(names_new(&f->names, query_trace(f->q)), 0);
	assert_int_equal(stacksum_new(&f->sums, f->q, &opts), 0);
	assert_int_equal(stacksum_read(f->sums, &d), 0);
}

static void fixture_open(struct fixture *f, const char *by, bool weighted)
{
	fixture_write(f, write_samples);
	fixture_read(f, by, weighted);
}

static void fixture_close(struct fixture *f)
{
	stacksum_free(f->sums);
	names_free(f->names);
	query_close(f->q);
	unlink(f->path);
}

static const struct flame_box *parent_of(const struct flame_layout *l, const struct flame_box *b)
{
	for (size_t i = 0; i < l->nr; i++) {
		const struct flame_box *p = &l->boxes[i];

		if (p->depth + 1 == b->depth && p->start <= b->start &&
		    b->start + b->width <= p->start + p->width)
			return p;
	}
	return NULL;
}

/* Boxes of a row do not touch, stand on a parent, and are not too narrow. */
static void check_layout(const struct flame_layout *l, uint64_t total, uint64_t min_width)
{
	assert_true(l->nr > 0);
	assert_int_equal(l->boxes[0].width, total);
	assert_int_equal(l->boxes[0].depth, 0);
	for (size_t i = 1; i < l->nr; i++) {
		const struct flame_box *b = &l->boxes[i], *before = b - 1;

		assert_true(b->width >= min_width);
		assert_non_null(parent_of(l, b));
		if (before->depth == b->depth)
			assert_true(before->start + before->width <= b->start);
		else
			assert_int_equal(before->depth + 1, b->depth);
	}
}

static uint64_t sum_of_depth(const struct flame_layout *l, uint32_t depth)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < l->nr; i++)
		sum += l->boxes[i].depth == depth ? l->boxes[i].width : 0;
	return sum;
}

/* How many samples have at least so many frames: rows add up to that both ways. */
static uint64_t count_deep(const struct fixture *f, uint32_t frames)
{
	size_t nr;
	const struct stacksum_entry *e = stacksum_entries(f->sums, &nr);
	uint64_t sum = 0;

	for (size_t i = 0; i < nr; i++) {
		const struct trace_stack *s;
		uint32_t depth = 0;

		for (uint32_t id = e[i].stack; (s = trace_stack(query_trace(f->q), id));
		     id = s->parent)
			depth++;
		sum += depth >= frames ? e[i].count : 0;
	}
	return sum;
}

static void check_rows(const char *by, bool weighted, bool reverse)
{
	struct flamelayout_opts opts = { .min_width = 1, .reverse = reverse };
	struct flame_layout whole, cut, few;
	uint32_t levels;
	struct fixture f;

	fixture_open(&f, by, weighted);
	levels = (uint32_t)flamelayout_nr_levels(f.sums);
	if (!weighted)
		assert_int_equal(stacksum_total(f.sums), NR_SAMPLES);
	assert_int_equal(stacksum_records(f.sums), NR_SAMPLES);
	assert_int_equal(flamelayout_build(&whole, query_trace(f.q), f.names, f.sums, &opts), 0);
	check_layout(&whole, stacksum_total(f.sums), 1);
	assert_int_equal(whole.left_out, 0);
	for (uint32_t depth = 1; depth <= MAX_DEPTH; depth++)
		assert_int_equal(sum_of_depth(&whole, depth), count_deep(&f, depth > levels ? depth - levels : 0));

	opts.min_width = stacksum_total(f.sums) / 100;
	assert_int_equal(flamelayout_build(&cut, query_trace(f.q), f.names, f.sums, &opts), 0);
	check_layout(&cut, stacksum_total(f.sums), opts.min_width);
	assert_int_equal(cut.nr + cut.left_out, whole.nr);
	assert_true(cut.nr < whole.nr);

	opts.min_width = 1;
	opts.max_boxes = 100;
	assert_int_equal(flamelayout_build(&few, query_trace(f.q), f.names, f.sums, &opts), 0);
	assert_true(few.nr <= 100 && few.nr > 10);
	check_layout(&few, stacksum_total(f.sums), few.min_width);
	assert_int_equal(few.nr + few.left_out, whole.nr);
	flamelayout_release(&whole);
	flamelayout_release(&cut);
	flamelayout_release(&few);
	fixture_close(&f);
}

static const char *const levels[] = { "none", "comm", "pid", "tid", "comm,thread", "cpu,comm" };

#define NR_LEVELS (sizeof(levels) / sizeof(levels[0]))

static void test_rows(void **state)
{
	(void)state;
	for (size_t by = 0; by < NR_LEVELS; by++)
		for (int i = 0; i < 4; i++)
			check_rows(levels[by], i & 1, i & 2);
}

static void test_groups(void **state)
{
	static const uint32_t wanted[NR_LEVELS] = { 1, 3, 9, 9, 9, 3 };
	struct fixture f;

	(void)state;
	for (size_t by = 0; by < NR_LEVELS; by++) {
		fixture_open(&f, levels[by], false);
		assert_int_equal(stacksum_nr_groups(f.sums), wanted[by]);
		fixture_close(&f);
	}
}

/* --- what no recorder writes ------------------------------------------------ */

/* Ids of nothing, and a stack deeper than any view shows. */
static void write_strange(struct writer *w)
{
	const struct field_desc fields[] = {
		{ "time", FIELD_UNSIGNED, ROLE_TIME, 0, 0, "ns", NULL },
		{ "task", FIELD_TASK, ROLE_TASK, 0, 0, "", NULL },
		{ "stack", FIELD_STACK, ROLE_STACK, 0, 0, "", NULL },
		{ "period", FIELD_UNSIGNED, ROLE_WEIGHT, 0, 0, "ns", NULL },
	};
	const struct event_desc desc = { .name = "strange", .nr_fields = 4, .fields = fields };
	uint32_t event = writer_event(w, &desc), stack = 0;

	for (uint32_t i = 0; i < 20000; i++) {
		stack = writer_stack(w, stack, writer_frame(w, i % 5, i));
		if (i % 1000 == 0)
			writer_record(w, event, (uint64_t[]) { i, 1, stack, UINT64_MAX / 4 });
	}
	for (int i = 0; i < 1000; i++) {
		uint64_t random = (uint64_t)rand() << 40 ^ (uint64_t)rand() << 20 ^ (uint64_t)rand();

		writer_record(w, event, (uint64_t[]) {
			random, random >> rand() % 64, random >> rand() % 64, random });
	}
}

static void test_strange(void **state)
{
	struct fixture f;
	struct diag d = { "" };
	struct stacksum_left_out left_out;
	struct output *o;

	(void)state;
	for (int i = 0; i < 8; i++) {
		struct flamelayout_opts opts = {
			.min_width = 1, .reverse = i & 1 };
		const struct folded_opts folded = { .sum.by = i & 2 ? "tid" : "none" };
		struct flame_layout l;

		fixture_write(&f, write_strange);
		fixture_read(&f, i & 2 ? "tid" : "none", i & 4);
		assert_int_equal(flamelayout_build(&l, query_trace(f.q), f.names, f.sums, &opts), 0);
		assert_true(l.boxes[l.nr - 1].depth <= FLAMELAYOUT_MAX_DEPTH);
		assert_int_equal(l.boxes[0].width, stacksum_total(f.sums));
		flamelayout_release(&l);
		assert_int_equal(output_open(&o, "/dev/null", &d), 0);
		assert_int_equal(folded_write(f.q, &folded, o, &left_out, &d), 0);
		assert_int_equal(output_close(o, &d), 0);
		fixture_close(&f);
	}
}

/* Children of one parent have different names, whatever addresses they had. */
static uint32_t symbol_of(void *ctx, uint32_t group, enum calltree_kind kind, uint32_t frame)
{
	(void)group;
	assert_int_equal(kind, CALLTREE_FRAME);
	return names_frame(ctx, frame)->symbol_id;
}

static void test_tree(void **state)
{
	const struct calltree_node *n;
	const struct stacksum_entry *e;
	struct calltree *tree;
	struct fixture f;
	size_t nr;
	uint64_t self = 0;

	(void)state;
	fixture_open(&f, "none", false);
	assert_int_equal(calltree_new(&tree, &(struct calltree_opts) {
		.trace = query_trace(f.q), .name = symbol_of, .ctx = f.names }), 0);
	e = stacksum_entries(f.sums, &nr);
	for (int round = 0; round < 2; round++) {
		calltree_clear(tree);
		assert_int_equal(calltree_add(tree, e, nr / 2), 0);
		assert_int_equal(calltree_add(tree, e + nr / 2, nr - nr / 2), 0);
	}
	n = calltree_nodes(tree, &nr);
	assert_int_equal(n[0].total, NR_SAMPLES);
	for (size_t i = 0; i < nr; i++) {
		self += n[i].self;
		assert_true(n[i].total >= n[i].self);
		assert_true(i == 0 || (n[i].parent < i && n[i].total <= n[n[i].parent].total));
		assert_true(i == 0 || n[i].depth == n[n[i].parent].depth + 1);
	}
	assert_int_equal(self, NR_SAMPLES);
	for (size_t i = 1; i < nr && i < 500; i++)
		for (size_t k = 1; k < i; k++)
			assert_false(n[i].parent == n[k].parent && n[i].name == n[k].name);
	calltree_free(tree);
	fixture_close(&f);
}

static void expect_frame(const char *symbol, const char *module, bool java, const char *wanted)
{
	const struct frame_name f = {
		.symbol = symbol, .module = module, .resolved = true, .kind = MODULE_ELF };
	const struct folded_opts opts = { .mark_kernel = true, .mark_jit = true };
	struct bytebuf b;

	bytebuf_init(&b);
	folded_frame(&b, &f, &opts, java);
	bytebuf_u8(&b, 0);
	assert_string_equal((char *)b.data, wanted);
	bytebuf_release(&b);
}

static void test_folded_names(void **state)
{
	(void)state;
	expect_frame("main", "/bin/x", false, "main");
	expect_frame("f(int, char const*) const", "/bin/x", false, "f");
	expect_frame("(anonymous namespace)::f(int)", "/bin/x", false, "(anonymous namespace)::f");
	expect_frame("net/http.(*Client).Do", "/bin/x", false, "net/http.(*Client).Do");
	expect_frame("A::operator->", "/bin/x", false, "A::operator->");
	expect_frame("[unknown]", "/usr/lib/libc.so.6", false, "[libc.so.6]");
	expect_frame("[unknown]", "[unknown]", false, "[unknown]");
	expect_frame("[unknown]", "[kernel.kallsyms]", false, "[[kernel.kallsyms]]_[k]");
	expect_frame("do_idle", "[kernel.kallsyms]", false, "do_idle_[k]");
	expect_frame("do_idle", "/boot/vmlinux", false, "do_idle_[k]");
	expect_frame("RegExp:[&<>\"']", "/bin/node", false, "RegExp:[&<>]");
	expect_frame("Lorg/a/B;.call(Lorg/a/C;)V", "/bin/java", true, "org/a/B:.call");
	expect_frame("Lorg/a/B;.call(Lorg/a/C;)V", "/bin/java", false, "Lorg/a/B:.call");
	expect_frame("a\nb", "/bin/x", false, "a\\x0ab");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows), cmocka_unit_test(test_groups),
		cmocka_unit_test(test_tree), cmocka_unit_test(test_strange),
		cmocka_unit_test(test_folded_names),
	};

	return cmocka_run_group_tests_name("flamegraph", tests, NULL, NULL);
}
