/*
 * Writes a trace that has given stacks, through the real writer:
 *
 *   foldgen FILE LENGTH_MS [--waits] [--shift N]
 *
 * reads folded lines "COMM;OUTERMOST;...;INNERMOST COUNT" and writes COUNT samples of
 * each, the first at the start of the recording and the last at its end.  With --waits it is
 * a span of COUNT nanoseconds instead.  Frames that begin with "k:" are the kernel's.
 * --shift moves all addresses and ids, as another run of the same programs has them.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/writer.h"

#define START_NS UINT64_C(5000000000000)
#define MAX_LINES 20000
#define MAX_LINE 16384
#define MAX_NAMES 20000
#define MAX_COMMS 64
#define FUNCTION_BYTES 0x100

enum { MODULE_PROGRAM = 1, MODULE_OF_KERNEL };

struct line {
	uint32_t task, stack;
	uint64_t count;
};

struct folds {
	struct writer *w;
	FILE *out;
	uint32_t event, shift;
	bool waits;
	uint64_t length_ns, nr_records;
	char *names[MAX_NAMES];		/* each stands for a function of a module */
	uint32_t nr_names;
	char *comms[MAX_COMMS];
	uint32_t nr_comms;
	struct line lines[MAX_LINES];
	uint32_t nr_lines;
};

static int put(void *ctx, const void *bytes, size_t size_bytes, bool droppable)
{
	struct folds *f = ctx;

	(void)droppable;
	return fwrite(bytes, 1, size_bytes, f->out) == size_bytes ? 0 : -EIO;
}

static uint32_t string(struct folds *f, uint32_t class, const char *text)
{
	return writer_string(f->w, class, text, strlen(text));
}

/* The place of a text in a list, where it is put if there is room. */
static uint32_t index_of(char **list, uint32_t *nr, uint32_t max, const char *text, bool *is_new)
{
	uint32_t i = 0;

	while (i < *nr && strcmp(list[i], text))
		i++;
	*is_new = i == *nr;
	if (*is_new && *nr < max) {
		list[i] = strdup(text);
		++*nr;
	}
	return i;
}

static uint32_t task_of(struct folds *f, const char *comm)
{
	bool is_new;
	uint32_t id = index_of(f->comms, &f->nr_comms, MAX_COMMS, comm, &is_new) + 1;

	if (is_new)
		writer_task(f->w, &(struct writer_task) {
			.id = id, .pid = 1000 + f->shift + id, .tid = 1000 + f->shift + id,
			.parent_pid = 1, .flags = TASK_AT_START, .uid = 1000,
			.comm = string(f, CLASS_COMMAND, comm) });
	return id;
}

static uint32_t frame_of(struct folds *f, const char *name)
{
	uint32_t module = strncmp(name, "k:", 2) ? MODULE_PROGRAM : MODULE_OF_KERNEL, index;
	uint64_t start;
	bool is_new;

	index = index_of(f->names, &f->nr_names, MAX_NAMES, name, &is_new);
	start = (uint64_t)(index + 1 + f->shift) * FUNCTION_BYTES;
	if (is_new)
		writer_symbol(f->w, module, start, FUNCTION_BYTES,
			      string(f, CLASS_SYMBOL, module == MODULE_PROGRAM ? name : name + 2));
	return writer_frame(f->w, module, start + 4 + f->shift % 64);
}

static int read_line(struct folds *f, char *text)
{
	char *count = strrchr(text, ' '), *rest, *name;
	struct line *l = &f->lines[f->nr_lines];

	if (!count || f->nr_lines == MAX_LINES)
		return -EINVAL;
	*count++ = '\0';
	*l = (struct line) { .count = strtoull(count, NULL, 10) };
	name = strtok_r(text, ";", &rest);
	if (!name)
		return -EINVAL;
	l->task = task_of(f, name);
	while ((name = strtok_r(NULL, ";", &rest)))
		l->stack = writer_stack(f->w, l->stack, frame_of(f, name));
	f->nr_records += f->waits ? 1 : l->count;
	f->nr_lines++;
	return 0;
}

static void announce(struct folds *f)
{
	static const struct field_desc sample[] = {
		{ "time", FIELD_UNSIGNED, ROLE_TIME, HINT_DECIMAL, CLASS_NONE, "ns", NULL },
		{ "cpu", FIELD_UNSIGNED, ROLE_CPU, HINT_DECIMAL, CLASS_NONE, "", NULL },
		{ "task", FIELD_TASK, ROLE_TASK, HINT_DECIMAL, CLASS_NONE, "", NULL },
		{ "stack", FIELD_STACK, ROLE_STACK, HINT_DECIMAL, CLASS_NONE, "", NULL },
		{ "period", FIELD_UNSIGNED, ROLE_WEIGHT, HINT_DECIMAL, CLASS_NONE, "ns", NULL },
	};
	struct field_desc wait[5];
	struct event_desc desc = { .name = "cpu-clock", .nr_fields = 5, .fields = sample };

	memcpy(wait, sample, sizeof(wait));
	wait[4].name = "duration";
	wait[4].role = ROLE_DURATION;
	if (f->waits) {
		desc.name = "wait";
		desc.fields = wait;
	}
	writer_module(f->w, &(struct writer_module) {
		.id = MODULE_PROGRAM, .kind = MODULE_ELF, .bias = f->shift * 0x1000,
		.path = string(f, CLASS_PATH, f->shift ? "/tmp/new/server" : "/usr/bin/server") });
	writer_module(f->w, &(struct writer_module) {
		.id = MODULE_OF_KERNEL, .kind = MODULE_KERNEL,
		.path = string(f, CLASS_PATH, "[kernel.kallsyms]") });
	f->event = writer_event(f->w, &desc);
}

static void put_records(struct folds *f)
{
	uint64_t gaps = f->nr_records > 1 ? f->nr_records - 1 : 1, nr = 0;

	for (uint32_t i = 0; i < f->nr_lines; i++) {
		const struct line *l = &f->lines[i];

		for (uint64_t k = 0; k < (f->waits ? 1 : l->count); k++, nr++) {
			const uint64_t values[] = {
				START_NS + (uint64_t)((double)f->length_ns * (double)nr /
						      (double)gaps),
				0, l->task, l->stack, f->waits ? l->count : 1000000,
			};

			writer_record(f->w, f->event, values);
		}
	}
}

static int generate(struct folds *f)
{
	const struct writer_output output = { put, f };
	static char text[MAX_LINE];
	int err = writer_open(&f->w, &output, 0x666f6c64 + f->shift, 3);

	if (err)
		return err;
	announce(f);
	while (!err && fgets(text, sizeof(text), stdin))
		err = read_line(f, text);
	put_records(f);
	if (writer_close(f->w) && !err)
		err = -EIO;
	return err;
}

int main(int argc, char **argv)
{
	struct folds *f = calloc(1, sizeof(*f));
	int err = f && argc > 2 ? 0 : -EINVAL;

	for (int i = 3; i < argc && !err; i++) {
		if (!strcmp(argv[i], "--waits"))
			f->waits = true;
		else if (!strcmp(argv[i], "--shift") && i + 1 < argc)
			f->shift = (uint32_t)atoi(argv[++i]);
		else
			err = -EINVAL;
	}
	if (!err) {
		f->length_ns = strtoull(argv[2], NULL, 10) * 1000000;
		f->out = fopen(argv[1], "wb");
		err = f->out ? generate(f) : -errno;
	}
	if (f && f->out && fclose(f->out) && !err)
		err = -EIO;
	if (err)
		fprintf(stderr, "foldgen: %s (foldgen FILE LENGTH_MS [--waits] [--shift N])\n",
			strerror(-err));
	for (uint32_t i = 0; f && i < f->nr_names; i++)
		free(f->names[i]);
	for (uint32_t i = 0; f && i < f->nr_comms; i++)
		free(f->comms[i]);
	free(f);
	return err ? 1 : 0;
}
