#include "format/trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/trace_private.h"

void trace_close(struct trace *t)
{
	if (!t)
		return;
	if (t->source.in.close)
		t->source.in.close(t->source.in.ctx);
	trace_source_release(&t->window);
	trace_dict_release(t);
	table_decoder_free(t->decoder);
	table_links_release(&t->links);
	arena_release(&t->arena);
	for (size_t i = 0; i < TABLE_MAX_COLUMNS; i++) {
		free(t->cells[i].numbers);
		free(t->cells[i].lens);
		free(t->cells[i].bytes);
	}
	trace_part_release(t);
	free(t->blocks);
	free(t->name);
	free(t);
}

/*
 * A damaged file header costs nothing but the trace's id when a block follows
 * where one should.
 */
static bool block_follows(const uint8_t *p, size_t got)
{
	struct block_header h;

	return got == FILE_HEADER_BYTES + BLOCK_HEADER_BYTES &&
	       !block_header_decode(&h, p + FILE_HEADER_BYTES);
}

static int read_file_header(struct trace *t, struct diag *d)
{
	struct file_header h;
	size_t got;
	const uint8_t *p = trace_source_view(&t->source, &t->window, 0, FILE_HEADER_BYTES, &got);
	int err;

	if (!p)
		return diag_set(d, -ENOMEM, "cannot read '%s': out of memory", t->name);
	if (t->source.err)
		return diag_set(d, t->source.err, "cannot read '%s': %s", t->name,
				strerror(-t->source.err));
	if (!got)
		return diag_set(d, -ENODATA, "cannot read '%s': the file is empty", t->name);
	if (got < FILE_HEADER_BYTES) {
		bool begins = !memcmp(p, FILE_MAGIC,
				      got < FILE_MAGIC_BYTES ? got : FILE_MAGIC_BYTES);

		return diag_set(d, begins ? -ENODATA : -EBADMSG,
				begins ? "cannot read '%s': cut within its first %d bytes"
				       : "cannot read '%s': not a kymo trace",
				t->name, FILE_HEADER_BYTES);
	}
	err = file_header_decode(&h, p);
	t->id = err ? 0 : h.trace_id;
	if (err == -EBADMSG)
		return diag_set(d, err, "cannot read '%s': not a kymo trace", t->name);
	if (err == -ENOTSUP)
		return diag_set(d, err,
				"cannot read '%s': written by a newer kymo (format %u, features "
				"%#x); a newer kymo can read it", t->name, h.version, h.incompat);
	if (err) {
		p = trace_source_view(&t->source, &t->window, 0,
				      FILE_HEADER_BYTES + BLOCK_HEADER_BYTES, &got);
		if (!p || !block_follows(p, got))
			return diag_set(d, -EBADMSG, "cannot read '%s': damaged file header",
					t->name);
		t->health.damaged_bytes += FILE_HEADER_BYTES;
	}
	return 0;
}

/* All dictionaries of a file; mappings wait for trace_mappings(). */
static int load_dictionaries(struct trace *t)
{
	int err = 0;

	for (size_t i = 0; i < t->nr_blocks && err != -ENOMEM && !t->source.err; i++) {
		struct trace_block *b = &t->blocks[i];
		const uint8_t *payload;

		if (b->type == BLOCK_RECORDS || b->type == BLOCK_MAPPINGS ||
		    b->type == BLOCK_INDEX)
			continue;
		payload = trace_blocks_payload(t, b, &t->window);
		err = payload ? trace_dict_load(t, b, payload) : 0;
		if (err)
			trace_blocks_damaged(t, b);
	}
	if (t->source.err)
		return t->source.err;
	return err == -ENOMEM ? err : 0;
}

static void count_records(struct trace *t)
{
	for (size_t i = 0; i < t->nr_blocks; i++) {
		const struct trace_block *b = &t->blocks[i];

		const struct trace_event *e = trace_event_by_id(t, b->event);

		if (b->type == BLOCK_RECORDS && e && !e->part_of)
			t->events[b->event]->nr_records += b->nr_records;
	}
	for (size_t i = 0; i < trace_nr_events(t); i++) {
		struct trace_event *e = t->events[trace_event_at(t, i)->id];
		const struct trace_event *whole = e->part_of ? trace_part_whole(t, e) : NULL;

		if (whole)
			e->nr_records = whole->nr_records;
	}
}

static int read_file(struct trace *t, struct diag *d)
{
	int err = trace_blocks_find(t);

	if (!err)
		err = load_dictionaries(t);
	if (err)
		return diag_set(d, err, "cannot read '%s': %s", t->name, strerror(-err));
	count_records(t);
	return 0;
}

int trace_open_input(struct trace **out, const struct trace_input *in,
		     const char *name, struct diag *d)
{
	struct trace *t = calloc(1, sizeof(*t));
	int err;

	*out = NULL;
	if (!t) {
		if (in->close)
			in->close(in->ctx);
		return diag_set(d, -ENOMEM, "cannot open '%s': out of memory", name);
	}
	t->source.in = *in;
	t->stream = in->size_bytes == TRACE_STREAM;
	t->first_ns = UINT64_MAX;
	t->at = FILE_HEADER_BYTES;
	arena_init(&t->arena);
	trace_dict_init(t);
	t->name = strdup(name);
	err = t->name ? table_decoder_new(&t->decoder) : -ENOMEM;
	if (err)
		diag_set(d, err, "cannot open '%s': out of memory", name);
	else
		err = read_file_header(t, d);
	if (!err && !t->stream)
		err = read_file(t, d);
	if (err) {
		trace_close(t);
		return err;
	}
	*out = t;
	return 0;
}

int trace_open(struct trace **out, const char *path, struct diag *d)
{
	struct trace_input in;
	int err;

	*out = NULL;
	err = trace_source_open(&in, path, d);
	if (err)
		return err;
	return trace_open_input(out, &in, strcmp(path, "-") ? path : "standard input", d);
}

const struct trace_mapping *trace_mappings(struct trace *t, size_t *nr)
{
	struct trace_window w = { 0 };	/* the batch keeps its own bytes */

	for (size_t i = 0; !t->mappings_loaded && i < t->nr_blocks; i++) {
		struct trace_block *b = &t->blocks[i];
		const uint8_t *payload;

		if (b->type != BLOCK_MAPPINGS)
			continue;
		payload = trace_blocks_payload(t, b, &w);
		if (payload && trace_dict_load(t, b, payload))
			trace_blocks_damaged(t, b);
	}
	trace_source_release(&w);
	t->mappings_loaded = true;
	*nr = t->mappings.nr;
	return (const void *)t->mappings.v;
}

bool trace_is_stream(const struct trace *t)
{
	return t->stream;
}

uint64_t trace_size_bytes(const struct trace *t)
{
	return t->stream ? t->window.start + t->window.len : t->source.in.size_bytes;
}

uint64_t trace_id(const struct trace *t)
{
	return t->id;
}

void trace_get_health(const struct trace *t, struct trace_health *h)
{
	*h = t->health;
}

const struct trace_block_stats *trace_block_stats(const struct trace *t)
{
	return t->stats;
}

void trace_time_range(const struct trace *t, uint64_t *first_ns, uint64_t *last_ns)
{
	bool any = t->first_ns <= t->last_ns;

	*first_ns = any ? t->first_ns : 0;
	*last_ns = any ? t->last_ns : 0;
}
