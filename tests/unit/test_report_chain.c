#include "report/folded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "report/calltree.h"
#include "report/chainorder.h"
#include "report/wakerstack.h"
#include "tests/unit/memory_trace.h"

/* A kernel and a program; a function of each letter, at 0x100 times its number. */
enum { KERNEL = 1, PROGRAM = 2 };

static const char *const kernel_functions[] = {
	"sleep", "wake", "irq_work", "asm_common_interrupt", "bh_enable",
};
static const char *const program_functions[] = { "main", "serve", "store", "other" };

enum { SLEEP, WAKE, IRQ_WORK, ENTRY, BH_ENABLE };
enum { MAIN, SERVE, STORE, OTHER };
enum { SERVER = 1, WORKER, DISK, IDLE, STRANGER, NR_TASKS };

static const struct {
	const char *comm;
	uint32_t pid, flags;
} tasks[NR_TASKS] = {
	[SERVER] = { "server", 10, 0 }, [WORKER] = { "worker", 20, 0 },
	[DISK] = { "disk", 30, 0 }, [IDLE] = { "swapper/0", 0, TASK_IDLE },
	[STRANGER] = { "stranger", 40, 0 },
};

struct fixture {
	char path[64];
	uint32_t event;
	struct writer *w;
	FILE *file;
};

static uint32_t text_id(struct writer *w, const char *text)
{
	return writer_string(w, CLASS_SYMBOL, text, strlen(text));
}

static void announce_module(struct writer *w, uint32_t id, uint32_t kind,
			    const char *const *functions, size_t nr)
{
	writer_module(w, &(struct writer_module) {
		.id = id, .kind = kind, .path = text_id(w, kind == MODULE_ELF ? "/bin/p" : "") });
	for (size_t i = 0; i < nr; i++)
		writer_symbol(w, id, i * 0x100, 0x100, text_id(w, functions[i]));
}

/* Of the program one function below main (or MAIN alone), of the kernel up to two. */
static uint32_t stack_of(struct writer *w, int program, int kernel, int inner)
{
	uint32_t stack = writer_stack(w, 0, writer_frame(w, PROGRAM, 8));

	if (program != MAIN)
		stack = writer_stack(w, stack, writer_frame(w, PROGRAM,
							    (uint64_t)program * 0x100 + 8));
	stack = writer_stack(w, stack, writer_frame(w, KERNEL, (uint64_t)kernel * 0x100 + 8));
	if (inner >= 0)
		stack = writer_stack(w, stack,
				     writer_frame(w, KERNEL, (uint64_t)inner * 0x100 + 8));
	return stack;
}

static int put_file(void *ctx, const void *bytes, size_t size_bytes, bool droppable)
{
	(void)droppable;
	return fwrite(bytes, 1, size_bytes, ctx) == size_bytes ? 0 : -EIO;
}

static void begin(struct fixture *f)
{
	static const struct field_desc fields[] = {
		{ "time", FIELD_UNSIGNED, ROLE_TIME, 0, 0, "ns", NULL },
		{ "cpu", FIELD_UNSIGNED, ROLE_CPU, 0, 0, "", NULL },
		{ "task", FIELD_TASK, ROLE_TASK, 0, 0, "", NULL },
		{ "wait", FIELD_UNSIGNED, ROLE_DURATION, 0, 0, "ns", NULL },
		{ "ready", FIELD_UNSIGNED, ROLE_RUNNABLE, 0, 0, "ns", NULL },
		{ "run", FIELD_UNSIGNED, ROLE_SLICE, 0, 0, "ns", NULL },
		{ "idle", FIELD_UNSIGNED, ROLE_IDLE, 0, 0, "", NULL },
		{ "by", FIELD_TASK, ROLE_WAKER, 0, 0, "", NULL },
		{ "in", FIELD_UNSIGNED, ROLE_WAKER_CONTEXT, 0, 0, "",
		  "=0=TASK 1=SOFTIRQ 2=IRQ" },
		{ "stack", FIELD_STACK, ROLE_STACK, 0, 0, "", NULL },
		{ "by_stack", FIELD_STACK, ROLE_WAKER_STACK, 0, 0, "", NULL },
	};
	const struct event_desc desc = {
		.name = "waits", .nr_fields = sizeof(fields) / sizeof(fields[0]), .fields = fields };
	struct writer_output out = { .put = put_file };

	*f = (struct fixture) { .path = "/tmp/kymo-chain-XXXXXX" };
	out.ctx = fdopen(mkstemp(f->path), "wb");
	assert_non_null(out.ctx);
	assert_int_equal(writer_open(&f->w, &out, 1, 1), 0);
	announce_module(f->w, KERNEL, MODULE_KERNEL, kernel_functions, 5);
	announce_module(f->w, PROGRAM, MODULE_ELF, program_functions, 4);
	for (uint32_t t = 1; t < NR_TASKS; t++)
		writer_task(f->w, &(struct writer_task) {
			.id = t, .pid = tasks[t].pid, .tid = tasks[t].pid, .flags = tasks[t].flags,
			.comm = writer_string(f->w, CLASS_COMMAND, tasks[t].comm,
					      strlen(tasks[t].comm)) });
	f->event = writer_event(f->w, &desc);
	f->file = out.ctx;
}

static void finish(struct fixture *f)
{
	assert_int_equal(writer_close(f->w), 0);
	assert_int_equal(fclose(f->file), 0);
}

struct wait {
	uint64_t cpu, from, until, ready;	/* the record is at until + ready */
	uint64_t task, run, idle, by, in;
	uint32_t stack, by_stack;
};

static void put(struct fixture *f, const struct wait *x)
{
	writer_record(f->w, f->event, (uint64_t[]) {
		x->until + x->ready, x->cpu, x->task, x->until - x->from + x->ready, x->ready,
		x->run, x->idle, x->by, x->in, x->stack, x->by_stack });
}

/*
 * The server waits for the worker, that for the disk's thread, that for an interrupt
 * which came while the server's neighbour ran.
 */
static void write_waits(struct fixture *f)
{
	struct writer *w = f->w;
	uint32_t wait = stack_of(w, SERVE, SLEEP, -1), worker = stack_of(w, STORE, SLEEP, -1);
	uint32_t wake = stack_of(w, STORE, WAKE, -1), disk = stack_of(w, MAIN, SLEEP, -1);
	uint32_t irq = stack_of(w, OTHER, ENTRY, IRQ_WORK);
	uint32_t send = stack_of(w, STORE, BH_ENABLE, -1);
	const struct wait waits[] = {
		/* One CPU after the other, as blocks have them. */
		{ .task = SERVER, .from = 0, .until = 600, .ready = 5, .by = WORKER,
		  .stack = wait, .by_stack = wake },
		/* The worker had not waited since the server began to. */
		{ .task = SERVER, .from = 620, .until = 700, .by = WORKER,
		  .stack = wait, .by_stack = wake },
		/* It had, at 760, and again after it woke the server at 770. */
		{ .task = SERVER, .from = 710, .until = 770, .ready = 100, .by = WORKER,
		  .stack = wait, .by_stack = wake },
		{ .task = SERVER, .from = 900, .until = 901, .by = STRANGER,
		  .stack = wait, .by_stack = wake },
		/* In a softirq, but in one of its own. */
		{ .task = SERVER, .from = 910, .until = 1000, .by = WORKER, .in = 1,
		  .stack = wait, .by_stack = send },
		{ .task = SERVER, .from = 1010, .until = 9000, .idle = 1, .by = WORKER,
		  .stack = wait, .by_stack = wake },
		{ .cpu = 1, .task = DISK, .from = 100, .until = 400, .ready = 10, .by = SERVER,
		  .in = 2, .stack = disk, .by_stack = irq },
		{ .cpu = 1, .task = DISK, .from = 420, .until = 420, .ready = 50, .stack = disk },
		{ .cpu = 2, .task = WORKER, .from = 50, .until = 500, .by = DISK,
		  .stack = worker, .by_stack = wake },
		{ .cpu = 2, .task = WORKER, .from = 750, .until = 760, .by = IDLE,
		  .stack = worker, .by_stack = wake },
		{ .cpu = 2, .task = WORKER, .from = 780, .until = 860, .by = DISK,
		  .stack = worker, .by_stack = wake },
	};

	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++)
		put(f, &waits[i]);
}

/* --- folded lines -------------------------------------------------------------- */

struct lines {
	char text[8192];
	size_t len;
};

static int add_line(void *ctx, const char *stack, size_t len_bytes, uint64_t count)
{
	struct lines *l = ctx;

	l->len += (size_t)snprintf(l->text + l->len, sizeof(l->text) - l->len, "%.*s %llu\n",
				   (int)len_bytes, stack, (unsigned long long)count);
	assert_true(l->len < sizeof(l->text));
	return 0;
}

static void fold(const struct fixture *f, const struct folded_opts *opts, const char *comms,
		 struct lines *l, struct folded_sums *sums)
{
	const struct query_opts query = { .input = f->path, .comms = comms };
	struct diag d = { "" };
	struct query *q;

	l->len = 0;
	l->text[0] = '\0';
	assert_int_equal(query_open(&q, &query, &d), 0);
	if (folded_each(q, opts, add_line, l, sums, &d))
		fail_msg("%s", d.text);
	sums->event = sums->unit = NULL;
	query_close(q);
}

#define IRQ "--;irq_work;asm_common_interrupt;[irq]"
#define BY_WORKER "server;main;serve;sleep;--;wake;store;main;worker"
#define DISK_LINES "disk;main;sleep 50\ndisk;main;sleep;" IRQ " 310\n"

static void test_chains(void **state)
{
	static const char *const expected[] = {
		[0] = "disk;main;sleep 360\n"
		      "server;main;serve;sleep 936\n"
		      "worker;main;store;sleep 540\n",
		[1] = DISK_LINES
		      "server;main;serve;sleep;--;bh_enable;store;main;worker 90\n"
		      "server;main;serve;sleep;--;wake;store;main;stranger 1\n"
		      BY_WORKER " 845\n"
		      "worker;main;store;sleep;--;wake;store;main;disk 530\n"
		      "worker;main;store;sleep;--;wake;store;main;swapper/0 10\n",
		[2] = DISK_LINES
		      "server;main;serve;sleep;--;bh_enable;store;main;worker 90\n"
		      "server;main;serve;sleep;--;wake;store;main;stranger 1\n"
		      BY_WORKER " 80\n"
		      BY_WORKER ";--;wake;store;main;disk 605\n"
		      BY_WORKER ";--;wake;store;main;swapper/0 160\n"
		      "worker;main;store;sleep;--;wake;store;main;disk 80\n"
		      "worker;main;store;sleep;--;wake;store;main;disk;" IRQ " 450\n"
		      "worker;main;store;sleep;--;wake;store;main;swapper/0 10\n",
		[3] = DISK_LINES
		      "server;main;serve;sleep;--;bh_enable;store;main;worker 90\n"
		      "server;main;serve;sleep;--;wake;store;main;stranger 1\n"
		      BY_WORKER " 80\n"
		      BY_WORKER ";--;wake;store;main;disk;" IRQ " 605\n"
		      BY_WORKER ";--;wake;store;main;swapper/0 160\n"
		      "worker;main;store;sleep;--;wake;store;main;disk 80\n"
		      "worker;main;store;sleep;--;wake;store;main;disk;" IRQ " 450\n"
		      "worker;main;store;sleep;--;wake;store;main;swapper/0 10\n",
	};
	struct folded_sums sums;
	struct fixture f;
	struct lines l;

	(void)state;
	begin(&f);
	write_waits(&f);
	finish(&f);
	for (uint32_t hops = 0; hops <= CHAIN_MAX_HOPS; hops++) {
		const struct folded_opts opts = { .sum.hops = hops };

		fold(&f, &opts, NULL, &l, &sums);
		assert_string_equal(l.text, expected[hops < 3 ? hops : 3]);
		assert_int_equal(sums.left_out.idle, 7990);
		assert_int_equal(sums.left_out.idle_records, 1);
		assert_int_equal(sums.left_out.ended, hops < 2 ? 0 : 1);
		assert_int_equal(sums.left_out.no_room, 0);
		assert_int_equal(sums.levels, 1);
	}
	unlink(f.path);
}

/* Who is left out may still have woken others. */
static void test_filter(void **state)
{
	const struct folded_opts opts = { .sum = { .hops = 3, .by = "none", .idle = true } };
	struct folded_sums sums;
	struct fixture f;
	struct lines l;

	(void)state;
	begin(&f);
	write_waits(&f);
	finish(&f);
	fold(&f, &opts, "worker", &l, &sums);
	assert_string_equal(l.text,
			    "main;store;sleep;--;wake;store;main;disk 80\n"
			    "main;store;sleep;--;wake;store;main;disk;" IRQ " 450\n"
			    "main;store;sleep;--;wake;store;main;swapper/0 10\n");
	fold(&f, &opts, "server", &l, &sums);
	assert_non_null(strstr(l.text, "worker;--;wake;store;main;disk;" IRQ " 605\n"));
	assert_non_null(strstr(l.text, "main;serve;sleep;--;wake;store;main;worker 8070\n"));
	assert_int_equal(sums.left_out.idle, 0);
	unlink(f.path);
}

static void test_wall(void **state)
{
	const struct folded_opts opts = { .sum.wall = true, .delimited = true };
	const struct wait waits[] = {
		{ .task = SERVER, .from = 40, .until = 100, .ready = 7, .run = 30 },
		{ .task = SERVER, .from = 150, .until = 250, .run = 43, .idle = 1 },
		{ .task = WORKER, .from = 60, .until = 60, .ready = 9 },
	};
	struct folded_sums sums;
	struct fixture f;
	struct lines l;

	(void)state;
	begin(&f);
	for (size_t i = 0; i < 3; i++) {
		struct wait wait = waits[i];

		wait.stack = stack_of(f.w, SERVE, SLEEP, WAKE);
		put(&f, &wait);
	}
	finish(&f);
	fold(&f, &opts, NULL, &l, &sums);
	assert_string_equal(l.text,
			    "server;blocked;main;serve;-;sleep;wake 60\n"
			    "server;on_CPU;main;serve;-;sleep;wake 73\n"
			    "server;waiting_for_a_CPU;main;serve;-;sleep;wake 7\n"
			    "worker;waiting_for_a_CPU;main;serve;-;sleep;wake 9\n");
	assert_int_equal(sums.left_out.idle, 100);
	assert_int_equal(sums.levels, 2);
	unlink(f.path);
}

/* Samples in ns tell where threads were on a CPU: their weights stand for the slices. */
static void test_wall_samples(void **state)
{
	static const struct field_desc fields[] = {
		{ "time", FIELD_UNSIGNED, ROLE_TIME, 0, 0, "ns", NULL },
		{ "task", FIELD_TASK, ROLE_TASK, 0, 0, "", NULL },
		{ "stack", FIELD_STACK, ROLE_STACK, 0, 0, "", NULL },
		{ "period", FIELD_UNSIGNED, ROLE_WEIGHT, 0, 0, "ns", NULL },
	};
	const struct event_desc desc = { .name = "clock", .nr_fields = 4, .fields = fields };
	struct wait wait = { .task = SERVER, .from = 40, .until = 100, .ready = 7, .run = 30 };
	struct folded_opts opts = { .sum.wall = true };
	struct folded_sums sums;
	struct fixture f;
	struct lines l;
	uint32_t clock;

	(void)state;
	begin(&f);
	clock = writer_event(f.w, &desc);
	wait.stack = stack_of(f.w, SERVE, SLEEP, -1);
	put(&f, &wait);
	for (uint64_t i = 0; i < 3; i++)
		writer_record(f.w, clock, (uint64_t[]) {
			20 + i, SERVER + i % 2, stack_of(f.w, STORE, WAKE, -1), 10 });
	finish(&f);
	fold(&f, &opts, NULL, &l, &sums);
	assert_string_equal(l.text,
			    "server;blocked;main;serve;sleep 60\n"
			    "server;on_CPU;main;store;wake 20\n"
			    "server;waiting_for_a_CPU;main;serve;sleep 7\n"
			    "worker;on_CPU;main;store;wake 10\n");
	assert_int_equal(sums.total, 97);
	/* Side by side, as two events of one unit. */
	opts = (struct folded_opts) { .sum = { .all_events = true, .by = NULL } };
	fold(&f, &opts, NULL, &l, &sums);
	assert_string_equal(l.text,
			    "clock;server;main;store;wake 20\n"
			    "clock;worker;main;store;wake 10\n"
			    "waits;server;main;serve;sleep 67\n");
	unlink(f.path);
}

/* --- what is wide enough -------------------------------------------------------- */

static uint32_t name_of(void *ctx, uint32_t group, enum calltree_kind kind, uint32_t id)
{
	(void)ctx;
	(void)group;
	return 1 + id * 4 + (uint32_t)kind;
}

struct wide {
	size_t nodes;
	uint64_t totals, of_names, of_depths;
};

/* The nodes that are so wide, of a tree that has no others of wakers on narrow ones. */
static struct wide make_tree(const struct stacksum *sums, struct trace *t, uint64_t min_width,
			     uint64_t at_least, uint64_t *narrow)
{
	struct calltree_opts opts = { .trace = t, .chains = stacksum_chains(sums),
				      .min_width = min_width, .name = name_of };
	const struct stacksum_entry *e;
	const struct calltree_node *nodes;
	struct wide wide = { 0 };
	struct calltree *tree;
	size_t nr;

	assert_int_equal(calltree_new(&tree, &opts), 0);
	e = stacksum_entries(sums, &nr);
	assert_int_equal(calltree_add(tree, e, nr), 0);
	nodes = calltree_nodes(tree, &nr);
	assert_int_equal(nodes[0].total, stacksum_total(sums));
	for (size_t i = 0; i < nr; i++) {
		if (nodes[i].total < at_least)
			continue;
		wide.nodes++;
		wide.totals += nodes[i].total * (i ? nodes[i].name : 1);
		wide.of_names += nodes[i].name * (nodes[i].hop + 1u);
		wide.of_depths += nodes[i].depth * nodes[i].records;
	}
	*narrow = calltree_narrow(tree);
	calltree_free(tree);
	return wide;
}

static void test_wide(void **state)
{
	const struct stacksum_opts opts = { .by = "none", .hops = 3 };
	struct query_opts query = { .input = NULL };
	struct diag d = { "" };
	struct stacksum *sums;
	struct fixture f;
	struct query *q;
	uint64_t narrow, last = 0;

	(void)state;
	begin(&f);
	write_waits(&f);
	finish(&f);
	query.input = f.path;
	assert_int_equal(query_open(&q, &query, &d), 0);
	assert_int_equal(stacksum_new(&sums, q, &opts), 0);
	assert_int_equal(stacksum_read(sums, &d), 0);
	for (uint64_t width = 1; width < 2000; width++) {
		struct wide all = make_tree(sums, query_trace(q), 0, width, &narrow), wide;

		assert_int_equal(narrow, 0);
		wide = make_tree(sums, query_trace(q), width, width, &narrow);
		assert_memory_equal(&wide, &all, sizeof(all));
		last = narrow;
	}
	/* The disk's, the server's and the worker's: no wait is so long. */
	assert_int_equal(last, 3);
	stacksum_free(sums);
	query_close(q);
	unlink(f.path);
}

/* --- many ------------------------------------------------------------------------ */

static int count_chain(void *ctx, const struct chainorder_wait *w, uint32_t chain)
{
	uint64_t *counts = ctx;

	assert_true(chain || !w->woken);
	counts[0]++;
	counts[1] += w->value;
	return 0;
}

/* A million threads that wake each other: what is forgotten ends chains, and is counted. */
static void test_many_threads(void **state)
{
	struct chainorder *o;
	struct chains *chains;
	struct fixture f;
	struct trace *t;
	struct diag d = { "" };
	uint64_t counts[2] = { 0, 0 };
	uint32_t nr = 1000000;

	(void)state;
	begin(&f);
	finish(&f);
	assert_int_equal(trace_open(&t, f.path, &d), 0);
	assert_int_equal(chain_new(&chains, t), 0);
	assert_int_equal(chainorder_new(&o, chains, 5, count_chain, counts), 0);
	for (uint32_t i = 0; i < nr; i++) {
		struct chainorder_wait w = {
			.until_ns = i ^ 3, .from_ns = i > 5000 ? i - 5000 : 0,
			.thread = 1 + i, .counts = i % 2, .value = 3, .woken = true,
			/* Half are woken by one not long before, half by one that is forgotten. */
			.waker = i < 2000 ? 0 : i & 2 ? i - 1000 : 1 + i / 4,
		};
		struct chain_waker by;

		assert_int_equal(chain_waker(chains, i % NR_TASKS, i % 7, NULL, 0, &by), 0);
		w.hop = chain_link(chains, &by, 0);
		assert_int_equal(chainorder_add(o, i ^ 3, &w), 0);
	}
	assert_int_equal(chainorder_finish(o), 0);
	assert_int_equal(counts[0], nr / 2);
	assert_int_equal(counts[1], nr / 2 * 3);
	assert_true(chainorder_ended(o) > nr / 8 && chainorder_ended(o) < nr / 3);
	assert_int_equal(chain_refused(chains), 0);
	chainorder_free(o);
	chain_free(chains);
	trace_close(t);
	unlink(f.path);
}

/* Each stack is one frame deeper than the last, all of the kernel. */
static void test_deep_stacks(void **state)
{
	enum { NR = 200000 };
	uint32_t stack, ids[4] = { 0 }, nr = 0;
	struct wakerstacks *stacks;
	struct wakerstack is;
	struct fixture f;
	struct trace *t;
	struct diag d = { "" };

	(void)state;
	begin(&f);
	stack = stack_of(f.w, OTHER, ENTRY, -1);
	for (uint32_t i = 0; i < NR; i++) {
		stack = writer_stack(f.w, stack, writer_frame(f.w, KERNEL, WAKE * 0x100 + i % 7));
		if (i % (NR / 4) == 0)
			ids[nr++] = stack;
	}
	finish(&f);
	assert_int_equal(trace_open(&t, f.path, &d), 0);
	assert_int_equal(wakerstack_new(&stacks, t), 0);
	for (uint32_t i = 0; i < trace_nr_stacks(t); i++)
		assert_int_equal(wakerstack_get(stacks, i, &is), 0);
	for (uint32_t i = 0; i < nr; i++) {
		assert_int_equal(wakerstack_get(stacks, ids[i], &is), 0);
		assert_int_equal(is.frames, i * (NR / 4) + 2);
		assert_true(is.is_borrowed && is.stack == ids[i]);
	}
	wakerstack_free(stacks);
	trace_close(t);
	unlink(f.path);
}

static int check_order(void *ctx, const struct chainorder_wait *w, uint32_t chain)
{
	uint64_t *last = ctx;

	assert_int_equal(chain, 0);
	assert_true(w->until_ns > *last && w->value == ~w->until_ns);
	*last = w->until_ns;
	return 0;
}

/* Clocks that go back, and a few waits that stay for long between those that go at once. */
static void test_late_waits(void **state)
{
	struct chainorder *o;
	struct chains *chains;
	struct fixture f;
	struct trace *t;
	struct diag d = { "" };
	uint64_t last = 0, nr = 400000;

	(void)state;
	begin(&f);
	finish(&f);
	assert_int_equal(trace_open(&t, f.path, &d), 0);
	assert_int_equal(chain_new(&chains, t), 0);
	assert_int_equal(chainorder_new(&o, chains, 5, check_order, &last), 0);
	for (uint64_t i = 0; i < nr; i++) {
		uint64_t time_ns = 1 + (i % 64 ? i ^ 7 : 2 * nr - i);

		assert_int_equal(chainorder_add(o, time_ns, &(struct chainorder_wait) {
			.until_ns = time_ns, .thread = 1, .counts = true, .value = ~time_ns }), 0);
		if (i % 1024 == 1023)
			assert_int_equal(chainorder_until(o, i + 2), 0);
	}
	assert_true(last > nr / 2 && last <= nr);
	assert_int_equal(chainorder_finish(o), 0);
	assert_int_equal(last, 1 + 2 * nr);
	chainorder_free(o);
	chain_free(chains);
	trace_close(t);
	unlink(f.path);
}

/* Chains are limited; a chain that is there stays. */
static void test_many_chains(void **state)
{
	struct chain_waker waker = { .name = 1 };
	struct chains *chains;
	struct fixture f;
	struct trace *t;
	struct diag d = { "" };
	uint32_t chain = 0, kept = 0;

	(void)state;
	begin(&f);
	finish(&f);
	assert_int_equal(trace_open(&t, f.path, &d), 0);
	assert_int_equal(chain_new(&chains, t), 0);
	for (uint32_t i = 0; i < 2000000; i++) {
		waker.stack = i;
		chain = chain_cut(chains, chain_link(chains, &waker, chain), 4);
		kept = kept ? kept : chain;
		assert_true(!chain || chain_at(chains, chain)->hops <= 4);
	}
	assert_true(chain_refused(chains) > 0);
	waker.stack = 0;
	assert_int_equal(chain_link(chains, &waker, 0), kept);
	assert_null(chain_at(chains, 0));
	assert_null(chain_at(chains, chain_nr(chains)));
	chain_free(chains);
	trace_close(t);
	unlink(f.path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chains), cmocka_unit_test(test_filter),
		cmocka_unit_test(test_wall), cmocka_unit_test(test_wall_samples),
		cmocka_unit_test(test_wide), cmocka_unit_test(test_deep_stacks),
		cmocka_unit_test(test_many_threads), cmocka_unit_test(test_late_waits),
		cmocka_unit_test(test_many_chains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
