/*
 * Writes a small trace of what some threads did and waited for, as an event "sched" with
 * parts, in a few blocks.  Always the same bytes.
 *
 *   partgen FILE
 *
 * A server answers a client with the help of a worker, which holds a lock and reads from
 * a disk; a sleeper sleeps nearly all the time; something idle waits for work.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "format/writer.h"

#define START_NS UINT64_C(7000000000)
#define US UINT64_C(1000)

enum { IDLE = 1, CLIENT, SERVER, WORKER, SLEEPER, LAZY, NR_TASKS };
enum { NONE, DISK, LOCK, SLEEP, PIPE, WORK };
enum { ENTRY, SCHEDULE, SYS_READ, LOCK_SLOW, IO_WAIT, NANOSLEEP, WAKE, UNLOCK, IRQ, TIMER,
       NR_FUNCTIONS };
enum { NO_STACK, AT_READ, AT_LOCK, AT_DISK, AT_SLEEP, IN_WRITE, IN_UNLOCK, IN_IRQ, IN_TIMER,
       NR_STACKS };

static const char *const functions[NR_FUNCTIONS] = {
	"do_syscall_64", "schedule", "pipe_read", "mutex_lock", "io_schedule", "do_nanosleep",
	"try_to_wake_up", "mutex_unlock", "blk_mq_complete", "hrtimer_wakeup",
};

static const unsigned char stacks[NR_STACKS][3] = {
	[AT_READ] = { ENTRY, SYS_READ, SCHEDULE },
	[AT_LOCK] = { ENTRY, LOCK_SLOW, SCHEDULE },
	[AT_DISK] = { ENTRY, IO_WAIT, SCHEDULE },
	[AT_SLEEP] = { ENTRY, NANOSLEEP, SCHEDULE },
	[IN_WRITE] = { ENTRY, SYS_READ, WAKE },
	[IN_UNLOCK] = { ENTRY, UNLOCK, WAKE },
	[IN_IRQ] = { IRQ, WAKE, WAKE },
	[IN_TIMER] = { TIMER, WAKE, WAKE },
};

#define TIME(name, role) { name, FIELD_UNSIGNED, role, HINT_DECIMAL, CLASS_NONE, "ns", NULL }
#define NUMBER(name, role) { name, FIELD_UNSIGNED, role, HINT_DECIMAL, CLASS_NONE, "", NULL }
#define NAMED(name, role, values) \
	{ name, FIELD_UNSIGNED, role, HINT_DECIMAL, CLASS_NONE, "", values }
#define TASK(name, role) { name, FIELD_TASK, role, HINT_DECIMAL, CLASS_NONE, "", NULL }
#define STACK(name, role) { name, FIELD_STACK, role, HINT_DECIMAL, CLASS_NONE, "", NULL }
#define LETTER(name, role) { name, FIELD_UNSIGNED, role, HINT_CHAR, CLASS_NONE, "", NULL }
#define REASON \
	NAMED("reason", ROLE_REASON, "=0=NONE 1=DISK 2=LOCK 3=SLEEP 4=PIPE 5=WORK")
#define EDGE NAMED("edge", ROLE_EDGE, "|1=START 2=END 4=EXIT")

static const struct field_desc sched_fields[] = {
	TIME("time", ROLE_TIME), NUMBER("cpu", ROLE_CPU), TASK("task", ROLE_TASK),
	TIME("offcpu", ROLE_DURATION), TIME("runq", ROLE_RUNNABLE), TIME("oncpu", ROLE_SLICE),
	TIME("user", ROLE_USER_TIME), NUMBER("from_cpu", ROLE_FROM_CPU),
	LETTER("state", ROLE_STATE), REASON, NUMBER("idle", ROLE_IDLE),
	TASK("waker", ROLE_WAKER), NUMBER("waker_cpu", ROLE_WAKER_CPU), EDGE,
	TIME("skipped", ROLE_SKIPPED), STACK("stack", ROLE_STACK),
	STACK("waker_stack", ROLE_WAKER_STACK),
};

#define OF_THE_WAIT REASON, NUMBER("idle", ROLE_IDLE), TASK("waker", ROLE_WAKER), EDGE, \
	STACK("stack", ROLE_STACK), STACK("waker_stack", ROLE_WAKER_STACK)
#define FROM_THE_WAIT "reason", "idle", "waker", "edge", "stack", "waker_stack"
#define COMMON TIME("time", ROLE_TIME), NUMBER("cpu", ROLE_CPU), TASK("task", ROLE_TASK), \
	TIME("duration", ROLE_DURATION)

static const struct field_desc wait_fields[] = { COMMON, OF_THE_WAIT };
static const struct field_desc oncpu_fields[] = {
	COMMON, TIME("user", ROLE_USER_TIME), EDGE, STACK("stack", ROLE_STACK),
};
static const struct field_desc wakeup_fields[] = {
	COMMON, TASK("target", ROLE_TARGET), REASON, STACK("stack", ROLE_STACK),
};

#define FIELDS(a) .nr_fields = sizeof(a) / sizeof((a)[0]), .fields = a
#define FROM(...) .part_from = (const char *const[]){ __VA_ARGS__ }

static const struct event_desc events[] = {
	{ "sched", FIELDS(sched_fields) },
	{ "offcpu", FIELDS(wait_fields), .part_of = "sched", .part_if = "offcpu",
	  FROM("time", "cpu", "task", "offcpu", FROM_THE_WAIT) },
	{ "blocked", FIELDS(wait_fields), .part_of = "sched", .part_if = "offcpu-runq",
	  FROM("time-runq", "from_cpu", "task", "offcpu-runq", FROM_THE_WAIT) },
	{ "runq", FIELDS(wait_fields), .part_of = "sched", .part_if = "runq",
	  FROM("time", "cpu", "task", "runq", FROM_THE_WAIT) },
	{ "oncpu", FIELDS(oncpu_fields), .part_of = "sched", .part_if = "oncpu",
	  FROM("time-offcpu", "from_cpu", "task", "oncpu", "user", "edge", "stack") },
	{ "wakeup", FIELDS(wakeup_fields), .part_of = "sched", .part_if = "waker",
	  FROM("time-runq", "waker_cpu", "waker", "offcpu-runq", "task", "reason",
	       "waker_stack") },
	/* Every record of the whole has it. */
	{ "switch", .nr_fields = 3, .fields = sched_fields, .part_of = "sched",
	  FROM("time", "cpu", "task") },
};

#define NR_EVENTS (sizeof(events) / sizeof(events[0]))

/* On a CPU for on_us, then off it, and then its time comes. */
static const struct row {
	uint32_t task, on_us, off_us, runq_us;
	char state;
	uint8_t reason, stack, waker, waker_stack, edge;
	uint32_t skipped_us;
} rows[] = {
	{ CLIENT, 100, 900, 20, 'S', PIPE, AT_READ, SERVER, IN_WRITE, EDGE_START, 0 },
	{ SERVER, 700, 500, 0, 'D', LOCK, AT_LOCK, WORKER, IN_UNLOCK, EDGE_START, 0 },
	{ WORKER, 300, 1200, 700, 'R', NONE, NO_STACK, 0, NO_STACK, EDGE_START, 0 },
	{ SERVER, 150, 450, 30, 'S', PIPE, AT_READ, CLIENT, IN_WRITE, 0, 0 },
	{ CLIENT, 1000, 2500, 0, 'S', PIPE, AT_READ, SERVER, IN_WRITE, 0, 0 },
	/* --- */
	{ WORKER, 200, 12000, 300, 'D', DISK, AT_DISK, IDLE, IN_IRQ, 0, 0 },
	{ SERVER, 100, 14000, 100, 'D', LOCK, AT_LOCK, WORKER, IN_UNLOCK, 0, 0 },
	{ CLIENT, 500, 20000, 10, 'S', PIPE, AT_READ, SERVER, IN_WRITE, 0, 900 },
	{ WORKER, 5000, 9000, 9000, 'R', NONE, NO_STACK, 0, NO_STACK, 0, 0 },
	/* --- */
	{ SERVER, 30000, 40000, 50, 'S', PIPE, AT_READ, CLIENT, IN_WRITE, 0, 0 },
	{ CLIENT, 60000, 0, 0, 'R', NONE, NO_STACK, 0, NO_STACK, 0, 0 },
	{ WORKER, 10, 99990, 1000, 'D', DISK, AT_DISK, IDLE, IN_IRQ, 0, 0 },
	/* --- */
	{ SLEEPER, 500, 199500, 40, 'S', SLEEP, AT_SLEEP, IDLE, IN_TIMER, EDGE_START, 0 },
	{ SERVER, 500, 199500, 0, 'S', PIPE, AT_READ, 0, NO_STACK, EDGE_EXIT, 0 },
	{ SLEEPER, 250, 299750, 50, 'S', SLEEP, AT_SLEEP, IDLE, IN_TIMER, 0, 0 },
	{ LAZY, 0, 510000, 0, 'I', WORK, NO_STACK, 0, NO_STACK, EDGE_START | EDGE_END, 0 },
};

#define NR_ROWS (sizeof(rows) / sizeof(rows[0]))
static const size_t block_ends[] = { 5, 9, 12, NR_ROWS };

struct generator {
	struct writer *w;
	uint32_t sched;
	uint32_t stacks[NR_STACKS];
	uint64_t last_ns[NR_TASKS], now_ns;
};

static int put(void *ctx, const void *bytes, size_t size_bytes, bool droppable)
{
	(void)droppable;
	return fwrite(bytes, 1, size_bytes, ctx) == size_bytes ? 0 : -EIO;
}

static void put_task(struct writer *w, uint32_t id, uint32_t pid, uint32_t tid, uint32_t flags,
		     const char *comm)
{
	writer_task(w, &(struct writer_task){
		.id = id, .pid = pid, .tid = tid, .flags = flags, .uid = TASK_UID_UNKNOWN,
		.comm = writer_string(w, CLASS_COMMAND, comm, strlen(comm)),
	});
}

static void put_dictionaries(struct generator *g)
{
	struct writer *w = g->w;

	writer_host(w, "hostname", CLASS_HOST, "here");
	writer_clock(w, START_NS, UINT64_C(1700000000000000000), START_NS);
	put_task(w, IDLE, 0, 0, TASK_KERNEL_THREAD | TASK_IDLE, "swapper/0");
	put_task(w, CLIENT, 100, 100, 0, "client");
	put_task(w, SERVER, 200, 200, 0, "server");
	put_task(w, WORKER, 200, 201, 0, "worker");
	put_task(w, SLEEPER, 300, 300, 0, "sleeper");
	put_task(w, LAZY, 40, 40, TASK_KERNEL_THREAD, "kworker/0:1");
	writer_module(w, &(struct writer_module){
		.id = 1, .kind = MODULE_KERNEL,
		.path = writer_string(w, CLASS_PATH, "[kernel]", 8),
	});
	for (uint32_t i = 0; i < NR_FUNCTIONS; i++)
		writer_symbol(w, 1, 0x100 * (i + 1), 0x80,
			      writer_string(w, CLASS_SYMBOL, functions[i], strlen(functions[i])));
	for (uint32_t s = 1; s < NR_STACKS; s++)
		for (size_t i = 0; i < 3; i++)
			g->stacks[s] = writer_stack(w, g->stacks[s], writer_frame(w, 1,
						    0x100 * (stacks[s][i] + UINT64_C(1)) + 4));
}

/* 0, or -EINVAL when the rows do not stand in the order of their times. */
static int put_row(struct generator *g, const struct row *r)
{
	uint64_t *last_ns = &g->last_ns[r->task];
	uint64_t time_ns = *last_ns + (r->on_us + r->off_us + r->skipped_us) * US;
	const uint64_t values[] = {
		time_ns, r->task % 2, r->task, r->off_us * US, r->runq_us * US, r->on_us * US,
		r->on_us * US / 2, r->runq_us > 500, (uint8_t)r->state, r->reason,
		r->reason == WORK, r->waker, r->waker > 2, r->edge, r->skipped_us * US,
		g->stacks[r->stack], g->stacks[r->waker_stack],
	};

	*last_ns = time_ns;
	if (time_ns < g->now_ns)
		return -EINVAL;
	g->now_ns = time_ns;
	writer_record(g->w, g->sched, values);
	return 0;
}

static int generate(struct writer *w)
{
	struct generator g = { .w = w };
	int err = 0;

	put_dictionaries(&g);
	g.sched = writer_event(w, &events[0]);
	for (size_t i = 1; i < NR_EVENTS; i++)
		writer_event(w, &events[i]);
	for (size_t i = 0; i < NR_TASKS; i++)
		g.last_ns[i] = START_NS;
	for (size_t i = 0, b = 0; i < NR_ROWS && !err; i++) {
		err = put_row(&g, &rows[i]);
		if (!err && i + 1 == block_ends[b]) {
			b++;
			err = writer_flush(w, g.now_ns);
		}
	}
	return err;
}

int main(int argc, char **argv)
{
	FILE *f = argc == 2 ? fopen(argv[1], "wb") : NULL;
	const struct writer_output out = { put, f };
	struct writer *w;
	int err = -EINVAL;

	if (f && !writer_open(&w, &out, UINT64_C(0x7061727473), 0)) {
		err = generate(w);
		if (err)
			writer_abandon(w);
		else
			err = writer_close(w);
	}
	if (f && fclose(f))
		err = -EIO;
	if (err)
		fprintf(stderr, "partgen: %s\n", strerror(-err));
	return !!err;
}
