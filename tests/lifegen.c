/*
 * Writes the trace of the stories and spans of threads on standard input, however odd they
 * are, through the real writer:
 *
 *   lifegen FILE
 *
 * A line each, all whole numbers, times in nanoseconds:
 *
 *   s TIME TID OFF RUNQ ON SKIPPED REASON   the thread gets a CPU, after it waited for it,
 *                                           was blocked, and was on a CPU before that
 *   c TIME TID TOOK NR                      a call of it ends
 *
 * Times go up and down as they please; nothing promises that they do not.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/writer.h"

#define FLUSH_EVERY 5000
#define MAX_TID (1u << 22)

enum { LIFE = 1, CALL };

#define NUMBER(name, role, unit) { name, FIELD_UNSIGNED, role, HINT_DECIMAL, 0, unit, NULL }

static const struct field_desc life_fields[] = {
	NUMBER("time", ROLE_TIME, "ns"), NUMBER("cpu", ROLE_CPU, ""),
	{ "task", FIELD_TASK, ROLE_TASK, HINT_DECIMAL, 0, "", NULL },
	NUMBER("off", ROLE_DURATION, "ns"), NUMBER("runq", ROLE_RUNNABLE, "ns"),
	NUMBER("on", ROLE_SLICE, "ns"), NUMBER("skipped", ROLE_SKIPPED, "ns"),
	{ "reason", FIELD_UNSIGNED, ROLE_REASON, HINT_DECIMAL, 0, "", "=1=TAPE 2=CARD 3=DRUM" },
	{ "waker", FIELD_TASK, ROLE_WAKER, HINT_DECIMAL, 0, "", NULL },
};

static const struct field_desc call_fields[] = {
	NUMBER("time", ROLE_TIME, "ns"), NUMBER("cpu", ROLE_CPU, ""),
	{ "task", FIELD_TASK, ROLE_TASK, HINT_DECIMAL, 0, "", NULL },
	NUMBER("took", ROLE_DURATION, "ns"), NUMBER("nr", ROLE_NONE, ""),
};

static const struct event_desc events[] = {
	{ .name = "life", .nr_fields = 9, .fields = life_fields },
	{ .name = "call", .nr_fields = 5, .fields = call_fields },
};

static int put(void *ctx, const void *bytes, size_t size_bytes, bool droppable)
{
	(void)droppable;
	return fwrite(bytes, 1, size_bytes, ctx) == size_bytes ? 0 : -EIO;
}

/* Tasks have the number of their thread. */
static void add_task(struct writer *w, uint8_t *is_known, uint64_t tid)
{
	char comm[32];

	if (is_known[tid])
		return;
	is_known[tid] = 1;
	snprintf(comm, sizeof(comm), "t%" PRIu64, tid % 100);
	writer_task(w, &(struct writer_task) {
		.id = (uint32_t)tid, .pid = (uint32_t)tid, .tid = (uint32_t)tid,
		.comm = writer_string(w, CLASS_COMMAND, comm, strlen(comm)),
	});
}

static bool put_line(struct writer *w, uint8_t *is_known, const char *line)
{
	uint64_t time, tid, v[5] = { 0 };
	int nr = sscanf(line + 1, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
			" %" SCNu64 " %" SCNu64, &time, &tid, &v[0], &v[1], &v[2], &v[3], &v[4]);

	if (nr < 4 || tid >= MAX_TID)
		return false;
	if (tid)
		add_task(w, is_known, tid);
	if (*line == 's')
		writer_record(w, LIFE, (const uint64_t[]) {
			time, 0, tid, v[0], v[1], v[2], v[3], v[4], 1 });
	else
		writer_record(w, CALL, (const uint64_t[]) { time, 0, tid, v[0], v[1] });
	return true;
}

int main(int argc, char **argv)
{
	FILE *out = argc == 2 ? fopen(argv[1], "wb") : NULL;
	const struct writer_output output = { .put = put, .ctx = out };
	uint8_t *is_known = calloc(MAX_TID, 1);
	struct writer *w;
	char line[512];
	bool ok = true;
	size_t nr = 0;

	if (!out || !is_known) {
		fprintf(stderr, "usage: lifegen FILE\n");
		return 2;
	}
	if (writer_open(&w, &output, 1, 0))
		return 1;
	for (size_t i = 0; i < 2; i++)
		writer_event(w, &events[i]);
	while (ok && fgets(line, sizeof(line), stdin)) {
		ok = put_line(w, is_known, line);
		if (++nr % FLUSH_EVERY == 0)
			writer_flush(w, 0);
	}
	free(is_known);
	if (writer_close(w) || fclose(out))
		ok = false;
	return ok ? 0 : 1;
}
