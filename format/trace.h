/*
 * A trace is an opened file, or a stream, for reading: dictionaries in memory,
 * record blocks one at a time.  On a seekable file the dictionaries are
 * complete from trace_open() on and record blocks can be skipped by time and
 * event; on a pipe they grow as trace_next() passes dictionary blocks.
 *
 * Everything returned is owned by the trace and lives until trace_close(),
 * unless said otherwise.  No thread safety: one trace, one thread.
 *
 * Input is untrusted.  Damaged blocks are skipped and counted; memory is
 * bounded by what the file really holds.  A trace that was cut or damaged
 * still opens; trace_health() says so, and cmd/ exits with 3.
 */
#ifndef FORMAT_TRACE_H
#define FORMAT_TRACE_H

#include "format/diag.h"
#include "format/schema.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trace;

/* Where bytes come from; tests and fuzzers supply memory. */
struct trace_input {
	/* Up to size_bytes from the given offset; 0 at the end, else -errno. */
	int64_t (*read_at)(void *ctx, uint64_t offset, void *to, size_t size_bytes);
	void (*close)(void *ctx);	/* may be NULL */
	void *ctx;
	/*
	 * Length of a seekable input, or TRACE_STREAM: read_at() is then called
	 * with ascending, gapless offsets only.
	 */
	uint64_t size_bytes;
};
#define TRACE_STREAM UINT64_MAX

/* "-" is standard input.  -errno with a sentence in d that names the path. */
int trace_open(struct trace **out, const char *path, struct diag *d);
/* Takes over the input, also on failure. */
int trace_open_input(struct trace **out, const struct trace_input *in,
		     const char *name, struct diag *d);
void trace_close(struct trace *t);

/* --- dictionaries ---------------------------------------------------------- */

struct trace_string {
	const char *text;	/* NUL-terminated, may hold NUL and any byte inside */
	uint32_t len_bytes;
	uint8_t class;
};

struct trace_task {
	uint64_t time_ns, exit_ns;
	uint32_t pid, tid, parent_pid, ns_pid, flags, previous;
	uint32_t comm, cmdline, cgroup;		/* string ids */
	uint32_t uid;				/* or TASK_UID_UNKNOWN */
};

struct trace_module {
	uint32_t kind, pid;
	uint32_t path, build_id;
	uint64_t bias;
};

struct trace_frame {
	uint32_t module;
	uint64_t offset;
};

struct trace_stack {
	uint32_t parent, frame;
};

struct trace_symbol {
	uint64_t start, size_bytes;
	uint32_t name;		/* string id */
};

struct trace_mapping {
	uint64_t time_ns, start, size_bytes, offset;
	uint32_t pid, module, prot;
};

struct trace_loss {
	uint64_t first_ns, last_ns, count;
	uint32_t cpu, event, cause;
};

struct trace_clock {
	uint64_t trace_ns, wall_ns, boot_ns;
};

struct trace_cost {
	uint64_t time_ns, user_ns, system_ns, bytes;
};

struct trace_event {
	uint32_t id;
	const char *name;
	uint32_t nr_fields;
	const struct field_desc *fields;
	const char *format;
	int by_role[ROLE_MAX];	/* field index, or -1 */
	uint32_t part_of;	/* id of the whole, if it is a part, or 0 */
	const char *part_if;	/* see struct event_desc, or NULL */
	const char *const *part_from;	/* by field, or NULL */
	/* In headers or index, of a part those of its whole; 0 on a pipe. */
	uint64_t nr_records;
};

/* Ids from a file may be anything: each of these accepts any id. */
struct trace_string trace_string(const struct trace *t, uint32_t id);	/* "" if none */
const char *trace_text(const struct trace *t, uint32_t id);		/* its text */
const struct trace_task *trace_task(const struct trace *t, uint32_t id);/* or NULL */
const struct trace_module *trace_module(const struct trace *t, uint32_t id);
const struct trace_frame *trace_frame(const struct trace *t, uint32_t id);
/*
 * The trie node, or NULL for 0 and unknown ids.  A node's parent is always a
 * smaller id, so following parents ends.
 */
const struct trace_stack *trace_stack(const struct trace *t, uint32_t id);
/* The symbol that covers the offset, or NULL.  Sorted on first use. */
const struct trace_symbol *trace_symbol(struct trace *t, uint32_t module, uint64_t offset);
/* One past the largest id known so far. */
uint32_t trace_nr_tasks(const struct trace *t);
uint32_t trace_nr_modules(const struct trace *t);
uint32_t trace_nr_frames(const struct trace *t);
uint32_t trace_nr_stacks(const struct trace *t);
uint32_t trace_nr_strings(const struct trace *t);
size_t trace_nr_symbols(const struct trace *t);

size_t trace_nr_events(const struct trace *t);
const struct trace_event *trace_event_at(const struct trace *t, size_t i);
const struct trace_event *trace_event_by_id(const struct trace *t, uint32_t id);
/*
 * Where a part has a number from: a field of the whole, less another one unless that is
 * TRACE_PART_PLAIN.  A difference that would be negative is 0.
 */
struct trace_part_source {
	uint32_t field, minus;
};
#define TRACE_PART_PLAIN UINT32_MAX

/*
 * Understands a part_from for a field of that type, or, if type is 0, a part_if.
 * -EBADMSG: the whole has no such fields, or they are of other types.
 */
int trace_part_source(const struct trace_event *whole, const char *text, uint8_t type,
		      struct trace_part_source *out);
/*
 * The whole of a part all of whose sources can be understood, else NULL: a later
 * description of the whole may have replaced the one that the part was made for.
 */
const struct trace_event *trace_part_whole(const struct trace *t, const struct trace_event *e);
/*
 * An event that is made of others and stands in no file: from now on it is among the
 * trace's.  Texts are copied.  -ENOSPC: there are as many events as there can be.
 */
int trace_add_event(struct trace *t, const struct event_desc *desc,
		    const struct trace_event **out);

const char *trace_host(const struct trace *t, const char *key);	/* or NULL */
size_t trace_nr_host(const struct trace *t);
void trace_host_at(const struct trace *t, size_t i, const char **key, const char **value);
/* Rows in file order; *nr is set.  On a pipe valid until the next trace_next(). */
const struct trace_clock *trace_clocks(const struct trace *t, size_t *nr);
const struct trace_loss *trace_losses(const struct trace *t, size_t *nr);
const struct trace_cost *trace_costs(const struct trace *t, size_t *nr);
/* Mappings are not kept by default: they are many.  Loads them on first use. */
const struct trace_mapping *trace_mappings(struct trace *t, size_t *nr);

/* --- the file --------------------------------------------------------------- */

struct trace_block_stats {
	uint64_t nr_blocks, nr_records, payload_bytes;
};

struct trace_health {
	bool cut;		/* ends without a trailer, or inside a block */
	uint64_t damaged_blocks;	/* skipped: checksum, decoding */
	uint64_t damaged_bytes;	/* skipped while looking for a block */
	uint64_t missing_blocks;	/* holes in the sequence numbers */
	uint64_t missing_records;	/* known from headers of damaged blocks */
};

bool trace_is_stream(const struct trace *t);
uint64_t trace_size_bytes(const struct trace *t);	/* read so far on a pipe */
uint64_t trace_id(const struct trace *t);
/* Complete after the last trace_next(); before, what is known so far. */
void trace_get_health(const struct trace *t, struct trace_health *h);
/* By block type 0..15; 0 holds unknown types. */
const struct trace_block_stats *trace_block_stats(const struct trace *t);
/* First and last time of all records; on a pipe, of those seen so far. */
void trace_time_range(const struct trace *t, uint64_t *first_ns, uint64_t *last_ns);

/* --- records ---------------------------------------------------------------- */

/* Which record blocks are worth reading; whole blocks, not single records. */
struct trace_want {
	uint64_t first_ns, last_ns;	/* inclusive */
	/* NULL: every event.  Asked once a block. */
	bool (*event)(void *ctx, const struct trace_event *e);
	void *ctx;
};

/* Text of a FIELD_BYTES column in memory. */
struct trace_bytes {
	const uint32_t *lens;
	const uint8_t *bytes;
};

/*
 * One record block.  Valid until the next trace_next().  Others may make one of columns
 * in memory, which the functions below then hand out: `columns` has one array for each
 * field, and `texts`, where a field is a FIELD_BYTES, its text.  Or it is a part's, by
 * trace_part_batch().
 */
struct trace_batch {
	const struct trace_event *event;
	size_t nr;
	uint64_t first_ns, last_ns, safe_ns;
	struct trace *trace;
	const uint64_t *const *columns;		/* NULL: a block of the trace */
	const struct trace_bytes *texts;	/* may be NULL if no field is a FIELD_BYTES */
	struct trace_batch *whole;		/* of a part; else NULL */
};

/* 1: a batch; 0: the end; -errno with d set: reading itself failed. */
int trace_next(struct trace *t, const struct trace_want *want,
	       struct trace_batch *batch, struct diag *d);
/*
 * A column by field index, decoded on first use and kept for the life of the
 * batch.  NULL when it is damaged: the caller calls trace_damaged() and goes
 * on with the next batch.
 */
const uint64_t *trace_column(struct trace_batch *batch, uint32_t field);
/* The same for a field that is one number in the whole batch. */
bool trace_column_constant(struct trace_batch *batch, uint32_t field, uint64_t *value);
/* FIELD_BYTES: lengths by row and the bytes one after the other. */
int trace_column_bytes(struct trace_batch *batch, uint32_t field,
		       const uint32_t **lens, const uint8_t **bytes);
/* Counts the batch as damaged and its records as missing. */
void trace_damaged(struct trace_batch *batch);

/*
 * The batch of a part in one of its whole, which is borrowed: the same rows, of which
 * those are the part's whose condition is not 0.  Columns are those of the whole, or
 * computed on first use.  Valid as long as the whole's, and until the next call for the
 * trace.  first_ns and last_ns are wide if the part has times of its own; safe_ns is about
 * the whole's times.  -EBADMSG: it is no part of that.
 */
int trace_part_batch(struct trace_batch *whole, const struct trace_event *e,
		     struct trace_batch *out);
/* The condition by row; *values is NULL if every row is one.  -EBADMSG: damaged. */
int trace_part_condition(struct trace_batch *batch, const uint64_t **values);
/* Differences that would have been negative, in all rows computed so far. */
uint64_t trace_part_negative(const struct trace *t);
/* Starts over with the first record block; -ESPIPE on a pipe. */
int trace_rewind(struct trace *t);

#endif
