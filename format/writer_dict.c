#include "format/writer_private.h"

#include <string.h>

/* Blocks of strings are split by their text as well as by their rows. */
#define STRINGS_ROWS 16384
#define STRINGS_TEXT_BYTES (1u << 20)
#define PAIRS_ROWS 65536
/*
 * What strings may take.  Those of system calls may be new each time, for hours; when
 * there are that many, few of them come again.
 */
#define STRINGS_LIMIT_BYTES (64u << 20)

uint32_t writer_text(struct writer *w, enum privacy_class class,
		     const void *text, size_t len_bytes)
{
	if (w->err)
		return 0;
	if (len_bytes > WRITER_MAX_STRING_BYTES)
		len_bytes = WRITER_MAX_STRING_BYTES;
	return intern_string(&w->strings, (uint8_t)class, text, (uint32_t)len_bytes);
}

uint32_t writer_string(struct writer *w, enum privacy_class class,
		       const void *text, size_t len_bytes)
{
	return len_bytes ? writer_text(w, class, text, len_bytes) : 0;
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
		[TASK_UID - 1] = t->uid,
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
	struct writer_stats stats;

	writer_get_stats(w, &stats);
	writer_block_add_row(w, ROWS_COST, (const uint64_t[]){
		[COST_TIME - 1] = c->time_ns,
		[COST_USER_NS - 1] = c->user_ns,
		[COST_SYSTEM_NS - 1] = c->system_ns,
		[COST_BYTES - 1] = stats.bytes,
	});
}

/* Strings first..end-1, as many as fit one block; returns how many. */
static uint32_t put_strings(struct writer *w, uint32_t first)
{
	const struct intern_string *s = intern_string_at(&w->strings, first);
	uint32_t left = w->strings.nr - first, nr = 0;
	uint64_t *column = writer_block_column(w, STRINGS_ROWS);
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
		writer_block_fail(w, w->texts.err);
		return left;
	}
	writer_block_begin(w, nr, 3);
	for (uint32_t i = 0; i < nr; i++)
		column[i] = first + i;
	table_numbers(w->encoder, STRING_ID, TABLE_ASCENDING, column);
	for (uint32_t i = 0; i < nr; i++)
		column[i] = s[i].class;
	table_numbers(w->encoder, STRING_CLASS, TABLE_PLAIN, column);
	table_strings(w->encoder, STRING_TEXT, lens, w->texts.data);
	writer_block_end(w, BLOCK_STRINGS, nr);
	return nr;
}

/* Frames from place `first` of their order on, as many as fit one block. */
static size_t put_frames(struct writer *w, size_t first)
{
	const struct writer_numbers *n = &w->frame_numbers;
	const uint32_t *order = n->order + first;
	size_t left = n->nr_order - first, nr = left < PAIRS_ROWS ? left : PAIRS_ROWS;
	uint64_t *column = writer_block_column(w, nr);

	if (!column)
		return left;
	writer_block_begin(w, nr, 3);
	for (size_t i = 0; i < nr; i++)
		column[i] = n->to_file[order[i]];
	table_numbers(w->encoder, FRAME_ID, TABLE_ASCENDING, column);
	for (size_t i = 0; i < nr; i++)
		column[i] = w->frames.by_id[order[i]].a;
	table_numbers(w->encoder, FRAME_MODULE, TABLE_PLAIN, column);
	for (size_t i = 0; i < nr; i++)
		column[i] = w->frames.by_id[order[i]].b;
	table_numbers(w->encoder, FRAME_OFFSET, TABLE_IDS, column);
	writer_block_end(w, BLOCK_FRAMES, nr);
	return nr;
}

/* The same for stacks.  Parents and frames are often the next new ones, too. */
static size_t put_stacks(struct writer *w, size_t first, uint32_t known_frame)
{
	const struct writer_numbers *n = &w->stack_numbers;
	const uint32_t *order = n->order + first;
	size_t left = n->nr_order - first, nr = left < PAIRS_ROWS ? left : PAIRS_ROWS;
	uint64_t *column = writer_block_column(w, nr);

	if (!column)
		return left;
	writer_block_begin(w, nr, 3);
	for (size_t i = 0; i < nr; i++)
		column[i] = n->to_file[order[i]];
	table_numbers(w->encoder, STACK_ID, TABLE_ASCENDING, column);
	for (size_t i = 0; i < nr; i++)
		column[i] = writer_numbers_file(n, w->stacks.by_id[order[i]].a);
	table_new_ids(w->encoder, STACK_PARENT, n->to_file[order[0]] - 1, column);
	for (size_t i = 0; i < nr; i++)
		column[i] = writer_numbers_file(&w->frame_numbers, w->stacks.by_id[order[i]].b);
	table_new_ids(w->encoder, STACK_FRAME, known_frame, column);
	writer_block_end(w, BLOCK_STACKS, nr);
	return nr;
}

static void put_stack_dictionaries(struct writer *w)
{
	struct writer_numbers *frames = &w->frame_numbers, *stacks = &w->stack_numbers;
	uint32_t known_frame = frames->last - (uint32_t)frames->nr_order;

	for (size_t i = 0; i < frames->nr_order && !w->err;)
		i += put_frames(w, i);
	for (size_t i = 0; i < stacks->nr_order && !w->err;)
		i += put_stacks(w, i, known_frame);
	frames->nr_order = stacks->nr_order = 0;
}

void writer_dict_flush(struct writer *w, uint32_t first, uint32_t last)
{
	for (uint32_t event = first; event <= last; event++)
		writer_records_number(w, w->sources[event - 1]);
	writer_numbers_rest(w);
	while (w->strings_written < w->strings.nr && !w->err)
		w->strings_written += put_strings(w, w->strings_written);
	if (intern_strings_bytes(&w->strings) > STRINGS_LIMIT_BYTES && !w->err)
		intern_strings_forget(&w->strings);
	for (unsigned int kind = ROWS_HOST; kind <= ROWS_SYMBOLS; kind++)
		writer_block_put_rows(w, kind);
	put_stack_dictionaries(w);
	writer_block_put_rows(w, ROWS_EVENTS);
}
