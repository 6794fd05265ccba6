#include "report/script_graph.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/digits.h"
#include "report/escape.h"
#include "report/script_private.h"

/* Of one thread, and of all: 48 bytes each. */
#define MAX_CALLS 65536
#define MAX_ALL_CALLS 262144
#define FIRST_SLOTS 64		/* a power of two */
/* That keep their memory for their next calls. */
#define MAX_IDLE_THREADS 1024
/* "funcgraph_entry:" and what follows it are this wide in all. */
#define NAME_WIDTH 22
#define NONE UINT32_MAX

struct call {
	const struct trace_event *event;
	uint64_t end_ns, duration_ns;
	uint32_t task, cpu, frame, depth;
	/* Of the forest that is printed: where its innermost first call is, and the next. */
	uint32_t first, next;
};

struct thread {
	uint64_t key;
	struct call *calls;	/* by their ends: a call follows those that it made */
	uint32_t nr, cap;
	bool used;
};

/* An open-addressing table of threads. */
struct script_graph {
	struct script *script;
	struct thread *slots;
	size_t nr_used, nr_slots;
	size_t nr_calls;		/* of all threads */
	uint32_t *opened, *trees;	/* of the forest that is printed */
	size_t cap_forest;
};

bool script_graph_takes(const struct trace_event *e)
{
	return e->by_role[ROLE_DEPTH] >= 0 && e->by_role[ROLE_DURATION] >= 0 &&
	       e->by_role[ROLE_TASK] >= 0;
}

int script_graph_new(struct script_graph **out, struct script *s)
{
	struct script_graph *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	g->script = s;
	g->nr_slots = FIRST_SLOTS;
	g->slots = calloc(g->nr_slots, sizeof(*g->slots));
	if (!g->slots) {
		free(g);
		return -ENOMEM;
	}
	*out = g;
	return 0;
}

void script_graph_free(struct script_graph *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < g->nr_slots; i++)
		free(g->slots[i].calls);
	free(g->slots);
	free(g->opened);
	free(g->trees);
	free(g);
}

/* --- threads ----------------------------------------------------------------- */

static struct thread *slot_of(struct thread *slots, size_t nr_slots, uint64_t key)
{
	size_t i = (size_t)(key * 0x9e3779b97f4a7c15u >> 32) & (nr_slots - 1);

	while (slots[i].used && slots[i].key != key)
		i = (i + 1) & (nr_slots - 1);
	return &slots[i];
}

static int grow(struct script_graph *g)
{
	size_t nr_slots = 2 * g->nr_slots;
	struct thread *slots = calloc(nr_slots, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < g->nr_slots; i++)
		if (g->slots[i].used)
			*slot_of(slots, nr_slots, g->slots[i].key) = g->slots[i];
	free(g->slots);
	g->slots = slots;
	g->nr_slots = nr_slots;
	return 0;
}

/* A thread that is renamed stays the same; idle CPUs share a number. */
static uint64_t key_of(const struct script_graph *g, const struct query_record *r)
{
	const struct trace_task *t = trace_task(g->script->trace, r->task);

	if (t && t->tid)
		return t->tid;
	return (t ? UINT64_C(1) << 32 : UINT64_C(1) << 33) | (t ? r->cpu : r->task);
}

static struct thread *get_thread(struct script_graph *g, uint64_t key)
{
	struct thread *t = slot_of(g->slots, g->nr_slots, key);

	if (t->used)
		return t;
	if (g->nr_used >= g->nr_slots / 2) {
		if (grow(g))
			return NULL;
		t = slot_of(g->slots, g->nr_slots, key);
	}
	*t = (struct thread) { .key = key, .used = true };
	g->nr_used++;
	return t;
}

/* --- lines ------------------------------------------------------------------- */

static void put_spaces(struct bytebuf *to, size_t nr)
{
	if (bytebuf_reserve(to, nr))
		return;
	memset(to->data + to->len, ' ', nr);
	to->len += nr;
}

/* From the text that begins at `from`. */
static void fill_up(struct bytebuf *to, size_t from, size_t width)
{
	size_t len = to->len - from;

	if (len < width)
		put_spaces(to, width - len);
}

/* "             cat-167   [000]     9.612538: " */
static void put_head(struct script *s, const struct call *c, uint64_t time_ns)
{
	const struct trace_task *t = trace_task(s->trace, c->task);
	const char *comm = t ? trace_text(s->trace, t->comm) : "";
	struct bytebuf *to = s->to;
	size_t from;

	if (!*comm)
		comm = "[unknown]";
	bytebuf_clear(&s->scratch);
	escape_terminal(&s->scratch, comm, strlen(comm));
	if (s->scratch.len < 16)
		put_spaces(to, 16 - s->scratch.len);
	bytebuf_put(to, s->scratch.data, s->scratch.len);
	bytebuf_text(to, "-");
	from = to->len;
	digits_put(to, t ? t->tid : 0);
	fill_up(to, from, 5);
	bytebuf_text(to, " [");
	digits_put_wide(to, c->cpu, 3, '0');
	bytebuf_text(to, "] ");
	digits_put_seconds(to, time_ns > s->start_ns ? time_ns - s->start_ns : 0,
			   s->opts->ns ? 9 : 6, s->opts->ns ? 15 : 12);
	bytebuf_text(to, ": ");
}

/* What says at a glance how long it took, as in the kernel. */
static const char *mark_of(uint64_t ns)
{
	static const struct {
		uint64_t above_ns;
		const char *mark;
	} rows[] = {
		{ 1000000000, "$ " }, { 100000000, "@ " }, { 10000000, "* " },
		{ 1000000, "# " }, { 100000, "! " }, { 10000, "+ " },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (ns > rows[i].above_ns)
			return rows[i].mark;
	return "  ";
}

/* "! 125.819 us |"; a start has no duration yet. */
static void put_duration(struct bytebuf *to, const struct call *c, bool ended)
{
	size_t from = to->len;

	if (ended) {
		bytebuf_text(to, mark_of(c->duration_ns));
		digits_put(to, c->duration_ns / 1000);
		bytebuf_text(to, ".");
		digits_put_wide(to, c->duration_ns % 1000, 3, '0');
		bytebuf_text(to, " us");
	}
	fill_up(to, from, 12);
	bytebuf_text(to, " |  ");
}

static void put_function(struct script *s, const struct call *c)
{
	const char *name = c->frame ? names_frame(s->names, c->frame)->symbol : c->event->name;

	escape_terminal(s->to, name, strlen(name));
	bytebuf_text(s->to, "()");
}

enum line { LINE_ENTRY, LINE_LEAF, LINE_EXIT };

static void put_line(struct script *s, const struct call *c, enum line line)
{
	uint64_t start_ns = c->end_ns > c->duration_ns ? c->end_ns - c->duration_ns : 0;
	struct bytebuf *to = s->to;
	size_t from;

	put_head(s, c, line == LINE_EXIT ? c->end_ns : start_ns);
	from = to->len;
	escape_terminal(to, c->event->name, strlen(c->event->name));
	bytebuf_text(to, line == LINE_EXIT ? "_exit: " : "_entry: ");
	fill_up(to, from, NAME_WIDTH);
	put_duration(to, c, line != LINE_ENTRY);
	put_spaces(to, 2 * (size_t)c->depth);
	if (line != LINE_EXIT)
		put_function(s, c);
	bytebuf_text(to, line == LINE_ENTRY ? " {\n" : line == LINE_LEAF ? ";\n" : "}\n");
	output_settle(s->output);
}

/* --- forests ------------------------------------------------------------------- */

static int make_room(struct script_graph *g, size_t nr)
{
	uint32_t *opened, *trees;

	if (nr <= g->cap_forest)
		return 0;
	opened = realloc(g->opened, nr * sizeof(*opened));
	if (!opened)
		return -ENOMEM;
	g->opened = opened;
	trees = realloc(g->trees, nr * sizeof(*trees));
	if (!trees)
		return -ENOMEM;
	g->trees = trees;
	g->cap_forest = nr;
	return 0;
}

/*
 * A call holds the deeper ones before it, as far as they ended after it began: others
 * were made by a call that is not among the records.  Of the calls that have the same
 * first one, opened[] leads from the outermost inwards.
 */
static void find_trees(struct script_graph *g, struct thread *t)
{
	uint32_t nr_trees = 0;

	for (uint32_t i = 0; i < t->nr; i++) {
		struct call *c = &t->calls[i];

		c->first = i;
		while (nr_trees) {
			const struct call *last = &t->calls[g->trees[nr_trees - 1]];

			if (last->depth <= c->depth || last->end_ns + c->duration_ns < c->end_ns)
				break;
			c->first = last->first;
			nr_trees--;
		}
		g->trees[nr_trees++] = i;
		c->next = c->first == i ? NONE : g->opened[c->first];
		g->opened[c->first] = i;
	}
}

static int print_calls(struct script_graph *g, struct thread *t)
{
	if (make_room(g, t->nr))
		return -ENOMEM;
	find_trees(g, t);
	for (uint32_t i = 0; i < t->nr; i++) {
		uint32_t at = t->calls[i].first == i ? g->opened[i] : NONE;

		for (; at != NONE && at != i; at = t->calls[at].next)
			put_line(g->script, &t->calls[at], LINE_ENTRY);
		put_line(g->script, &t->calls[i], t->calls[i].first == i ? LINE_LEAF : LINE_EXIT);
	}
	g->nr_calls -= t->nr;
	t->nr = 0;
	if (g->nr_used > MAX_IDLE_THREADS) {
		free(t->calls);
		t->calls = NULL;
		t->cap = 0;
	}
	return 0;
}

/* --- records --------------------------------------------------------------------- */

static struct call *new_call(struct thread *t)
{
	if (t->nr == t->cap) {
		uint32_t cap = t->cap ? 2 * t->cap : 32;
		struct call *calls = realloc(t->calls, cap * sizeof(*calls));

		if (!calls)
			return NULL;
		t->calls = calls;
		t->cap = cap;
	}
	return &t->calls[t->nr++];
}

/* A field of the event tells it, or the innermost frame of the stack. */
static uint32_t frame_of(const struct script_graph *g, const struct query_record *r)
{
	const struct trace_stack *stack = trace_stack(g->script->trace, r->stack);

	for (uint32_t i = 0; i < r->event->nr_fields; i++)
		if (r->event->fields[i].type == FIELD_FRAME)
			return (uint32_t)r->values[i];
	return stack ? stack->frame : 0;
}

int script_graph_add(struct script_graph *g, const struct query_record *r)
{
	struct thread *t = get_thread(g, key_of(g, r));
	struct call *c = t ? new_call(t) : NULL;
	uint64_t depth;

	if (!c)
		return -ENOMEM;
	depth = r->values[r->event->by_role[ROLE_DEPTH]];
	*c = (struct call) {
		.event = r->event, .end_ns = r->time_ns, .task = r->task, .cpu = r->cpu,
		.duration_ns = r->values[r->event->by_role[ROLE_DURATION]],
		.frame = frame_of(g, r), .depth = depth < 1000 ? (uint32_t)depth : 1000,
	};
	g->nr_calls++;
	if (!depth || t->nr >= MAX_CALLS || g->nr_calls >= MAX_ALL_CALLS)
		return print_calls(g, t);
	return 0;
}

int script_graph_end(struct script_graph *g)
{
	int err = 0;

	for (size_t i = 0; i < g->nr_slots && !err; i++)
		if (g->slots[i].nr)
			err = print_calls(g, &g->slots[i]);
	return err;
}
