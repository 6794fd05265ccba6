/*
 * Writes what a made-up server does with reads and block I/O, through the real writer,
 * the same bytes for the same options:
 *
 *   spangen N FILE [--as spans|raw|both|tallies] [--seed S] [--cpus C] [--tasks T]
 *                  [--miss M] [--stacks]
 *
 * N reads; FILE may be "-".  T threads (48) wait and read; one read of eight, of those that
 * are not answered from memory, does a block I/O that another task completes.  How long
 * they take has three modes, a long tail, and is worse for a second of every ten.
 *
 *   spans     (as if not said) a record of "read" and of "blockio" for each, as if paired
 *             when recording, with durations and fields of both sides
 *   raw       their starts and ends: syscalls:sys_enter_read and sys_exit_read, by thread;
 *             block:block_rq_issue and block_rq_complete, by dev and sector
 *   both      all of them in one file
 *   tallies   of "read" and "blockio", by comm, every second: counts in buckets of
 *             the duration
 *
 * --miss leaves out one start or end in M: what is left pairs in one way only, which
 * "spans" tells, and counts of those without a partner.  --stacks adds stacks.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/buckets.h"
#include "format/writer.h"
#include "tests/genfile.h"
#include "tests/random64.h"

#define START_NS UINT64_C(5000000000000)
#define WALL_NS UINT64_C(1700000000000000000)
#define SECOND_NS UINT64_C(1000000000)
#define MAX_CPUS 256
#define MAX_TASKS 65536
#define IDLE_TASK 1
#define NR_COMMS 6
#define NR_FUNCTIONS 6
#define FUNCTION_BYTES 0x100
#define NO_END UINT64_MAX

enum event { READ_START, READ_END, READ, IO_START, IO_END, IO, NR_EVENTS };
enum kind { KIND_READ, KIND_IO, NR_KINDS };

/* A start that was seen and has not ended yet. */
struct open {
	bool is_open;
	uint64_t start_ns, a, b, c;	/* fd, count; or sector, bytes, operation */
};

/* What a thread does next, and when. */
enum step { STEP_START, STEP_ISSUE, STEP_COMPLETE, STEP_END };

struct actor {
	uint64_t due_ns, end_ns;
	uint32_t id, cpu;		/* of its task */
	enum step step;
	struct open read, io;
	uint64_t sector;		/* of the I/O under way */
};

struct tally {
	uint32_t counts[BUCKETS_LAST + 1];
	uint64_t sum, least, most, nr;
};

struct generator {
	uint64_t nr, random, nr_started, nr_io, flush_ns, now_ns, miss;
	uint32_t cpus, tasks, events[NR_EVENTS];
	bool spans, raw, tallied, stacks;
	uint64_t no_start[NR_KINDS], no_end[NR_KINDS];
	struct actor *actors;		/* a heap by due_ns */
	uint32_t nr_actors;
	struct tally tallies[NR_KINDS][NR_COMMS];
	const char *path;
	FILE *out;
	struct writer *w;
};

static const char *const comms[NR_COMMS] = {
	"server", "database", "backup", "cron", "nginx", "logger",
};

static const char *const functions[NR_FUNCTIONS] = {
	"entry_SYSCALL_64", "do_syscall_64", "ksys_read", "vfs_read", "blk_mq_dispatch_rq_list",
	"syscall_exit_to_user_mode",
};

static const char *const operations[] = { "R", "RA", "RM" };

/* --- the numbers ------------------------------------------------------------------ */

static uint64_t next_random(struct generator *g)
{
	return random64_next(&g->random);
}

static uint32_t below(struct generator *g, uint32_t n)
{
	return (uint32_t)(next_random(g) % n);
}

/* About log-normal: median * 2^x, where x is of a bell from -2 to 2 times `octaves`. */
static uint64_t around(struct generator *g, uint64_t median, uint32_t octaves)
{
	uint64_t r = next_random(g);
	uint32_t bell = (r & 0xffff) + (r >> 16 & 0xffff) + (r >> 32 & 0xffff) + (r >> 48);
	uint64_t x = (uint64_t)bell * octaves;		/* in 1/65536 octaves, 2 * octaves high */
	uint64_t shifted = median << (x >> 16);

	shifted += shifted * (x & 0xffff) >> 16;
	return shifted >> (2 * octaves);
}

static uint64_t read_takes(struct generator *g)
{
	uint32_t mode = below(g, 100);
	uint64_t tail = 1;

	if (mode < 70)
		return around(g, 1200, 1);
	if (mode >= 98)
		while (tail < 512 && below(g, 2))
			tail *= 2;
	if (g->now_ns / SECOND_NS % 10 == 7)
		tail *= 8;
	return around(g, mode < 98 ? 90000 : 800000, 1) * tail;
}

/* --- the file ----------------------------------------------------------------------- */

#define COMMON_FIELDS \
	{ "time", FIELD_UNSIGNED, ROLE_TIME, HINT_DECIMAL, CLASS_NONE, "ns", NULL }, \
	{ "cpu", FIELD_UNSIGNED, ROLE_CPU, HINT_DECIMAL, CLASS_NONE, "", NULL }, \
	{ "task", FIELD_TASK, ROLE_TASK, HINT_DECIMAL, CLASS_NONE, "", NULL }, \
	{ "stack", FIELD_STACK, ROLE_STACK, HINT_DECIMAL, CLASS_NONE, "", NULL }
#define DURATION_FIELD \
	{ "duration", FIELD_UNSIGNED, ROLE_DURATION, HINT_DECIMAL, CLASS_NONE, "ns", NULL }
#define READ_START_FIELDS \
	{ "fd", FIELD_UNSIGNED, ROLE_NONE, HINT_DECIMAL, CLASS_NONE, "", NULL }, \
	{ "count", FIELD_UNSIGNED, ROLE_NONE, HINT_DECIMAL, CLASS_NONE, "B", NULL }
#define READ_END_FIELDS \
	{ "ret", FIELD_SIGNED, ROLE_RESULT, HINT_ERRNO, CLASS_NONE, "B", NULL }
#define IO_KEY_FIELDS \
	{ "dev", FIELD_UNSIGNED, ROLE_NONE, HINT_DECIMAL, CLASS_NONE, "", NULL }, \
	{ "sector", FIELD_UNSIGNED, ROLE_NONE, HINT_DECIMAL, CLASS_NONE, "", NULL }
#define IO_START_FIELDS \
	IO_KEY_FIELDS, \
	{ "bytes", FIELD_UNSIGNED, ROLE_NONE, HINT_DECIMAL, CLASS_NONE, "B", NULL }, \
	{ "rwbs", FIELD_STRING, ROLE_NONE, HINT_DECIMAL, CLASS_NONE, "", NULL }
#define IO_END_FIELDS \
	{ "error", FIELD_SIGNED, ROLE_RESULT, HINT_ERRNO, CLASS_NONE, "", NULL }

static const struct field_desc read_start_fields[] = { COMMON_FIELDS, READ_START_FIELDS };
static const struct field_desc read_end_fields[] = { COMMON_FIELDS, READ_END_FIELDS };
static const struct field_desc read_fields[] = {
	COMMON_FIELDS, DURATION_FIELD, READ_START_FIELDS, READ_END_FIELDS
};
static const struct field_desc io_start_fields[] = { COMMON_FIELDS, IO_START_FIELDS };
static const struct field_desc io_end_fields[] = { COMMON_FIELDS, IO_KEY_FIELDS, IO_END_FIELDS };
static const struct field_desc io_fields[] = {
	COMMON_FIELDS, DURATION_FIELD, IO_START_FIELDS, IO_END_FIELDS
};

static const struct field_desc tally_fields[] = {
	{ "time", FIELD_UNSIGNED, ROLE_TIME, HINT_DECIMAL, CLASS_NONE, "ns", NULL },
	{ "comm", FIELD_STRING, ROLE_NONE, HINT_DECIMAL, CLASS_COMMAND, "", NULL },
	{ "duration", FIELD_SIGNED, ROLE_BUCKET, HINT_DECIMAL, CLASS_NONE, "ns", NULL },
	{ "count", FIELD_UNSIGNED, ROLE_COUNT, HINT_DECIMAL, CLASS_NONE, "", NULL },
	{ "sum", FIELD_UNSIGNED, ROLE_SUM, HINT_DECIMAL, CLASS_NONE, "ns", NULL },
	{ "min", FIELD_UNSIGNED, ROLE_LEAST, HINT_DECIMAL, CLASS_NONE, "ns", NULL },
	{ "max", FIELD_UNSIGNED, ROLE_MOST, HINT_DECIMAL, CLASS_NONE, "ns", NULL },
	{ "first", FIELD_UNSIGNED, ROLE_FIRST, HINT_DECIMAL, CLASS_NONE, "", NULL },
	{ "interval", FIELD_UNSIGNED, ROLE_INTERVAL, HINT_DECIMAL, CLASS_NONE, "ns", NULL },
};

#define FIELDS(a) sizeof(a) / sizeof((a)[0]), a

static const struct event_desc events[NR_EVENTS] = {
	[READ_START] = { "syscalls:sys_enter_read", FIELDS(read_start_fields), NULL },
	[READ_END] = { "syscalls:sys_exit_read", FIELDS(read_end_fields), NULL },
	[READ] = { "read", FIELDS(read_fields), NULL },
	[IO_START] = { "block:block_rq_issue", FIELDS(io_start_fields), NULL },
	[IO_END] = { "block:block_rq_complete", FIELDS(io_end_fields), NULL },
	[IO] = { "blockio", FIELDS(io_fields), NULL },
};

#define STACK_FIELD 3		/* of COMMON_FIELDS */

static uint32_t string(struct generator *g, enum privacy_class class, const char *text)
{
	return writer_string(g->w, class, text, strlen(text));
}

/* Without --stacks there is no such column. */
static uint32_t put_event(struct generator *g, const struct event_desc *e)
{
	struct field_desc fields[16];
	struct event_desc plain = *e;

	if (g->stacks)
		return writer_event(g->w, e);
	plain.nr_fields = 0;
	plain.fields = fields;
	for (uint32_t i = 0; i < e->nr_fields; i++)
		if (i != STACK_FIELD)
			fields[plain.nr_fields++] = e->fields[i];
	return writer_event(g->w, &plain);
}

static void put_record(struct generator *g, enum event e, const uint64_t *values)
{
	uint64_t plain[16];

	if (g->stacks) {
		writer_record(g->w, g->events[e], values);
		return;
	}
	memcpy(plain, values, STACK_FIELD * sizeof(*plain));
	memcpy(plain + STACK_FIELD, values + STACK_FIELD + 1,
	       (events[e].nr_fields - STACK_FIELD - 1) * sizeof(*plain));
	writer_record(g->w, g->events[e], plain);
}

static void put_events(struct generator *g)
{
	for (size_t i = 0; i < NR_EVENTS; i++) {
		bool is_span = i == READ || i == IO;

		if (is_span ? g->spans : g->raw)
			g->events[i] = put_event(g, &events[i]);
		if (is_span && g->tallied)
			g->events[i] = writer_event(g->w, &(struct event_desc){
				.name = events[i].name, .fields = tally_fields,
				.nr_fields = sizeof(tally_fields) / sizeof(tally_fields[0]) });
	}
}

static void put_dictionaries(struct generator *g)
{
	char text[32];

	writer_host(g->w, "hostname", CLASS_HOST, "example");
	writer_host(g->w, "kernel", CLASS_HOST, "6.1.0-test");
	writer_host(g->w, "machine", CLASS_HOST, "x86_64");
	snprintf(text, sizeof(text), "%u", g->cpus);
	writer_host(g->w, "cpus", CLASS_HOST, text);
	writer_host(g->w, "command line", CLASS_ARGUMENT, "kymo record -a");
	writer_host(g->w, "kymo version", CLASS_NONE, "1");
	writer_host(g->w, "clock", CLASS_NONE, "monotonic");
	writer_clock(g->w, START_NS, WALL_NS, START_NS + 1000000);
	put_events(g);
	writer_module(g->w, &(struct writer_module){
		.id = 1, .kind = MODULE_KERNEL,
		.path = string(g, CLASS_PATH, "[kernel.kallsyms]"),
	});
	for (uint32_t i = 0; i < NR_FUNCTIONS; i++)
		writer_symbol(g->w, 1, 0x1000 + i * FUNCTION_BYTES, FUNCTION_BYTES,
			      string(g, CLASS_SYMBOL, functions[i]));
	writer_task(g->w, &(struct writer_task){
		.id = IDLE_TASK, .flags = TASK_IDLE | TASK_AT_START,
		.comm = string(g, CLASS_COMMAND, "swapper/0"),
	});
	for (uint32_t i = 0; i < g->tasks; i++)
		writer_task(g->w, &(struct writer_task){
			.id = IDLE_TASK + 1 + i, .pid = 1000 + i / 8 * 8, .tid = 1000 + i,
			.parent_pid = 1, .flags = TASK_AT_START, .uid = 33,
			.comm = string(g, CLASS_COMMAND, comms[i / 8 % NR_COMMS]),
		});
}

/* Down to the function: the innermost frame of those that lead there. */
static uint32_t stack(struct generator *g, uint32_t function)
{
	uint32_t id = 0;

	if (!g->stacks)
		return 0;
	for (uint32_t i = 0; i <= function && i < 5; i++) {
		uint32_t f = function == 5 && i == 2 ? 5 : i;

		id = writer_stack(g->w, id, writer_frame(g->w, 1,
							 0x1000 + f * FUNCTION_BYTES + 0x20));
		if (f == 5)
			break;
	}
	return id;
}

/* --- tallies --------------------------------------------------------------------------- */

static void count(struct generator *g, enum kind kind, uint32_t task, uint64_t ns)
{
	struct tally *t = &g->tallies[kind][(task - IDLE_TASK - 1) / 8 % NR_COMMS];

	t->counts[buckets_index(ns)]++;
	t->sum += ns;
	if (!t->nr || ns < t->least)
		t->least = ns;
	if (!t->nr || ns > t->most)
		t->most = ns;
	t->nr++;
}

static void put_tally(struct generator *g, enum kind kind, uint32_t comm, uint64_t end_ns)
{
	struct tally *t = &g->tallies[kind][comm];
	bool first = true;

	for (uint32_t i = 0; i <= BUCKETS_LAST && t->nr; i++) {
		const uint64_t values[] = {
			end_ns, string(g, CLASS_COMMAND, comms[comm]), i, t->counts[i],
			first ? t->sum : 0, first ? t->least : 0, first ? t->most : 0, first,
			SECOND_NS,
		};

		if (!t->counts[i])
			continue;
		writer_record(g->w, g->events[kind == KIND_IO ? IO : READ], values);
		t->counts[i] = 0;
		first = false;
	}
	*t = (struct tally){ .nr = 0 };
}

/* --- what happens ------------------------------------------------------------------------ */

static bool missed(struct generator *g)
{
	return g->miss && !below(g, (uint32_t)g->miss);
}

/* The span that ends now, or false: there is none. */
static bool ends(struct generator *g, enum kind kind, struct open *o, uint32_t task)
{
	if (!o->is_open) {
		g->no_start[kind]++;
		return false;
	}
	o->is_open = false;
	if (g->tallied)
		count(g, kind, task, g->now_ns - o->start_ns);
	return g->spans;
}

static void start_read(struct generator *g, struct actor *a)
{
	const struct open o = { true, g->now_ns, 3 + below(g, 12), 512u << below(g, 8), 0 };
	uint64_t takes = read_takes(g);
	const uint64_t values[] = { g->now_ns, a->cpu, a->id, stack(g, 1), o.a, o.b };

	g->nr_started++;
	a->end_ns = g->now_ns + takes;
	if (takes > 20000 && !below(g, 8)) {
		a->step = STEP_ISSUE;
		a->due_ns = g->now_ns + takes / 8;
	} else {
		a->step = STEP_END;
		a->due_ns = a->end_ns;
	}
	if (missed(g))
		return;
	g->no_end[KIND_READ] += a->read.is_open;
	a->read = o;
	if (g->raw)
		put_record(g, READ_START, values);
}

static void end_read(struct generator *g, struct actor *a)
{
	bool fails = !below(g, 50);
	uint64_t ret = fails ? 0 - (uint64_t)11 : (uint64_t)below(g, 512);
	uint32_t frames = stack(g, 5);

	/* Some wake up on another CPU. */
	if (!below(g, 16))
		a->cpu = below(g, g->cpus);
	a->step = STEP_START;
	a->due_ns = g->nr_started < g->nr ? g->now_ns + around(g, 300000, 1) : NO_END;
	if (missed(g))
		return;
	if (g->raw)
		put_record(g, READ_END, (const uint64_t[]){
			g->now_ns, a->cpu, a->id, frames, ret });
	if (ends(g, KIND_READ, &a->read, a->id))
		put_record(g, READ, (const uint64_t[]){
			g->now_ns, a->cpu, a->id, frames, g->now_ns - a->read.start_ns,
			a->read.a, a->read.b, ret });
}

#define DEV ((8u << 20) + 1)

/* Sectors never come twice: an odd factor goes through all of them. */
static void start_io(struct generator *g, struct actor *a)
{
	const struct open o = { true, g->now_ns, g->nr_io++ * 0x9e3779b1 % (1u << 28) * 8,
				4096u << below(g, 5), below(g, 3) };
	const uint64_t values[] = {
		g->now_ns, a->cpu, a->id, stack(g, 4), DEV, o.a, o.b,
		string(g, CLASS_NONE, operations[o.c]),
	};

	a->sector = o.a;
	a->step = STEP_COMPLETE;
	a->due_ns = a->end_ns - (a->end_ns - g->now_ns) / 8;
	/* What an earlier one left open stays open: its sector does not come again. */
	g->no_end[KIND_IO] += a->io.is_open;
	a->io.is_open = false;
	if (missed(g))
		return;
	a->io = o;
	if (g->raw)
		put_record(g, IO_START, values);
}

static void end_io(struct generator *g, struct actor *a)
{
	uint32_t cpu = below(g, g->cpus), frames = stack(g, 4);
	uint64_t error = below(g, 1000) ? 0 : 0 - (uint64_t)5;

	a->step = STEP_END;
	a->due_ns = a->end_ns;
	if (missed(g))
		return;
	if (g->raw)
		put_record(g, IO_END, (const uint64_t[]){
			g->now_ns, cpu, IDLE_TASK, stack(g, 0), DEV, a->sector, error });
	if (ends(g, KIND_IO, &a->io, a->id))
		put_record(g, IO, (const uint64_t[]){
			g->now_ns, cpu, a->id, frames, g->now_ns - a->io.start_ns,
			DEV, a->io.a, a->io.b, string(g, CLASS_NONE, operations[a->io.c]),
			error });
}

static void (*const steps[])(struct generator *g, struct actor *a) = {
	[STEP_START] = start_read, [STEP_ISSUE] = start_io, [STEP_COMPLETE] = end_io,
	[STEP_END] = end_read,
};

/* The first of the heap moves to its place. */
static void sift_down(struct generator *g, uint32_t at)
{
	struct actor a = g->actors[at];
	uint32_t child;

	while ((child = 2 * at + 1) < g->nr_actors) {
		if (child + 1 < g->nr_actors &&
		    g->actors[child + 1].due_ns < g->actors[child].due_ns)
			child++;
		if (g->actors[child].due_ns >= a.due_ns)
			break;
		g->actors[at] = g->actors[child];
		at = child;
	}
	g->actors[at] = a;
}

static void put_losses(struct generator *g, uint64_t since_ns)
{
	for (enum kind k = KIND_READ; k < NR_KINDS; k++) {
		uint32_t event = g->events[k == KIND_IO ? IO : READ];
		const struct writer_loss rows[] = {
			{ since_ns, g->now_ns, g->no_start[k], 0, event, LOSS_NO_START },
			{ since_ns, g->now_ns, g->no_end[k], 0, event, LOSS_NO_END },
		};

		for (size_t i = 0; i < 2 && (g->spans || g->tallied); i++)
			if (rows[i].count)
				writer_loss(g->w, &rows[i]);
		g->no_start[k] = g->no_end[k] = 0;
	}
}

static int flush(struct generator *g)
{
	const uint64_t end_ns = g->flush_ns;

	for (uint32_t i = 0; i < NR_COMMS && g->tallied; i++)
		for (enum kind k = KIND_READ; k < NR_KINDS; k++)
			put_tally(g, k, i, end_ns);
	put_losses(g, end_ns - SECOND_NS);
	writer_cost(g->w, &(struct writer_cost){
		end_ns, (end_ns - START_NS) / 200, (end_ns - START_NS) / 300 });
	g->flush_ns += SECOND_NS;
	return writer_flush(g->w, end_ns);
}

static int run(struct generator *g)
{
	int err = 0;

	g->flush_ns = START_NS + SECOND_NS;
	for (uint32_t i = 0; i < g->nr_actors; i++)
		g->actors[i] = (struct actor){
			.due_ns = START_NS + i * 100, .id = IDLE_TASK + 1 + i, .cpu = i % g->cpus,
			/* The first ones are in a call already. */
			.step = i % 8 ? STEP_START : STEP_END,
		};
	while (!err && g->actors[0].due_ns != NO_END) {
		struct actor *a = &g->actors[0];

		if (a->step == STEP_START && g->nr_started >= g->nr) {
			a->due_ns = NO_END;
		} else if (a->due_ns >= g->flush_ns) {
			err = flush(g);
			continue;
		} else {
			g->now_ns = a->due_ns;
			steps[a->step](g, a);
		}
		sift_down(g, 0);
	}
	/* Starts whose ends were missed are open to the end. */
	for (uint32_t i = 0; i < g->nr_actors; i++) {
		g->no_end[KIND_READ] += g->actors[i].read.is_open;
		g->no_end[KIND_IO] += g->actors[i].io.is_open;
	}
	return err ? err : flush(g);
}

static int generate(struct generator *g)
{
	const struct writer_output output = { genfile_put, g->out };
	int err = writer_open(&g->w, &output, 0x6b796d71 + g->random, 3), close_err;

	if (err)
		return err;
	put_dictionaries(g);
	err = run(g);
	writer_clock(g->w, g->now_ns, WALL_NS + g->now_ns - START_NS, g->now_ns + 1000000);
	close_err = writer_close(g->w);
	return err ? err : close_err;
}

/* --- options --------------------------------------------------------------------------------- */

static bool parse_form(struct generator *g, const char *form)
{
	g->spans = !strcmp(form, "spans") || !strcmp(form, "both");
	g->raw = !strcmp(form, "raw") || !strcmp(form, "both");
	g->tallied = !strcmp(form, "tallies");
	return g->spans || g->raw || g->tallied;
}

static bool parse_option(struct generator *g, const char *name, const char *value)
{
	uint32_t n = (uint32_t)strtoul(value, NULL, 10);

	if (!strcmp(name, "--as"))
		return parse_form(g, value);
	if (!strcmp(name, "--seed"))
		g->random = n;
	else if (!strcmp(name, "--cpus"))
		g->cpus = n;
	else if (!strcmp(name, "--tasks"))
		g->tasks = n;
	else if (!strcmp(name, "--miss"))
		g->miss = n;
	else
		return false;
	return true;
}

static bool parse_options(struct generator *g, int argc, char **argv)
{
	if (argc < 3)
		return false;
	g->nr = strtoull(argv[1], NULL, 10);
	g->path = argv[2];
	g->random = 1;
	g->cpus = 4;
	g->tasks = 48;
	parse_form(g, "spans");
	for (int i = 3; i < argc; i++) {
		if (!strcmp(argv[i], "--stacks"))
			g->stacks = true;
		else if (i + 1 == argc || !parse_option(g, argv[i], argv[i + 1]))
			return false;
		else
			i++;
	}
	return g->cpus && g->cpus <= MAX_CPUS && g->tasks && g->tasks <= MAX_TASKS;
}

int main(int argc, char **argv)
{
	struct generator *g = calloc(1, sizeof(*g));
	int err = -ENOMEM;

	if (!g || !parse_options(g, argc, argv)) {
		fprintf(stderr, "usage: spangen N FILE [--as spans|raw|both|tallies] [--seed S] "
			"[--cpus C] [--tasks T] [--miss M] [--stacks]\n");
		free(g);
		return 2;
	}
	g->nr_actors = g->tasks;
	g->actors = calloc(g->nr_actors, sizeof(*g->actors));
	g->out = genfile_open(g->path);
	if (g->actors)
		err = g->out ? generate(g) : -errno;
	err = genfile_close(g->out, err);
	if (err)
		fprintf(stderr, "spangen: cannot write '%s': %s\n", g->path, strerror(-err));
	free(g->actors);
	free(g);
	return err ? 1 : 0;
}
