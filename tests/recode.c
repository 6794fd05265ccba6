/*
 * What the writer makes of the records of a trace: encodes those of one event anew.
 *
 *   recode FILE [EVENT [TIMES [OUTPUT]]]
 *
 * EVENT is sched unless given; TIMES says how often.  Prints CPU time and bytes a record, and
 * how they spread over the columns: transform, layout and bytes a record of each, as the
 * last block has them.  Stacks are made of numbers: only how often which one comes counts.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "format/block.h"
#include "format/schema.h"
#include "format/table.h"
#include "format/trace.h"
#include "format/writer.h"

#define MAX_FIELDS 256

struct recode {
	struct trace *t;
	struct writer *w;
	const struct trace_event *event;
	uint32_t id;
	FILE *to;
	uint32_t *stacks;		/* by number: the writer's id */
	uint32_t nr_stacks;
	uint64_t records, bytes;
	double column_bytes[MAX_FIELDS];
	struct table table;
};

/* Sums up the columns of a block of records. */
static int put(void *ctx, const void *bytes, size_t size_bytes, bool droppable)
{
	struct recode *r = ctx;
	struct block_header h;

	if (r->to)
		fwrite(bytes, 1, size_bytes, r->to);
	if (!droppable || block_header_decode(&h, bytes) ||
	    table_parse(&r->table, (const uint8_t *)bytes + BLOCK_HEADER_BYTES, h.payload_bytes,
			h.nr_records))
		return 0;
	r->bytes += size_bytes;
	for (size_t i = 0; i < r->table.nr_columns; i++)
		if (r->table.columns[i].id <= MAX_FIELDS)
			r->column_bytes[r->table.columns[i].id - 1] +=
				(double)r->table.columns[i].data_bytes;
	return 0;
}

static uint64_t stack_of(struct recode *r, uint64_t number)
{
	if (!number || number >= BLOCK_MAX_ID)
		return 0;
	if (number >= r->nr_stacks) {
		uint32_t nr = (uint32_t)number * 2;
		uint32_t *stacks = realloc(r->stacks, nr * sizeof(*stacks));

		if (!stacks)
			return 0;
		memset(stacks + r->nr_stacks, 0, (nr - r->nr_stacks) * sizeof(*stacks));
		r->stacks = stacks;
		r->nr_stacks = nr;
	}
	if (!r->stacks[number])
		r->stacks[number] = writer_stack(r->w, 0, writer_frame(r->w, 0, number + 16));
	return r->stacks[number];
}

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* The records of a batch, as a block again.  Returns what that took. */
static uint64_t put_batch(struct recode *r, struct trace_batch *b)
{
	uint32_t nr_fields = r->event->nr_fields;
	uint64_t *rows = malloc(b->nr * nr_fields * sizeof(*rows)), start_ns;

	for (uint32_t f = 0; rows && f < nr_fields; f++) {
		const uint64_t *column = trace_column(b, f);

		for (size_t i = 0; i < b->nr; i++) {
			uint64_t v = column ? column[i] : 0;

			rows[i * nr_fields + f] =
				r->event->fields[f].type == FIELD_STACK ? stack_of(r, v) : v;
		}
	}
	start_ns = cpu_ns();
	for (size_t i = 0; rows && i < b->nr; i++)
		writer_record(r->w, r->id, rows + i * nr_fields);
	if (writer_flush(r->w, 0))
		fprintf(stderr, "recode: cannot write\n");
	free(rows);
	r->records += b->nr;
	return cpu_ns() - start_ns;
}

static uint32_t describe(struct recode *r)
{
	struct event_desc desc = { .name = r->event->name, .fields = r->event->fields,
				   .nr_fields = r->event->nr_fields };

	return writer_event(r->w, &desc);
}

/* ns it took */
static uint64_t recode(struct recode *r, const char *event)
{
	const struct writer_output output = { put, r };
	struct diag d = { "" };
	struct trace_batch b;
	uint64_t ns = 0;

	if (writer_open(&r->w, &output, 1, 3))
		return 0;
	r->event = NULL;
	r->nr_stacks = 0;
	while (trace_next(r->t, NULL, &b, &d) > 0) {
		if (strcmp(b.event->name, event))
			continue;
		if (!r->event) {
			r->event = b.event;
			r->id = describe(r);
		}
		ns += put_batch(r, &b);
	}
	writer_close(r->w);
	trace_rewind(r->t);
	return ns;
}

static void print(const struct recode *r)
{
	for (uint32_t f = 0; f < r->event->nr_fields; f++) {
		const struct table_column *c = table_find(&r->table, f + 1);

		printf("%-14s %7.3f  transform %u layout %u", r->event->fields[f].name,
		       r->column_bytes[f] / (double)r->records, c->transform, c->layout);
		if (c->transform == TRANSFORM_LINKED)
			printf("  link %u key %s", c->link.mode,
			       r->event->fields[c->link.key - 1].name);
		putchar('\n');
	}
}

int main(int argc, char **argv)
{
	static struct recode r;
	const char *event = argc > 2 ? argv[2] : "sched";
	uint64_t ns = 0, least_ns = UINT64_MAX;
	struct diag d = { "" };

	if (argc < 2 || trace_open(&r.t, argv[1], &d)) {
		fprintf(stderr, "recode: %s\n", argc < 2 ? "no file" : d.text);
		return 1;
	}
	r.to = argc > 4 ? fopen(argv[4], "w") : NULL;
	for (int i = 0; i < (argc > 3 ? atoi(argv[3]) : 1); i++) {
		r.records = r.bytes = 0;
		memset(r.column_bytes, 0, sizeof(r.column_bytes));
		ns = recode(&r, event);
		least_ns = ns < least_ns ? ns : least_ns;
	}
	if (r.to)
		fclose(r.to);
	if (r.event)
		print(&r);
	printf("%s: %" PRIu64 " records, %.1f ns and %.3f bytes each\n", argv[1], r.records,
	       (double)least_ns / (double)r.records, (double)r.bytes / (double)r.records);
	free(r.stacks);
	trace_close(r.t);
	return 0;
}
