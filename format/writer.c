#include "format/writer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "format/writer_private.h"

/* Of one event; a last record may add as much as all of its strings hold. */
#define MAX_WAITING_TEXT_BYTES (1u << 20)

/* Room in an event's first batch: most events are rare. */
#define FIRST_ROWS 16

/* The first level that parses optimally, which is what byte planes gain from. */
#define DEFAULT_ZSTD_LEVEL 13

/* Tells what writer_bytes() returned from the id of a string. */
#define TEXT_MARK (UINT64_C(1) << 63)
#define TEXT_LENGTH_MASK ((UINT64_C(1) << WRITER_TEXT_SHIFT) - 1)

static uint64_t random_id(void)
{
	struct timespec now;
	uint64_t id = 0;
	FILE *f = fopen("/dev/urandom", "rb");

	if (f) {
		if (fread(&id, sizeof(id), 1, f) != 1)
			id = 0;
		fclose(f);
	}
	if (!id) {
		clock_gettime(CLOCK_REALTIME, &now);
		id = ((uint64_t)now.tv_sec << 30) ^ (uint64_t)now.tv_nsec;
	}
	return id;
}

int writer_open(struct writer **out, const struct writer_output *output,
		uint64_t trace_id, int zstd_level)
{
	struct file_header h = {
		.version = FILE_VERSION,
		.trace_id = trace_id ? trace_id : random_id(),
	};
	uint8_t header[FILE_HEADER_BYTES];
	struct writer *w = calloc(1, sizeof(*w));
	int err;

	*out = NULL;
	if (!w)
		return -ENOMEM;
	intern_strings_init(&w->strings);
	intern_pairs_init(&w->frames);
	intern_pairs_init(&w->stacks);
	w->strings_written = w->frame_numbers.seen = w->stack_numbers.seen = 1;
	zstd_level = zstd_level ? zstd_level : DEFAULT_ZSTD_LEVEL;
	err = table_encoder_new(&w->encoder, zstd_level);
	if (!err)
		err = writer_pack_open(&w->pack, output, zstd_level);
	if (!err) {
		file_header_encode(header, &h);
		writer_pack_put(&w->pack, header, sizeof(header));
		err = w->pack.err;
	}
	if (err) {
		writer_abandon(w);
		return err;
	}
	*out = w;
	return 0;
}

int writer_start_worker(struct writer *w, size_t limit_bytes)
{
	return w->worker ? -EALREADY : writer_worker_start(&w->worker, &w->pack, limit_bytes);
}

static void free_source(struct writer_source *s)
{
	struct writer_batch *b;

	writer_batch_free(s->batch);
	while ((b = s->spares)) {
		s->spares = b->next;
		writer_batch_free(b);
	}
	free(s);
}

void writer_abandon(struct writer *w)
{
	if (!w)
		return;
	writer_worker_stop(w->worker, true);
	for (size_t i = 0; i < w->nr_sources; i++)
		free_source(w->sources[i]);
	free(w->sources);
	for (size_t i = 0; i < ROWS_MAX; i++)
		free(w->rows[i].v);
	intern_strings_release(&w->strings);
	intern_pairs_release(&w->frames);
	intern_pairs_release(&w->stacks);
	writer_numbers_release(&w->frame_numbers);
	writer_numbers_release(&w->stack_numbers);
	writer_pack_release(&w->pack);
	writer_order_release(&w->order);
	free(w->chain);
	table_encoder_free(w->encoder);
	bytebuf_release(&w->block);
	bytebuf_release(&w->texts);
	free(w->column);
	free(w);
}

/* --- events ------------------------------------------------------------------------- */

static int add_source(struct writer *w, const struct event_desc *desc)
{
	uint32_t nr = desc->nr_fields, cap = BLOCK_MAX_NUMBERS / nr;
	struct writer_source **sources, *s;

	sources = realloc(w->sources, (w->nr_sources + 1) * sizeof(*sources));
	if (!sources)
		return -ENOMEM;
	w->sources = sources;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	w->sources[w->nr_sources++] = s;
	s->event = (uint32_t)w->nr_sources;
	s->nr_fields = s->time_field = s->cpu_field = s->count_field = nr;
	s->cap = cap < WRITER_BLOCK_RECORDS ? cap : WRITER_BLOCK_RECORDS;
	s->usual_cap = s->cap < FIRST_ROWS ? s->cap : FIRST_ROWS;
	for (uint32_t f = nr; f-- > 0;) {
		s->types[f] = desc->fields[f].type;
		s->roles[f] = desc->fields[f].role;
		if (s->roles[f] == ROLE_TIME)
			s->time_field = f;
		if (s->roles[f] == ROLE_CPU)
			s->cpu_field = f;
		if (s->roles[f] == ROLE_COUNT)
			s->count_field = f;
		s->has_texts |= s->types[f] == FIELD_BYTES;
	}
	for (uint32_t f = 0; f < nr; f++)
		if (s->types[f] == FIELD_STACK || s->types[f] == FIELD_FRAME)
			s->numbered[s->nr_numbered++] = (uint16_t)f;
	return s->time_field == nr ? -EINVAL : 0;
}

static uint32_t fixed_text(struct writer *w, const char *text)
{
	return text ? writer_string(w, CLASS_NONE, text, strlen(text)) : 0;
}

/* The id of the event that it is a part of: the last one with that name. */
static uint32_t find_whole(struct writer *w, const struct event_desc *desc)
{
	uint32_t name = fixed_text(w, desc->part_of);

	if (!name)
		return 0;
	for (size_t i = w->nr_sources - 1; i-- > 0;)
		if (w->sources[i]->name == name)
			return w->sources[i]->event;
	writer_block_fail(w, -EINVAL);
	return 0;
}

uint32_t writer_event(struct writer *w, const struct event_desc *desc)
{
	uint32_t whole = 0;

	if (w->err)
		return 0;
	/* The rows of one event stay in one block. */
	if (w->rows[ROWS_EVENTS].nr > WRITER_MAX_EVENT_ROWS)
		writer_dict_flush(w, 1, 0);
	if (w->err)
		return 0;
	if (!desc->nr_fields || desc->nr_fields > WRITER_MAX_FIELDS ||
	    w->nr_sources == BLOCK_MAX_EVENT)
		w->err = -EINVAL;
	else
		w->err = add_source(w, desc);
	if (!w->err) {
		w->sources[w->nr_sources - 1]->name = fixed_text(w, desc->name);
		whole = find_whole(w, desc);
	}
	for (uint32_t f = 0; !w->err && f < desc->nr_fields; f++) {
		const struct field_desc *field = &desc->fields[f];
		const uint64_t cells[] = {
			[EVENT_ID - 1] = w->nr_sources,
			[EVENT_NAME - 1] = fixed_text(w, desc->name),
			[EVENT_FIELD - 1] = f + 1,
			[EVENT_FIELD_NAME - 1] = fixed_text(w, field->name),
			[EVENT_FIELD_TYPE - 1] = field->type,
			[EVENT_FIELD_ROLE - 1] = field->role,
			[EVENT_FIELD_UNIT - 1] = fixed_text(w, field->unit),
			[EVENT_FIELD_HINT - 1] = field->hint,
			[EVENT_FIELD_CLASS - 1] = field->class,
			[EVENT_FORMAT - 1] = fixed_text(w, desc->format),
			[EVENT_FIELD_VALUES - 1] = fixed_text(w, field->values),
			[EVENT_PART_OF - 1] = whole,
			[EVENT_PART_IF - 1] = whole ? fixed_text(w, desc->part_if) : 0,
			[EVENT_FIELD_FROM - 1] = whole ? fixed_text(w, desc->part_from[f]) : 0,
		};

		writer_block_add_row(w, ROWS_EVENTS, cells);
	}
	return w->err ? 0 : (uint32_t)w->nr_sources;
}

/* --- records ------------------------------------------------------------------------ */

/* Where the next record of the event goes, or NULL. */
static struct writer_batch *waiting_batch(struct writer *w, uint32_t event)
{
	struct writer_source *s;

	if (w->err || !event || event > w->nr_sources)
		return NULL;
	s = w->sources[event - 1];
	if (s->batch)
		return s->batch;
	if (w->worker)
		s->batch = writer_worker_spare(w->worker, s);
	if (!s->batch)
		s->batch = writer_batch_new(s);
	if (!s->batch)
		writer_block_fail(w, -ENOMEM);
	return s->batch;
}

static uint64_t add_text(struct writer_batch *b, const void *bytes, size_t len_bytes)
{
	size_t offset = b->texts.len;

	if (len_bytes > WRITER_MAX_INLINE_BYTES)
		len_bytes = WRITER_MAX_INLINE_BYTES;
	bytebuf_put(&b->texts, bytes, len_bytes);
	return b->texts.err || !len_bytes ? 0 : offset << WRITER_TEXT_SHIFT | len_bytes;
}

uint64_t writer_bytes(struct writer *w, uint32_t event, const void *bytes, size_t len_bytes)
{
	struct writer_batch *b = waiting_batch(w, event);
	uint64_t text = b ? add_text(b, bytes, len_bytes) : 0;

	return text ? text | TEXT_MARK : 0;
}

/* What a caller gives for a FIELD_BYTES, as a place in the texts of the batch. */
static uint64_t place_text(struct writer *w, struct writer_batch *b, uint64_t value)
{
	const struct intern_string *s;
	uint64_t text = value & ~TEXT_MARK;

	if (text != value)
		return (text >> WRITER_TEXT_SHIFT) + (text & TEXT_LENGTH_MASK) <= b->texts.len ?
		       text : 0;
	s = intern_string_at(&w->strings, value);
	return s ? add_text(b, s->text, s->len_bytes) : 0;
}

/* A full block's worth.  Other events may hold earlier records: nothing new is promised. */
static void flush_batch(struct writer *w, struct writer_source *s)
{
	if (!w->worker || writer_worker_room(w->worker, writer_batch_bytes(s->batch)))
		writer_dict_flush(w, s->event, s->event);
	writer_records_flush(w, s, w->safe_ns);
}

/* The fields that are texts, of the row that is added. */
static void place_texts(struct writer *w, struct writer_batch *b, const uint64_t *values,
			uint64_t *row)
{
	const struct writer_source *s = b->source;

	for (uint32_t f = 0; f < s->nr_fields; f++)
		if (s->types[f] == FIELD_BYTES)
			row[f * WRITER_STEP] = place_text(w, b, values[f]);
	writer_block_fail(w, b->texts.err);
}

static void end_row(struct writer *w, struct writer_batch *b)
{
	struct writer_source *s = b->source;

	b->nr++;
	if (b->nr - b->nr_split == b->tile_rows)
		writer_batch_split(b);
	if (b->nr == s->cap || b->texts.len > MAX_WAITING_TEXT_BYTES)
		flush_batch(w, s);
	else if (b->nr == b->cap)
		writer_block_fail(w, writer_batch_grow(b));
}

uint64_t *writer_record_begin(struct writer *w, uint32_t event)
{
	struct writer_batch *b = waiting_batch(w, event);

	return b ? writer_batch_next(b) : NULL;
}

void writer_record_end(struct writer *w, uint32_t event)
{
	end_row(w, w->sources[event - 1]->batch);
}

void writer_record(struct writer *w, uint32_t event, const uint64_t *values)
{
	struct writer_batch *b = waiting_batch(w, event);
	uint32_t nr_fields;
	uint64_t *row;

	if (!b)
		return;
	nr_fields = b->source->nr_fields;
	row = writer_batch_next(b);
	for (uint32_t f = 0; f < nr_fields; f++)
		row[f * WRITER_STEP] = values[f];
	if (b->source->has_texts)
		place_texts(w, b, values, row);
	end_row(w, b);
}

size_t writer_pending(const struct writer *w)
{
	size_t nr = 0;

	for (size_t i = 0; i < w->nr_sources; i++)
		nr += w->sources[i]->batch ? w->sources[i]->batch->nr : 0;
	return nr;
}

static bool has_records(const struct writer_source *s)
{
	return s->batch && s->batch->nr;
}

int writer_flush(struct writer *w, uint64_t safe_ns)
{
	size_t last = w->nr_sources;
	/* A worker that is behind gets no more: dictionaries wait, records are refused. */
	bool room = !w->worker || writer_worker_room(w->worker, 0);

	if (safe_ns < w->safe_ns)
		safe_ns = w->safe_ns;
	if (room)
		writer_dict_flush(w, 1, (uint32_t)w->nr_sources);
	while (last && !has_records(w->sources[last - 1]))
		last--;
	/* Only behind the last of the blocks is the promise true. */
	for (size_t i = 1; i <= last; i++)
		writer_records_flush(w, w->sources[i - 1], i == last ? safe_ns : w->safe_ns);
	w->safe_ns = safe_ns;
	if (!room)
		return w->err;
	writer_block_put_rows(w, ROWS_LOSS);
	writer_block_put_rows(w, ROWS_COST);
	if (w->worker)
		writer_block_fail(w, writer_worker_losses(w->worker));
	else
		writer_pack_losses(&w->pack);
	writer_block_fail(w, w->worker ? 0 : w->pack.err);
	return w->err;
}

void writer_get_stats(const struct writer *w, struct writer_stats *stats)
{
	if (w->worker)
		writer_worker_stats(w->worker, stats);
	else
		*stats = w->pack.stats;
	stats->refused_records += w->refused_records;
}

void writer_sync(struct writer *w)
{
	if (w->worker)
		writer_worker_sync(w->worker);
}

void writer_stop_worker(struct writer *w)
{
	writer_worker_stop(w->worker, false);
	w->worker = NULL;
	writer_block_fail(w, w->pack.err);
}

int writer_close(struct writer *w)
{
	int err;

	writer_stop_worker(w);
	writer_flush(w, UINT64_MAX);
	if (!w->err)
		writer_pack_end(&w->pack);
	writer_block_fail(w, w->pack.err);
	err = w->err;
	writer_abandon(w);
	return err;
}
