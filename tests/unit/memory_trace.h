/*
 * Traces in memory, for the tests of format/: written by the real writer,
 * opened as a file or as a stream that delivers a few bytes at a time.
 */
#ifndef TESTS_UNIT_MEMORY_TRACE_H
#define TESTS_UNIT_MEMORY_TRACE_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/bytebuf.h"
#include "format/trace.h"
#include "format/writer.h"

struct memory {
	const uint8_t *data;
	size_t len;
	size_t step;		/* a read delivers this many bytes at most */
	uint64_t next;		/* a stream: where reading must go on */
	bool stream;
};

static int64_t memory_read_at(void *ctx, uint64_t offset, void *to, size_t size_bytes)
{
	struct memory *m = ctx;
	size_t left = offset < m->len ? m->len - (size_t)offset : 0;

	if (m->stream && offset != m->next)
		return -ESPIPE;
	if (size_bytes > left)
		size_bytes = left;
	if (m->step && size_bytes > m->step)
		size_bytes = m->step;
	if (size_bytes)
		memcpy(to, m->data + offset, size_bytes);
	m->next = offset + size_bytes;
	return (int64_t)size_bytes;
}

static inline int memory_open(struct trace **t, struct memory *m, struct diag *d)
{
	const struct trace_input in = {
		.read_at = memory_read_at,
		.ctx = m,
		.size_bytes = m->stream ? TRACE_STREAM : m->len,
	};

	d->text[0] = '\0';
	m->next = 0;
	return trace_open_input(t, &in, "memory", d);
}

static inline int memory_put(void *ctx, const void *bytes, size_t size_bytes, bool droppable)
{
	struct bytebuf *b = ctx;

	(void)droppable;
	bytebuf_put(b, bytes, size_bytes);
	return b->err;
}

/* What a trace says, folded into numbers that can be compared. */
struct memory_sum {
	uint64_t records, columns, dictionaries;
};

static inline uint64_t memory_fold(uint64_t sum, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	for (size_t i = 0; i < len; i++)
		sum = (sum ^ p[i]) * UINT64_C(0x100000001b3);
	return sum;
}

static inline uint64_t memory_fold_number(uint64_t sum, uint64_t v)
{
	return memory_fold(sum, &v, sizeof(v));
}

static inline uint64_t memory_fold_string(const struct trace *t, uint64_t sum, uint32_t id)
{
	struct trace_string s = trace_string(t, id);

	return memory_fold_number(memory_fold(sum, s.text, s.len_bytes), s.class);
}

static inline void memory_sum_batch(struct trace_batch *b, struct memory_sum *sum)
{
	uint64_t columns = sum->columns, constant;

	for (uint32_t f = 0; f < b->event->nr_fields; f++) {
		const uint64_t *v;
		const uint32_t *lens;
		const uint8_t *bytes;

		if (b->event->fields[f].type == FIELD_BYTES) {
			if (trace_column_bytes(b, f, &lens, &bytes)) {
				trace_damaged(b);
				return;
			}
			for (size_t i = 0; i < b->nr; bytes += lens[i++])
				columns = memory_fold(columns, bytes, lens[i]);
			continue;
		}
		trace_column_constant(b, f, &constant);
		v = trace_column(b, f);
		if (!v) {
			trace_damaged(b);
			return;
		}
		columns = memory_fold(columns, v, b->nr * sizeof(*v));
	}
	sum->columns = columns;
	sum->records += b->nr;
}

static inline uint64_t memory_sum_code(struct trace *t, uint64_t sum)
{
	for (uint32_t i = 0; i < trace_nr_modules(t); i++) {
		const struct trace_module *m = trace_module(t, i);

		if (m) {
			sum = memory_fold_string(t, memory_fold_number(sum, m->kind), m->path);
			sum = memory_fold_number(sum, m->bias + m->pid);
		}
	}
	for (uint32_t i = 0; i < trace_nr_frames(t); i++) {
		const struct trace_frame *f = trace_frame(t, i);
		const struct trace_symbol *s = f ? trace_symbol(t, f->module, f->offset) : NULL;

		if (f)
			sum = memory_fold_number(sum, f->module ^ f->offset);
		if (s)
			sum = memory_fold_string(t, memory_fold_number(sum, s->start), s->name);
	}
	for (uint32_t i = 0; i < trace_nr_stacks(t); i++)
		for (const struct trace_stack *s = trace_stack(t, i); s;
		     s = trace_stack(t, s->parent))
			sum = memory_fold_number(sum, s->frame);
	return sum;
}

/* Reads everything there is.  0, or the error of trace_next(). */
static inline int memory_sum(struct trace *t, struct memory_sum *sum)
{
	struct trace_batch b;
	uint64_t dict = 1;
	size_t nr;
	int ret;

	*sum = (struct memory_sum){ 0, 1, 0 };
	while ((ret = trace_next(t, NULL, &b, NULL)) > 0)
		memory_sum_batch(&b, sum);
	for (uint32_t i = 0; i < trace_nr_strings(t); i++)
		dict = memory_fold_string(t, dict, i);
	for (uint32_t i = 0; i < trace_nr_tasks(t); i++) {
		const struct trace_task *k = trace_task(t, i);

		if (k)
			dict = memory_fold_string(t, memory_fold_number(dict, k->tid), k->comm);
	}
	for (size_t i = 0; i < trace_nr_host(t); i++) {
		const char *key, *value;

		trace_host_at(t, i, &key, &value);
		dict = memory_fold(dict, value, strlen(value));
	}
	dict = memory_sum_code(t, dict);
	trace_mappings(t, &nr);
	dict = memory_fold_number(dict, nr);
	trace_losses(t, &nr);
	dict = memory_fold_number(dict, nr);
	sum->dictionaries = dict;
	return ret;
}

#endif
