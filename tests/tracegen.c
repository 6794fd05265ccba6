/*
 * Writes a synthetic CPU profile through the real writer, the same bytes for
 * the same options:
 *
 *   tracegen N FILE [--seed S] [--cpus C] [--stacks K] [--tasks T] [--hostile] [--all]
 *
 * N samples at 4,999 Hz, spread over C CPUs; FILE may be "-".  --hostile puts
 * markup, quotes, separators, escape sequences and invalid UTF-8 in all names.
 * --all adds a second event with a field of every type, tasks and symbols that
 * change later, and every cause of loss.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/writer.h"
#include "tests/genfile.h"
#include "tests/random64.h"

#define PERIOD_NS 200040
#define START_NS UINT64_C(5000000000000)
#define WALL_NS UINT64_C(1700000000000000000)
#define MAX_DEPTH 64
#define FUNCTIONS 400		/* of one module */
#define FUNCTION_BYTES 0x140
#define MAX_CPUS 256

static const struct {
	const char *path;
	uint32_t kind, pid;
	uint64_t bias;
	const char *prefix;
} modules[] = {
	{ "[kernel.kallsyms]", MODULE_KERNEL, 0, 0, "do_sys" },
	{ "ext4", MODULE_KERNEL_MODULE, 0, 0, "ext4" },
	{ "/usr/bin/server", MODULE_ELF, 0, 0x400000, "server::worker" },
	{ "/usr/lib/x86_64-linux-gnu/libc.so.6", MODULE_ELF, 0, 0, "libc" },
	{ "/usr/lib/libstore.so.2", MODULE_ELF, 0, 0x1000, "store::btree<K, V>" },
	{ "[vdso]", MODULE_VDSO, 0, 0, "__vdso" },
	{ "//anon", MODULE_JIT, 1003, 0, "Lcom/example/Main;" },
};

#define NR_MODULES (sizeof(modules) / sizeof(modules[0]))

static const char hostile[] =
	"<script>alert(1)</script>&\"'`;a b,\n\r\t=1+1 \x1b[31m\x1b]0;t\x07 "
	"\xff\xc3\x28\xed\xa0\x80";

struct options {
	uint64_t nr, seed;
	uint32_t cpus, stacks, tasks;
	bool hostile, all;
	const char *path;
};

struct stack {
	uint32_t id;		/* 0: not used yet */
	uint8_t depth;
	uint32_t functions[MAX_DEPTH];	/* module * FUNCTIONS + function, outermost first */
	uint16_t offsets[MAX_DEPTH];
};

struct generator {
	struct options o;
	uint64_t random;
	FILE *out;
	struct writer *w;
	uint32_t event, other_event;
	struct stack *stacks;
	bool known[NR_MODULES * FUNCTIONS];	/* has its symbol */
	uint64_t now[MAX_CPUS];
	uint32_t task[MAX_CPUS], stay[MAX_CPUS];
};

static uint64_t next_random(struct generator *g)
{
	return random64_next(&g->random);
}

static uint32_t below(struct generator *g, uint32_t n)
{
	return (uint32_t)(next_random(g) % n);
}

/* Small numbers much more often than large ones. */
static uint32_t skewed(struct generator *g, uint32_t n)
{
	double u = (double)(next_random(g) >> 11) / 9007199254740992.0;

	return (uint32_t)(u * u * u * n);
}

static uint32_t string(struct generator *g, enum privacy_class class, const char *text)
{
	char both[512];

	if (!g->o.hostile)
		return writer_string(g->w, class, text, strlen(text));
	snprintf(both, sizeof(both), "%s %s", text, hostile);
	return writer_string(g->w, class, both, strlen(both));
}

static void put_host(struct generator *g)
{
	char text[32];

	writer_host(g->w, "hostname", CLASS_HOST, g->o.hostile ? hostile : "example");
	writer_host(g->w, "kernel", CLASS_HOST, "6.1.0-test");
	writer_host(g->w, "machine", CLASS_HOST, "x86_64");
	snprintf(text, sizeof(text), "%u", g->o.cpus);
	writer_host(g->w, "cpus", CLASS_HOST, text);
	writer_host(g->w, "cpu model", CLASS_HOST, "synthetic");
	writer_host(g->w, "memory bytes", CLASS_HOST, "8589934592");
	writer_host(g->w, "command line", CLASS_ARGUMENT, "kymo record -F 4999 -a");
	writer_host(g->w, "kymo version", CLASS_NONE, "1");
	writer_host(g->w, "clock", CLASS_NONE, "monotonic");
	writer_host(g->w, "page bytes", CLASS_HOST, "4096");
	writer_host(g->w, "target", CLASS_NONE, "all CPUs");
	writer_host(g->w, "transport", CLASS_NONE, "ring buffer");
	writer_host(g->w, "frequency", CLASS_NONE, "4999");
	writer_host(g->w, "period", CLASS_NONE, "200040");
	writer_clock(g->w, START_NS, WALL_NS, START_NS + 1000000);
}

static void put_event(struct generator *g)
{
	static const struct field_desc fields[] = {
		{ "time", FIELD_UNSIGNED, ROLE_TIME, HINT_DECIMAL, CLASS_NONE, "ns", NULL },
		{ "cpu", FIELD_UNSIGNED, ROLE_CPU, HINT_DECIMAL, CLASS_NONE, "", NULL },
		{ "task", FIELD_TASK, ROLE_TASK, HINT_DECIMAL, CLASS_NONE, "", NULL },
		{ "stack", FIELD_STACK, ROLE_STACK, HINT_DECIMAL, CLASS_NONE, "", NULL },
		{ "period", FIELD_UNSIGNED, ROLE_WEIGHT, HINT_DECIMAL, CLASS_NONE, "ns", NULL },
		{ "state", FIELD_UNSIGNED, ROLE_STATE, HINT_CHAR, CLASS_NONE, "", NULL },
	};
	static const struct event_desc desc = {
		.name = "cpu-clock", .nr_fields = 6, .fields = fields,
	};

	g->event = writer_event(g->w, &desc);
}

/* A span with a field of every type and the roles that samples do not have. */
static void put_other_event(struct generator *g)
{
	static const struct field_desc fields[] = {
		{ "time", FIELD_UNSIGNED, ROLE_TIME, HINT_DECIMAL, CLASS_NONE, "ns", NULL },
		{ "cpu", FIELD_UNSIGNED, ROLE_CPU, HINT_DECIMAL, CLASS_NONE, "", NULL },
		{ "task", FIELD_TASK, ROLE_TASK, HINT_DECIMAL, CLASS_NONE, "", NULL },
		{ "duration", FIELD_UNSIGNED, ROLE_DURATION, HINT_DECIMAL, CLASS_NONE, "ns", NULL },
		{ "waker", FIELD_TASK, ROLE_WAKER, HINT_DECIMAL, CLASS_NONE, "", NULL },
		{ "waker_stack", FIELD_STACK, ROLE_WAKER_STACK, HINT_DECIMAL, CLASS_NONE, "",
		  NULL },
		{ "error", FIELD_SIGNED, ROLE_NONE, HINT_DECIMAL, CLASS_NONE, "", NULL },
		{ "flags", FIELD_UNSIGNED, ROLE_NONE, HINT_HEX, CLASS_NONE, "", NULL },
		{ "load", FIELD_FLOAT, ROLE_NONE, HINT_DECIMAL, CLASS_NONE, "", NULL },
		{ "file", FIELD_STRING, ROLE_NONE, HINT_DECIMAL, CLASS_PATH, "", NULL },
		{ "query", FIELD_BYTES, ROLE_NONE, HINT_DECIMAL, CLASS_USER, "", NULL },
	};
	static const struct event_desc desc = {
		.name = "request", .nr_fields = 11, .fields = fields, .format = "query:%s file:%s",
	};

	g->other_event = writer_event(g->w, &desc);
}

static void put_other_record(struct generator *g, uint32_t cpu)
{
	double load = (double)below(g, 1000) / 8;
	uint64_t values[11] = {
		g->now[cpu] + 50,
		cpu,
		g->task[cpu],
		1000 + (UINT64_C(1) << below(g, 40)),
		below(g, 4) ? 0 : 1 + below(g, g->o.tasks),
		g->stacks[0].id,
		0 - (uint64_t)below(g, 5),
		next_random(g),
		0,
		string(g, CLASS_PATH, below(g, 2) ? "/srv/a" : "/srv/b"),
		string(g, CLASS_USER, below(g, 2) ? "select 1" : "insert"),
	};

	memcpy(&values[8], &load, sizeof(load));
	writer_record(g->w, g->other_event, values);
}

/* Task 1 gets another name, task 2 ends, a symbol gets a better name. */
static void put_changes(struct generator *g)
{
	const uint32_t id = g->o.tasks + 1;
	const struct writer_task renamed = {
		.id = id, .time_ns = g->now[0], .pid = 1000, .tid = 1000, .parent_pid = 1,
		.previous = 1, .comm = string(g, CLASS_COMMAND, "renamed"), .uid = 1000,
	};
	const struct writer_task ended = {
		.id = 2, .exit_ns = g->now[0], .pid = 1000, .tid = 1001, .parent_pid = 1,
		.flags = TASK_AT_START | TASK_EXITED, .comm = string(g, CLASS_COMMAND, "worker"),
		.uid = TASK_UID_UNKNOWN,
	};

	writer_task(g->w, &renamed);
	writer_task(g->w, &ended);
	writer_symbol(g->w, 3, 0x1000, FUNCTION_BYTES / 2, string(g, CLASS_SYMBOL, "better"));
	writer_symbol(g->w, 3, 0x1020, 8, string(g, CLASS_SYMBOL, "inner"));
	for (uint32_t cause = LOSS_RING; cause <= LOSS_RECURSION; cause++) {
		const struct writer_loss loss = { g->now[0], g->now[0] + 10, cause, cause % 2,
						  g->event, cause };

		writer_loss(g->w, &loss);
	}
	g->task[0] = id;
}

static void put_modules(struct generator *g)
{
	uint8_t build_id[20];

	for (uint32_t m = 0; m < NR_MODULES; m++) {
		struct writer_module row = {
			.id = m + 1,
			.kind = modules[m].kind,
			.pid = modules[m].pid,
			.bias = modules[m].bias,
			.path = string(g, CLASS_PATH, modules[m].path),
		};

		for (size_t i = 0; i < sizeof(build_id); i++)
			build_id[i] = (uint8_t)next_random(g);
		if (row.kind == MODULE_ELF || row.kind == MODULE_KERNEL)
			row.build_id = writer_string(g->w, CLASS_BUILD_ID, build_id,
						     sizeof(build_id));
		writer_module(g->w, &row);
	}
}

/* Task ids 1..tasks: processes of four threads, the first ones alive at start. */
static void put_tasks(struct generator *g)
{
	static const char *const comms[] = { "server", "worker", "store", "cc1", "kswapd0" };
	char text[64];

	for (uint32_t i = 0; i < g->o.tasks; i++) {
		uint32_t pid = 1000 + i / 4 * 4, tid = 1000 + i;
		bool kernel = i % 5 == 4;
		struct writer_task t = {
			.id = i + 1,
			.pid = kernel ? tid : pid,
			.tid = tid,
			.parent_pid = kernel ? 2 : 1,
			.ns_pid = i % 3 ? 0 : pid - 990,
			.flags = kernel ? TASK_KERNEL_THREAD | TASK_AT_START : TASK_AT_START,
			.uid = kernel ? 0 : 1000 + i / 4 % 3,
		};

		snprintf(text, sizeof(text), "%s", comms[i % 5]);
		t.comm = string(g, CLASS_COMMAND, text);
		t.cgroup = string(g, CLASS_CGROUP, i % 2 ? "/system.slice/a.service" : "/");
		if (!kernel) {
			int n = snprintf(text, sizeof(text), "/usr/bin/server%c--id%c%u", 0, 0,
					 pid);

			t.cmdline = writer_string(g->w, CLASS_ARGUMENT, text, (size_t)n);
		}
		writer_task(g->w, &t);
	}
}

static void put_mappings(struct generator *g)
{
	for (uint32_t i = 0; i < g->o.tasks; i += 4)
		for (uint32_t m = 2; m < NR_MODULES; m++) {
			const struct writer_mapping row = {
				.pid = 1000 + i,
				.start = 0x7f0000000000 + m * UINT64_C(0x10000000) +
					 (next_random(g) & 0xfff000),
				.size_bytes = FUNCTIONS * FUNCTION_BYTES,
				.module = m + 1,
				.prot = 5,
			};

			writer_mapping(g->w, &row);
		}
}

/* Stacks share outer frames, as programs do: each one branches off another. */
static void make_stacks(struct generator *g)
{
	for (uint32_t i = 0; i < g->o.stacks; i++) {
		struct stack *s = &g->stacks[i];
		uint8_t depth = 6 + below(g, 30);
		uint32_t module = 2 + below(g, NR_MODULES - 2);

		if (i) {
			const struct stack *from = &g->stacks[skewed(g, i)];

			*s = *from;
			s->id = 0;
			s->depth = (uint8_t)below(g, from->depth);
		}
		if (depth <= s->depth)
			depth = s->depth + 1;
		while (s->depth < depth && s->depth < MAX_DEPTH) {
			/* Deep frames of some stacks are the kernel's. */
			if (s->depth > 12 && i % 3 == 0)
				module = i % 2;
			else if (!below(g, 8))
				module = 2 + below(g, NR_MODULES - 2);
			s->functions[s->depth] = module * FUNCTIONS + skewed(g, FUNCTIONS);
			s->offsets[s->depth] = (uint16_t)(below(g, 8) * 0x20 + 4);
			s->depth++;
		}
	}
}

static uint64_t module_base(uint32_t module)
{
	return modules[module].kind == MODULE_JIT ? UINT64_C(0x7f0060000000) : 0x1000;
}

static uint32_t function_frame(struct generator *g, uint32_t function, uint16_t offset)
{
	uint32_t module = function / FUNCTIONS, n = function % FUNCTIONS;
	uint64_t start = module_base(module) + n * FUNCTION_BYTES;
	char name[96];

	/* One function in 64 has no symbol. */
	if (!g->known[function] && function % 64 != 63) {
		g->known[function] = true;
		snprintf(name, sizeof(name), "%s_%u", modules[module].prefix, n);
		writer_symbol(g->w, module + 1, start, FUNCTION_BYTES,
			      string(g, CLASS_SYMBOL, name));
	}
	return writer_frame(g->w, module + 1, start + offset);
}

static uint32_t stack_id(struct generator *g, struct stack *s)
{
	uint32_t id = 0;

	if (s->id)
		return s->id;
	if (below(g, 50) == 0)
		id = writer_stack(g->w, id, writer_frame(g->w, 0, FRAME_TRUNCATED));
	for (uint8_t i = 0; i < s->depth; i++)
		id = writer_stack(g->w, id, function_frame(g, s->functions[i], s->offsets[i]));
	return s->id = id;
}

static void put_sample(struct generator *g, uint32_t cpu)
{
	uint64_t jitter = below(g, 300) + below(g, 300) + (below(g, 40) ? 0 : below(g, 4000));
	uint64_t values[6];

	if (!g->stay[cpu]) {
		g->task[cpu] = 1 + skewed(g, g->o.tasks);
		g->stay[cpu] = 1 + below(g, 40);
	}
	g->stay[cpu]--;
	/* One tick in a thousand falls into idle time. */
	g->now[cpu] += PERIOD_NS + jitter - 300;
	if (!below(g, 1000))
		g->now[cpu] += below(g, 20000000);
	values[0] = g->now[cpu];
	values[1] = cpu;
	values[2] = g->task[cpu];
	values[3] = stack_id(g, &g->stacks[skewed(g, g->o.stacks)]);
	values[4] = PERIOD_NS;
	values[5] = 'R';
	writer_record(g->w, g->event, values);
}

static int put_samples(struct generator *g)
{
	uint64_t flush_ns = START_NS + 1000000000;
	uint32_t cpu = 0;
	int err = 0;

	for (uint64_t i = 0; i < g->o.nr && !err; i++) {
		for (uint32_t c = 0; c < g->o.cpus; c++)
			if (g->now[c] < g->now[cpu])
				cpu = c;
		if (g->now[cpu] >= flush_ns) {
			const struct writer_cost cost = { flush_ns, (flush_ns - START_NS) / 200,
							  (flush_ns - START_NS) / 300 };
			const struct writer_loss loss = { flush_ns - 1000000000, flush_ns, 3, 0,
							  g->event, LOSS_RING };

			writer_cost(g->w, &cost);
			if (flush_ns / 1000000000 % 8 == 0)
				writer_loss(g->w, &loss);
			err = writer_flush(g->w, g->now[cpu]);
			flush_ns += 1000000000;
		}
		put_sample(g, cpu);
		if (g->o.all && i % 8 == 0)
			put_other_record(g, cpu);
		if (g->o.all && i == g->o.nr / 2) {
			put_changes(g);
			err = writer_flush(g->w, 0);
		}
	}
	return err;
}

static int generate(struct generator *g)
{
	const struct writer_output output = { genfile_put, g->out };
	int err = writer_open(&g->w, &output, 0x6b796d6f + g->o.seed, 3);
	int close_err;

	if (err)
		return err;
	put_host(g);
	put_event(g);
	if (g->o.all)
		put_other_event(g);
	put_modules(g);
	put_tasks(g);
	put_mappings(g);
	make_stacks(g);
	for (uint32_t c = 0; c < g->o.cpus; c++)
		g->now[c] = START_NS + below(g, PERIOD_NS);
	err = put_samples(g);
	writer_clock(g->w, g->now[0], WALL_NS + g->now[0] - START_NS + 1500,
		     g->now[0] + 1000000);
	close_err = writer_close(g->w);
	return err ? err : close_err;
}

static bool parse_options(struct options *o, int argc, char **argv)
{
	*o = (struct options){ .seed = 1, .cpus = 4, .stacks = 6000, .tasks = 60 };
	if (argc < 3)
		return false;
	o->nr = strtoull(argv[1], NULL, 10);
	o->path = argv[2];
	for (int i = 3; i < argc; i++) {
		uint32_t n = i + 1 < argc ? (uint32_t)strtoul(argv[i + 1], NULL, 10) : 0;

		if (!strcmp(argv[i], "--hostile") || !strcmp(argv[i], "--all")) {
			*(argv[i][2] == 'h' ? &o->hostile : &o->all) = true;
			continue;
		}
		if (!strcmp(argv[i], "--seed"))
			o->seed = n;
		else if (!strcmp(argv[i], "--cpus"))
			o->cpus = n;
		else if (!strcmp(argv[i], "--stacks"))
			o->stacks = n;
		else if (!strcmp(argv[i], "--tasks"))
			o->tasks = n;
		else
			return false;
		i++;
	}
	return o->cpus && o->cpus <= MAX_CPUS && o->stacks && o->tasks;
}

int main(int argc, char **argv)
{
	struct generator *g = calloc(1, sizeof(*g));
	int err = -ENOMEM;

	if (!g || !parse_options(&g->o, argc, argv)) {
		fprintf(stderr, "usage: tracegen N FILE [--seed S] [--cpus C] [--stacks K] "
			"[--tasks T] [--hostile] [--all]\n");
		free(g);
		return 2;
	}
	g->random = g->o.seed;
	g->stacks = calloc(g->o.stacks, sizeof(*g->stacks));
	g->out = genfile_open(g->o.path);
	if (g->stacks && g->out)
		err = generate(g);
	err = genfile_close(g->out, err);
	if (err)
		fprintf(stderr, "tracegen: cannot write '%s': %s\n", g->o.path, strerror(-err));
	free(g->stacks);
	free(g);
	return err ? 1 : 0;
}
