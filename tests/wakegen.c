/*
 * Writes waits of threads and who ended them as no kernel would tell of them, through the
 * real writer:
 *
 *   wakegen SHAPE N FILE
 *
 * N records of an event "wait".  What they add up to is printed as JSON.  Shapes:
 *
 *   pair    two threads wake each other, all at the same nanosecond
 *   self    threads that wake themselves
 *   one     one waker of all waits, each of another thread
 *   stacks  a stack of its own for each record, and one of its own of the waker
 *   ring    threads that wake each other around in a ring, from stacks that alternate, so
 *           that chains are as long as they may be, and all different
 *   deep    stacks of 1,000 frames, of the thread and of its waker
 *   nobody  wakers that are not in the file, stacks without a waker, no waker at all
 *   back    a clock that goes back again and again, far beyond the start
 *   most    times and durations up to the largest number there is
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/writer.h"
#include "tests/genfile.h"
#include "tests/random64.h"

#define START_NS UINT64_C(1000000000000)
#define FLUSH_EVERY 8192
#define NR_RING 64
#define DEEP 1000

static const struct field_desc fields[] = {
	{ "time", FIELD_UNSIGNED, ROLE_TIME, HINT_DECIMAL, 0, "ns", NULL },
	{ "cpu", FIELD_UNSIGNED, ROLE_CPU, HINT_DECIMAL, 0, "", NULL },
	{ "task", FIELD_TASK, ROLE_TASK, HINT_DECIMAL, 0, "", NULL },
	{ "off", FIELD_UNSIGNED, ROLE_DURATION, HINT_DECIMAL, 0, "ns", NULL },
	{ "runq", FIELD_UNSIGNED, ROLE_RUNNABLE, HINT_DECIMAL, 0, "ns", NULL },
	{ "on", FIELD_UNSIGNED, ROLE_SLICE, HINT_DECIMAL, 0, "ns", NULL },
	{ "reason", FIELD_UNSIGNED, ROLE_REASON, HINT_DECIMAL, 0, "", "=1=TAPE 2=CARD 3=DRUM" },
	{ "waker", FIELD_TASK, ROLE_WAKER, HINT_DECIMAL, 0, "", NULL },
	{ "context", FIELD_UNSIGNED, ROLE_WAKER_CONTEXT, HINT_DECIMAL, 0, "",
	  "=0=TASK 1=SOFTIRQ 2=IRQ" },
	{ "stack", FIELD_STACK, ROLE_STACK, HINT_DECIMAL, 0, "", NULL },
	{ "waker_stack", FIELD_STACK, ROLE_WAKER_STACK, HINT_DECIMAL, 0, "", NULL },
};

static const struct event_desc event = {
	.name = "wait", .nr_fields = sizeof(fields) / sizeof(*fields), .fields = fields,
};

struct wait {
	uint64_t time_ns, cpu, task, off_ns, runq_ns, on_ns, reason, waker, context;
	uint32_t stack, waker_stack;
};

struct generator {
	struct writer *w;
	uint64_t random, nr, nr_tasks;
	uint32_t deep[2];
	uint64_t off_ns, on_ns;		/* sums; if they are larger, the largest number */
};

/* --- what is told of ------------------------------------------------------------------ */

static uint32_t stack_of(struct generator *g, uint64_t number)
{
	uint32_t stack = writer_stack(g->w, 0, writer_frame(g->w, 1, 0x40));

	return writer_stack(g->w, stack, writer_frame(g->w, 1, 0x100 + number * 0x10));
}

static uint32_t deep_stack(struct generator *g, uint64_t side)
{
	uint32_t stack = 0;

	for (uint64_t i = 0; i < DEEP && !g->deep[side]; i++)
		stack = writer_stack(g->w, stack, writer_frame(g->w, 1, 0x10 * (2 * i + side)));
	if (!g->deep[side])
		g->deep[side] = stack;
	return g->deep[side];
}

static void pair(struct generator *g, uint64_t i, struct wait *to)
{
	to->time_ns = START_NS;
	to->cpu = 0;
	to->task = 1 + i % 2;
	to->waker = 2 - i % 2;
	to->stack = stack_of(g, i % 2);
	to->waker_stack = stack_of(g, 2 + i % 2);
}

static void self(struct generator *g, uint64_t i, struct wait *to)
{
	to->waker = to->task = 1 + i % 3;
	to->stack = to->waker_stack = stack_of(g, i % 3);
}

static void one(struct generator *g, uint64_t i, struct wait *to)
{
	to->task = 2 + i;
	to->waker = 1;
	to->waker_stack = stack_of(g, i % 100);
}

static void stacks(struct generator *g, uint64_t i, struct wait *to)
{
	to->task = 1 + i % 8;
	to->waker = 1 + (i + 1) % 8;
	to->stack = stack_of(g, 2 * i);
	to->waker_stack = stack_of(g, 2 * i + 1);
}

static void ring(struct generator *g, uint64_t i, struct wait *to)
{
	to->task = 1 + i % NR_RING;
	to->waker = 1 + (i + NR_RING - 1) % NR_RING;
	to->off_ns = 1000 * NR_RING;
	to->stack = stack_of(g, 0);
	to->waker_stack = stack_of(g, random64_next(&g->random) % 2);
}

static void deep(struct generator *g, uint64_t i, struct wait *to)
{
	ring(g, i, to);
	to->stack = deep_stack(g, 0);
	to->waker_stack = deep_stack(g, i % 2);
}

static void nobody(struct generator *g, uint64_t i, struct wait *to)
{
	static const uint64_t wakers[] = { 0, 1u << 31, UINT32_MAX, UINT64_MAX, 777777, 3 };

	to->task = i % 7 ? 1 + i % 4 : UINT32_MAX - i % 3;
	to->waker = wakers[i % 6];
	to->runq_ns = to->waker ? to->runq_ns : 0;
	to->context = i % 5 == 4 ? UINT64_MAX : i % 5;
	to->stack = i % 3 ? UINT32_MAX - (uint32_t)i : stack_of(g, 1);
	to->waker_stack = i % 4 ? stack_of(g, i % 4) : UINT32_MAX;
}

static void back(struct generator *g, uint64_t i, struct wait *to)
{
	ring(g, i, to);
	if (random64_next(&g->random) % 3 == 0)
		to->time_ns -= random64_next(&g->random) % (i % 100 ? START_NS / 100 : START_NS);
}

static void most(struct generator *g, uint64_t i, struct wait *to)
{
	ring(g, i, to);
	to->time_ns = i % 2 ? UINT64_MAX - i : i;
	to->off_ns = i % 3 ? UINT64_MAX - i : 1;
	to->runq_ns = i % 5 ? 0 : UINT64_MAX;
	to->on_ns = i % 7 ? 100 : UINT64_MAX / 2;
}

static const struct {
	const char *name;
	void (*fill)(struct generator *g, uint64_t i, struct wait *to);
} shapes[] = {
	{ "pair", pair }, { "self", self }, { "one", one }, { "stacks", stacks },
	{ "ring", ring }, { "deep", deep }, { "nobody", nobody }, { "back", back },
	{ "most", most },
};

/* --- writing it ------------------------------------------------------------------------- */

/* Up to a million threads, as they are needed. */
static void put_tasks(struct generator *g, uint64_t task)
{
	char comm[32];

	while (g->nr_tasks < task && task <= g->nr + 1) {
		uint32_t id = (uint32_t)++g->nr_tasks;

		snprintf(comm, sizeof(comm), "t%" PRIu32, id % 16);
		writer_task(g->w, &(struct writer_task){
			.id = id, .pid = id, .tid = id, .time_ns = random64_next(&g->random),
			.comm = writer_string(g->w, CLASS_COMMAND, comm, strlen(comm)),
		});
	}
}

static void put_dictionaries(struct generator *g)
{
	char name[32];

	writer_event(g->w, &event);
	writer_module(g->w, &(struct writer_module){
		.id = 1, .kind = MODULE_ELF,
		.path = writer_string(g->w, CLASS_PATH, "/usr/bin/odd", 12),
	});
	for (uint64_t i = 0; i < 64; i++) {
		snprintf(name, sizeof(name), "f%" PRIu64, i);
		writer_symbol(g->w, 1, i * 0x40, 0x40,
			      writer_string(g->w, CLASS_SYMBOL, name, strlen(name)));
	}
}

static void add(uint64_t *sum, uint64_t value)
{
	if (__builtin_add_overflow(*sum, value, sum))
		*sum = UINT64_MAX;
}

static int generate(struct generator *g, size_t shape, FILE *out)
{
	const struct writer_output output = { genfile_put, out };
	int err = writer_open(&g->w, &output, 1, 3);

	if (err)
		return err;
	put_dictionaries(g);
	for (uint64_t i = 0; i < g->nr; i++) {
		struct wait to = {
			.time_ns = START_NS + 1000 * i, .cpu = i % 4, .off_ns = 900, .runq_ns = 100,
			.on_ns = 100, .reason = i % 4,
		};

		shapes[shape].fill(g, i, &to);
		put_tasks(g, to.task);
		writer_record(g->w, 1, (const uint64_t[]){
			to.time_ns, to.cpu, to.task, to.off_ns, to.runq_ns, to.on_ns, to.reason,
			to.waker, to.context, to.stack, to.waker_stack });
		add(&g->off_ns, to.off_ns);
		add(&g->on_ns, to.on_ns);
		if (i % FLUSH_EVERY == FLUSH_EVERY - 1)
			writer_flush(g->w, 0);
	}
	return writer_close(g->w);
}

int main(int argc, char **argv)
{
	struct generator g = { .random = 1, .nr = argc == 4 ? strtoull(argv[2], NULL, 10) : 0 };
	size_t shape = 0, nr_shapes = sizeof(shapes) / sizeof(*shapes);
	FILE *out;
	int err;

	while (argc == 4 && shape < nr_shapes && strcmp(argv[1], shapes[shape].name))
		shape++;
	if (argc != 4 || shape == nr_shapes || !g.nr) {
		fprintf(stderr, "usage: wakegen SHAPE N FILE\n");
		return 2;
	}
	out = genfile_open(argv[3]);
	err = genfile_close(out, out ? generate(&g, shape, out) : -errno);
	if (err)
		fprintf(stderr, "wakegen: cannot write '%s': %s\n", argv[3], strerror(-err));
	else
		printf("{\"off_ns\":%" PRIu64 ",\"on_ns\":%" PRIu64 "}\n", g.off_ns, g.on_ns);
	return err ? 1 : 0;
}
