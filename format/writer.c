#include "format/writer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "format/writer_private.h"

/* Of one event; a last record may add as much as all of its strings hold. */
#define MAX_WAITING_TEXT_BYTES (1u << 20)

/* The first level that parses optimally, which is what byte planes gain from. */
#define DEFAULT_ZSTD_LEVEL 13

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
	w->output = *output;
	intern_strings_init(&w->strings);
	intern_pairs_init(&w->frames);
	intern_pairs_init(&w->stacks);
	w->strings_written = w->frame_numbers.seen = w->stack_numbers.seen = 1;
	err = table_encoder_new(&w->encoder, zstd_level ? zstd_level : DEFAULT_ZSTD_LEVEL);
	if (!err) {
		file_header_encode(header, &h);
		err = w->output.put(w->output.ctx, header, sizeof(header), false);
	}
	if (err) {
		writer_abandon(w);
		return err;
	}
	w->stats.bytes = sizeof(header);
	*out = w;
	return 0;
}

void writer_abandon(struct writer *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->nr_sources; i++) {
		free(w->sources[i].types);
		free(w->sources[i].roles);
		free(w->sources[i].rows);
		free(w->sources[i].sorted);
	}
	free(w->sources);
	for (size_t i = 0; i < ROWS_MAX; i++)
		free(w->rows[i].v);
	intern_strings_release(&w->strings);
	intern_pairs_release(&w->frames);
	intern_pairs_release(&w->stacks);
	writer_numbers_release(&w->frame_numbers);
	writer_numbers_release(&w->stack_numbers);
	free(w->chain);
	table_encoder_free(w->encoder);
	bytebuf_release(&w->block);
	bytebuf_release(&w->texts);
	free(w->column);
	free(w->keys);
	free(w->lens);
	free(w);
}

/* The key arrays serve all events, so they suit the longest block. */
static int grow_keys(struct writer *w, size_t cap)
{
	struct writer_key *keys;
	uint32_t *lens;

	if (cap <= w->keys_cap)
		return 0;
	keys = realloc(w->keys, cap * sizeof(*keys));
	if (keys)
		w->keys = keys;
	lens = realloc(w->lens, cap * sizeof(*lens));
	if (lens)
		w->lens = lens;
	if (!keys || !lens)
		return -ENOMEM;
	w->keys_cap = cap;
	return 0;
}

/* A new last element of w->sources, with room for its records. */
static int add_source(struct writer *w, const struct event_desc *desc)
{
	uint32_t nr = desc->nr_fields;
	struct writer_source *s = realloc(w->sources, (w->nr_sources + 1) * sizeof(*s));

	if (!s)
		return -ENOMEM;
	w->sources = s;
	s += w->nr_sources;
	memset(s, 0, sizeof(*s));
	s->nr_fields = s->time_field = s->cpu_field = nr;
	s->cap = BLOCK_MAX_NUMBERS / nr;
	if (s->cap > WRITER_BLOCK_RECORDS)
		s->cap = WRITER_BLOCK_RECORDS;
	s->types = malloc(nr);
	s->roles = malloc(nr);
	s->rows = malloc(s->cap * nr * sizeof(*s->rows));
	s->sorted = malloc(s->cap * sizeof(*s->sorted));
	w->nr_sources++;
	if (!s->types || !s->roles || !s->rows || !s->sorted)
		return -ENOMEM;
	for (uint32_t f = nr; f-- > 0;) {
		s->types[f] = desc->fields[f].type;
		s->roles[f] = desc->fields[f].role;
		if (s->roles[f] == ROLE_TIME)
			s->time_field = f;
		if (s->roles[f] == ROLE_CPU)
			s->cpu_field = f;
	}
	if (s->time_field == nr)
		return -EINVAL;
	return grow_keys(w, s->cap);
}

static uint32_t fixed_text(struct writer *w, const char *text)
{
	return text ? writer_string(w, CLASS_NONE, text, strlen(text)) : 0;
}

uint32_t writer_event(struct writer *w, const struct event_desc *desc)
{
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
		};

		writer_block_add_row(w, ROWS_EVENTS, cells);
	}
	return w->err ? 0 : (uint32_t)w->nr_sources;
}

void writer_record(struct writer *w, uint32_t event, const uint64_t *values)
{
	struct writer_source *s;

	if (w->err || !event || event > w->nr_sources)
		return;
	s = &w->sources[event - 1];
	memcpy(s->rows + s->nr * s->nr_fields, values, s->nr_fields * sizeof(*values));
	s->nr++;
	for (uint32_t f = 0; f < s->nr_fields; f++)
		if (s->types[f] == FIELD_BYTES && values[f] < w->strings.nr && values[f])
			s->text_bytes += w->strings.by_id[values[f]].len_bytes;
	if (s->nr == s->cap || s->text_bytes > MAX_WAITING_TEXT_BYTES) {
		writer_dict_flush(w, event, event);
		/* Other events may hold earlier records: nothing new is promised. */
		writer_records_flush(w, event, w->safe_ns);
	}
}

size_t writer_pending(const struct writer *w)
{
	size_t nr = 0;

	for (size_t i = 0; i < w->nr_sources; i++)
		nr += w->sources[i].nr;
	return nr;
}

int writer_flush(struct writer *w, uint64_t safe_ns)
{
	size_t last = w->nr_sources;

	if (safe_ns < w->safe_ns)
		safe_ns = w->safe_ns;
	writer_dict_flush(w, 1, (uint32_t)w->nr_sources);
	while (last && !w->sources[last - 1].nr)
		last--;
	/* Only behind the last of the blocks is the promise true. */
	for (size_t i = 1; i <= last; i++)
		writer_records_flush(w, (uint32_t)i, i == last ? safe_ns : w->safe_ns);
	w->safe_ns = safe_ns;
	writer_block_put_rows(w, ROWS_LOSS);
	writer_block_put_rows(w, ROWS_COST);
	return w->err;
}

void writer_get_stats(const struct writer *w, struct writer_stats *stats)
{
	*stats = w->stats;
}

int writer_close(struct writer *w)
{
	uint64_t index_offset;
	int err;

	writer_flush(w, UINT64_MAX);
	index_offset = w->stats.bytes;
	writer_block_put_rows(w, ROWS_INDEX);
	writer_block_trailer(w, index_offset);
	err = w->err;
	writer_abandon(w);
	return err;
}
