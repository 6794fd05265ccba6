#include "report/query_spans_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- keys ------------------------------------------------------------------------------- */

/* FNV-1a; 0 is left to what is not known yet. */
static uint64_t hash_text(struct trace_string s)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (uint32_t i = 0; i < s.len_bytes; i++)
		h = (h ^ (uint8_t)s.text[i]) * UINT64_C(0x100000001b3);
	return h ? h : 1;
}

/*
 * Equal texts may have several ids, of several classes, so a hash stands for the text: 64
 * bits, which no two texts share that were not made to.
 */
static int text_key(struct query_spans *q, uint32_t id, uint64_t *key)
{
	struct span_texts *t = &q->texts;

	if (id >= t->nr) {
		uint32_t nr = trace_nr_strings(q->trace);
		uint64_t *grown;

		if (id >= nr) {
			*key = hash_text(trace_string(q->trace, id));
			return 0;
		}
		nr += nr / 2;
		grown = realloc(t->hashes, nr * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		memset(grown + t->nr, 0, (nr - t->nr) * sizeof(*grown));
		t->hashes = grown;
		t->nr = nr;
	}
	if (!t->hashes[id])
		t->hashes[id] = hash_text(trace_string(q->trace, id));
	*key = t->hashes[id];
	return 0;
}

static int task_key(struct query_spans *q, enum span_key_kind kind, uint32_t id, uint64_t *key)
{
	const struct trace_task *task = trace_task(q->trace, id);

	/* Unknown tasks are at least not mixed up. */
	if (!task) {
		*key = UINT64_MAX - id;
		return 0;
	}
	switch (kind) {
	case KEY_PID:
		*key = task->pid;
		return 0;
	case KEY_UID:
		*key = task->uid;
		return 0;
	case KEY_COMM:
		return text_key(q, task->comm, key);
	case KEY_CGROUP:
		return text_key(q, task->cgroup, key);
	default:
		*key = task->tid;
		return 0;
	}
}

/* -1 of 32 bits is 0xffffffff to those who know no sign. */
static uint64_t cut(uint64_t v)
{
	return v >> 31 == UINT64_MAX >> 31 ? (uint32_t)v : v;
}

static int get_key(struct query_spans *q, const struct span_key *k,
		   const struct query_record *r, uint64_t *key)
{
	switch (k->kind) {
	case KEY_NUMBER:
		*key = k->cut ? cut(r->values[k->field]) : r->values[k->field];
		return 0;
	case KEY_TEXT:
		return text_key(q, (uint32_t)r->values[k->field], key);
	case KEY_TASK_TID:
		return task_key(q, KEY_TID, (uint32_t)r->values[k->field], key);
	case KEY_CPU:
		*key = r->cpu;
		return 0;
	case KEY_THREAD:
		task_key(q, KEY_TID, r->task, key);
		if (!*key)
			*key = UINT64_C(1) << 32 | r->cpu;
		return 0;
	default:
		return task_key(q, k->kind, r->task, key);
	}
}

static int get_keys(struct span *s, enum query_spanspec_end side, const struct query_record *r,
		    uint64_t *keys)
{
	int err = 0;

	for (size_t i = 0; i < s->nr_keys && !err; i++)
		err = get_key(s->spans, &s->sides[side].keys[i], r, &keys[i]);
	return err;
}

/* --- conditions ---------------------------------------------------------------------------- */

/* The record as a block of one row; conditions cannot ask for bytes. */
static int ask(struct span *s, enum query_spanspec_end side, const struct query_record *r,
	       bool *holds)
{
	struct query_expr *condition = s->sides[side].condition;
	struct query_spans *q = s->spans;
	struct trace_batch b = {
		.event = r->event, .nr = 1, .first_ns = r->time_ns, .last_ns = r->time_ns,
		.trace = q->trace, .columns = q->columns,
	};
	uint32_t row;
	struct query_expr_rows rows = { .rows = &row, .all = true, .nr = 1 };
	int err;

	*holds = true;
	if (!condition)
		return 0;
	for (uint32_t i = 0; i < r->event->nr_fields; i++)
		q->columns[i] = &r->values[i];
	err = query_expr_sieve(condition, &b, q->range.start_ns, &rows);
	*holds = rows.nr;
	return err;
}

/* --- starts --------------------------------------------------------------------------------- */

/* Of a FIELD_BYTES, as query_record has it. */
static uint32_t length(uint64_t value)
{
	return (uint32_t)value;
}

static const uint8_t *at(const uint8_t *bytes, uint64_t value)
{
	return bytes + (value >> 32);
}

int query_spanrows_start(struct span *s, const struct query_record *r)
{
	const struct span_side *side = &s->sides[QUERY_SPANSPEC_START];
	struct query_spans *q = s->spans;
	uint64_t keys[QUERY_SPANSPEC_MAX_KEYS];
	struct query_pair_start start = {
		.time_ns = r->time_ns, .cpu = r->cpu, .task = r->task, .stack = r->stack,
		.values = q->values,
	};
	bool holds;
	int err = ask(s, QUERY_SPANSPEC_START, r, &holds);

	if (err || !holds)
		return err;
	err = get_keys(s, QUERY_SPANSPEC_START, r, keys);
	bytebuf_clear(&q->scratch);
	for (size_t i = 0; i < side->nr_copies && !err; i++) {
		uint64_t v = r->values[side->copies[i].from];

		if (side->copies[i].is_bytes) {
			uint64_t offset = q->scratch.len;

			bytebuf_put(&q->scratch, at(r->bytes, v), length(v));
			v = offset << 32 | length(v);
		}
		q->values[i] = v;
	}
	if (err || q->scratch.err)
		return -ENOMEM;
	start.bytes = q->scratch.data;
	start.nr_bytes = (uint32_t)q->scratch.len;
	if (query_pair_start(s->pair, keys, &start))
		q->counts.lost++;
	return 0;
}

/* --- rows ------------------------------------------------------------------------------------ */

static int make_rows(struct span *s)
{
	uint32_t nr = s->event->nr_fields;
	struct span_rows *rows = &s->rows;

	rows->columns = calloc(nr, sizeof(*rows->columns));
	rows->lens = calloc(nr, sizeof(*rows->lens));
	rows->bytes = calloc(nr, sizeof(*rows->bytes));
	rows->texts = calloc(nr, sizeof(*rows->texts));
	if (!rows->columns || !rows->lens || !rows->bytes || !rows->texts)
		return -ENOMEM;
	for (uint32_t i = 0; i < nr; i++)
		bytebuf_init(&rows->bytes[i]);
	for (uint32_t i = 0; i < nr; i++) {
		void *column;

		if (s->event->fields[i].type != FIELD_BYTES) {
			rows->columns[i] = column = malloc(QUERY_SPANS_ROWS * sizeof(uint64_t));
		} else {
			rows->lens[i] = column = malloc(QUERY_SPANS_ROWS * sizeof(uint32_t));
		}
		if (!column)
			return -ENOMEM;
	}
	return 0;
}

void query_spanrows_release(struct span *s)
{
	struct span_rows *rows = &s->rows;

	for (uint32_t i = 0; s->event && i < s->event->nr_fields; i++) {
		if (rows->columns)
			free(rows->columns[i]);
		if (rows->lens)
			free(rows->lens[i]);
		if (rows->bytes)
			bytebuf_release(&rows->bytes[i]);
	}
	free(rows->columns);
	free(rows->lens);
	free(rows->bytes);
	free(rows->texts);
	memset(rows, 0, sizeof(*rows));
}

static int put(struct span *s, uint32_t column, const struct span_copy *c, uint64_t v,
	       const uint8_t *bytes)
{
	struct span_rows *rows = &s->rows;

	if (!c || !c->is_bytes) {
		rows->columns[column][rows->nr] = v;
		return 0;
	}
	rows->lens[column][rows->nr] = length(v);
	bytebuf_put(&rows->bytes[column], at(bytes, v), length(v));
	rows->text_bytes += length(v);
	return rows->bytes[column].err;
}

static int put_row(struct span *s, const struct query_pair_start *start,
		   const struct query_record *end)
{
	const struct span_side *from = &s->sides[QUERY_SPANSPEC_START];
	const struct span_side *to = &s->sides[QUERY_SPANSPEC_END];
	int err = 0;

	put(s, SPAN_TIME, NULL, end->time_ns, NULL);
	put(s, SPAN_CPU, NULL, end->cpu, NULL);
	put(s, SPAN_TASK, NULL, s->task_side ? end->task : start->task, NULL);
	put(s, SPAN_DURATION, NULL, end->time_ns - start->time_ns, NULL);
	if (s->stack_side >= 0)
		put(s, SPAN_STACK, NULL, s->stack_side ? end->stack : start->stack, NULL);
	for (size_t i = 0; i < from->nr_copies && !err; i++)
		err = put(s, from->copies[i].to, &from->copies[i], start->values[i],
			  start->bytes);
	for (size_t i = 0; i < to->nr_copies && !err; i++)
		err = put(s, to->copies[i].to, &to->copies[i], end->values[to->copies[i].from],
			  end->bytes);
	return err;
}

int query_spanrows_flush(struct span *s, uint64_t safe_ns)
{
	struct span_rows *rows = &s->rows;
	struct trace_batch b = {
		.event = s->event, .nr = rows->nr, .first_ns = rows->first_ns,
		.last_ns = rows->last_ns, .safe_ns = safe_ns, .trace = s->spans->trace,
		.columns = (const uint64_t *const *)rows->columns, .texts = rows->texts,
	};
	int err;

	if (!rows->nr)
		return 0;
	for (uint32_t i = 0; i < s->event->nr_fields; i++)
		rows->texts[i] = (struct trace_bytes){ rows->lens[i], rows->bytes[i].data };
	err = s->spans->emit(s->spans->ctx, &b);
	for (uint32_t i = 0; i < s->event->nr_fields; i++)
		bytebuf_clear(&rows->bytes[i]);
	rows->nr = rows->text_bytes = 0;
	return err;
}

static void count_end(struct span *s, const struct query_record *r)
{
	struct query_spans *q = s->spans;

	q->counts.no_start += r->time_ns >= q->range.first_ns &&
			      r->time_ns <= q->range.last_ns &&
			      query_filter_cpu(q->filter, r->cpu);
}

int query_spanrows_end(struct span *s, const struct query_record *r)
{
	struct query_spans *q = s->spans;
	uint64_t keys[QUERY_SPANSPEC_MAX_KEYS];
	struct span_rows *rows = &s->rows;
	struct query_pair_start start;
	bool holds;
	int err = ask(s, QUERY_SPANSPEC_END, r, &holds);

	if (err || !holds)
		return err;
	err = get_keys(s, QUERY_SPANSPEC_END, r, keys);
	if (!err && !rows->columns)
		err = make_rows(s);
	if (err)
		return err;
	if (!query_pair_end(s->pair, keys, r->time_ns, &start)) {
		count_end(s, r);
		return 0;
	}
	if (r->time_ns < start.time_ns) {
		q->counts.lost++;
		return 0;
	}
	err = put_row(s, &start, r);
	if (err)
		return err;
	if (!rows->nr || r->time_ns < rows->first_ns)
		rows->first_ns = r->time_ns;
	if (!rows->nr || r->time_ns > rows->last_ns)
		rows->last_ns = r->time_ns;
	rows->nr++;
	if (rows->nr == QUERY_SPANS_ROWS || rows->text_bytes > QUERY_SPANS_TEXT_BYTES)
		return query_spanrows_flush(s, 0);
	return 0;
}
