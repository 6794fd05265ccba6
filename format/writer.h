/*
 * The writer turns records into blocks and hands them, in file order, to an
 * output that the caller supplies.  It never seeks and never reads back.
 *
 * Records wait in memory until writer_flush() (the caller calls it at least
 * once a second) or until an event has WRITER_BLOCK_RECORDS of them.  A flush
 * writes the dictionary entries that the records need before the records, so
 * every prefix of the output is a valid trace and a reader of a pipe knows
 * every id when it meets it.
 *
 * Ids: strings, frames and stacks are interned here; 0 means none.  Modules
 * and tasks get ids from the caller (from 1, dense); putting an id again
 * overrides the earlier entry.  One thread at a time may use a writer.
 * All calls return 0 or an id; the first error sticks and is returned by
 * writer_flush() and writer_close().
 *
 * A writer may have a thread of its own, which encodes, compresses and puts out
 * the blocks: then none of the calls waits for that, but writer_sync(),
 * writer_stop_worker() and writer_close().
 */
#ifndef FORMAT_WRITER_H
#define FORMAT_WRITER_H

#include "format/schema.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WRITER_BLOCK_RECORDS 16384

/*
 * Takes one whole block (or the file header, or the trailer).  `droppable`
 * says that the bytes are records only: an output that cannot keep up may
 * refuse them with -ENOBUFS, and the writer counts them in
 * writer_stats.refused_records and tells of them as losses: of records with a field
 * of ROLE_COUNT, all that they count.  Any other error is final.
 */
struct writer_output {
	int (*put)(void *ctx, const void *bytes, size_t size_bytes, bool droppable);
	void *ctx;
};

struct writer_task {
	uint32_t id;
	uint64_t time_ns, exit_ns;
	uint32_t pid, tid, parent_pid, ns_pid, flags, previous;
	uint32_t comm, cmdline, cgroup;		/* string ids */
	uint32_t uid;				/* or TASK_UID_UNKNOWN */
};

struct writer_module {
	uint32_t id, kind, pid;
	uint32_t path, build_id;		/* string ids */
	uint64_t bias;
};

struct writer_mapping {
	uint64_t time_ns, start, size_bytes, offset;
	uint32_t pid, module, prot;
};

struct writer_loss {
	uint64_t first_ns, last_ns, count;
	uint32_t cpu, event, cause;
};

struct writer_cost {
	uint64_t time_ns, user_ns, system_ns;
};

struct writer_stats {
	uint64_t bytes, blocks, records, refused_records;
};

struct writer;

/*
 * trace_id 0: a random one.  zstd_level 0: one that suits traces; it costs 0.6 us
 * a sample more than level 3 and saves 4 % of the file.  Writes the file header
 * at once.
 */
int writer_open(struct writer **out, const struct writer_output *output,
		uint64_t trace_id, int zstd_level);

/*
 * From now on the output is called by a thread of the writer's, in which all
 * signals are blocked, and errors and statistics come a little later.  Blocks of
 * records that would have more than limit_bytes wait for it are refused: they
 * count as if the output had.
 */
int writer_start_worker(struct writer *w, size_t limit_bytes);
/* Waits until that thread has put out all that was flushed.  Statistics are exact then. */
void writer_sync(struct writer *w);
/* The same, and ends the thread: the rest is done by the caller's, and refused no more. */
void writer_stop_worker(struct writer *w);

/*
 * A longer text than 1 MiB is cut.  An empty one is 0, as is none at all; where these
 * are not the same, writer_text() gives the empty one an id of its own.
 */
uint32_t writer_text(struct writer *w, enum privacy_class class,
		     const void *text, size_t len_bytes);
uint32_t writer_string(struct writer *w, enum privacy_class class,
		       const void *text, size_t len_bytes);
uint32_t writer_frame(struct writer *w, uint32_t module, uint64_t offset);
uint32_t writer_stack(struct writer *w, uint32_t parent, uint32_t frame);
void writer_module(struct writer *w, const struct writer_module *m);
void writer_task(struct writer *w, const struct writer_task *t);
void writer_mapping(struct writer *w, const struct writer_mapping *m);
void writer_symbol(struct writer *w, uint32_t module, uint64_t start,
		   uint64_t size_bytes, uint32_t name);
void writer_host(struct writer *w, const char *key, enum privacy_class class,
		 const char *value);
void writer_clock(struct writer *w, uint64_t trace_ns, uint64_t wall_ns, uint64_t boot_ns);
void writer_loss(struct writer *w, const struct writer_loss *l);
void writer_cost(struct writer *w, const struct writer_cost *c);

/*
 * Announces an event; the id (from 1) is for writer_record().  A part of another one
 * comes after it (-EINVAL), and has no records.
 */
uint32_t writer_event(struct writer *w, const struct event_desc *desc);
/*
 * values[i] belongs to field i.  Records of one event may come slightly out of
 * order in time; a block is sorted by CPU, then time.  FIELD_BYTES fields are
 * given as writer_bytes() or as string ids, and stored as their text.
 */
void writer_record(struct writer *w, uint32_t event, const uint64_t *values);
/*
 * The same for events without FIELD_BYTES, for somebody who writes values where they are to
 * be: that of field i belongs to [i * WRITER_STEP], and all have to be written before
 * writer_record_end(); nothing else is done with the writer in between.  NULL: it failed.
 */
#define WRITER_STEP 64
uint64_t *writer_record_begin(struct writer *w, uint32_t event);
void writer_record_end(struct writer *w, uint32_t event);
/*
 * The value of a FIELD_BYTES field for the next writer_record() of that event,
 * for bytes that are not worth a place among the strings.  16 KiB are kept.
 */
uint64_t writer_bytes(struct writer *w, uint32_t event, const void *bytes, size_t len_bytes);
/* Records waiting in memory, of all events. */
size_t writer_pending(const struct writer *w);

/*
 * Writes out everything that waits.  safe_ns promises that no record given
 * from now on is earlier than that; readers that print in time order wait for
 * nothing beyond it.
 */
int writer_flush(struct writer *w, uint64_t safe_ns);
void writer_get_stats(const struct writer *w, struct writer_stats *stats);
/* Flushes, writes index and trailer, frees.  Returns the first error of all. */
int writer_close(struct writer *w);
/* Frees without writing anything more.  Waits for a put() that is under way. */
void writer_abandon(struct writer *w);

#endif
