/*
 * Spans made of the raw records of any file, in the order of their times; and the words
 * for them, of any text.
 */
#define _GNU_SOURCE
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "report/query.h"
#include "report/query_spanspec.h"
#include "tests/fuzz/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int look(void *ctx, const struct query_record *r)
{
	uint64_t *sum = ctx;

	for (uint32_t i = 0; i < r->event->nr_fields; i++)
		if (r->event->fields[i].type != FIELD_BYTES)
			*sum += r->values[i];
		else if ((uint32_t)r->values[i])
			*sum += r->bytes[(r->values[i] >> 32) + (uint32_t)r->values[i] - 1];
	return 0;
}

/* The events of the golden files. */
static void pair(const char *path)
{
	static const char *const specs[] = {
		"raw_syscalls:sys_enter..raw_syscalls:sys_exit@id",
		"kprobe:vfs_read..kretprobe:vfs_read{retval != 0}",
		"sched:sched_switch..sched:sched_switch@prev_comm=next_comm as off",
	};

	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		struct query_opts opts = { .input = path, .events = specs[i] };
		struct diag d = { "" };
		struct query *q;
		uint64_t sum = 0;

		if (query_open(&q, &opts, &d))
			continue;
		query_each_record(q, look, &sum, &d);
		query_close(q);
	}
}

static void parse(const uint8_t *data, size_t size)
{
	struct query_spanspecs specs;
	struct diag d = { "" };
	char *text = malloc(size + 1);

	if (!text)
		return;
	memcpy(text, data, size);
	text[size] = '\0';
	if (!query_spanspec_parse(&specs, text, &d))
		query_spanspec_release(&specs);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size + 1);
	int fd = memfd_create("fuzz", 0);
	char path[64];

	parse(data, size < 1000 ? size : 1000);
	if (copy && fd >= 0) {
		memcpy(copy, data, size);
		seal_trace(copy, size);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		if (write(fd, copy, size) == (ssize_t)size)
			pair(path);
	}
	if (fd >= 0)
		close(fd);
	free(copy);
	return 0;
}
