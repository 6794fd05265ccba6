#include "record/probedrain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "record/stacktrim.h"
#include "record/tallydrain.h"

/* Columns that every event has; the probe's own follow. */
enum { COLUMN_TIME, COLUMN_CPU, COLUMN_TASK, COLUMN_STACK, NR_COMMON };

/* How the value of a column is found in a record. */
struct column {
	uint8_t result, size, class;
	bool is_signed, is_code;
	uint32_t offset;
};

/* The stacks of a record, or of one side of a span. */
struct stack_place {
	bool kernel, user;
	uint32_t kernel_count_offset, user_count_offset;
};

struct source {
	uint32_t event;			/* id in the file */
	uint32_t first;			/* column of the first field */
	uint32_t nr_columns;		/* of the fields */
	uint32_t nr_start;		/* of them, those of a span's start */
	struct column *columns;
	bool has_stack;
	struct stack_place start_stack, stack;
	uint32_t fixed_bytes;
	struct tallydrain *tally;	/* NULL: records */
};

/* Who ran last, by CPU: nearly every record is of the same thread as the one before. */
struct recent {
	uint32_t pid, tid;
	struct task *task;		/* NULL: none */
};

#define MAX_COLUMNS 64
#define NR_RECENT 64			/* a power of two */

struct probedrain {
	struct probedrain_opts opts;
	struct proberings *rings;
	struct source *sources;
	size_t nr_sources;
	struct recent recent[NR_RECENT];
	struct stacktrim trim;
	struct losses *losses;		/* of records that are not kept */
	bool refuse;
	bool incomplete;		/* the record under way: no id for one of its texts */
	uint64_t nr_records;
	uint64_t values[MAX_COLUMNS];
};

/* --- one record ---------------------------------------------------------------------- */

static uint64_t read_number(const uint8_t *at, uint8_t size, bool is_signed)
{
	uint64_t v8;
	uint32_t v4;
	uint16_t v2;

	switch (size) {
	case 8:
		memcpy(&v8, at, sizeof(v8));
		return v8;
	case 4:
		memcpy(&v4, at, sizeof(v4));
		return is_signed ? (uint64_t)(int32_t)v4 : v4;
	case 2:
		memcpy(&v2, at, sizeof(v2));
		return is_signed ? (uint64_t)(int16_t)v2 : v2;
	default:
		return is_signed ? (uint64_t)(int8_t)*at : *at;
	}
}

static int32_t read_length(const struct probe_record *rec, uint32_t offset)
{
	int32_t n;

	memcpy(&n, rec->data + offset, sizeof(n));
	return n;
}

/*
 * The variable part of a record, piece by piece.  A piece that would leave the record
 * ends it: our own programs write no such thing.
 */
struct pieces {
	const uint8_t *at, *end;
};

static const uint8_t *next_piece(struct pieces *p, int32_t len_bytes)
{
	const uint8_t *piece = p->at;
	size_t padded = ((size_t)len_bytes + 7) & ~(size_t)7;

	if (len_bytes <= 0 || padded > (size_t)(p->end - p->at))
		return NULL;
	p->at += padded;
	return piece;
}

/* Memory that could not be read is no text at all, which is not the same as "". */
static uint64_t take_text(struct probedrain *pd, const struct source *s, const struct column *c,
			  struct pieces *p, int32_t len_bytes)
{
	const uint8_t *text = next_piece(p, len_bytes);
	uint32_t id;

	if (!text)
		return 0;
	if (c->result != RESULT_STRING && c->result != RESULT_COMM)
		return writer_bytes(pd->opts.writer, s->event, text, (size_t)len_bytes);
	id = writer_text(pd->opts.writer, c->class, text,
			 strnlen((const char *)text, (size_t)len_bytes));
	/* A file has ids for 16 million texts. */
	pd->incomplete |= !id;
	return id;
}

static void take_stack(struct probedrain *pd, const struct stack_place *place,
		       const struct probe_record *rec, struct pieces *p,
		       const struct process *process)
{
	struct stacks_raw raw = { (const __u64 *)(const void *)p->at, 0, 0 };
	int frames, skip;

	if (!place->kernel && !place->user)
		return;
	if (place->kernel)
		raw.kernel_frames = read_length(rec, place->kernel_count_offset);
	if (place->user)
		raw.user_frames = read_length(rec, place->user_count_offset);
	frames = (raw.kernel_frames > 0 ? raw.kernel_frames : 0) +
		 (raw.user_frames > 0 ? raw.user_frames : 0);
	if (!next_piece(p, frames * (int32_t)sizeof(*raw.ips)) && frames)
		return;
	skip = stacktrim_count(&pd->trim, raw.ips, raw.kernel_frames);
	raw.ips += skip;
	raw.kernel_frames -= skip;
	pd->values[COLUMN_STACK] = stacks_intern(pd->opts.stacks, process, &raw);
}

static void take_fields(struct probedrain *pd, const struct source *s,
			const struct probe_record *rec, const struct task *task)
{
	struct pieces p = {
		rec->data + s->fixed_bytes, (const uint8_t *)rec + rec->size_bytes,
	};
	uint64_t *to = pd->values + s->first;

	if (s->has_stack)
		pd->values[COLUMN_STACK] = 0;
	for (uint32_t i = 0; i < s->nr_columns; i++) {
		const struct column *c = &s->columns[i];

		if (i == s->nr_start)
			take_stack(pd, &s->start_stack, rec, &p, task->process);
		if (c->result != RESULT_NUMBER) {
			to[i] = take_text(pd, s, c, &p, read_length(rec, c->offset));
			continue;
		}
		to[i] = read_number(rec->data + c->offset, c->size, c->is_signed);
		if (c->is_code)
			to[i] = stacks_frame(pd->opts.stacks, task->process, to[i]);
	}
	if (s->nr_start == s->nr_columns)
		take_stack(pd, &s->start_stack, rec, &p, task->process);
	take_stack(pd, &s->stack, rec, &p, task->process);
}

static struct task *find_task(struct probedrain *pd, uint32_t cpu,
			      const struct probe_record *rec)
{
	struct recent *r = &pd->recent[cpu % NR_RECENT];

	if (!r->task || r->tid != rec->tid || r->pid != rec->pid) {
		r->task = tasks_of_sample(pd->opts.tasks, rec->pid, rec->tid, rec->time_ns);
		r->pid = rec->pid;
		r->tid = rec->tid;
	}
	return r->task;
}

static void on_record(void *ctx, uint32_t cpu, const struct probe_record *rec)
{
	struct probedrain *pd = ctx;
	const struct source *s;
	struct task *task;

	if (rec->probe >= pd->nr_sources || pd->sources[rec->probe].tally)
		return;
	s = &pd->sources[rec->probe];
	task = pd->refuse ? NULL : find_task(pd, cpu, rec);
	pd->incomplete = !task;
	if (task)
		take_fields(pd, s, rec, task);
	if (pd->incomplete) {
		losses_output_probe(pd->losses, cpu, rec->probe);
		return;
	}
	pd->values[COLUMN_TIME] = rec->time_ns;
	pd->values[COLUMN_CPU] = cpu;
	pd->values[COLUMN_TASK] = task->id;
	writer_record(pd->opts.writer, s->event, pd->values);
	pd->nr_records++;
}

/* --- runs ------------------------------------------------------------------------------- */

void probedrain_run(struct probedrain *pd, uint64_t until_ns)
{
	uint32_t nr = proberings_nr_lanes(pd->rings);

	for (uint32_t lane = 0; lane < nr; lane++)
		proberings_take(pd->rings, lane, until_ns, on_record, pd);
}

void probedrain_begin_tallies(struct probedrain *pd, uint64_t now_ns)
{
	for (size_t i = 0; i < pd->nr_sources; i++)
		if (pd->sources[i].tally)
			tallydrain_begin(pd->sources[i].tally, now_ns);
}

/* Where the output is slow they count on, which loses nothing. */
void probedrain_run_tallies(struct probedrain *pd, uint64_t now_ns, bool last)
{
	if (pd->refuse && !last)
		return;
	for (size_t i = 0; i < pd->nr_sources; i++)
		if (pd->sources[i].tally)
			tallydrain_run(pd->sources[i].tally, now_ns, last);
}

bool probedrain_is_done(const struct probedrain *pd)
{
	return proberings_is_empty(pd->rings);
}

void probedrain_forget(struct probedrain *pd)
{
	for (size_t i = 0; i < NR_RECENT; i++)
		pd->recent[i].task = NULL;
}

void probedrain_refuse(struct probedrain *pd, struct losses *losses, bool refuse)
{
	pd->losses = losses;
	pd->refuse = refuse;
}

uint32_t probedrain_event(const struct probedrain *pd, uint32_t probe)
{
	return pd->sources[probe].event;
}

void probedrain_kernel_changed(struct probedrain *pd)
{
	stacktrim_forget(&pd->trim);
}

uint64_t probedrain_records(const struct probedrain *pd)
{
	uint64_t nr = pd->nr_records;

	for (size_t i = 0; i < pd->nr_sources; i++)
		if (pd->sources[i].tally)
			nr += tallydrain_hits(pd->sources[i].tally);
	return nr;
}

/* --- life --------------------------------------------------------------------------------- */

static uint8_t file_type(const struct probe_field *f)
{
	if (f->result == RESULT_STRING || f->result == RESULT_COMM)
		return FIELD_STRING;
	if (f->result != RESULT_NUMBER)
		return FIELD_BYTES;
	return f->is_code ? FIELD_FRAME : f->is_signed ? FIELD_SIGNED : FIELD_UNSIGNED;
}

static void add_column(struct source *s, struct field_desc *fields, const struct probe_field *f)
{
	s->columns[s->nr_columns] = (struct column){
		f->result, f->size, f->class, f->is_signed, f->is_code, f->offset,
	};
	fields[s->first + s->nr_columns++] = (struct field_desc){
		f->name, file_type(f), f->role, f->hint, f->class, f->unit ? f->unit : "",
		f->values,
	};
}

static struct stack_place place_of(const struct probe *p)
{
	return (struct stack_place){
		p->kernel_stack, p->user_stack, p->kernel_count_offset, p->user_count_offset,
	};
}

static void add_duration(struct source *s, struct field_desc *fields)
{
	s->columns[s->nr_columns] = (struct column){
		.result = RESULT_NUMBER, .size = 8, .offset = PROBE_DURATION_OFFSET,
	};
	fields[s->first + s->nr_columns++] = (struct field_desc){
		"duration", FIELD_UNSIGNED, ROLE_DURATION, 0, 0, "ns", NULL,
	};
}

static int announce(struct probedrain *pd, struct source *s, const struct probe *p)
{
	struct field_desc fields[MAX_COLUMNS] = {
		[COLUMN_TIME] = { "time", FIELD_UNSIGNED, ROLE_TIME, 0, 0, "ns", NULL },
		[COLUMN_CPU] = { "cpu", FIELD_UNSIGNED, ROLE_CPU, 0, 0, "", NULL },
		[COLUMN_TASK] = { "task", FIELD_TASK, ROLE_TASK, 0, 0, "", NULL },
		[COLUMN_STACK] = { "stack", FIELD_STACK, ROLE_STACK, 0, 0, "", NULL },
	};
	const struct probe *start = p->span ? p->span->start : NULL;
	struct event_desc desc = {
		.name = p->name, .fields = fields, .format = start ? NULL : p->format,
	};
	size_t nr = p->nr_fields + (start ? start->nr_fields + 1 : 0);

	s->stack = place_of(p);
	if (start)
		s->start_stack = place_of(start);
	s->has_stack = s->stack.kernel || s->stack.user || s->start_stack.kernel ||
		       s->start_stack.user;
	s->fixed_bytes = p->fixed_bytes;
	s->first = s->has_stack ? NR_COMMON : COLUMN_STACK;
	if (s->first + nr > MAX_COLUMNS)
		return -E2BIG;
	s->columns = calloc(nr + 1, sizeof(*s->columns));
	if (!s->columns)
		return -ENOMEM;
	if (start) {
		add_duration(s, fields);
		for (size_t i = 0; i < start->nr_fields; i++)
			add_column(s, fields, &start->fields[i]);
		s->nr_start = s->nr_columns;
	}
	for (size_t i = 0; i < p->nr_fields; i++)
		add_column(s, fields, &p->fields[i]);
	desc.nr_fields = s->first + s->nr_columns;
	s->event = writer_event(pd->opts.writer, &desc);
	return s->event ? 0 : -ENOMEM;
}

static int announce_tally(struct probedrain *pd, struct source *s, const struct probe *p)
{
	const struct tallydrain_opts opts = {
		.probe = p, .writer = pd->opts.writer, .tasks = pd->opts.tasks,
		.stacks = pd->opts.stacks, .trim = &pd->trim,
	};
	int err = tallydrain_open(&s->tally, &opts);

	if (!err)
		s->event = tallydrain_event(s->tally);
	return err;
}

int probedrain_open(struct probedrain **out, const struct probedrain_opts *opts)
{
	const struct probes *probes = probing_probes(opts->probing);
	struct probedrain *pd = calloc(1, sizeof(*pd));
	int err = 0;

	if (!pd)
		return -ENOMEM;
	pd->opts = *opts;
	pd->rings = probing_rings(opts->probing);
	stacktrim_init(&pd->trim, opts->kernel, opts->symbolizer);
	pd->sources = calloc(probes->nr + 1, sizeof(*pd->sources));
	if (!pd->sources)
		err = -ENOMEM;
	else
		pd->nr_sources = probes->nr;
	for (size_t i = 0; i < probes->nr && !err; i++) {
		const struct probe *p = probes->list[i];

		err = p->tally ? announce_tally(pd, &pd->sources[i], p) :
				 announce(pd, &pd->sources[i], p);
	}
	if (err) {
		probedrain_close(pd);
		return err;
	}
	*out = pd;
	return 0;
}

void probedrain_close(struct probedrain *pd)
{
	if (!pd)
		return;
	for (size_t i = 0; i < pd->nr_sources; i++) {
		tallydrain_close(pd->sources[i].tally);
		free(pd->sources[i].columns);
	}
	free(pd->sources);
	free(pd);
}
