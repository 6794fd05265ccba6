/*
 * What the files of the writer share.  Nobody else includes this.
 */
#ifndef FORMAT_WRITER_PRIVATE_H
#define FORMAT_WRITER_PRIVATE_H

#include "format/block.h"
#include "format/bytebuf.h"
#include "format/intern.h"
#include "format/table.h"
#include "format/writer.h"

#include <stddef.h>
#include <stdint.h>

#define WRITER_MAX_FIELDS (TABLE_MAX_COLUMNS - 1)
#define WRITER_MAX_EVENT_ROWS 32768		/* that wait */
#define WRITER_MAX_STRING_BYTES (1u << 20)	/* longer ones are cut */
#define WRITER_MAX_INLINE_BYTES (16u << 10)	/* of a FIELD_BYTES */

/* Rows of numbers that wait for a block: cell (i, c) is v[i * nr_columns + c]. */
struct writer_rows {
	uint64_t *v;
	size_t nr, cap;
};

/* The block types that consist of waiting rows, in the order of a flush. */
enum writer_rows_kind {
	ROWS_HOST,
	ROWS_CLOCK,
	ROWS_MODULES,
	ROWS_TASKS,
	ROWS_MAPPINGS,
	ROWS_SYMBOLS,
	ROWS_EVENTS,
	ROWS_LOSS,
	ROWS_COST,
	ROWS_INDEX,
	ROWS_MAX,
};

struct writer_source {			/* one event */
	uint32_t nr_fields, time_field, cpu_field;	/* cpu_field may be nr_fields: none */
	uint8_t *types, *roles;
	uint64_t *rows;
	size_t nr, cap;
	size_t text_bytes;		/* of the FIELD_BYTES that wait */
	struct writer_key *sorted;	/* by writer_records_order() */
	uint32_t known_stack, known_frame;	/* largest ids in use before its records */
};

struct writer_key {
	uint64_t cpu, time;
	uint32_t row;
};

/*
 * Ids in the file of what has an id in memory.  They are given out in the order
 * in which the records, as they are written, use them first: so a record's
 * stack is often simply the next one, which packs well.
 */
struct writer_numbers {
	uint32_t *to_file;		/* by id in memory; 0: not written yet */
	uint32_t cap;
	uint32_t *order;		/* ids in memory that wait, in file order */
	size_t nr_order, cap_order;
	uint32_t last;			/* id in the file given out last */
	uint32_t seen;			/* ids in memory below this have one */
};

struct writer {
	struct writer_output output;
	int err;
	struct writer_stats stats;
	uint32_t seq;
	uint64_t safe_ns;

	struct table_encoder *encoder;
	struct bytebuf block;
	uint64_t *column;		/* scratch of column_cap numbers */
	size_t column_cap;

	struct writer_rows rows[ROWS_MAX];
	struct intern_strings strings;
	struct intern_pairs frames, stacks;
	uint32_t strings_written;		/* one past the last */
	struct writer_numbers frame_numbers, stack_numbers;
	uint32_t *chain;			/* a stack on its way to be numbered */
	size_t cap_chain;

	struct writer_source *sources;	/* event id is index + 1 */
	size_t nr_sources;
	struct writer_key *keys;
	size_t keys_cap;
	uint32_t *lens;
	struct bytebuf texts;
};

/* --- writer_block.c ---------------------------------------------------------- */

/* A block of nr rows begins; its columns go to w->encoder. */
void writer_block_begin(struct writer *w, size_t nr, size_t nr_columns);
/* Completes type, payload and checksums, and hands the block out. */
void writer_block_end(struct writer *w, struct block_header *h);
/* Scratch for a column of nr numbers, or NULL with w->err set. */
uint64_t *writer_block_column(struct writer *w, size_t nr);
/* One waiting row; nr_columns numbers follow from the kind. */
void writer_block_add_row(struct writer *w, enum writer_rows_kind kind, const uint64_t *cells);
/* Writes and forgets what waits of that kind, in as many blocks as needed. */
void writer_block_put_rows(struct writer *w, enum writer_rows_kind kind);
void writer_block_trailer(struct writer *w, uint64_t index_offset);

/* --- writer_dict.c ----------------------------------------------------------- */

/* Everything that records may refer to, those of events first..last above all. */
void writer_dict_flush(struct writer *w, uint32_t first, uint32_t last);

/* --- writer_numbers.c -------------------------------------------------------- */

/* Numbers for a stack and all that it consists of, if it has none yet. */
void writer_numbers_stack(struct writer *w, uint64_t id);
void writer_numbers_frame(struct writer *w, uint64_t id);
/* The same for everything that is left. */
void writer_numbers_rest(struct writer *w);
/* The id in the file; 0 for what has none. */
uint32_t writer_numbers_file(const struct writer_numbers *n, uint64_t id);
void writer_numbers_release(struct writer_numbers *n);

/* --- writer_records.c -------------------------------------------------------- */

/* Puts the waiting records of an event in order, and numbers their stacks. */
void writer_records_order(struct writer *w, uint32_t event);
/* One block with the waiting records of an event, which are in order. */
void writer_records_flush(struct writer *w, uint32_t event, uint64_t safe_ns);

#endif
