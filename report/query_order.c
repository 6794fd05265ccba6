#include "report/query_order.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * A larger block is refused: a few bytes of a hostile file can claim that many
 * constants.  The largest block that a writer makes has a quarter of it.
 */
#define MAX_VALUES ((size_t)16 << 20)

/* A block's records that passed, row by row, so that a record is one pointer. */
struct block {
	const struct trace_event *event;
	size_t nr_runs;			/* still in the heap */
	size_t nr_values, width;
	size_t key;			/* the value that gives the order */
	int time, cpu, task, stack;	/* field of the role, or -1 */
	uint8_t *bytes;			/* of the FIELD_BYTES, each behind the one before */
	size_t nr_bytes;
	uint64_t values[];
};

/* Records of one block with ascending times. */
struct run {
	uint64_t time_ns;		/* of the record at `at`: its key */
	const uint64_t *at, *end;
	uint64_t seq;			/* of equal times, the earlier run goes first */
	struct block *block;
};

struct query_order {
	query_record_fn fn;
	void *ctx;
	struct run *heap;
	size_t nr, cap;
	uint64_t next_seq;
	size_t waiting_values;
};

int query_order_new(struct query_order **out, query_record_fn fn, void *ctx)
{
	struct query_order *o = calloc(1, sizeof(*o));

	if (!o)
		return -ENOMEM;
	o->fn = fn;
	o->ctx = ctx;
	*out = o;
	return 0;
}

/* Bytes count, too: what waits is bounded in memory. */
static size_t waiting(const struct block *block)
{
	return block->nr_values + block->nr_bytes / sizeof(*block->values);
}

static void free_block(struct block *block)
{
	free(block->bytes);
	free(block);
}

static void drop_run(struct query_order *o, struct block *block)
{
	if (--block->nr_runs)
		return;
	o->waiting_values -= waiting(block);
	free_block(block);
}

void query_order_free(struct query_order *o)
{
	if (!o)
		return;
	for (size_t i = 0; i < o->nr; i++)
		drop_run(o, o->heap[i].block);
	free(o->heap);
	free(o);
}

/* --- the heap ---------------------------------------------------------------- */

static inline bool before(const struct run *a, const struct run *b)
{
	return a->time_ns < b->time_ns || (a->time_ns == b->time_ns && a->seq < b->seq);
}

static void sift_down(struct query_order *o, struct run run)
{
	size_t at = 0, child;

	while ((child = 2 * at + 1) < o->nr) {
		if (child + 1 < o->nr && before(&o->heap[child + 1], &o->heap[child]))
			child++;
		if (!before(&o->heap[child], &run))
			break;
		o->heap[at] = o->heap[child];
		at = child;
	}
	o->heap[at] = run;
}

static int push(struct query_order *o, const struct run *run)
{
	size_t at = o->nr;

	if (o->nr == o->cap) {
		size_t cap = o->cap ? o->cap * 2 : 64;
		struct run *heap = realloc(o->heap, cap * sizeof(*heap));

		if (!heap)
			return -ENOMEM;
		o->heap = heap;
		o->cap = cap;
	}
	o->nr++;
	for (; at && before(run, &o->heap[(at - 1) / 2]); at = (at - 1) / 2)
		o->heap[at] = o->heap[(at - 1) / 2];
	o->heap[at] = *run;
	return 0;
}

/* The earliest start of the other runs: until then the first one goes alone. */
static const struct run *second(const struct query_order *o)
{
	if (o->nr < 2)
		return NULL;
	return o->nr > 2 && before(&o->heap[2], &o->heap[1]) ? &o->heap[2] : &o->heap[1];
}

static inline uint32_t role(const uint64_t *values, int field)
{
	return field < 0 ? 0 : (uint32_t)values[field];
}

/*
 * Hands out the records of the first run that come before all others and
 * before limit_ns (if there is a limit).
 */
static int give_run(struct query_order *o, bool limited, uint64_t limit_ns)
{
	struct run run = o->heap[0];
	const struct run *next = second(o);
	const struct block *b = run.block;
	struct query_record r = { .event = b->event, .bytes = b->bytes };
	int err = 0;

	while (!err) {
		r.time_ns = run.at[b->time];
		r.cpu = role(run.at, b->cpu);
		r.task = role(run.at, b->task);
		r.stack = role(run.at, b->stack);
		r.values = run.at;
		err = o->fn(o->ctx, &r);
		run.at += b->width;
		if (run.at == run.end)
			break;
		run.time_ns = run.at[b->key];
		if ((limited && run.time_ns >= limit_ns) || (next && !before(&run, next)))
			break;
	}
	if (run.at != run.end) {
		sift_down(o, run);
		return err;
	}
	o->nr--;
	if (o->nr)
		sift_down(o, o->heap[o->nr]);
	drop_run(o, run.block);
	return err;
}

static int give_until(struct query_order *o, uint64_t limit_ns)
{
	int err = 0;

	while (!err && o->nr && o->heap[0].time_ns < limit_ns)
		err = give_run(o, true, limit_ns);
	return err;
}

/* --- taking a block in ------------------------------------------------------- */

/* The bytes behind those of other fields; a value is where they are, and how many. */
static int copy_bytes(struct block *block, struct query_batch *b, uint32_t field)
{
	uint64_t *to = block->values + field;
	const uint8_t *from;
	const uint32_t *lens;
	size_t total = 0, at = 0;
	uint8_t *bytes;
	int err = trace_column_bytes(b->batch, field, &lens, &from);

	if (err)
		return err;
	for (size_t i = 0; i < b->nr; i++)
		total += lens[b->rows ? b->rows[i] : i];
	if (block->nr_bytes + total > UINT32_MAX)
		return -EBADMSG;
	bytes = realloc(block->bytes, block->nr_bytes + total + 1);
	if (!bytes)
		return -ENOMEM;
	block->bytes = bytes;
	for (size_t i = 0, row = 0; i < b->nr; i++, to += block->width) {
		size_t wanted = b->rows ? b->rows[i] : i;

		for (; row < wanted; row++)
			at += lens[row];
		*to = (uint64_t)block->nr_bytes << 32 | lens[wanted];
		memcpy(bytes + block->nr_bytes, from + at, lens[wanted]);
		block->nr_bytes += lens[wanted];
	}
	return 0;
}

/* One column of the rows that passed into every width-th value. */
static int copy_column(struct block *block, struct query_batch *b, uint32_t field)
{
	uint64_t *to = block->values + field, constant = 0;
	const uint64_t *from;
	bool same;

	if (b->event->fields[field].type == FIELD_BYTES)
		return copy_bytes(block, b, field);
	same = trace_column_constant(b->batch, field, &constant);
	from = same ? NULL : trace_column(b->batch, field);
	if (!same && !from)
		return -EBADMSG;
	for (size_t i = 0; i < b->nr; i++, to += block->width)
		*to = same ? constant : from[b->rows ? b->rows[i] : i];
	return 0;
}

/* The times of the whole, behind the fields of its part. */
static int copy_key(struct block *block, struct query_batch *b)
{
	struct trace_batch *whole = b->batch->whole;
	const uint64_t *from = trace_column(whole, (uint32_t)whole->event->by_role[ROLE_TIME]);
	uint64_t *to = block->values + block->key;

	if (!from)
		return -EBADMSG;
	for (size_t i = 0; i < b->nr; i++, to += block->width)
		*to = from[b->rows ? b->rows[i] : i];
	return 0;
}

static int copy_block(struct block **out, struct query_batch *b)
{
	const struct trace_event *e = b->event;
	bool is_part = b->batch->whole;
	size_t width = e->nr_fields + is_part;
	struct block *block;
	int err = 0;

	if (!width || e->by_role[ROLE_TIME] < 0 || b->nr > MAX_VALUES / width)
		return -EBADMSG;
	block = malloc(sizeof(*block) + b->nr * width * sizeof(*block->values));
	if (!block)
		return -ENOMEM;
	*block = (struct block) {
		.event = e, .width = width, .nr_values = b->nr * width,
		.time = e->by_role[ROLE_TIME], .cpu = e->by_role[ROLE_CPU],
		.task = e->by_role[ROLE_TASK], .stack = e->by_role[ROLE_STACK],
		.key = is_part ? e->nr_fields : (size_t)e->by_role[ROLE_TIME],
	};
	for (uint32_t field = 0; field < e->nr_fields && !err; field++)
		err = copy_column(block, b, field);
	if (!err && is_part)
		err = copy_key(block, b);
	if (err) {
		free_block(block);
		return err;
	}
	*out = block;
	return 0;
}

static int push_runs(struct query_order *o, struct block *block)
{
	const uint64_t *at = block->values, *end = at + block->nr_values;
	int err = 0;

	block->nr_runs = 1;		/* ours, so that the block stays until we are done */
	o->waiting_values += waiting(block);
	while (at < end && !err) {
		struct run run = {
			.time_ns = at[block->key], .at = at, .seq = o->next_seq++,
			.block = block,
		};
		uint64_t last = run.time_ns;

		for (at += block->width; at < end && at[block->key] >= last; at += block->width)
			last = at[block->key];
		run.end = at;
		err = push(o, &run);
		if (!err)
			block->nr_runs++;
	}
	drop_run(o, block);
	return err;
}

int query_order_add(struct query_order *o, struct query_batch *b)
{
	uint64_t safe_ns = b->batch->safe_ns;
	struct block *block;
	int err = copy_block(&block, b);

	if (err == -EBADMSG) {
		trace_damaged(b->batch);
		return 0;
	}
	if (!err)
		err = push_runs(o, block);
	if (!err)
		err = give_until(o, safe_ns);
	if (o->waiting_values <= QUERY_ORDER_BYTES / sizeof(uint64_t))
		return err;
	while (!err && o->waiting_values > QUERY_ORDER_BYTES / sizeof(uint64_t) / 2)
		err = give_run(o, false, 0);
	return err;
}

int query_order_advance(struct query_order *o, uint64_t safe_ns)
{
	return give_until(o, safe_ns);
}

int query_order_finish(struct query_order *o)
{
	int err = 0;

	while (!err && o->nr)
		err = give_run(o, false, 0);
	return err;
}

/* --- the entry ---------------------------------------------------------------- */

static int add_batch(void *ctx, struct query_batch *b)
{
	return query_order_add(ctx, b);
}

int query_each_record(struct query *q, query_record_fn fn, void *ctx, struct diag *d)
{
	struct query_order *o;
	int err = query_order_new(&o, fn, ctx);

	if (err)
		return diag_set(d, err, "out of memory");
	err = query_each_batch(q, add_batch, o, d);
	if (!err)
		err = query_order_finish(o);
	query_order_free(o);
	return err;
}
