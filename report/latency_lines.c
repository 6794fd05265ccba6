#include "report/latency_lines.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "format/bytebuf.h"

/* Of a wait that has more different stacks and wakers, the heaviest are looked at. */
#define MAX_TOPS 8192
#define USER_FRAMES 2

/*
 * Functions of the kernel through which every wait and every wakeup goes: they say nothing
 * about this one.  Leading underscores do not count.
 */
static const char *const passages[] = {
	"schedule", "io_schedule", "preempt_schedule", "finish_task_switch", "do_syscall_",
	"entry_SYSCALL", "x64_sys_call", "el0t_64_sync", "el0_svc", "invoke_syscall",
	"ret_from_fork", "asm_", "try_to_wake_up", "ttwu_", "wake_up", "default_wake_function",
	"autoremove_wake_function", "pollwake", "wake_q", "swake_up", "sched_", "bpf_",
	"raw_spin_", "irqentry_", "exit_to_user_mode", "syscall_exit_to_user_mode",
};

int latency_lines_init(struct latency_lines *s, struct trace *t, size_t max_frames)
{
	*s = (struct latency_lines) {
		.trace = t, .max_frames = max_frames ? max_frames : LATENCY_LINES_FRAMES,
	};
	intern_strings_init(&s->texts);
	intern_pairs_init(&s->pairs);
	return names_new(&s->names, t);
}

static void forget(struct latency_lines *s)
{
	intern_strings_release(&s->texts);
	intern_pairs_release(&s->pairs);
	free(s->lines);
	free(s->wakers);
	s->lines = NULL;
	s->wakers = NULL;
	memset(s->known, 0, sizeof(s->known));
	s->nr = s->nr_wakers = 0;
}

void latency_lines_release(struct latency_lines *s)
{
	forget(s);
	names_free(s->names);
	free(s->passages);
	s->names = NULL;
	s->passages = NULL;
}

/* --- texts ---------------------------------------------------------------------------------- */

static bool is_kernel(const struct frame_name *f)
{
	return f->kind == MODULE_KERNEL || f->kind == MODULE_KERNEL_MODULE ||
	       f->kind == MODULE_BPF;
}

static bool has_passage_name(const struct frame_name *f)
{
	const char *name = f->symbol;

	if (f->kind == MODULE_SPECIAL || !is_kernel(f))
		return f->kind == MODULE_SPECIAL;
	while (*name == '_')
		name++;
	for (size_t i = 0; i < sizeof(passages) / sizeof(passages[0]); i++)
		if (!strncmp(name, passages[i], strlen(passages[i])))
			return true;
	return false;
}

/* Asked for the same few functions again and again, so it is kept. */
static bool is_passage(struct latency_lines *s, const struct frame_name *f)
{
	uint32_t cap = 2 * f->symbol_id + 64;
	uint8_t *grown;

	if (f->symbol_id >= s->nr_passages) {
		grown = realloc(s->passages, cap);
		if (!grown)
			return has_passage_name(f);
		memset(grown + s->nr_passages, 0, cap - s->nr_passages);
		s->passages = grown;
		s->nr_passages = cap;
	}
	if (!s->passages[f->symbol_id])
		s->passages[f->symbol_id] = has_passage_name(f) ? 2 : 1;
	return s->passages[f->symbol_id] == 2;
}

static void put_frame(struct bytebuf *to, const struct frame_name *f, size_t nr)
{
	const char *slash = strrchr(f->module, '/');

	if (nr)
		bytebuf_text(to, " <- ");
	if (f->resolved) {
		bytebuf_text(to, f->symbol);
		return;
	}
	bytebuf_text(to, "[");
	bytebuf_text(to, slash ? slash + 1 : f->module);
	bytebuf_text(to, "]");
}

/*
 * The innermost frames that tell something; of a stack that goes from the kernel into a
 * program some of both, for neither alone says why.  Below an interrupt there is only what
 * it happened to interrupt.
 */
static void put_stack(struct latency_lines *s, struct bytebuf *to, uint32_t id, bool interrupt)
{
	const struct trace_stack *node = trace_stack(s->trace, id);
	size_t nr = 0, nr_user = 0, most_user = s->max_frames < 4 ? 1 : USER_FRAMES;
	size_t most_kernel = s->max_frames > most_user ? s->max_frames - most_user : 1;

	for (; node && nr < s->max_frames; node = trace_stack(s->trace, node->parent)) {
		const struct frame_name *f = names_frame(s->names, node->frame);

		if (is_passage(s, f) || (is_kernel(f) && nr >= most_kernel))
			continue;
		if (!is_kernel(f) && (interrupt || (nr_user < nr && nr_user == most_user)))
			break;
		put_frame(to, f, nr++);
		nr_user += !is_kernel(f);
	}
	node = trace_stack(s->trace, id);
	if (!nr && node)
		put_frame(to, names_frame(s->names, node->frame), 0);
	else if (!nr)
		bytebuf_text(to, "[no stack]");
}

static uint32_t keep_text(struct latency_lines *s, struct bytebuf *text)
{
	return text->err ? 0 : intern_string(&s->texts, 0, text->data, (uint32_t)text->len);
}

/* Where the text is, or was of another one that comes no more. */
static struct latency_lines_known *known_at(struct latency_lines *s, uint64_t stack,
					    uint32_t kind)
{
	uint64_t hash = (stack ^ (uint64_t)kind << 56) * UINT64_C(0x9e3779b97f4a7c15);
	struct latency_lines_known *k = &s->known[hash >> 32 & (LATENCY_LINES_KNOWN - 1)];

	if (k->stack != stack || k->kind != kind)
		*k = (struct latency_lines_known) { .stack = stack, .kind = kind };
	return k;
}

static uint32_t stack_text(struct latency_lines *s, struct bytebuf *text, uint32_t stack)
{
	struct latency_lines_known *k = known_at(s, stack, 0);

	if (k->text)
		return k->text;
	bytebuf_clear(text);
	put_stack(s, text, stack, false);
	k->text = keep_text(s, text);
	return k->text;
}

/* "comm [SOFTIRQ] frames": whose time an interrupt took says little, so it comes last. */
static uint32_t make_waker_text(struct latency_lines *s, struct bytebuf *text,
				const struct latency_top *top)
{
	char name[LATENCY_STORY_NAME_BYTES];
	const char *context = latency_story_context(s->trace, (uint8_t)top->context, name);

	bytebuf_clear(text);
	if (context) {
		bytebuf_text(text, "[");
		bytebuf_text(text, context);
		bytebuf_text(text, "]");
	} else {
		bytebuf_text(text, top->waker ? trace_text(s->trace, top->waker) : "[unknown]");
	}
	if (!top->waker_stack)
		return keep_text(s, text);
	bytebuf_text(text, ": ");
	put_stack(s, text, top->waker_stack, context);
	return keep_text(s, text);
}

static uint32_t waker_text(struct latency_lines *s, struct bytebuf *text,
			   const struct latency_top *top)
{
	struct latency_lines_known *k = known_at(s, (uint64_t)top->waker << 32 | top->waker_stack,
						 top->context + 1);

	if (!k->text)
		k->text = make_waker_text(s, text, top);
	return k->text;
}

/* --- sums ----------------------------------------------------------------------------------- */

static int compare_lines(const void *a, const void *b)
{
	const struct latency_line *x = a, *y = b;

	if (x->ns != y->ns)
		return x->ns > y->ns ? -1 : 1;
	return x->text < y->text ? -1 : x->text > y->text;
}

static int compare_wakers(const void *a, const void *b)
{
	const struct latency_waker *x = a, *y = b;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	if (x->ns != y->ns)
		return x->ns > y->ns ? -1 : 1;
	return x->text < y->text ? -1 : x->text > y->text;
}

/* Nobody was seen who woke it: cut at the end of the recording, or a timer that is not told. */
static bool has_waker(const struct latency_top *top)
{
	return top->waker || top->context || top->waker_stack;
}

static int add_top(struct latency_lines *s, struct bytebuf *text, const struct latency_top *top)
{
	uint32_t stack = stack_text(s, text, top->stack), waker = 0, line, pair;

	line = stack ? intern_pair(&s->pairs, stack, 0) : 0;
	if (has_waker(top)) {
		waker = waker_text(s, text, top);
		if (!waker)
			return -ENOMEM;
	}
	/* Lines and wakers are numbered together, and are put apart afterwards. */
	pair = waker && line ? intern_pair(&s->pairs, (uint64_t)line << 32 | stack, waker) : line;
	if (!line || !pair)
		return -ENOMEM;
	s->lines[line].text = stack;
	s->lines[line].ns += top->ns;
	s->lines[line].count += top->count;
	if (pair == line)
		return 0;
	s->wakers[pair].line = line;
	s->wakers[pair].text = waker;
	s->wakers[pair].ns += top->ns;
	s->wakers[pair].count += top->count;
	return 0;
}

/* Wakers stand line by line, and know where they are before the lines are sorted. */
static void sort_lines(struct latency_lines *s, size_t nr)
{
	size_t nr_lines = 0, nr_wakers = 0;

	for (size_t i = 1; i < nr; i++)
		if (s->wakers[i].count)
			s->wakers[nr_wakers++] = s->wakers[i];
	if (nr_wakers)
		qsort(s->wakers, nr_wakers, sizeof(*s->wakers), compare_wakers);
	for (size_t i = 0; i < nr_wakers; i++) {
		struct latency_line *line = &s->lines[s->wakers[i].line];

		if (!line->nr_wakers++)
			line->first_waker = i;
	}
	for (size_t i = 1; i < nr; i++)
		if (s->lines[i].count)
			s->lines[nr_lines++] = s->lines[i];
	if (nr_lines)
		qsort(s->lines, nr_lines, sizeof(*s->lines), compare_lines);
	s->nr = nr_lines;
	s->nr_wakers = nr_wakers;
}

int latency_lines_make(struct latency_lines *s, struct latency_tops *tops,
		       const struct latency_wait *wait)
{
	size_t nr, nr_ids;
	const struct latency_top *top = latency_tops_of(tops, wait->id, &nr);
	struct bytebuf text;
	int err = 0;

	forget(s);
	if (nr > MAX_TOPS)
		nr = MAX_TOPS;
	nr_ids = 2 * nr + 2;
	intern_strings_init(&s->texts);
	intern_pairs_init(&s->pairs);
	s->lines = calloc(nr_ids, sizeof(*s->lines));
	s->wakers = calloc(nr_ids, sizeof(*s->wakers));
	if (!s->lines || !s->wakers)
		return -ENOMEM;
	bytebuf_init(&text);
	for (size_t i = 0; i < nr && !err; i++)
		err = add_top(s, &text, &top[i]);
	bytebuf_release(&text);
	sort_lines(s, nr_ids);
	return err;
}

const struct intern_string *latency_lines_text(const struct latency_lines *s, uint32_t text)
{
	return intern_string_at(&s->texts, text);
}
