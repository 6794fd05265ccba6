/*
 * Writes a small trace of nested calls: of several threads at the same time, with gaps, of
 * an idle CPU, of a thread that is renamed in the middle, and of every length that has a
 * mark of its own; and some records of another event.  Always the same bytes.
 *
 *   graphgen FILE
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "format/writer.h"

#define START_NS UINT64_C(5000000000)
#define FIELDS(a) sizeof(a) / sizeof((a)[0]), a
#define NO_FRAME 0xff

enum { IDLE = 1, SHELL, CAT, SERVER, ODD };
enum { OPEN, GETNAME, ALLOC, PATH, READ, FILL, COPY, IRQ, ODD_NAME, NR_FUNCTIONS };
enum { CALLS, NAMELESS, SAMPLES, NR_EVENTS };

static const char *const functions[NR_FUNCTIONS] = {
	"do_sys_openat2", "getname", "alloc_fd", "path_openat", "ksys_read", "filemap_read",
	"copy_page_to_iter", "irq_exit_rcu", "a\x1b[31m<b>",
};

#define COMMON \
	{ "time", FIELD_UNSIGNED, ROLE_TIME, 0, 0, "ns", NULL }, \
	{ "cpu", FIELD_UNSIGNED, ROLE_CPU, 0, 0, "", NULL }, \
	{ "task", FIELD_TASK, ROLE_TASK, 0, 0, "", NULL }, \
	{ "stack", FIELD_STACK, ROLE_STACK, 0, 0, "", NULL }

static const struct field_desc call_fields[] = {
	COMMON,
	{ "function", FIELD_FRAME, ROLE_NONE, 0, 0, "", NULL },
	{ "duration", FIELD_UNSIGNED, ROLE_DURATION, 0, 0, "ns", NULL },
	{ "self", FIELD_UNSIGNED, ROLE_WEIGHT, 0, 0, "ns", NULL },
	{ "depth", FIELD_UNSIGNED, ROLE_DEPTH, 0, 0, "", NULL },
};

/* As another tool may write them: the stack alone tells the function. */
static const struct field_desc nameless_fields[] = {
	COMMON,
	{ "depth", FIELD_UNSIGNED, ROLE_DEPTH, 0, 0, "", NULL },
	{ "took", FIELD_UNSIGNED, ROLE_DURATION, 0, 0, "ns", NULL },
};

static const struct field_desc sample_fields[] = {
	COMMON,
	{ "period", FIELD_UNSIGNED, ROLE_WEIGHT, 0, 0, "ns", NULL },
};

static const struct event_desc events[NR_EVENTS] = {
	[CALLS] = { "funcgraph", FIELDS(call_fields), NULL },
	[NAMELESS] = { "request", FIELDS(nameless_fields), NULL },
	[SAMPLES] = { "cpu-clock", FIELDS(sample_fields), NULL },
};

/* In the order of their ends, in us from the start. */
static const struct row {
	uint8_t event, task, cpu, depth, function;
	uint32_t end_us, duration_ns, self_ns;
} rows[] = {
	/* Two threads at the same time; cat is still called sh when it begins. */
	{ CALLS, SHELL, 0, 1, GETNAME, 20, 9999, 9999 },
	{ CALLS, SERVER, 1, 2, COPY, 25, 1157, 1157 },
	{ SAMPLES, SHELL, 0, 0, ALLOC, 28, 0, 0 },
	{ CALLS, SHELL, 0, 2, ALLOC, 35, 10001, 10001 },
	{ CALLS, SERVER, 1, 2, COPY, 40, 7, 7 },
	{ CALLS, SERVER, 1, 1, FILL, 45, 23456, 22292 },
	{ CALLS, CAT, 0, 1, PATH, 150, 126000, 115999 },
	{ CALLS, CAT, 0, 0, OPEN, 160, 158001, 22002 },
	{ CALLS, SERVER, 1, 0, READ, 1300, 1280500, 1257044 },
	/* Of an idle CPU each, and of both at once. */
	{ CALLS, IDLE, 0, 1, ALLOC, 1405, 1000, 1000 },
	{ CALLS, IDLE, 1, 0, IRQ, 1407, 6000, 6000 },
	{ CALLS, IDLE, 0, 0, IRQ, 1410, 9000, 8000 },
	/* The call around these two is not known, and not that which follows. */
	{ CALLS, CAT, 1, 2, ALLOC, 1500, 2000, 2000 },
	{ CALLS, CAT, 1, 2, COPY, 1510, 3000, 3000 },
	{ CALLS, CAT, 1, 1, COPY, 1600, 20000, 20000 },
	{ CALLS, CAT, 1, 0, READ, 1610, 50000, 30000 },
	/* A name from the stack, and a hostile one. */
	{ NAMELESS, ODD, 0, 1, ODD_NAME, 11700, 9000000, 0 },
	{ NAMELESS, ODD, 0, 0, ODD_NAME, 11710, 10000001, 0 },
	{ NAMELESS, ODD, 0, 0, ODD_NAME, 21800, 10000000, 0 },
	{ CALLS, ODD, 0, 0, ODD_NAME, 230000, 200000000, 200000000 },
	{ CALLS, ODD, 0, 0, NO_FRAME, 1500000, 1250000000, 1250000000 },
	/* No call around these ever ends. */
	{ CALLS, SERVER, 1, 3, ALLOC, 1500100, 100, 100 },
	{ CALLS, SERVER, 1, 2, COPY, 1500101, 1500, 1400 },
};

static int put(void *ctx, const void *bytes, size_t size_bytes, bool droppable)
{
	(void)droppable;
	return fwrite(bytes, 1, size_bytes, ctx) == size_bytes ? 0 : -EIO;
}

static void put_task(struct writer *w, uint32_t id, uint32_t tid, uint32_t previous,
		     uint32_t flags, const char *comm)
{
	writer_task(w, &(struct writer_task){
		.id = id, .pid = tid, .tid = tid, .previous = previous, .uid = TASK_UID_UNKNOWN,
		.flags = flags, .comm = writer_string(w, CLASS_COMMAND, comm, strlen(comm)),
	});
}

static void put_dictionaries(struct writer *w)
{
	put_task(w, IDLE, 0, 0, TASK_KERNEL_THREAD | TASK_IDLE, "swapper");
	put_task(w, SHELL, 101, 0, 0, "sh");
	put_task(w, CAT, 101, SHELL, 0, "cat");
	put_task(w, SERVER, 123456, 0, 0, "a-rather-long-name");
	put_task(w, ODD, 300, 0, 0, "a\x1b,\"<b>");
	writer_host(w, "hostname", CLASS_HOST, "here");
	writer_clock(w, START_NS, UINT64_C(1700000000000000000), START_NS);
	writer_module(w, &(struct writer_module){
		.id = 1, .kind = MODULE_KERNEL,
		.path = writer_string(w, CLASS_PATH, "[kernel]", 8),
	});
	for (uint32_t i = 0; i < NR_FUNCTIONS; i++)
		writer_symbol(w, 1, 0x100 * i, 0x80,
			      writer_string(w, CLASS_SYMBOL, functions[i], strlen(functions[i])));
}

static void put_row(struct writer *w, const uint32_t *ids, const struct row *r)
{
	uint32_t frame = r->function == NO_FRAME ? 0 :
			 writer_frame(w, 1, 0x100 * (uint64_t)r->function);
	uint32_t stack = frame ? writer_stack(w, 0, frame) : 0;
	const uint64_t head[] = { START_NS + r->end_us * UINT64_C(1000), r->cpu, r->task, stack };
	uint64_t values[8];

	memcpy(values, head, sizeof(head));
	if (r->event == CALLS)
		memcpy(values + 4, (const uint64_t[]){ frame, r->duration_ns, r->self_ns, r->depth },
		       4 * sizeof(*values));
	else if (r->event == NAMELESS)
		memcpy(values + 4, (const uint64_t[]){ r->depth, r->duration_ns },
		       2 * sizeof(*values));
	else
		values[4] = 1000;
	writer_record(w, ids[r->event], values);
}

static int generate(FILE *f)
{
	const struct writer_output out = { put, f };
	uint32_t ids[NR_EVENTS];
	struct writer *w;
	int err = writer_open(&w, &out, 1, 3);

	if (err)
		return err;
	put_dictionaries(w);
	for (unsigned int i = 0; i < NR_EVENTS; i++)
		ids[i] = writer_event(w, &events[i]);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		put_row(w, ids, &rows[i]);
	writer_loss(w, &(struct writer_loss){
		.first_ns = START_NS, .last_ns = START_NS + 2000000000, .cpu = UINT32_MAX,
		.event = ids[CALLS], .cause = LOSS_NO_START, .count = 3,
	});
	return writer_close(w);
}

int main(int argc, char **argv)
{
	FILE *f = argc == 2 ? fopen(argv[1], "wb") : NULL;
	int err;

	if (argc != 2) {
		fprintf(stderr, "usage: graphgen FILE\n");
		return 2;
	}
	err = f ? generate(f) : -errno;
	if (f && fclose(f) && !err)
		err = -errno;
	if (err) {
		fprintf(stderr, "graphgen: cannot write '%s': %s\n", argv[1], strerror(-err));
		return 1;
	}
	return 0;
}
