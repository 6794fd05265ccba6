/*
 * Writes a trace of made-up probes with the real writer, the same bytes for the
 * same options:
 *
 *   probegen N FILE [--seed S] [--cpus C]
 *
 * N system calls, spread over C CPUs; FILE may be "-".  Every call is a record
 * of a tracepoint at its entry and of one at its exit; some of them switch
 * to another task, read a file or connect, which tracepoints and probes with
 * fields of every type and hint tell of.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/writer.h"
#include "tests/genfile.h"
#include "tests/random64.h"

#define START_NS UINT64_C(5000000000000)
#define WALL_NS UINT64_C(1700000000000000000)
#define NR_FLUSHES 4
#define MAX_CPUS 256
#define NR_TASKS 6
#define IDLE_TASK 1		/* what a CPU begins with */
#define NR_FUNCTIONS 5
#define FUNCTION_BYTES 0x100

enum event { SYS_ENTER, SYS_EXIT, SWITCH, READ, READ_RETURN, CONNECT, NR_EVENTS };

struct generator {
	uint64_t nr, random, now[MAX_CPUS];
	uint32_t cpus, task[MAX_CPUS], events[NR_EVENTS];
	const char *path;
	FILE *out;
	struct writer *w;
};

#define COMMON_FIELDS \
	{ "time", FIELD_UNSIGNED, ROLE_TIME, HINT_DECIMAL, CLASS_NONE, "ns", NULL }, \
	{ "cpu", FIELD_UNSIGNED, ROLE_CPU, HINT_DECIMAL, CLASS_NONE, "", NULL }, \
	{ "task", FIELD_TASK, ROLE_TASK, HINT_DECIMAL, CLASS_NONE, "", NULL }

static const struct field_desc enter_fields[] = {
	COMMON_FIELDS,
	{ "id", FIELD_SIGNED, ROLE_NONE, HINT_DECIMAL, CLASS_NONE, "", NULL },
	{ "args[0]", FIELD_UNSIGNED, ROLE_NONE, HINT_HEX, CLASS_NONE, "", NULL },
	{ "args[1]", FIELD_UNSIGNED, ROLE_NONE, HINT_HEX, CLASS_NONE, "", NULL },
	{ "args[2]", FIELD_UNSIGNED, ROLE_NONE, HINT_HEX, CLASS_NONE, "", NULL },
	{ "args[3]", FIELD_UNSIGNED, ROLE_NONE, HINT_HEX, CLASS_NONE, "", NULL },
	{ "args[4]", FIELD_UNSIGNED, ROLE_NONE, HINT_HEX, CLASS_NONE, "", NULL },
	{ "args[5]", FIELD_UNSIGNED, ROLE_NONE, HINT_HEX, CLASS_NONE, "", NULL },
};

static const struct field_desc exit_fields[] = {
	COMMON_FIELDS,
	{ "id", FIELD_SIGNED, ROLE_NONE, HINT_DECIMAL, CLASS_NONE, "", NULL },
	{ "ret", FIELD_SIGNED, ROLE_NONE, HINT_ERRNO, CLASS_NONE, "", NULL },
};

static const struct field_desc switch_fields[] = {
	COMMON_FIELDS,
	{ "prev_comm", FIELD_STRING, ROLE_NONE, HINT_DECIMAL, CLASS_COMMAND, "", NULL },
	{ "prev_pid", FIELD_SIGNED, ROLE_NONE, HINT_DECIMAL, CLASS_NONE, "", NULL },
	{ "prev_prio", FIELD_SIGNED, ROLE_NONE, HINT_DECIMAL, CLASS_NONE, "", NULL },
	{ "prev_state", FIELD_SIGNED, ROLE_NONE, HINT_HEX, CLASS_NONE, "", NULL },
	{ "next_comm", FIELD_STRING, ROLE_NONE, HINT_DECIMAL, CLASS_COMMAND, "", NULL },
	{ "next_pid", FIELD_SIGNED, ROLE_NONE, HINT_DECIMAL, CLASS_NONE, "", NULL },
	{ "next_prio", FIELD_SIGNED, ROLE_NONE, HINT_DECIMAL, CLASS_NONE, "", NULL },
};

static const struct field_desc read_fields[] = {
	COMMON_FIELDS,
	{ "stack", FIELD_STACK, ROLE_STACK, HINT_DECIMAL, CLASS_NONE, "", NULL },
	{ "name", FIELD_STRING, ROLE_NONE, HINT_DECIMAL, CLASS_PATH, "", NULL },
	{ "count", FIELD_UNSIGNED, ROLE_NONE, HINT_DECIMAL, CLASS_NONE, "B", NULL },
	{ "pos", FIELD_UNSIGNED, ROLE_NONE, HINT_HEX, CLASS_NONE, "", NULL },
	{ "op", FIELD_FRAME, ROLE_NONE, HINT_DECIMAL, CLASS_NONE, "", NULL },
	{ "data", FIELD_BYTES, ROLE_NONE, HINT_HEX, CLASS_USER, "", NULL },
};

static const struct field_desc read_return_fields[] = {
	COMMON_FIELDS,
	{ "retval", FIELD_SIGNED, ROLE_NONE, HINT_ERRNO, CLASS_NONE, "", NULL },
	{ "caller", FIELD_FRAME, ROLE_NONE, HINT_DECIMAL, CLASS_NONE, "", NULL },
	{ "took", FIELD_UNSIGNED, ROLE_DURATION, HINT_DECIMAL, CLASS_NONE, "ns", NULL },
};

static const struct field_desc connect_fields[] = {
	COMMON_FIELDS,
	{ "daddr", FIELD_UNSIGNED, ROLE_NONE, HINT_IP, CLASS_HOST, "", NULL },
	{ "daddr6", FIELD_BYTES, ROLE_NONE, HINT_IP, CLASS_HOST, "", NULL },
	{ "kind", FIELD_UNSIGNED, ROLE_NONE, HINT_CHAR, CLASS_NONE, "", NULL },
	{ "load", FIELD_FLOAT, ROLE_NONE, HINT_DECIMAL, CLASS_NONE, "", NULL },
	{ "target", FIELD_TASK, ROLE_TARGET, HINT_DECIMAL, CLASS_NONE, "", NULL },
};

#define COMMON_FORMAT \
	"format:\n" \
	"\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n" \
	"\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n" \
	"\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n" \
	"\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n"

static const char enter_format[] =
	"name: sys_enter\nID: 21\n" COMMON_FORMAT
	"\tfield:long id;\toffset:8;\tsize:8;\tsigned:1;\n"
	"\tfield:unsigned long args[6];\toffset:16;\tsize:48;\tsigned:0;\n\n"
	"print fmt: \"NR %ld (%lx, %lx, %lx, %lx, %lx, %lx)\", REC->id, REC->args[0], "
	"REC->args[1], REC->args[2], REC->args[3], REC->args[4], REC->args[5]\n";

static const char exit_format[] =
	"name: sys_exit\nID: 20\n" COMMON_FORMAT
	"\tfield:long id;\toffset:8;\tsize:8;\tsigned:1;\n"
	"\tfield:long ret;\toffset:16;\tsize:8;\tsigned:1;\n\n"
	"print fmt: \"NR %ld = %ld\", REC->id, REC->ret\n";

static const char switch_format[] =
	"name: sched_switch\nID: 314\n" COMMON_FORMAT
	"\tfield:char prev_comm[16];\toffset:8;\tsize:16;\tsigned:0;\n"
	"\tfield:pid_t prev_pid;\toffset:24;\tsize:4;\tsigned:1;\n"
	"\tfield:int prev_prio;\toffset:28;\tsize:4;\tsigned:1;\n"
	"\tfield:long prev_state;\toffset:32;\tsize:8;\tsigned:1;\n"
	"\tfield:char next_comm[16];\toffset:40;\tsize:16;\tsigned:0;\n"
	"\tfield:pid_t next_pid;\toffset:56;\tsize:4;\tsigned:1;\n"
	"\tfield:int next_prio;\toffset:60;\tsize:4;\tsigned:1;\n\n"
	"print fmt: \"prev_comm=%s prev_pid=%d prev_prio=%d prev_state=%s ==> "
	"next_comm=%s next_pid=%d next_prio=%d\", REC->prev_comm, REC->prev_pid, "
	"REC->prev_prio, (REC->prev_state & 255) ? __print_flags(REC->prev_state & 255, "
	"\"|\", { 0x1, \"S\" }, { 0x2, \"D\" }) : \"R\", REC->next_comm, REC->next_pid, "
	"REC->next_prio\n";

#define FIELDS(a) sizeof(a) / sizeof((a)[0]), a

static const struct event_desc events[NR_EVENTS] = {
	[SYS_ENTER] = { "raw_syscalls:sys_enter", FIELDS(enter_fields), enter_format },
	[SYS_EXIT] = { "raw_syscalls:sys_exit", FIELDS(exit_fields), exit_format },
	[SWITCH] = { "sched:sched_switch", FIELDS(switch_fields), switch_format },
	[READ] = { "kprobe:vfs_read", FIELDS(read_fields), NULL },
	[READ_RETURN] = { "kretprobe:vfs_read", FIELDS(read_return_fields), NULL },
	[CONNECT] = { "fentry:tcp_connect", FIELDS(connect_fields), NULL },
};

static const struct {
	const char *comm;
	uint32_t pid, uid, flags;
	int prio;
} tasks[NR_TASKS] = {
	{ "swapper/0", 0, 0, TASK_IDLE | TASK_AT_START, 120 },
	{ "server", 1000, 33, TASK_AT_START, 120 },
	{ "database", 1010, 999, TASK_AT_START, 100 },
	{ "kworker/0:1", 17, 0, TASK_KERNEL_THREAD | TASK_AT_START, 120 },
	{ "sh", 1020, 1000, 0, 120 },
	{ "short", 1021, TASK_UID_UNKNOWN, TASK_EXITED, 120 },
};

static const char *const functions[NR_FUNCTIONS] = {
	"do_syscall_64", "ksys_read", "vfs_read", "ext4_file_read_iter", "pipe_read",
};

static uint64_t next_random(struct generator *g)
{
	return random64_next(&g->random);
}

static uint32_t below(struct generator *g, uint32_t n)
{
	return (uint32_t)(next_random(g) % n);
}

static uint32_t string(struct generator *g, enum privacy_class class, const char *text)
{
	return writer_string(g->w, class, text, strlen(text));
}

static void put_dictionaries(struct generator *g)
{
	writer_host(g->w, "hostname", CLASS_HOST, "example");
	writer_host(g->w, "kernel", CLASS_HOST, "6.1.0-test");
	writer_host(g->w, "machine", CLASS_HOST, "x86_64");
	writer_host(g->w, "command line", CLASS_ARGUMENT, "kymo record -a -e raw_syscalls:*");
	writer_host(g->w, "kymo version", CLASS_NONE, "1");
	writer_host(g->w, "clock", CLASS_NONE, "monotonic");
	writer_clock(g->w, START_NS, WALL_NS, START_NS + 1000000);
	for (size_t i = 0; i < NR_EVENTS; i++)
		g->events[i] = writer_event(g->w, &events[i]);
	writer_module(g->w, &(struct writer_module){
		.id = 1, .kind = MODULE_KERNEL,
		.path = string(g, CLASS_PATH, "[kernel.kallsyms]"),
	});
	for (uint32_t i = 0; i < NR_FUNCTIONS; i++)
		writer_symbol(g->w, 1, 0x1000 + i * FUNCTION_BYTES, FUNCTION_BYTES,
			      string(g, CLASS_SYMBOL, functions[i]));
	for (uint32_t i = 0; i < NR_TASKS; i++)
		writer_task(g->w, &(struct writer_task){
			.id = i + 1, .pid = tasks[i].pid, .tid = tasks[i].pid,
			.parent_pid = tasks[i].pid > 1000 ? 1000 : 1,
			.flags = tasks[i].flags, .uid = tasks[i].uid,
			.comm = string(g, CLASS_COMMAND, tasks[i].comm),
		});
}

static uint32_t frame(struct generator *g, uint32_t function, uint32_t offset)
{
	return writer_frame(g->w, 1, 0x1000 + function * FUNCTION_BYTES + offset);
}

static uint32_t stack(struct generator *g, uint32_t depth)
{
	uint32_t id = 0;

	for (uint32_t i = 0; i < depth; i++)
		id = writer_stack(g->w, id, frame(g, i, 0x20));
	return id;
}

static void put_switch(struct generator *g, uint32_t cpu)
{
	uint32_t from = g->task[cpu], to = 1 + below(g, NR_TASKS);
	const uint64_t values[] = {
		g->now[cpu], cpu, from,
		string(g, CLASS_COMMAND, tasks[from - 1].comm), tasks[from - 1].pid,
		(uint64_t)tasks[from - 1].prio, below(g, 3),
		string(g, CLASS_COMMAND, tasks[to - 1].comm), tasks[to - 1].pid,
		(uint64_t)tasks[to - 1].prio,
	};

	writer_record(g->w, g->events[SWITCH], values);
	g->task[cpu] = to;
}

static void put_read(struct generator *g, uint32_t cpu)
{
	static const char *const names[] = { "passwd", "data.db", "a\tname", "" };
	uint32_t which = below(g, 4), op = 3 + below(g, 2);
	const uint8_t data[] = { 0, 'x', '\\', 0xff, (uint8_t)below(g, 256), '\n' };
	uint64_t took = 300 + below(g, 2000), pos = next_random(g);
	uint32_t pos_shift = below(g, 64);
	const uint64_t entry[] = {
		g->now[cpu], cpu, g->task[cpu], stack(g, 3),
		string(g, CLASS_PATH, names[which]), UINT64_C(1) << below(g, 17),
		pos >> pos_shift, frame(g, op, 0),
		writer_string(g->w, CLASS_USER, data, which * 2),
	};
	const uint64_t back[] = {
		g->now[cpu] + took, cpu, g->task[cpu],
		below(g, 3) ? below(g, 65536) : 0 - (uint64_t)11, frame(g, 1, 0x48), took,
	};

	writer_record(g->w, g->events[READ], entry);
	writer_record(g->w, g->events[READ_RETURN], back);
	g->now[cpu] += took;
}

static void put_connect(struct generator *g, uint32_t cpu)
{
	bool six = below(g, 2);
	uint8_t address[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = (uint8_t)below(g, 256) };
	double load = (double)below(g, 1000) / 8;
	uint64_t values[] = {
		g->now[cpu], cpu, g->task[cpu],
		six ? 0 : 0x0100007f + ((uint64_t)below(g, 4) << 24),
		writer_string(g->w, CLASS_HOST, address, six ? sizeof(address) : 0),
		six ? '6' : '4', 0, 1 + below(g, NR_TASKS),
	};

	memcpy(&values[6], &load, sizeof(load));
	writer_record(g->w, g->events[CONNECT], values);
}

static void put_call(struct generator *g, uint32_t cpu)
{
	uint32_t what = below(g, 64);
	uint64_t nr = what < 8 ? what : 110;
	const uint64_t enter[] = {
		g->now[cpu] += 100 + below(g, 80), cpu, g->task[cpu], nr,
		what < 8 ? what : 0, what < 4 ? 0x7ffd00000000 + next_random(g) % 4096 : 0,
		what < 4 ? 4096 : 0, 0, 0, what == 1 ? UINT64_MAX : 0,
	};
	uint64_t leave[] = { 0, cpu, 0, nr, what < 8 ? 0 - (uint64_t)what : 1000 };

	writer_record(g->w, g->events[SYS_ENTER], enter);
	if (what < 2)
		put_switch(g, cpu);
	else if (what < 4)
		put_read(g, cpu);
	else if (what < 6)
		put_connect(g, cpu);
	leave[0] = g->now[cpu] += 90 + below(g, 60);
	leave[2] = g->task[cpu];
	writer_record(g->w, g->events[SYS_EXIT], leave);
}

static int put_calls(struct generator *g)
{
	uint64_t flushed_ns = START_NS;
	int err = 0;

	for (uint64_t i = 0; i < g->nr && !err; i++) {
		uint32_t cpu = 0;

		for (uint32_t c = 0; c < g->cpus; c++)
			if (g->now[c] < g->now[cpu])
				cpu = c;
		if (i % (g->nr / NR_FLUSHES + 1) == 1) {
			writer_cost(g->w, &(struct writer_cost){ g->now[cpu], 10 * i, 20 * i });
			writer_loss(g->w, &(struct writer_loss){
				flushed_ns, g->now[cpu], 2, cpu, g->events[READ], LOSS_RECURSION,
			});
			err = writer_flush(g->w, g->now[cpu]);
			flushed_ns = g->now[cpu];
		}
		put_call(g, cpu);
	}
	return err;
}

static int generate(struct generator *g)
{
	const struct writer_output output = { genfile_put, g->out };
	int err = writer_open(&g->w, &output, 0x6b796d70 + g->random, 3), close_err;

	if (err)
		return err;
	put_dictionaries(g);
	for (uint32_t c = 0; c < g->cpus; c++) {
		g->now[c] = START_NS + below(g, 1000);
		g->task[c] = IDLE_TASK;
	}
	err = put_calls(g);
	writer_clock(g->w, g->now[0], WALL_NS + g->now[0] - START_NS, g->now[0] + 1000000);
	close_err = writer_close(g->w);
	return err ? err : close_err;
}

static bool parse_options(struct generator *g, int argc, char **argv)
{
	if (argc < 3)
		return false;
	g->nr = strtoull(argv[1], NULL, 10);
	g->path = argv[2];
	g->random = 1;
	g->cpus = 2;
	for (int i = 3; i + 1 < argc; i += 2) {
		uint32_t n = (uint32_t)strtoul(argv[i + 1], NULL, 10);

		if (!strcmp(argv[i], "--seed"))
			g->random = n;
		else if (!strcmp(argv[i], "--cpus"))
			g->cpus = n;
		else
			return false;
	}
	return argc % 2 && g->cpus && g->cpus <= MAX_CPUS;
}

int main(int argc, char **argv)
{
	struct generator *g = calloc(1, sizeof(*g));
	int err = -ENOMEM;

	if (!g || !parse_options(g, argc, argv)) {
		fprintf(stderr, "usage: probegen N FILE [--seed S] [--cpus C]\n");
		free(g);
		return 2;
	}
	g->out = genfile_open(g->path);
	err = g->out ? generate(g) : -errno;
	err = genfile_close(g->out, err);
	if (err)
		fprintf(stderr, "probegen: cannot write '%s': %s\n", g->path, strerror(-err));
	free(g);
	return err ? 1 : 0;
}
