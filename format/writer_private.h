/*
 * What the files of the writer share.  Nobody else includes this.
 *
 * A writer has two halves.  struct writer belongs to the caller's thread: it
 * interns, numbers, and collects rows and records.  struct writer_pack makes
 * finished blocks and hands them to the output, in the order in which they are
 * given to it: by the caller's thread, or by the writer's own (writer_worker.c).
 */
#ifndef FORMAT_WRITER_PRIVATE_H
#define FORMAT_WRITER_PRIVATE_H

#include "format/block.h"
#include "format/bytebuf.h"
#include "format/intern.h"
#include "format/table.h"
#include "format/writer.h"

#include <stdbool.h>
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

/* An event.  All but `usual_cap` and the batches stays as writer_event() made it. */
struct writer_source {
	uint32_t event;			/* its id */
	uint32_t name;			/* string id in memory */
	uint32_t nr_fields, time_field;
	uint32_t cpu_field, count_field;	/* may be nr_fields: none */
	uint32_t cap;			/* rows of a block */
	uint32_t usual_cap;		/* rows that a new batch has room for */
	bool has_texts;			/* a FIELD_BYTES */
	uint8_t types[WRITER_MAX_FIELDS], roles[WRITER_MAX_FIELDS];
	uint32_t nr_numbered;
	uint16_t numbered[WRITER_MAX_FIELDS];	/* the fields that are stacks or frames */
	struct writer_batch *batch;	/* what waits, or NULL: nothing yet */
	struct writer_batch *spares;	/* the worker's: batches that are free again */
};

/*
 * Records of one event on their way to a block.  The last ones wait in short columns, few
 * enough to stay in the first cache; those before have been moved on to long ones.  Many a
 * field has one value in a whole block: its long column stays unwritten.  The value of a
 * FIELD_BYTES is offset << WRITER_TEXT_SHIFT | length in `texts`.
 */
struct writer_batch {
	struct writer_source *source;
	struct writer_batch *next;	/* of the spares */
	uint64_t *columns;		/* field f of row i is at f * cap + i, if it varies */
	uint64_t *first;		/* by field: its value in the first row */
	bool *varies;			/* by field */
	uint64_t *tile;			/* rows from nr_split on: (i, f) is at f * WRITER_STEP + i */
	uint32_t nr, cap, nr_split, tile_rows;
	struct bytebuf texts;
	uint64_t safe_ns;
	uint32_t known_stack, known_frame;	/* largest ids in use before these records */
	/* By writer_order_find(): */
	bool is_ordered;
	uint32_t *order;		/* rows by CPU, then time; NULL: as they are */
	uint32_t *order_space;
	uint64_t first_ns, last_ns;
};

/* A field of row i in the order of the block, which has been found. */
static inline uint64_t writer_batch_value(const struct writer_batch *b, size_t i, uint32_t field)
{
	size_t row = b->order ? b->order[i] : i;

	return b->varies[field] ? b->columns[field * (size_t)b->cap + row] : b->first[field];
}

/* Where the first field of the next row goes; the others are WRITER_STEP apart. */
static inline uint64_t *writer_batch_next(const struct writer_batch *b)
{
	return b->tile + (b->nr - b->nr_split);
}

#define WRITER_TEXT_SHIFT 16

/* Scratch of writer_order_find(). */
struct writer_order {
	uint64_t *times;
	uint32_t *cpus, *merged;
	size_t cap;
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

struct writer_pack {
	struct writer_output output;
	int err;			/* the first one sticks */
	struct writer_stats stats;
	uint32_t seq;
	uint64_t safe_ns;		/* of the block before */
	struct table_encoder *encoder;
	struct bytebuf block, texts;
	struct writer_order order;
	uint64_t *columns;		/* of records in order: nr of each field that varies */
	size_t columns_cap;
	uint32_t *lens;
	size_t lens_cap;
	struct writer_rows index, losses;
	struct table_links links;	/* of the records that are encoded now */
	uint64_t *stored;		/* of a column that is linked */
	size_t stored_cap;
};

struct writer_worker;

struct writer {
	int err;
	uint64_t safe_ns;
	uint64_t refused_records;	/* that the worker had no room for */
	struct writer_pack pack;
	struct writer_worker *worker;	/* or NULL */

	struct table_encoder *encoder;
	struct bytebuf block, texts;
	uint64_t *column;		/* scratch of column_cap numbers */
	size_t column_cap;
	struct writer_order order;

	struct writer_rows rows[ROWS_MAX];
	struct intern_strings strings;
	struct intern_pairs frames, stacks;
	uint32_t strings_written;		/* one past the last */
	struct writer_numbers frame_numbers, stack_numbers;
	uint32_t *chain;			/* a stack on its way to be numbered */
	size_t cap_chain;

	struct writer_source **sources;	/* event id is index + 1 */
	size_t nr_sources;
};

/* --- writer_rows.c ----------------------------------------------------------- */

/* Adds a row of the kind's columns; -ENOMEM. */
int writer_rows_add(struct writer_rows *r, enum writer_rows_kind kind, const uint64_t *cells);
uint16_t writer_rows_type(enum writer_rows_kind kind);
/* Rows from `first` on as a table at the end of `to`; returns how many, 0: an error. */
size_t writer_rows_encode(const struct writer_rows *r, enum writer_rows_kind kind, size_t first,
			  struct table_encoder *e, struct bytebuf *to);

/* --- writer_block.c ---------------------------------------------------------- */

/* A block of nr rows begins; its columns go to w->encoder. */
void writer_block_begin(struct writer *w, size_t nr, size_t nr_columns);
/* Hands the block on.  Its type and rows are given. */
void writer_block_end(struct writer *w, uint16_t type, size_t nr);
/* Scratch for a column of nr numbers, or NULL with w->err set. */
uint64_t *writer_block_column(struct writer *w, size_t nr);
/* One waiting row; nr_columns numbers follow from the kind. */
void writer_block_add_row(struct writer *w, enum writer_rows_kind kind, const uint64_t *cells);
/* Writes and forgets what waits of that kind, in as many blocks as needed. */
void writer_block_put_rows(struct writer *w, enum writer_rows_kind kind);
/* Keeps the first error. */
void writer_block_fail(struct writer *w, int err);

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

/* --- writer_batch.c ---------------------------------------------------------- */

/* A batch that grows up to the rows of a block, or NULL. */
struct writer_batch *writer_batch_new(struct writer_source *s);
/* Behind the rows that were added: -ENOMEM when there is no room for more. */
int writer_batch_grow(struct writer_batch *b);
/* Splits the last rows into columns, too. */
void writer_batch_split(struct writer_batch *b);
void writer_batch_free(struct writer_batch *b);
/* Empties it and keeps the memory. */
void writer_batch_clear(struct writer_batch *b);
/* The same records in as little memory as they need, or NULL. */
struct writer_batch *writer_batch_copy(struct writer_batch *b);
size_t writer_batch_bytes(const struct writer_batch *b);
/* Its records as rows of a block of losses, by CPU, added to r.  It is in order. */
int writer_batch_losses(const struct writer_batch *b, struct writer_rows *r);
/* What its records stand for: of a tally, all that they count. */
uint64_t writer_batch_hits(const struct writer_batch *b);

/* --- writer_order.c ---------------------------------------------------------- */

/* Finds the order by CPU, then time; -ENOMEM. */
int writer_order_find(struct writer_batch *b, struct writer_order *o);
void writer_order_release(struct writer_order *o);

/* --- writer_records.c -------------------------------------------------------- */

/* The waiting records of an event: puts them in order, if that takes numbering. */
void writer_records_number(struct writer *w, struct writer_source *s);
/* Hands on the waiting records of an event, if there are any. */
void writer_records_flush(struct writer *w, struct writer_source *s, uint64_t safe_ns);
/* The records as a table at the end of p->block.  They are in order. */
int writer_records_encode(struct writer_pack *p, const struct writer_batch *b);

/* --- writer_linked.c --------------------------------------------------------- */

/* Columns of records that may be predicted from others, of one block. */
struct writer_linked {
	struct writer_pack *p;
	const struct writer_batch *b;
	uint64_t *columns;			/* field f of row i is at f * stride + i */
	size_t stride;
	bool is_filled[WRITER_MAX_FIELDS];	/* it is there although it does not vary */
	uint32_t fields[ROLE_MAX];		/* by role: the field + 1, or 0 */
	bool is_later[WRITER_MAX_FIELDS];
	uint32_t later[ROLE_MAX], nr_later;
};

/* Finds them; p, b and the columns are there. */
void writer_linked_begin(struct writer_linked *l);
/* Puts one of them if that is worth it, else -ENOENT. */
int writer_linked_put(struct writer_linked *l, uint32_t field, enum table_hint hint);

/* --- writer_pack.c ----------------------------------------------------------- */

int writer_pack_open(struct writer_pack *p, const struct writer_output *output, int zstd_level);
void writer_pack_release(struct writer_pack *p);
/* These keep the first error in p->err, and do nothing after it. */
void writer_pack_put(struct writer_pack *p, const void *bytes, size_t size_bytes);
/* A block: BLOCK_HEADER_BYTES to be filled in, then the payload. */
void writer_pack_block(struct writer_pack *p, struct block_header *h, struct bytebuf *b);
void writer_pack_records(struct writer_pack *p, struct writer_batch *b);
/* A block of what the output refused, if it did. */
void writer_pack_losses(struct writer_pack *p);
/* Index and trailer. */
void writer_pack_end(struct writer_pack *p);

/* --- writer_worker.c --------------------------------------------------------- */

int writer_worker_start(struct writer_worker **out, struct writer_pack *p, size_t limit_bytes);
/* Ends the thread: after all that waits, or at once.  Then p is the caller's again. */
void writer_worker_stop(struct writer_worker *k, bool at_once);
/* Whether so many more bytes may wait. */
bool writer_worker_room(struct writer_worker *k, size_t size_bytes);
/* The same calls, in order, on the worker's thread.  The bytes are copied. */
int writer_worker_block(struct writer_worker *k, const struct block_header *h,
			const struct bytebuf *b);
/* Takes the batch over. */
int writer_worker_records(struct writer_worker *k, struct writer_batch *b);
int writer_worker_losses(struct writer_worker *k);
/* A batch of that event that is free again, or NULL. */
struct writer_batch *writer_worker_spare(struct writer_worker *k, struct writer_source *s);
/* As of the last block that is done; returns the first error. */
int writer_worker_stats(struct writer_worker *k, struct writer_stats *stats);
/* Waits until nothing waits. */
void writer_worker_sync(struct writer_worker *k);

#endif
