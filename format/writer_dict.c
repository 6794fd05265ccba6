#include "format/writer_private.h"

#include <string.h>

/* Blocks of strings are split by their text as well as by their rows. */
#define STRINGS_ROWS 16384
#define STRINGS_TEXT_BYTES (1u << 20)
#define PAIRS_ROWS 65536

uint32_t writer_string(struct writer *w, enum privacy_class class,
		       const void *text, size_t len_bytes)
{
	uint32_t id;

	if (w->err || !len_bytes)
		return 0;
	if (len_bytes > WRITER_MAX_STRING_BYTES)
		len_bytes = WRITER_MAX_STRING_BYTES;
	id = intern_string(&w->strings, (uint8_t)class, text, (uint32_t)len_bytes);
	return id;
}

uint32_t writer_frame(struct writer *w, uint32_t module, uint64_t offset)
{
	return intern_pair(&w->frames, module, offset);
}

uint32_t writer_stack(struct writer *w, uint32_t parent, uint32_t frame)
{
	return intern_pair(&w->stacks, parent, frame);
}

void writer_module(struct writer *w, const struct writer_module *m)
{
	const uint64_t cells[] = {
		[MODULE_ID - 1] = m->id,
		[MODULE_KIND - 1] = m->kind,
		[MODULE_PATH - 1] = m->path,
		[MODULE_BUILD_ID - 1] = m->build_id,
		[MODULE_BIAS - 1] = m->bias,
		[MODULE_PID - 1] = m->pid,
	};

	writer_block_add_row(w, ROWS_MODULES, cells);
}

void writer_task(struct writer *w, const struct writer_task *t)
{
	const uint64_t cells[] = {
		[TASK_ID - 1] = t->id,
		[TASK_TIME - 1] = t->time_ns,
		[TASK_PID - 1] = t->pid,
		[TASK_TID - 1] = t->tid,
		[TASK_PARENT_PID - 1] = t->parent_pid,
		[TASK_NS_PID - 1] = t->ns_pid,
		[TASK_COMM - 1] = t->comm,
		[TASK_CMDLINE - 1] = t->cmdline,
		[TASK_CGROUP - 1] = t->cgroup,
		[TASK_FLAGS - 1] = t->flags,
		[TASK_EXIT_TIME - 1] = t->exit_ns,
		[TASK_PREVIOUS - 1] = t->previous,
	};

	writer_block_add_row(w, ROWS_TASKS, cells);
}

void writer_mapping(struct writer *w, const struct writer_mapping *m)
{
	const uint64_t cells[] = {
		[MAPPING_TIME - 1] = m->time_ns,
		[MAPPING_PID - 1] = m->pid,
		[MAPPING_START - 1] = m->start,
		[MAPPING_BYTES - 1] = m->size_bytes,
		[MAPPING_OFFSET - 1] = m->offset,
		[MAPPING_MODULE - 1] = m->module,
		[MAPPING_PROT - 1] = m->prot,
	};

	writer_block_add_row(w, ROWS_MAPPINGS, cells);
}

void writer_symbol(struct writer *w, uint32_t module, uint64_t start,
		   uint64_t size_bytes, uint32_t name)
{
	const uint64_t cells[] = {
		[SYMBOL_MODULE - 1] = module,
		[SYMBOL_START - 1] = start,
		[SYMBOL_BYTES - 1] = size_bytes,
		[SYMBOL_NAME - 1] = name,
	};

	writer_block_add_row(w, ROWS_SYMBOLS, cells);
}

void writer_host(struct writer *w, const char *key, enum privacy_class class,
		 const char *value)
{
	const uint64_t cells[] = {
		[HOST_KEY - 1] = writer_string(w, CLASS_NONE, key, strlen(key)),
		[HOST_VALUE - 1] = writer_string(w, class, value, strlen(value)),
	};

	writer_block_add_row(w, ROWS_HOST, cells);
}

void writer_clock(struct writer *w, uint64_t trace_ns, uint64_t wall_ns, uint64_t boot_ns)
{
	const uint64_t cells[] = {
		[CLOCK_TRACE - 1] = trace_ns,
		[CLOCK_WALL - 1] = wall_ns,
		[CLOCK_BOOT - 1] = boot_ns,
	};

	writer_block_add_row(w, ROWS_CLOCK, cells);
}

void writer_loss(struct writer *w, const struct writer_loss *l)
{
	const uint64_t cells[] = {
		[LOSS_FIRST - 1] = l->first_ns,
		[LOSS_LAST - 1] = l->last_ns,
		[LOSS_CPU - 1] = l->cpu,
		[LOSS_EVENT - 1] = l->event,
		[LOSS_CAUSE - 1] = l->cause,
		[LOSS_COUNT - 1] = l->count,
	};

	writer_block_add_row(w, ROWS_LOSS, cells);
}

void writer_cost(struct writer *w, const struct writer_cost *c)
{
	const uint64_t cells[] = {
		[COST_TIME - 1] = c->time_ns,
		[COST_USER_NS - 1] = c->user_ns,
		[COST_SYSTEM_NS - 1] = c->system_ns,
		[COST_BYTES - 1] = w->stats.bytes,
	};

	writer_block_add_row(w, ROWS_COST, cells);
}

/* Strings first..end-1, as many as fit one block; returns how many. */
static uint32_t put_strings(struct writer *w, uint32_t first)
{
	const struct intern_string *s = w->strings.by_id + first;
	uint32_t left = w->strings.nr - first, nr = 0;
	uint64_t *column = writer_block_column(w, STRINGS_ROWS);
	struct block_header h = { .type = BLOCK_STRINGS, .safe_ns = w->safe_ns };
	uint32_t lens[STRINGS_ROWS];

	if (!column)
		return left;
	bytebuf_clear(&w->texts);
	while (nr < left && nr < STRINGS_ROWS && w->texts.len < STRINGS_TEXT_BYTES) {
		lens[nr] = s[nr].len_bytes;
		bytebuf_put(&w->texts, s[nr].text, s[nr].len_bytes);
		nr++;
	}
	if (w->texts.err) {
		w->err = w->texts.err;
		return left;
	}
	h.nr_records = nr;
	writer_block_begin(w, nr, 3);
	for (uint32_t i = 0; i < nr; i++)
		column[i] = first + i;
	table_numbers(w->encoder, STRING_ID, TABLE_ASCENDING, column);
	for (uint32_t i = 0; i < nr; i++)
		column[i] = s[i].class;
	table_numbers(w->encoder, STRING_CLASS, TABLE_PLAIN, column);
	table_strings(w->encoder, STRING_TEXT, lens, w->texts.data);
	writer_block_end(w, &h);
	return nr;
}

/* The same for frames and stacks: columns id, a, b. */
static uint32_t put_pairs(struct writer *w, enum block_type type, const struct intern_pairs *pairs,
			  uint32_t first, enum table_hint hint_a, enum table_hint hint_b)
{
	const struct intern_pair *p = pairs->by_id + first;
	uint32_t left = pairs->nr - first, nr = left < PAIRS_ROWS ? left : PAIRS_ROWS;
	uint64_t *column = writer_block_column(w, nr);
	struct block_header h = { .type = type, .nr_records = nr, .safe_ns = w->safe_ns };

	if (!column)
		return left;
	writer_block_begin(w, nr, 3);
	for (uint32_t i = 0; i < nr; i++)
		column[i] = first + i;
	table_numbers(w->encoder, 1, TABLE_ASCENDING, column);
	for (uint32_t i = 0; i < nr; i++)
		column[i] = p[i].a;
	table_numbers(w->encoder, 2, hint_a, column);
	for (uint32_t i = 0; i < nr; i++)
		column[i] = p[i].b;
	table_numbers(w->encoder, 3, hint_b, column);
	writer_block_end(w, &h);
	return nr;
}

void writer_dict_flush(struct writer *w)
{
	while (w->strings_written < w->strings.nr)
		w->strings_written += put_strings(w, w->strings_written);
	for (unsigned int kind = ROWS_HOST; kind <= ROWS_SYMBOLS; kind++)
		writer_block_put_rows(w, kind);
	while (w->frames_written < w->frames.nr)
		w->frames_written += put_pairs(w, BLOCK_FRAMES, &w->frames, w->frames_written,
					       TABLE_PLAIN, TABLE_IDS);
	while (w->stacks_written < w->stacks.nr)
		w->stacks_written += put_pairs(w, BLOCK_STACKS, &w->stacks, w->stacks_written,
					       TABLE_ASCENDING, TABLE_IDS);
	writer_block_put_rows(w, ROWS_EVENTS);
}
