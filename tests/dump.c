/*
 * Prints everything in a trace as text, one line an entry, fields separated by
 * tabs; tests/reader/kymo_reader.py prints the same from its own reading of
 * kymo-format(5).
 *
 *   dump FILE        ("-": standard input)
 *
 * Exit status 3 when the trace was cut or damaged.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "format/trace.h"

/* Printable ASCII as it is, other bytes and the backslash as \xNN. */
static void put_bytes(const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	putchar('\t');
	for (size_t i = 0; i < len; i++) {
		if (p[i] < 0x20 || p[i] > 0x7e || p[i] == '\\')
			printf("\\x%02x", p[i]);
		else
			putchar(p[i]);
	}
}

static void put_text(const char *text)
{
	put_bytes(text, strlen(text));
}

static void put_string(const struct trace *t, uint32_t id)
{
	struct trace_string s = trace_string(t, id);

	put_bytes(s.text, s.len_bytes);
}

static void put_number(uint64_t v)
{
	printf("\t%" PRIu64, v);
}

static void dump_host(const struct trace *t)
{
	const char *key, *value;

	printf("trace\t%016" PRIx64 "\n", trace_id(t));
	for (size_t i = 0; i < trace_nr_host(t); i++) {
		trace_host_at(t, i, &key, &value);
		printf("host");
		put_text(key);
		put_text(value);
		putchar('\n');
	}
}

static void dump_part(const struct trace_event *e)
{
	printf("part\t%u", e->part_of);
	put_text(e->part_if ? e->part_if : "");
	for (uint32_t f = 0; f < e->nr_fields; f++)
		put_text(e->part_from[f]);
	putchar('\n');
}

static void dump_events(const struct trace *t)
{
	for (size_t i = 0; i < trace_nr_events(t); i++) {
		const struct trace_event *e = trace_event_at(t, i);

		printf("event\t%u", e->id);
		put_text(e->name);
		put_text(e->format);
		putchar('\n');
		for (uint32_t f = 0; f < e->nr_fields; f++) {
			const struct field_desc *d = &e->fields[f];

			printf("field\t%u", f + 1);
			put_text(d->name);
			printf("\t%u\t%u\t%u\t%u", d->type, d->role, d->hint, d->class);
			put_text(d->unit);
			if (d->values)
				put_text(d->values);
			putchar('\n');
		}
		if (e->part_of)
			dump_part(e);
	}
}

static void dump_tasks(const struct trace *t)
{
	for (uint32_t i = 1; i < trace_nr_tasks(t); i++) {
		const struct trace_task *k = trace_task(t, i);

		if (!k)
			continue;
		printf("task\t%u\t%" PRIu64 "\t%u\t%u\t%u\t%u", i, k->time_ns, k->pid, k->tid,
		       k->parent_pid, k->ns_pid);
		put_string(t, k->comm);
		put_string(t, k->cmdline);
		put_string(t, k->cgroup);
		printf("\t%u\t%" PRIu64 "\t%u", k->flags, k->exit_ns, k->previous);
		if (k->uid != TASK_UID_UNKNOWN)
			put_number(k->uid);
		putchar('\n');
	}
}

static void dump_code(struct trace *t)
{
	size_t nr;
	const struct trace_mapping *m = trace_mappings(t, &nr);

	for (uint32_t i = 1; i < trace_nr_modules(t); i++) {
		const struct trace_module *k = trace_module(t, i);

		if (!k)
			continue;
		printf("module\t%u\t%u", i, k->kind);
		put_string(t, k->path);
		put_string(t, k->build_id);
		printf("\t%" PRIu64 "\t%u\n", k->bias, k->pid);
	}
	for (size_t i = 0; i < nr; i++, m++)
		printf("mapping\t%" PRIu64 "\t%u\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%u\t%u\n",
		       m->time_ns, m->pid, m->start, m->size_bytes, m->offset, m->module, m->prot);
	for (uint32_t i = 1; i < trace_nr_frames(t); i++) {
		const struct trace_frame *f = trace_frame(t, i);
		const struct trace_symbol *s;

		if (!f)
			continue;
		s = trace_symbol(t, f->module, f->offset);
		printf("frame\t%u\t%u\t%" PRIu64, i, f->module, f->offset);
		put_number(s ? s->start : 0);
		put_number(s ? s->size_bytes : 0);
		put_string(t, s ? s->name : 0);
		putchar('\n');
	}
	for (uint32_t i = 1; i < trace_nr_stacks(t); i++) {
		const struct trace_stack *s = trace_stack(t, i);

		if (s)
			printf("stack\t%u\t%u\t%u\n", i, s->parent, s->frame);
	}
}

static void dump_sums(const struct trace *t)
{
	size_t nr;
	const struct trace_clock *c = trace_clocks(t, &nr);
	const struct trace_loss *l;
	const struct trace_cost *k;

	for (size_t i = 0; i < nr; i++, c++)
		printf("clock\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\n", c->trace_ns, c->wall_ns,
		       c->boot_ns);
	l = trace_losses(t, &nr);
	for (size_t i = 0; i < nr; i++, l++)
		printf("loss\t%" PRIu64 "\t%" PRIu64 "\t%u\t%u\t%u\t%" PRIu64 "\n", l->first_ns,
		       l->last_ns, l->cpu, l->event, l->cause, l->count);
	k = trace_costs(t, &nr);
	for (size_t i = 0; i < nr; i++, k++)
		printf("cost\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\n", k->time_ns,
		       k->user_ns, k->system_ns, k->bytes);
}

static void dump_batch(struct trace_batch *b)
{
	const struct trace_event *e = b->event;
	const uint64_t *numbers[256] = { NULL };
	const uint8_t *bytes[256] = { NULL };
	const uint32_t *lens[256] = { NULL };

	for (uint32_t f = 0; f < e->nr_fields; f++) {
		if (e->fields[f].type == FIELD_BYTES)
			trace_column_bytes(b, f, &lens[f], &bytes[f]);
		else
			numbers[f] = trace_column(b, f);
		if (!numbers[f] && !bytes[f]) {
			trace_damaged(b);
			return;
		}
	}
	for (size_t i = 0; i < b->nr; i++) {
		printf("record\t%u", e->id);
		for (uint32_t f = 0; f < e->nr_fields; f++) {
			if (numbers[f]) {
				put_number(numbers[f][i]);
				continue;
			}
			put_bytes(bytes[f], lens[f][i]);
			bytes[f] += lens[f][i];
		}
		putchar('\n');
	}
}

int main(int argc, char **argv)
{
	struct diag d = { "" };
	struct trace_health h;
	struct trace_batch b;
	struct trace *t;
	int ret;

	if (argc != 2) {
		fprintf(stderr, "usage: dump FILE\n");
		return 2;
	}
	if (trace_open(&t, argv[1], &d)) {
		fprintf(stderr, "dump: %s\n", d.text);
		return 1;
	}
	/* On a pipe the dictionaries are complete at the end only. */
	while ((ret = trace_next(t, NULL, &b, &d)) > 0)
		dump_batch(&b);
	dump_host(t);
	dump_events(t);
	dump_tasks(t);
	dump_code(t);
	dump_sums(t);
	trace_get_health(t, &h);
	printf("health\t%d\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\n", h.cut,
	       h.damaged_blocks, h.damaged_bytes, h.missing_blocks, h.missing_records);
	trace_close(t);
	if (ret < 0) {
		fprintf(stderr, "dump: %s\n", d.text);
		return 1;
	}
	return h.cut || h.damaged_blocks || h.damaged_bytes || h.missing_blocks ? 3 : 0;
}
