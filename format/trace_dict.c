#include "format/trace_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * A hostile file can claim much with few bytes.  What dictionaries may take
 * grows with the bytes they really have; ordinary ones need a tenth of that.
 */
#define LIMIT_BASE_BYTES (16u << 20)
#define LIMIT_FACTOR 1024	/* names that count up are packed that well */
#define LIMIT_MAX_BYTES (UINT64_C(4) << 30)
#define ID_SLACK 65536

/* A number that goes into an entry of so many bytes at that place. */
struct member {
	uint8_t column, size_bytes;
	size_t offset;
	uint64_t missing;	/* what it is where the column is not there */
};

#define MEMBER(column, type, name) \
	{ column, sizeof(((struct type *)0)->name), offsetof(struct type, name), 0 }

static const struct member task_members[] = {
	MEMBER(TASK_TIME, trace_task, time_ns),
	MEMBER(TASK_PID, trace_task, pid),
	MEMBER(TASK_TID, trace_task, tid),
	MEMBER(TASK_PARENT_PID, trace_task, parent_pid),
	MEMBER(TASK_NS_PID, trace_task, ns_pid),
	MEMBER(TASK_COMM, trace_task, comm),
	MEMBER(TASK_CMDLINE, trace_task, cmdline),
	MEMBER(TASK_CGROUP, trace_task, cgroup),
	MEMBER(TASK_FLAGS, trace_task, flags),
	MEMBER(TASK_EXIT_TIME, trace_task, exit_ns),
	MEMBER(TASK_PREVIOUS, trace_task, previous),
	{ TASK_UID, sizeof(uint32_t), offsetof(struct trace_task, uid), TASK_UID_UNKNOWN },
	{ 0, 0, 0, 0 },
};

static const struct member module_members[] = {
	MEMBER(MODULE_KIND, trace_module, kind),
	MEMBER(MODULE_PATH, trace_module, path),
	MEMBER(MODULE_BUILD_ID, trace_module, build_id),
	MEMBER(MODULE_BIAS, trace_module, bias),
	MEMBER(MODULE_PID, trace_module, pid),
	{ 0, 0, 0, 0 },
};

static const struct member frame_members[] = {
	MEMBER(FRAME_MODULE, trace_frame, module),
	MEMBER(FRAME_OFFSET, trace_frame, offset),
	{ 0, 0, 0, 0 },
};

static const struct member symbol_members[] = {
	MEMBER(SYMBOL_MODULE, trace_symbol_row, module),
	MEMBER(SYMBOL_START, trace_symbol_row, symbol.start),
	MEMBER(SYMBOL_BYTES, trace_symbol_row, symbol.size_bytes),
	MEMBER(SYMBOL_NAME, trace_symbol_row, symbol.name),
	{ 0, 0, 0, 0 },
};

static const struct member mapping_members[] = {
	MEMBER(MAPPING_TIME, trace_mapping, time_ns),
	MEMBER(MAPPING_PID, trace_mapping, pid),
	MEMBER(MAPPING_START, trace_mapping, start),
	MEMBER(MAPPING_BYTES, trace_mapping, size_bytes),
	MEMBER(MAPPING_OFFSET, trace_mapping, offset),
	MEMBER(MAPPING_MODULE, trace_mapping, module),
	MEMBER(MAPPING_PROT, trace_mapping, prot),
	{ 0, 0, 0, 0 },
};

static const struct member loss_members[] = {
	MEMBER(LOSS_FIRST, trace_loss, first_ns),
	MEMBER(LOSS_LAST, trace_loss, last_ns),
	MEMBER(LOSS_CPU, trace_loss, cpu),
	MEMBER(LOSS_EVENT, trace_loss, event),
	MEMBER(LOSS_CAUSE, trace_loss, cause),
	MEMBER(LOSS_COUNT, trace_loss, count),
	{ 0, 0, 0, 0 },
};

static const struct member clock_members[] = {
	MEMBER(CLOCK_TRACE, trace_clock, trace_ns),
	MEMBER(CLOCK_WALL, trace_clock, wall_ns),
	MEMBER(CLOCK_BOOT, trace_clock, boot_ns),
	{ 0, 0, 0, 0 },
};

static const struct member cost_members[] = {
	MEMBER(COST_TIME, trace_cost, time_ns),
	MEMBER(COST_USER_NS, trace_cost, user_ns),
	MEMBER(COST_SYSTEM_NS, trace_cost, system_ns),
	MEMBER(COST_BYTES, trace_cost, bytes),
	{ 0, 0, 0, 0 },
};

static const struct member host_members[] = {
	MEMBER(HOST_KEY, trace_host_row, key),
	MEMBER(HOST_VALUE, trace_host_row, value),
	{ 0, 0, 0, 0 },
};

void trace_dict_init(struct trace *t)
{
	t->strings.entry_bytes = sizeof(struct trace_string);
	t->tasks.entry_bytes = sizeof(struct trace_task);
	t->modules.entry_bytes = sizeof(struct trace_module);
	t->frames.entry_bytes = sizeof(struct trace_frame);
	t->stacks.entry_bytes = sizeof(struct trace_stack);
	t->symbols.entry_bytes = sizeof(struct trace_symbol_row);
	t->clocks.entry_bytes = sizeof(struct trace_clock);
	t->losses.entry_bytes = sizeof(struct trace_loss);
	t->costs.entry_bytes = sizeof(struct trace_cost);
	t->mappings.entry_bytes = sizeof(struct trace_mapping);
	t->hosts.entry_bytes = sizeof(struct trace_host_row);
	t->event_ids.entry_bytes = sizeof(uint32_t);
}

void trace_dict_release(struct trace *t)
{
	trace_array_release(&t->strings);
	trace_array_release(&t->tasks);
	trace_array_release(&t->modules);
	trace_array_release(&t->frames);
	trace_array_release(&t->stacks);
	trace_array_release(&t->symbols);
	trace_list_release(&t->clocks);
	trace_list_release(&t->losses);
	trace_list_release(&t->costs);
	trace_list_release(&t->mappings);
	trace_list_release(&t->hosts);
	trace_list_release(&t->event_ids);
	for (size_t i = 0; i < 3; i++)
		free(t->scratch[i]);
	free(t->events);
	free(t->keys);
}

uint64_t trace_dict_limit(const struct trace *t)
{
	uint64_t limit = LIMIT_BASE_BYTES + LIMIT_FACTOR * t->dictionary_bytes;

	return limit < LIMIT_MAX_BYTES ? limit : LIMIT_MAX_BYTES;
}

/*
 * Whoever reads a trace has arrays by id, so an id must not be much larger than
 * what is there: ids are dense but for rows in lost blocks, and those had room
 * in the file.
 */
static void *add_entry(struct trace *t, struct trace_array *a, uint64_t id, uint64_t limit)
{
	uint64_t size = t->stream ? t->at : t->source.in.size_bytes;
	void *entry;

	if (id > a->nr_rows + ID_SLACK + size)
		return NULL;
	entry = trace_array_add(a, id, &t->used_bytes, limit);
	if (entry)
		a->nr_rows++;
	return entry;
}

static int grow_scratch(struct trace *t, size_t nr)
{
	if (nr <= t->scratch_cap)
		return 0;
	for (size_t i = 0; i < 3; i++) {
		uint64_t *p = realloc(t->scratch[i], nr * sizeof(*p));

		if (!p)
			return -ENOMEM;
		t->scratch[i] = p;
	}
	t->scratch_cap = nr;
	return 0;
}

static int read_column(struct trace *t, const struct table *table, uint32_t id, uint64_t *to)
{
	return table_read_numbers(t->decoder, table, table_find(table, id), to);
}

static int read_member(struct trace *t, const struct table *table, const struct member *m,
		       uint64_t *to)
{
	if (!m->missing || table_find(table, m->column))
		return read_column(t, table, m->column, to);
	for (size_t i = 0; i < table->nr; i++)
		to[i] = m->missing;
	return 0;
}

/* A number that is too large becomes the largest there is, an id of nothing. */
static uint32_t narrow(uint64_t v)
{
	return v < UINT32_MAX ? (uint32_t)v : UINT32_MAX;
}

static void set_member(uint8_t *entry, const struct member *m, uint64_t v)
{
	uint32_t less = narrow(v);

	if (m->size_bytes == sizeof(v))
		memcpy(entry + m->offset, &v, sizeof(v));
	else
		memcpy(entry + m->offset, &less, sizeof(less));
}

/*
 * Whether all columns are good: rows without all of their numbers would be lies.  Reading
 * them twice takes less memory than keeping them.
 */
static int check_members(struct trace *t, const struct table *table,
			 const struct member *members)
{
	int err = 0;

	for (const struct member *m = members; !err && m->column; m++)
		err = read_member(t, table, m, t->scratch[1]);
	return err;
}

/* Entries by id, a column at a time. */
static int load_array(struct trace *t, const struct table *table, struct trace_array *a,
		      const struct member *members)
{
	uint64_t *ids = t->scratch[0], *v = t->scratch[1], limit = trace_dict_limit(t);
	int err = read_column(t, table, 1, ids), bad = 0;

	if (!err)
		err = check_members(t, table, members);
	for (size_t i = 0; !err && i < table->nr; i++)
		if (!add_entry(t, a, ids[i], limit))
			bad = -EBADMSG;
	for (const struct member *m = members; !err && m->column; m++) {
		err = read_member(t, table, m, v);
		for (size_t i = 0; !err && i < table->nr; i++) {
			uint8_t *entry = ids[i] <= BLOCK_MAX_ID ?
					 trace_array_get(a, (uint32_t)ids[i]) : NULL;

			if (entry)
				set_member(entry, m, v[i]);
		}
	}
	return err ? err : bad;
}

/* The trie: a parent must be known by a smaller id, or following would not end. */
static int load_stacks(struct trace *t, const struct table *table)
{
	uint64_t *ids = t->scratch[0], *parents = t->scratch[1], *frames = t->scratch[2];
	uint64_t limit = trace_dict_limit(t);
	int err = read_column(t, table, STACK_ID, ids), bad = 0;

	if (!err)
		err = read_column(t, table, STACK_PARENT, parents);
	if (!err)
		err = read_column(t, table, STACK_FRAME, frames);
	for (size_t i = 0; !err && i < table->nr; i++) {
		struct trace_stack *s = NULL;

		if (parents[i] < ids[i])
			s = add_entry(t, &t->stacks, ids[i], limit);
		if (s)
			*s = (struct trace_stack){ (uint32_t)parents[i], narrow(frames[i]) };
		else
			bad = -EBADMSG;
	}
	return err ? err : bad;
}

static int load_list(struct trace *t, const struct table *table, struct trace_list *l,
		     const struct member *members)
{
	uint64_t *v = t->scratch[1];
	int err = check_members(t, table, members);
	uint8_t *rows = err ? NULL : trace_list_add(l, table->nr, &t->used_bytes,
						    trace_dict_limit(t));

	for (const struct member *m = members; rows && !err && m->column; m++) {
		err = read_column(t, table, m->column, v);
		for (size_t i = 0; !err && i < table->nr; i++)
			set_member(rows + i * l->entry_bytes, m, v[i]);
	}
	return err || rows ? err : -EBADMSG;
}

static int load_symbols(struct trace *t, const struct table *table)
{
	uint64_t *v = t->scratch[1], limit = trace_dict_limit(t);
	uint32_t first = t->symbols.nr ? t->symbols.nr : 1;
	int err = check_members(t, table, symbol_members);

	for (size_t i = 0; !err && i < table->nr; i++)
		if (!add_entry(t, &t->symbols, first + i, limit))
			err = -EBADMSG;
	for (const struct member *m = symbol_members; !err && m->column; m++) {
		err = read_column(t, table, m->column, v);
		for (size_t i = 0; !err && i < table->nr; i++)
			set_member(trace_array_get(&t->symbols, first + (uint32_t)i), m, v[i]);
	}
	return err;
}

static int load_strings(struct trace *t, const struct table *table)
{
	uint64_t *ids = t->scratch[0], *classes = t->scratch[1], limit = trace_dict_limit(t);
	uint32_t *lens = malloc((table->nr + 1) * sizeof(*lens));
	const uint8_t *bytes = NULL;
	size_t total = 0;
	int bad = 0, err = lens ? read_column(t, table, STRING_ID, ids) : -ENOMEM;

	if (!err)
		err = read_column(t, table, STRING_CLASS, classes);
	if (!err)
		err = table_read_strings(t->decoder, table, table_find(table, STRING_TEXT),
					 lens, &bytes, &total);
	if (!err && t->used_bytes + total + table->nr > limit)
		err = -EBADMSG;
	for (size_t i = 0; !err && i < table->nr; bytes += lens[i++]) {
		uint8_t class = classes[i] < UINT8_MAX ? (uint8_t)classes[i] : UINT8_MAX;
		struct trace_string *s = add_entry(t, &t->strings, ids[i], limit);
		char *text = s ? arena_text(&t->arena, bytes, lens[i]) : NULL;

		if (!s) {
			bad = -EBADMSG;
			continue;
		}
		if (!text) {
			err = -ENOMEM;
			break;
		}
		*s = (struct trace_string){ text, lens[i], class };
		t->used_bytes += lens[i] + (uint64_t)1;
	}
	free(lens);
	return err ? err : bad;
}

/* How each type of block is taken in. */
static const struct loader {
	int (*load)(struct trace *t, const struct table *table);	/* or: */
	size_t array, list;		/* where in struct trace; 0: not there */
	const struct member *members;
} loaders[TRACE_BLOCK_TYPES] = {
	[BLOCK_HOST] = { .list = offsetof(struct trace, hosts), .members = host_members },
	[BLOCK_CLOCK] = { .list = offsetof(struct trace, clocks), .members = clock_members },
	[BLOCK_EVENT] = { .load = trace_events_load },
	[BLOCK_STRINGS] = { .load = load_strings },
	[BLOCK_MODULES] = { .array = offsetof(struct trace, modules), .members = module_members },
	[BLOCK_FRAMES] = { .array = offsetof(struct trace, frames), .members = frame_members },
	[BLOCK_STACKS] = { .load = load_stacks },
	[BLOCK_TASKS] = { .array = offsetof(struct trace, tasks), .members = task_members },
	[BLOCK_MAPPINGS] = { .list = offsetof(struct trace, mappings),
			     .members = mapping_members },
	[BLOCK_SYMBOLS] = { .load = load_symbols },
	[BLOCK_LOSS] = { .list = offsetof(struct trace, losses), .members = loss_members },
	[BLOCK_COST] = { .list = offsetof(struct trace, costs), .members = cost_members },
};

int trace_dict_load(struct trace *t, const struct trace_block *b, const uint8_t *payload)
{
	const struct loader *l = &loaders[b->type < TRACE_BLOCK_TYPES ? b->type : 0];
	struct table *table = &t->dict_table;
	uint8_t *base = (uint8_t *)t;
	int err;

	if (!l->load && !l->members)
		return 0;
	t->dictionary_bytes += b->payload_bytes;
	err = table_parse(table, payload, b->payload_bytes, b->nr_records);
	if (!err)
		err = grow_scratch(t, b->nr_records);
	if (err)
		return err;
	if (l->load)
		return l->load(t, table);
	if (l->array)
		return load_array(t, table, (void *)(base + l->array), l->members);
	return load_list(t, table, (void *)(base + l->list), l->members);
}
