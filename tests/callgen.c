/*
 * Writes a small trace of spans of every shape: system calls with arguments and results, a
 * function, spans without a result, and what was counted of spans of which one side was
 * seen.  Always the same bytes.
 *
 *   callgen FILE
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "format/writer.h"

#define START_NS UINT64_C(5000000000)
#define FIELDS(a) sizeof(a) / sizeof((a)[0]), a

enum { SHELL = 1, CAT, SERVER, WORKER, ODD, NR_TASKS };
enum { OPENAT, READ, MMAP, GETPPID, FUTEX, EXECVE, VFS_READ, BLOCKIO, NR_EVENTS };

#define COMMON_FIELDS \
	{ "time", FIELD_UNSIGNED, ROLE_TIME, HINT_DECIMAL, CLASS_NONE, "ns", NULL }, \
	{ "cpu", FIELD_UNSIGNED, ROLE_CPU, HINT_DECIMAL, CLASS_NONE, "", NULL }, \
	{ "task", FIELD_TASK, ROLE_TASK, HINT_DECIMAL, CLASS_NONE, "", NULL }, \
	{ "duration", FIELD_UNSIGNED, ROLE_DURATION, HINT_DECIMAL, CLASS_NONE, "ns", NULL }
#define NUMBER(name, type, hint, values) \
	{ name, type, ROLE_NONE, hint, CLASS_NONE, "", values }
#define RESULT(hint) \
	{ "ret", FIELD_SIGNED, ROLE_RESULT, hint, CLASS_NONE, "", NULL }

static const struct field_desc openat_fields[] = {
	COMMON_FIELDS,
	NUMBER("dfd", FIELD_SIGNED, HINT_DECIMAL, "=-100=CWD"),
	{ "filename", FIELD_STRING, ROLE_NONE, HINT_DECIMAL, CLASS_PATH, "", NULL },
	NUMBER("flags", FIELD_UNSIGNED, HINT_DECIMAL, "|3/0=RDONLY 3/1=WRONLY 3/2=RDWR "
	       "0x40=CREAT 0x200=TRUNC 0x101000=SYNC 0x1000=DSYNC 0x80000=CLOEXEC"),
	NUMBER("mode", FIELD_UNSIGNED, HINT_OCTAL, NULL),
	RESULT(HINT_ERRNO),
};

static const struct field_desc read_fields[] = {
	COMMON_FIELDS,
	NUMBER("fd", FIELD_SIGNED, HINT_DECIMAL, NULL),
	NUMBER("buf", FIELD_UNSIGNED, HINT_HEX, NULL),
	NUMBER("count", FIELD_UNSIGNED, HINT_DECIMAL, NULL),
	RESULT(HINT_ERRNO),
};

static const struct field_desc mmap_fields[] = {
	COMMON_FIELDS,
	NUMBER("addr", FIELD_UNSIGNED, HINT_HEX, NULL),
	NUMBER("len", FIELD_UNSIGNED, HINT_DECIMAL, NULL),
	NUMBER("prot", FIELD_UNSIGNED, HINT_DECIMAL, "|0=NONE 1=READ 2=WRITE 4=EXEC"),
	RESULT(HINT_HEX),
};

static const struct field_desc getppid_fields[] = {
	COMMON_FIELDS,
	RESULT(HINT_ERRNO),
};

/* The result first, and what is no argument in the middle. */
static const struct field_desc futex_fields[] = {
	RESULT(HINT_ERRNO),
	COMMON_FIELDS,
	NUMBER("op", FIELD_UNSIGNED, HINT_DECIMAL,
	       "|0x7f/0=WAIT 0x7f/1=WAKE nonsense 0x80=PRIVATE =X 1/"),
	{ "waker", FIELD_TASK, ROLE_WAKER, HINT_DECIMAL, CLASS_NONE, "", NULL },
	NUMBER("val", FIELD_UNSIGNED, HINT_DECIMAL, "=0=a\x1b[31m 1=b\"c"),
};

static const struct field_desc vfs_read_fields[] = {
	COMMON_FIELDS,
	{ "stack", FIELD_STACK, ROLE_STACK, HINT_DECIMAL, CLASS_NONE, "", NULL },
	NUMBER("count", FIELD_UNSIGNED, HINT_DECIMAL, NULL),
	RESULT(HINT_ERRNO),
};

static const struct field_desc blockio_fields[] = {
	COMMON_FIELDS,
	NUMBER("sector", FIELD_UNSIGNED, HINT_DECIMAL, NULL),
	NUMBER("op", FIELD_UNSIGNED, HINT_DECIMAL, "=0=READ 1=WRITE"),
};

static const struct event_desc events[NR_EVENTS] = {
	[OPENAT] = { "syscall:openat", FIELDS(openat_fields), NULL },
	[READ] = { "syscall:read", FIELDS(read_fields), NULL },
	[MMAP] = { "syscall:mmap", FIELDS(mmap_fields), NULL },
	[GETPPID] = { "syscall:getppid", FIELDS(getppid_fields), NULL },
	[FUTEX] = { "syscall:futex", FIELDS(futex_fields), NULL },
	[EXECVE] = { "syscall:execve", FIELDS(getppid_fields), NULL },
	[VFS_READ] = { "func:vfs_read", FIELDS(vfs_read_fields), NULL },
	[BLOCKIO] = { "blockio", FIELDS(blockio_fields), NULL },
};

struct generator {
	struct writer *w;
	uint32_t ids[NR_EVENTS];
	uint64_t now_ns;
};

static int put(void *ctx, const void *bytes, size_t size_bytes, bool droppable)
{
	(void)droppable;
	return fwrite(bytes, 1, size_bytes, ctx) == size_bytes ? 0 : -EIO;
}

static void put_task(struct writer *w, uint32_t id, uint32_t pid, uint32_t tid, uint32_t previous,
		     const char *comm)
{
	writer_task(w, &(struct writer_task){
		.id = id, .pid = pid, .tid = tid, .previous = previous, .uid = TASK_UID_UNKNOWN,
		.comm = writer_string(w, CLASS_COMMAND, comm, strlen(comm)),
	});
}

static void put_dictionaries(struct writer *w)
{
	put_task(w, SHELL, 101, 101, 0, "sh");
	put_task(w, CAT, 101, 101, SHELL, "cat");	/* the same thread, after exec */
	put_task(w, SERVER, 200, 200, 0, "server");
	put_task(w, WORKER, 200, 201, 0, "worker");
	put_task(w, ODD, 300, 300, 0, "a\x1b,\"<b>");
	writer_host(w, "hostname", CLASS_HOST, "here");
	writer_clock(w, START_NS, UINT64_C(1700000000000000000), START_NS);
	writer_module(w, &(struct writer_module){
		.id = 1, .kind = MODULE_KERNEL,
		.path = writer_string(w, CLASS_PATH, "[kernel]", 8),
	});
	writer_symbol(w, 1, 0x100, 0x80, writer_string(w, CLASS_SYMBOL, "vfs_read", 8));
	writer_symbol(w, 1, 0x200, 0x80, writer_string(w, CLASS_SYMBOL, "ksys_read", 9));
}

/* A record of one event that ended just now; `rest` are its own fields. */
static void put_span(struct generator *g, unsigned int event, uint32_t task, uint64_t duration_ns,
		     const uint64_t *rest)
{
	uint64_t values[12];
	uint32_t at = 0;

	g->now_ns += 1000;
	for (uint32_t f = 0; f < events[event].nr_fields; f++) {
		switch (events[event].fields[f].role) {
		case ROLE_TIME:
			values[f] = g->now_ns;
			break;
		case ROLE_CPU:
			values[f] = task % 2;
			break;
		case ROLE_TASK:
			values[f] = task;
			break;
		case ROLE_DURATION:
			values[f] = duration_ns;
			break;
		default:
			values[f] = rest[at++];
		}
	}
	writer_record(g->w, g->ids[event], values);
}

#define PUT(g, event, task, duration_ns, ...) \
	put_span(g, event, task, duration_ns, (const uint64_t[]){ __VA_ARGS__ })

static uint64_t path(struct generator *g, const char *text)
{
	return writer_text(g->w, CLASS_PATH, text, strlen(text));
}

static void put_calls(struct generator *g)
{
	uint32_t stack = writer_stack(g->w, 0, writer_frame(g->w, 1, 0x210));
	uint64_t cwd = (uint64_t)-100;

	stack = writer_stack(g->w, stack, writer_frame(g->w, 1, 0x104));
	PUT(g, EXECVE, SHELL, 456789, 0);
	PUT(g, OPENAT, CAT, 12345, cwd, path(g, "/etc/passwd"), 0x80000, 0, 3);
	PUT(g, READ, CAT, 999, 3, 0x7ffc0010, 131072, 1200);
	PUT(g, READ, CAT, 1500, 3, 0x7ffc0010, 131072, 0);
	PUT(g, OPENAT, CAT, 4200, cwd, path(g, "/none"), 0, 0, (uint64_t)-2);
	PUT(g, OPENAT, CAT, 9000, 5, path(g, "new\n\"1\""), 0x1241 | 0x40000000, 0644,
	    (uint64_t)-13);
	PUT(g, OPENAT, CAT, 8000, cwd, 0, 3, 0, (uint64_t)-14);
	PUT(g, OPENAT, CAT, 7000, cwd, path(g, ""), 0x101002, 0, (uint64_t)-4000);
	PUT(g, MMAP, CAT, 2600, 0, 4096, 0, 0x7f0012345000);
	PUT(g, MMAP, CAT, 2500, 0x1000, 1 << 20, 5, (uint64_t)-12);
	PUT(g, READ, SERVER, 2500000000, 0, 0x1000, 1, (uint64_t)-512);
	for (uint64_t i = 0; i < 100; i++)
		PUT(g, GETPPID, WORKER, 100 + i * i, i % 10 ? 1 : (uint64_t)-3);
	PUT(g, GETPPID, ODD, UINT64_MAX, INT64_MAX);
	PUT(g, FUTEX, WORKER, 70000, (uint64_t)-11, 0x80, SERVER, 0);
	PUT(g, FUTEX, WORKER, 80000, 0, 0x182, SERVER, 1);
	PUT(g, VFS_READ, SERVER, 640, stack, 1, (uint64_t)-11);
	PUT(g, BLOCKIO, SERVER, 20000000, 8192, 0);
	PUT(g, BLOCKIO, SERVER, 30000000, 4096, 7);
}

static int generate(FILE *to)
{
	const struct writer_output output = { put, to };
	struct generator g = { .now_ns = START_NS };
	int err = writer_open(&g.w, &output, 0x63616c6c73, 3);

	if (err)
		return err;
	put_dictionaries(g.w);
	for (unsigned int i = 0; i < NR_EVENTS; i++)
		g.ids[i] = writer_event(g.w, &events[i]);
	put_calls(&g);
	for (uint32_t cause = LOSS_ROOM; cause <= LOSS_NO_END; cause++)
		writer_loss(g.w, &(struct writer_loss){
			START_NS, g.now_ns, cause - 3, 0, g.ids[READ], cause,
		});
	return writer_close(g.w);
}

int main(int argc, char **argv)
{
	FILE *to;
	int err;

	if (argc != 2) {
		fprintf(stderr, "usage: callgen FILE\n");
		return 2;
	}
	to = fopen(argv[1], "wb");
	err = to ? generate(to) : -errno;
	if (to && fclose(to) && !err)
		err = -errno;
	if (err)
		fprintf(stderr, "callgen: cannot write '%s': %s\n", argv[1], strerror(-err));
	return err ? 1 : 0;
}
