/*
 * Writes a trace of the spans on standard input, however odd they are, through the real
 * writer:
 *
 *   rowgen FILE
 *
 * A line each: TIME CPU DURATION VALUE LOAD, all whole numbers but LOAD, which may also be
 * inf or nan; VALUE is signed.  Times go up and down as they please.  The event is "row";
 * a last word, if there is one, is its "name", else it has an empty one.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "format/writer.h"

#define FLUSH_EVERY 1000

static const struct field_desc fields[] = {
	{ "time", FIELD_UNSIGNED, ROLE_TIME, HINT_DECIMAL, CLASS_NONE, "ns", NULL },
	{ "cpu", FIELD_UNSIGNED, ROLE_CPU, HINT_DECIMAL, CLASS_NONE, "", NULL },
	{ "duration", FIELD_UNSIGNED, ROLE_DURATION, HINT_DECIMAL, CLASS_NONE, "ns", NULL },
	{ "value", FIELD_SIGNED, ROLE_NONE, HINT_DECIMAL, CLASS_NONE, "", NULL },
	{ "load", FIELD_FLOAT, ROLE_NONE, HINT_DECIMAL, CLASS_NONE, "", NULL },
	{ "name", FIELD_STRING, ROLE_NONE, HINT_DECIMAL, CLASS_USER, "", NULL },
};

static const struct event_desc desc = { .name = "row", .nr_fields = 6, .fields = fields };

static int put(void *ctx, const void *bytes, size_t size_bytes, bool droppable)
{
	(void)droppable;
	return fwrite(bytes, 1, size_bytes, ctx) == size_bytes ? 0 : -EIO;
}

static bool put_line(struct writer *w, uint32_t event, const char *line)
{
	uint64_t v[6] = { 0 };
	char name[128] = "";
	int64_t value;
	double load;

	if (sscanf(line, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNd64 " %lf %127s", &v[0], &v[1],
		   &v[2], &value, &load, name) < 5)
		return false;
	v[3] = (uint64_t)value;
	memcpy(&v[4], &load, sizeof(load));
	v[5] = writer_string(w, CLASS_USER, name, strlen(name));
	writer_record(w, event, v);
	return true;
}

int main(int argc, char **argv)
{
	FILE *out = argc == 2 ? fopen(argv[1], "wb") : NULL;
	const struct writer_output output = { .put = put, .ctx = out };
	struct writer *w;
	char line[512];
	uint32_t event;
	bool ok = true;
	size_t nr = 0;

	if (!out) {
		fprintf(stderr, "usage: rowgen FILE\n");
		return 2;
	}
	if (writer_open(&w, &output, 1, 0))
		return 1;
	writer_host(w, "command line", CLASS_ARGUMENT, "kymo record -e row");
	event = writer_event(w, &desc);
	while (ok && fgets(line, sizeof(line), stdin)) {
		ok = put_line(w, event, line);
		if (++nr % FLUSH_EVERY == 0)
			writer_flush(w, 0);
	}
	if (writer_close(w) || fclose(out))
		ok = false;
	return ok ? 0 : 1;
}
