#include "record/tallydrain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "record/tally.h"

enum { COLUMN_TIME, COLUMN_INTERVAL, COLUMN_STACK };

#define MAX_COLUMNS (TALLY_MAX_FIELDS + 10)
#define NO_COLUMN MAX_COLUMNS

/* How a part of the key becomes the value of a column. */
struct part {
	const struct probe_field *field;
	uint32_t offset, len_bytes;	/* in the key */
	uint32_t column;		/* NO_COLUMN: a stack */
	bool is_user_stack;
};

struct tallydrain {
	struct tallydrain_opts opts;
	struct tally *tally;
	uint32_t event;
	struct part parts[TALLY_MAX_FIELDS];
	int pid_part;			/* whose user stacks and code addresses are, or -1 */
	bool has_stack;
	uint32_t bucket, count, sum, least, most, first;	/* columns */
	uint64_t since_ns, next_ns;	/* the interval began, and is to end */
	uint64_t hits;
	uint64_t values[MAX_COLUMNS];
};

/* --- keys ------------------------------------------------------------------------------ */

static uint64_t number_of(const struct part *p, const uint8_t *key)
{
	uint64_t v;

	memcpy(&v, key + p->offset, sizeof(v));
	return v;
}

static const struct process *process_of(struct tallydrain *td, const uint8_t *key)
{
	/* User addresses of who knows whom have no names. */
	static const struct process nobody;
	struct task *task;
	uint32_t pid;

	if (td->pid_part < 0)
		return &nobody;
	pid = (uint32_t)number_of(&td->parts[td->pid_part], key);
	task = tasks_of_sample(td->opts.tasks, pid, pid, td->values[COLUMN_TIME]);
	return task ? task->process : &nobody;
}

static uint64_t value_of(struct tallydrain *td, const struct part *p, const uint8_t *key)
{
	const struct probe_field *f = p->field;
	const char *text = (const char *)key + p->offset;

	if (f->result == RESULT_BYTES)
		return writer_bytes(td->opts.writer, td->event, text, f->max_bytes);
	if (f->result != RESULT_NUMBER)
		return writer_text(td->opts.writer, f->class, text, strnlen(text, p->len_bytes));
	if (f->is_code)
		return stacks_frame(td->opts.stacks, process_of(td, key), number_of(p, key));
	return number_of(p, key);
}

/* The kernel's frames, if they are in the key, then the user's. */
static uint32_t stack_of(struct tallydrain *td, const uint8_t *key)
{
	__u64 ips[2 * PROBE_MAX_STACK];
	struct stacks_raw raw = { .ips = ips };
	int skip;

	for (int user = 0; user < 2; user++) {
		for (size_t i = 0; i < td->tally->nr_by; i++) {
			const struct part *p = &td->parts[i];
			uint64_t *to = (uint64_t *)ips + raw.kernel_frames;

			if (p->column != NO_COLUMN || p->is_user_stack != user)
				continue;
			if (raw.kernel_frames < 0)
				to = (uint64_t *)ips;
			*(user ? &raw.user_frames : &raw.kernel_frames) =
				tally_stack(td->tally, (int64_t)number_of(p, key), to);
		}
	}
	skip = stacktrim_count(td->opts.trim, raw.ips, raw.kernel_frames);
	raw.ips += skip;
	raw.kernel_frames -= skip;
	return stacks_intern(td->opts.stacks, process_of(td, key), &raw);
}

/* --- rows ------------------------------------------------------------------------------ */

static void on_row(void *ctx, const struct tally_row *row)
{
	struct tallydrain *td = ctx;
	uint64_t *values = td->values;

	for (size_t i = 0; i < td->tally->nr_by; i++) {
		const struct part *p = &td->parts[i];

		/* Bytes stand in each record, not in a dictionary. */
		if (p->column != NO_COLUMN && (row->first || p->field->result == RESULT_BYTES))
			values[p->column] = value_of(td, p, row->key);
	}
	if (row->first && td->has_stack)
		values[COLUMN_STACK] = stack_of(td, row->key);
	values[td->bucket] = (uint64_t)(int64_t)row->bucket;
	values[td->count] = row->count;
	values[td->sum] = row->first ? row->sum : 0;
	values[td->least] = row->first ? row->least : 0;
	values[td->most] = row->first ? row->most : 0;
	values[td->first] = row->first;
	writer_record(td->opts.writer, td->event, values);
	td->hits += row->count;
}

void tallydrain_begin(struct tallydrain *td, uint64_t now_ns)
{
	td->since_ns = now_ns;
	td->next_ns = now_ns + td->tally->every_ns;
}

/* One that is late does not make all that follow later. */
static void begin_next(struct tallydrain *td, uint64_t now_ns)
{
	td->since_ns = now_ns;
	td->next_ns += td->tally->every_ns;
	if (td->next_ns <= now_ns)
		td->next_ns = now_ns + td->tally->every_ns;
}

void tallydrain_run(struct tallydrain *td, uint64_t now_ns, bool last)
{
	if (!last && now_ns < td->next_ns)
		return;
	td->values[COLUMN_TIME] = now_ns;
	td->values[COLUMN_INTERVAL] = now_ns - td->since_ns;
	tally_collect(td->tally, on_row, td);
	begin_next(td, now_ns);
}

uint64_t tallydrain_hits(const struct tallydrain *td)
{
	return td->hits;
}

uint32_t tallydrain_event(const struct tallydrain *td)
{
	return td->event;
}

/* --- life ------------------------------------------------------------------------------ */

static const struct probe_field *field_of(const struct probe *p, const struct tally_field *f)
{
	return f->of_start ? &p->span->start->fields[f->index] : &p->fields[f->index];
}

static uint8_t op_of(const struct probe *p, const struct tally_field *f)
{
	const struct probe *side = f->of_start ? p->span->start : p;

	return side->variants[0].values[f->index].steps[0].op;
}

static uint8_t file_type(const struct probe_field *f)
{
	if (f->result == RESULT_BYTES)
		return FIELD_BYTES;
	if (f->result != RESULT_NUMBER)
		return FIELD_STRING;
	return f->is_code ? FIELD_FRAME : f->is_signed ? FIELD_SIGNED : FIELD_UNSIGNED;
}

static void add_keys(struct tallydrain *td, struct field_desc *fields, uint32_t *nr)
{
	const struct probe *p = td->opts.probe;
	const struct tally *t = td->tally;

	td->pid_part = -1;
	for (size_t i = 0; i < t->nr_by; i++)
		td->has_stack |= field_of(p, &t->by[i])->is_stack;
	if (td->has_stack)
		fields[(*nr)++] = (struct field_desc){
			.name = "stack", .type = FIELD_STACK, .role = ROLE_STACK, .unit = "",
		};
	for (size_t i = 0; i < t->nr_by; i++) {
		const struct probe_field *f = field_of(p, &t->by[i]);
		struct part *part = &td->parts[i];

		*part = (struct part){
			.field = f, .offset = t->by[i].key_offset, .len_bytes = t->by[i].key_bytes,
			.column = NO_COLUMN, .is_user_stack = op_of(p, &t->by[i]) == FETCH_USER_STACK,
		};
		if (f->is_stack)
			continue;
		if (!strcmp(f->source, "pid"))
			td->pid_part = (int)i;
		part->column = (*nr)++;
		fields[part->column] = (struct field_desc){
			.name = f->name, .type = file_type(f), .hint = f->hint, .class = f->class,
			.unit = f->unit ? f->unit : "", .values = f->values,
		};
	}
}

static uint32_t add(struct field_desc *fields, uint32_t *nr, const char *name,
		    enum field_type type, enum field_role role, const char *unit)
{
	fields[*nr] = (struct field_desc){
		.name = name, .type = type, .role = role, .unit = unit ? unit : "",
	};
	return (*nr)++;
}

static void add_counts(struct tallydrain *td, struct field_desc *fields, uint32_t *nr)
{
	const struct tally *t = td->tally;
	const struct probe_field *value = t->measure == TALLY_FIELD ?
					  field_of(td->opts.probe, &t->value) : NULL;
	enum field_type type = value && value->is_signed ? FIELD_SIGNED : FIELD_UNSIGNED;
	const char *unit = value ? value->unit : t->measure == TALLY_DURATION ? "ns" : "";

	td->bucket = td->sum = td->least = td->most = td->first = MAX_COLUMNS - 1;
	if (t->histogram)
		td->bucket = add(fields, nr, t->value_name, type, ROLE_BUCKET, unit);
	td->count = add(fields, nr, "hits", FIELD_UNSIGNED, ROLE_COUNT, "");
	if (t->measure != TALLY_NOTHING) {
		td->sum = add(fields, nr, "sum", type, ROLE_SUM, unit);
		td->least = add(fields, nr, "min", type, ROLE_LEAST, unit);
		td->most = add(fields, nr, "max", type, ROLE_MOST, unit);
	}
	td->first = add(fields, nr, "first", FIELD_UNSIGNED, ROLE_FIRST, "");
}

int tallydrain_open(struct tallydrain **out, const struct tallydrain_opts *opts)
{
	struct field_desc fields[MAX_COLUMNS] = {
		[COLUMN_TIME] = { .name = "time", .type = FIELD_UNSIGNED, .role = ROLE_TIME,
				  .unit = "ns" },
		[COLUMN_INTERVAL] = { .name = "interval", .type = FIELD_UNSIGNED,
				      .role = ROLE_INTERVAL, .unit = "ns" },
	};
	struct event_desc desc = {
		.name = opts->probe->name, .nr_fields = COLUMN_STACK, .fields = fields,
	};
	struct tallydrain *td = calloc(1, sizeof(*td));

	if (!td)
		return -ENOMEM;
	td->opts = *opts;
	td->tally = opts->probe->tally;
	add_keys(td, fields, &desc.nr_fields);
	add_counts(td, fields, &desc.nr_fields);
	td->event = writer_event(opts->writer, &desc);
	if (!td->event) {
		free(td);
		return -ENOMEM;
	}
	*out = td;
	return 0;
}

void tallydrain_close(struct tallydrain *td)
{
	free(td);
}
