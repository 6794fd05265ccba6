/*
 * What the files of the reader share.  Nobody else includes this.
 */
#ifndef FORMAT_TRACE_PRIVATE_H
#define FORMAT_TRACE_PRIVATE_H

#include "format/arena.h"
#include "format/block.h"
#include "format/bytebuf.h"
#include "format/table.h"
#include "format/trace.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRACE_BLOCK_TYPES 16	/* for statistics; 0 holds unknown ones */

/* --- trace_source.c ---------------------------------------------------------- */

/* The part of the input that is in memory. */
struct trace_window {
	uint8_t *data;
	size_t len, cap;
	uint64_t start;		/* offset of data[0] */
};

struct trace_source {
	struct trace_input in;
	int err;		/* reading failed; sticks */
	bool ended;		/* a stream: no more bytes come */
};

/*
 * The bytes from offset on, as many of size_bytes as there are (*got), valid
 * until the next call with the same window.  On a stream the offset must not
 * go back.  NULL when out of memory.
 */
const uint8_t *trace_source_view(struct trace_source *s, struct trace_window *w,
				 uint64_t offset, size_t size_bytes, size_t *got);
void trace_source_release(struct trace_window *w);
/* Opens a path, or "-". */
int trace_source_open(struct trace_input *in, const char *path, struct diag *d);

/* --- trace_array.c ----------------------------------------------------------- */

/*
 * Entries by id, in chunks that never move.  Only chunks with an entry in them
 * exist, so an id as such costs nothing.
 */
struct trace_array {
	size_t entry_bytes;
	uint8_t **chunks;
	size_t nr_chunks;
	uint32_t nr;		/* one past the largest id */
	uint64_t nr_rows;	/* that were added, overrides included */
};

/* Rows one after the other. */
struct trace_list {
	size_t entry_bytes;
	uint8_t *v;
	size_t nr, cap;
};

void *trace_array_get(const struct trace_array *a, uint32_t id);	/* or NULL */
/*
 * Makes the entry, zeroed if it is new.  NULL when the id is none or memory is
 * out; what it takes is added to *used_bytes and stays below limit_bytes.
 */
void *trace_array_add(struct trace_array *a, uint64_t id, uint64_t *used_bytes,
		      uint64_t limit_bytes);
void trace_array_release(struct trace_array *a);
/* Room for nr more zeroed rows, of which the first is returned. */
void *trace_list_add(struct trace_list *l, size_t nr, uint64_t *used_bytes,
		     uint64_t limit_bytes);
void trace_list_release(struct trace_list *l);

/* --- the trace ---------------------------------------------------------------- */

struct trace_block {
	uint64_t offset, first_ns, last_ns, safe_ns;
	uint32_t payload_bytes, nr_records, event;
	uint16_t type;
	bool damaged;		/* counted already */
};

struct trace_symbol_row {
	struct trace_symbol symbol;
	uint32_t module;
};

struct trace_host_row {
	uint32_t key, value;
};

/* One entry of the sorted index of symbols. */
struct trace_symbol_key {
	uint64_t start, max_end;	/* max_end: of this and those before, in the module */
	uint32_t module, row;
};

struct trace_cell {		/* one decoded column of the current batch */
	uint64_t *numbers;
	size_t cap;
	uint32_t *lens;
	uint8_t *bytes;
	enum { CELL_EMPTY, CELL_NUMBERS, CELL_BYTES, CELL_DAMAGED } state;
};

/* A column of differences of the current batch of a part. */
struct trace_difference {
	struct trace_part_source source;
	uint64_t *values;
	size_t cap;
	bool is_made;
};

/* The current batch of a part. */
struct trace_part {
	struct trace_part_source sources[TABLE_MAX_COLUMNS];	/* by field */
	struct trace_part_source condition;
	bool has_condition;
	struct trace_difference differences[TABLE_MAX_COLUMNS];
	size_t nr_differences;		/* of this batch */
	uint64_t nr_negative;
};

struct trace {
	char *name;
	struct trace_source source;
	struct trace_window window;
	uint64_t id;
	bool stream;
	struct trace_health health;
	struct trace_block_stats stats[TRACE_BLOCK_TYPES];
	uint64_t first_ns, last_ns;
	uint64_t next_seq;
	bool seen_seq;

	struct table_decoder *decoder;
	struct table_links links;	/* of the block that is a batch now */
	struct arena arena;		/* texts and events */
	uint64_t used_bytes;		/* by all dictionaries */
	uint64_t dictionary_bytes;	/* payloads they came from */
	struct table dict_table;
	uint64_t *scratch[3];		/* columns of dictionary blocks */
	size_t scratch_cap;

	struct trace_array strings, tasks, modules, frames, stacks, symbols;
	struct trace_list clocks, losses, costs, mappings, hosts;
	bool mappings_loaded;
	struct trace_event **events;	/* by id, 0..BLOCK_MAX_EVENT */
	struct trace_list event_ids;	/* uint32_t, in order of appearance */
	struct trace_symbol_key *keys;
	size_t nr_keys;
	uint32_t nr_sorted;		/* symbols.nr when keys was made */

	/* A file: all blocks.  A stream: none. */
	struct trace_block *blocks;
	size_t nr_blocks, cap_blocks, next_block;

	/* A stream. */
	uint64_t at;			/* next byte to look at */
	bool ended, after_index, after_trailer;

	/* The current batch. */
	struct table table;
	struct trace_block *block;	/* NULL on a stream */
	struct trace_block stream_block;
	struct trace_cell cells[TABLE_MAX_COLUMNS];
	size_t cell_numbers;		/* sum of their cap */
	size_t cell_text_bytes;
	struct trace_part part;
};

/* --- trace_blocks.c ----------------------------------------------------------- */

/* Lists the blocks of a file by its index, else by scanning. */
int trace_blocks_find(struct trace *t);
/*
 * The next whole block of a stream, with its payload.  1, 0 at the end, or
 * -errno.
 */
int trace_blocks_stream(struct trace *t, struct trace_block *b, const uint8_t **payload);
/* The payload of a listed block, or NULL (damage is counted). */
const uint8_t *trace_blocks_payload(struct trace *t, struct trace_block *b,
				    struct trace_window *w);
/* Counts a damaged block, once. */
void trace_blocks_damaged(struct trace *t, struct trace_block *b);

/* --- trace_dict.c ------------------------------------------------------------- */

void trace_dict_init(struct trace *t);
void trace_dict_release(struct trace *t);
/* Takes in a dictionary block; -EBADMSG or -ENOMEM.  Other types: 0. */
int trace_dict_load(struct trace *t, const struct trace_block *b, const uint8_t *payload);
/* What dictionaries may use in all. */
uint64_t trace_dict_limit(const struct trace *t);

/* --- trace_events.c ----------------------------------------------------------- */

int trace_events_load(struct trace *t, const struct table *table);

/* --- trace_parts.c ------------------------------------------------------------ */

/* A column of a batch of a part, that is not a FIELD_BYTES; NULL: damaged. */
const uint64_t *trace_part_column(struct trace_batch *batch, uint32_t field);
/* The field of the whole that a field is, or TRACE_PART_PLAIN if it is computed. */
uint32_t trace_part_field(const struct trace_batch *batch, uint32_t field);
void trace_part_release(struct trace *t);

#endif
