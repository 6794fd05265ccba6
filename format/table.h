/*
 * A table is the payload of every block: nr rows of columns, each column a
 * transform, a layout and its own compressed units, so that a reader unpacks
 * only the columns it looks at.  Numbers are 64 bits wide, modulo 2^64.
 *
 *   payload := varint nr_columns, nr_columns x column
 *   column  := varint id, u8 transform, u8 layout, varint base,
 *              varint first (TRANSFORM_DELTA, TRANSFORM_NEW, TRANSFORM_STEP),
 *              link (TRANSFORM_LINKED only), varint key (TRANSFORM_GROUPED only),
 *              varint data_bytes, data
 *   link    := u8 mode, varint key, varint time, u8 nr_terms, nr_terms x term
 *   term    := u8 place (| 16: subtracted), varint id
 *
 *   TRANSFORM_NONE   x[i] = base + v[i]
 *   TRANSFORM_DELTA  x[0] = first, x[i] = x[i-1] + unzigzag(base) + unzigzag(v[i-1])
 *                    (one v fewer than rows)
 *   TRANSFORM_NEW    with m = first before the first row:
 *                    x = v < 16 ? m + 1 + v : v - 16, then m = x if x > m
 *                    (the next ids that are new cost little; base is 0)
 *
 *   TRANSFORM_GROUPED  x[i] = base + v[place of i], as table_links_places() has them by
 *                    the column `key`
 *
 *   LAYOUT_ZERO      no data; every v is 0 (a constant, or a plain count)
 *   LAYOUT_VARINT    one unit: v as varints
 *   LAYOUT_PLANES    u8 width 1..8, then `width` units: byte k of every v
 *   LAYOUT_RUNS      one unit: varint v, varint run length, repeated
 *   LAYOUT_BYTES     two units: lengths as varints, then the bytes (strings);
 *                    transform must be NONE and base 0
 *   LAYOUT_BUCKETS   u8 sub-bits, then two units: symbols, bits (format/table_buckets.h)
 *
 *   unit := u8 codec, varint raw_bytes, varint stored_bytes (CODEC_ZSTD only), bytes
 *
 * A column that a reader does not know is skipped; one that is not there reads
 * as 0 (or as empty strings) in every row.
 */
#ifndef FORMAT_TABLE_H
#define FORMAT_TABLE_H

#include "format/bytebuf.h"
#include "format/table_links.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum table_transform {
	TRANSFORM_NONE = 0,
	TRANSFORM_DELTA = 1,
	TRANSFORM_NEW = 2,
	TRANSFORM_LINKED = 3,
	TRANSFORM_STEP = 4,
	TRANSFORM_GROUPED = 5,
};

#define TABLE_NEW_STEPS 16	/* of TRANSFORM_NEW */

enum table_layout {
	LAYOUT_ZERO = 0,
	LAYOUT_VARINT = 1,
	LAYOUT_PLANES = 2,
	LAYOUT_RUNS = 3,
	LAYOUT_BYTES = 4,
	LAYOUT_BUCKETS = 5,
};

enum table_codec { CODEC_RAW = 0, CODEC_ZSTD = 1 };

#define TABLE_MAX_COLUMNS 256

/*
 * A prediction is a sum of columns that stand before this one in the table, each at row i
 * itself, at the row before with the same key (format/table_links.h), or at the row that
 * stands behind that one.  A single term may name its own column, at the row before.  If
 * there is no such row the prediction is 0.
 */
enum table_place { PLACE_ROW = 0, PLACE_BEFORE = 1, PLACE_AFTER_BEFORE = 2 };

enum table_link_mode {		/* with w = base + v */
	LINK_ADD = 0,		/* x = p + w */
	LINK_SIGNED = 1,	/* x = p + unzigzag(w) */
	LINK_MATCH = 2,		/* x = p if w is 0, else w - 1 */
};

#define TABLE_LINK_TERMS 4
#define TABLE_LINK_MINUS 16

struct table_link {
	uint8_t mode, nr_terms;		/* 1 to TABLE_LINK_TERMS */
	uint32_t key, time;		/* ids of columns */
	struct table_term {
		uint8_t place;
		bool minus;
		uint32_t id;
	} terms[TABLE_LINK_TERMS];
};

/* --- writing -------------------------------------------------------------- */

/* Says what shape to expect; the encoder may do better, never differently. */
enum table_hint {
	TABLE_PLAIN,		/* small numbers in no order */
	TABLE_ASCENDING,	/* times, offsets: deltas are small */
	TABLE_IDS,		/* dictionary ids: byte planes compress best */
	TABLE_NOISY,		/* measured: their low bits do not compress */
};

struct table_encoder;		/* owns a zstd context and scratch memory */

int table_encoder_new(struct table_encoder **out, int zstd_level);
void table_encoder_free(struct table_encoder *e);
/* Starts a table of nr rows with nr_columns columns, appended to `to`. */
void table_begin(struct table_encoder *e, struct bytebuf *to, size_t nr, size_t nr_columns);
void table_numbers(struct table_encoder *e, uint32_t id, enum table_hint hint,
		   const uint64_t *values);
/* The same for one value in all rows. */
void table_constant(struct table_encoder *e, uint32_t id, uint64_t value);
/*
 * Ids of which those above `known` turn up here for the first time, mostly in
 * ascending order.
 */
void table_new_ids(struct table_encoder *e, uint32_t id, uint64_t known,
		   const uint64_t *values);
/* v as the link's mode has it, with what was seen of it. */
struct table_linked_sums {
	uint64_t all;			/* the bits that any of them has */
	size_t nr_runs;
};

void table_linked(struct table_encoder *e, uint32_t id, enum table_hint hint,
		  const struct table_link *link, const uint64_t *v,
		  const struct table_linked_sums *sums);
/* v is x by places (format/table_links.h), where rows with the same key stand together. */
void table_grouped(struct table_encoder *e, uint32_t id, enum table_hint hint, uint32_t key,
		   const uint64_t *v, const struct table_linked_sums *sums);
/*
 * The same for whoever knows the runs of v without having v: where they begin, in any
 * order, and a run may be in several pieces.  False: they are not so few that runs are the
 * layout of it; nothing was added then.
 */
#define TABLE_FEW_RUNS 256

struct table_run {
	uint64_t value;
	uint32_t place;
};

bool table_grouped_runs(struct table_encoder *e, uint32_t id, uint32_t key,
			struct table_run *runs, size_t nr_runs);
void table_strings(struct table_encoder *e, uint32_t id,
		   const uint32_t *len_bytes, const void *bytes);
/* 0, or the first error of any call since table_begin(). */
int table_end(struct table_encoder *e);

/* --- reading -------------------------------------------------------------- */

struct table_column {
	uint32_t id;
	uint8_t transform, layout;
	uint64_t base, first;
	const uint8_t *data;	/* borrowed from the payload */
	size_t data_bytes;
	struct table_link link;	/* TRANSFORM_LINKED; of TRANSFORM_GROUPED the key */
};

struct table {
	size_t nr, nr_columns;
	struct table_column columns[TABLE_MAX_COLUMNS];
};

struct table_decoder;		/* owns a zstd context and scratch memory */

int table_decoder_new(struct table_decoder **out);
void table_decoder_free(struct table_decoder *d);
/*
 * Parses the column headers.  `payload` must live as long as `t` is used.
 * 0, or -EBADMSG; nothing is decompressed yet.
 */
int table_parse(struct table *t, const void *payload, size_t payload_bytes, size_t nr);
/* The column of that id, or NULL. */
const struct table_column *table_find(const struct table *t, uint32_t id);
/* out[0..nr): zeros when c is NULL.  0, -EBADMSG or -ENOMEM. */
int table_read_numbers(struct table_decoder *d, const struct table *t,
		       const struct table_column *c, uint64_t *out);
/*
 * The same for someone who keeps columns: `column` gives the numbers of another column of
 * the table, NULL: there are none, or they are damaged.  `links` is empty at the first
 * column of a table.
 */
struct table_context {
	const uint64_t *(*column)(void *ctx, const struct table_column *c);
	void *ctx;
	struct table_links *links;
};

int table_read_in_context(struct table_decoder *d, const struct table *t,
			  const struct table_column *c, struct table_context *context,
			  uint64_t *out);
/* If the column is one number in every row, that number, without decoding. */
bool table_is_constant(const struct table *t, const struct table_column *c, uint64_t *value);
/*
 * lens[0..nr) and the concatenated bytes, borrowed from the decoder until its
 * next call.  Zero lengths when c is NULL.
 */
int table_read_strings(struct table_decoder *d, const struct table *t,
		       const struct table_column *c, uint32_t *lens,
		       const uint8_t **bytes, size_t *total_bytes);

#endif
