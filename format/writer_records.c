#include "format/writer_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CPU_BUCKETS 1024

static int compare_keys(const void *a, const void *b)
{
	const struct writer_key *x = a, *y = b;

	if (x->cpu != y->cpu)
		return x->cpu < y->cpu ? -1 : 1;
	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	return x->row < y->row ? -1 : x->row > y->row;
}

static bool is_sorted(const struct writer_key *k, size_t nr)
{
	for (size_t i = 1; i < nr; i++)
		if (compare_keys(&k[i - 1], &k[i]) > 0)
			return false;
	return true;
}

/*
 * Orders the waiting records by CPU, then time, into s->sorted.  They come in time order per
 * CPU nearly always, so a distribution by CPU does the work and sorting is the
 * exception.  The last bucket takes all CPUs from CPU_BUCKETS - 1 on.
 */
static void order_rows(struct writer *w, const struct writer_source *s)
{
	size_t starts[CPU_BUCKETS + 1] = { 0 };

	for (size_t i = 0; i < s->nr; i++) {
		const uint64_t *row = s->rows + i * s->nr_fields;
		struct writer_key *k = &w->keys[i];

		k->cpu = s->cpu_field < s->nr_fields ? row[s->cpu_field] : 0;
		k->time = row[s->time_field];
		k->row = (uint32_t)i;
		starts[(k->cpu < CPU_BUCKETS - 1 ? k->cpu : CPU_BUCKETS - 1) + 1]++;
	}
	for (size_t b = 0; b < CPU_BUCKETS; b++)
		starts[b + 1] += starts[b];
	for (size_t i = 0; i < s->nr; i++) {
		const struct writer_key *k = &w->keys[i];

		s->sorted[starts[k->cpu < CPU_BUCKETS - 1 ? k->cpu : CPU_BUCKETS - 1]++] = *k;
	}
	/* Now starts[b] is where bucket b ends. */
	for (size_t b = 0, first = 0; b < CPU_BUCKETS; first = starts[b++])
		if (!is_sorted(s->sorted + first, starts[b] - first))
			qsort(s->sorted + first, starts[b] - first, sizeof(*s->sorted),
			      compare_keys);
}

void writer_records_order(struct writer *w, uint32_t event)
{
	struct writer_source *s = &w->sources[event - 1];

	order_rows(w, s);
	s->known_stack = w->stack_numbers.last;
	s->known_frame = w->frame_numbers.last;
	for (size_t i = 0; i < s->nr; i++) {
		const uint64_t *row = s->rows + s->sorted[i].row * (size_t)s->nr_fields;

		for (uint32_t f = 0; f < s->nr_fields; f++)
			if (s->types[f] == FIELD_STACK)
				writer_numbers_stack(w, row[f]);
			else if (s->types[f] == FIELD_FRAME)
				writer_numbers_frame(w, row[f]);
	}
}

static enum table_hint column_hint(uint8_t type, uint8_t role)
{
	if (role == ROLE_TIME)
		return TABLE_ASCENDING;
	switch (type) {
	case FIELD_STRING:
	case FIELD_TASK:
	case FIELD_FLOAT:
		return TABLE_IDS;
	default:
		return TABLE_PLAIN;
	}
}

static uint64_t cell(const struct writer_source *s, size_t i, uint32_t field)
{
	return s->rows[s->sorted[i].row * (size_t)s->nr_fields + field];
}

static void put_bytes_column(struct writer *w, const struct writer_source *s, uint32_t field)
{
	bytebuf_clear(&w->texts);
	for (size_t i = 0; i < s->nr; i++) {
		uint64_t id = cell(s, i, field);

		w->lens[i] = 0;
		if (!id || id >= w->strings.nr)
			continue;
		w->lens[i] = w->strings.by_id[id].len_bytes;
		if (w->lens[i] > WRITER_MAX_INLINE_BYTES)
			w->lens[i] = WRITER_MAX_INLINE_BYTES;
		bytebuf_put(&w->texts, w->strings.by_id[id].text, w->lens[i]);
	}
	if (w->texts.err)
		w->err = w->texts.err;
	else
		table_strings(w->encoder, field + 1, w->lens, w->texts.data);
}

/* Stacks or frames. */
static void put_numbered_column(struct writer *w, const struct writer_source *s, uint32_t field)
{
	bool stack = s->types[field] == FIELD_STACK;
	const struct writer_numbers *n = stack ? &w->stack_numbers : &w->frame_numbers;

	for (size_t i = 0; i < s->nr; i++)
		w->column[i] = writer_numbers_file(n, cell(s, i, field));
	table_new_ids(w->encoder, field + 1, stack ? s->known_stack : s->known_frame, w->column);
}

static void put_columns(struct writer *w, const struct writer_source *s)
{
	for (uint32_t f = 0; f < s->nr_fields; f++) {
		if (s->types[f] == FIELD_BYTES) {
			put_bytes_column(w, s, f);
			continue;
		}
		if (s->types[f] == FIELD_STACK || s->types[f] == FIELD_FRAME) {
			put_numbered_column(w, s, f);
			continue;
		}
		for (size_t i = 0; i < s->nr; i++)
			w->column[i] = cell(s, i, f);
		table_numbers(w->encoder, f + 1, column_hint(s->types[f], s->roles[f]),
			      w->column);
	}
}

/* The output had no room for the block: what it held is told as lost, by CPU. */
static void put_losses(struct writer *w, const struct writer_source *s, uint32_t event)
{
	const struct writer_key *k = s->sorted;

	for (size_t first = 0, past; first < s->nr; first = past) {
		for (past = first + 1; past < s->nr && k[past].cpu == k[first].cpu; past++)
			;
		writer_loss(w, &(struct writer_loss){
			.first_ns = k[first].time, .last_ns = k[past - 1].time,
			.cpu = (uint32_t)k[first].cpu, .event = event,
			.cause = LOSS_OUTPUT, .count = past - first,
		});
	}
}

void writer_records_flush(struct writer *w, uint32_t event, uint64_t safe_ns)
{
	uint64_t refused = w->stats.refused_records;
	struct writer_source *s = &w->sources[event - 1];
	struct block_header h = {
		.type = BLOCK_RECORDS,
		.nr_records = (uint32_t)s->nr,
		.event = event,
		.safe_ns = safe_ns,
		.first_ns = UINT64_MAX,
	};

	if (s->nr && !w->err && writer_block_column(w, s->nr)) {
		for (size_t i = 0; i < s->nr; i++) {
			uint64_t time = s->sorted[i].time;

			h.first_ns = time < h.first_ns ? time : h.first_ns;
			h.last_ns = time > h.last_ns ? time : h.last_ns;
		}
		writer_block_begin(w, s->nr, s->nr_fields);
		put_columns(w, s);
		writer_block_end(w, &h);
		if (w->stats.refused_records != refused)
			put_losses(w, s, event);
	}
	s->nr = 0;
	s->text_bytes = 0;
}
