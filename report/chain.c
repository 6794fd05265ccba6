#include "report/chain.h"

#include "report/textpool.h"
#include "report/valuenames.h"
#include "report/wakerstack.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LINKS ((uint32_t)1 << 18)
#define FIRST_LINKS ((uint32_t)1 << 10)
/* Values of a context that have a name by value; others are looked up each time. */
#define NR_CONTEXTS 16

struct chains {
	struct trace *trace;
	struct chain_link *links;	/* [0] is not used */
	uint32_t *slots;		/* twice the room for links; 0 is free */
	uint32_t nr, cap;
	uint64_t refused;
	struct textpool *names;
	uint32_t *of_task;		/* names by task; 0: not asked yet */
	uint32_t nr_tasks;
	uint32_t of_context[NR_CONTEXTS];
	struct wakerstacks *stacks;
};

int chain_new(struct chains **out, struct trace *t)
{
	struct chains *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->trace = t;
	c->nr = 1;
	if (textpool_new(&c->names) || wakerstack_new(&c->stacks, t)) {
		chain_free(c);
		return -ENOMEM;
	}
	*out = c;
	return 0;
}

void chain_free(struct chains *c)
{
	if (!c)
		return;
	textpool_free(c->names);
	wakerstack_free(c->stacks);
	free(c->of_task);
	free(c->links);
	free(c->slots);
	free(c);
}

/* --- links ------------------------------------------------------------------- */

static uint64_t hash_of(const struct chain_link *l)
{
	uint64_t x = ((uint64_t)l->stack << 32 | l->name) * 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 29 ^ ((uint64_t)l->frames << 32 | l->next)) * 0xd6e8feb86659fd93u;
	return x ^ x >> 32;
}

/* The slot of the link, or the free one where it belongs. */
static uint32_t *find(const struct chains *c, const struct chain_link *key)
{
	for (uint64_t at = hash_of(key);; at++) {
		uint32_t *slot = &c->slots[at & (2 * (uint64_t)c->cap - 1)];
		const struct chain_link *l = &c->links[*slot];

		if (!*slot || (l->stack == key->stack && l->name == key->name &&
			       l->next == key->next && l->frames == key->frames))
			return slot;
	}
}

static int grow(struct chains *c)
{
	uint32_t cap = c->cap ? c->cap * 2 : FIRST_LINKS;
	struct chain_link *links = realloc(c->links, cap * sizeof(*links));
	uint32_t *slots;

	if (!links)
		return -ENOMEM;
	c->links = links;
	slots = calloc((size_t)cap * 2, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	free(c->slots);
	c->slots = slots;
	c->cap = cap;
	for (uint32_t i = 1; i < c->nr; i++)
		*find(c, &links[i]) = i;
	return 0;
}

static uint32_t hops_of(const struct chains *c, uint32_t chain)
{
	return chain ? c->links[chain].hops : 0;
}

static uint32_t put_link(struct chains *c, struct chain_link *link)
{
	uint32_t *slot;

	if (!c->cap && grow(c))
		return 0;
	slot = find(c, link);
	if (*slot)
		return *slot;
	/* The chain without its last hop is needed first, and is one hop less deep. */
	if (link->next) {
		struct chain_link shorter = *link;

		shorter.next = c->links[link->next].shorter;
		link->shorter = put_link(c, &shorter);
		if (!link->shorter)
			return 0;
	}
	if (c->nr == MAX_LINKS || (c->nr == c->cap && grow(c))) {
		c->refused++;
		return 0;
	}
	link->hops = (uint16_t)(hops_of(c, link->next) + 1);
	slot = find(c, link);
	c->links[c->nr] = *link;
	*slot = c->nr++;
	return *slot;
}

uint32_t chain_link(struct chains *c, const struct chain_waker *waker, uint32_t next)
{
	return put_link(c, &(struct chain_link) {
		.stack = waker->stack, .name = waker->name, .frames = waker->frames, .next = next });
}

uint32_t chain_join(struct chains *c, uint32_t hop, uint32_t next)
{
	struct chain_link link;

	if (!hop || !next)
		return hop;
	link = c->links[hop];
	link.next = next;
	return put_link(c, &link);
}

uint32_t chain_cut(const struct chains *c, uint32_t chain, uint32_t hops)
{
	while (hops_of(c, chain) > hops)
		chain = c->links[chain].shorter;
	return chain;
}

const struct chain_link *chain_at(const struct chains *c, uint32_t chain)
{
	return chain && chain < c->nr ? &c->links[chain] : NULL;
}

uint64_t chain_refused(const struct chains *c)
{
	return c->refused;
}

uint32_t chain_nr(const struct chains *c)
{
	return c->nr;
}

/* --- names ------------------------------------------------------------------- */

static uint32_t name_context(struct chains *c, const struct field_desc *field, uint64_t value)
{
	char text[64] = "[interrupt]";
	struct valuenames names;
	const char *name;
	size_t len;

	if (field->values) {
		valuenames_begin(&names, field->values, value);
		if (valuenames_next(&names, &name, &len) && len && len < sizeof(text) - 2) {
			for (size_t i = 0; i < len; i++)
				text[i + 1] = (char)tolower((unsigned char)name[i]);
			strcpy(text + len + 1, "]");
		}
	}
	return textpool_put(c->names, text, strlen(text));
}

static uint32_t name_task(struct chains *c, uint32_t task)
{
	const struct trace_task *t = trace_task(c->trace, task);
	const char *comm = t ? trace_text(c->trace, t->comm) : "";

	if (!*comm)
		comm = "[unknown]";
	return textpool_put(c->names, comm, strlen(comm));
}

/* Tasks stand in the file before their records. */
static int prepare_tasks(struct chains *c)
{
	uint32_t nr = trace_nr_tasks(c->trace) + 1;
	uint32_t *list = realloc(c->of_task, nr * sizeof(*list));

	if (!list)
		return -ENOMEM;
	memset(list + c->nr_tasks, 0, (nr - c->nr_tasks) * sizeof(*list));
	c->of_task = list;
	c->nr_tasks = nr;
	return 0;
}

/* 0 when memory ran out. */
static uint32_t name_of_task(struct chains *c, uint32_t task)
{
	uint32_t *name;

	if (task >= trace_nr_tasks(c->trace))
		return name_task(c, 0);
	if (task >= c->nr_tasks && prepare_tasks(c))
		return 0;
	name = &c->of_task[task];
	*name = *name ? *name : name_task(c, task);
	return *name;
}

static uint32_t name_of_context(struct chains *c, const struct field_desc *field, uint64_t value)
{
	uint32_t *name;

	if (value >= NR_CONTEXTS)
		return name_context(c, field, value);
	name = &c->of_context[value];
	*name = *name ? *name : name_context(c, field, value);
	return *name;
}

/* Without names of functions nobody can tell where an interrupt began. */
static bool is_named(const struct chains *c, uint32_t stack)
{
	const struct trace_stack *s = trace_stack(c->trace, stack);
	const struct trace_frame *f = s ? trace_frame(c->trace, s->frame) : NULL;

	return f && trace_symbol(c->trace, f->module, f->offset);
}

int chain_waker(struct chains *c, uint32_t task, uint32_t stack,
		const struct field_desc *context, uint64_t value, struct chain_waker *out)
{
	const struct trace_task *t = trace_task(c->trace, task);
	struct wakerstack interrupt;

	*out = (struct chain_waker) { .stack = stack };
	if (context && value) {
		out->name = name_of_context(c, context, value);
		if (!out->name || wakerstack_get(c->stacks, stack, &interrupt))
			return -ENOMEM;
		if (interrupt.is_borrowed || strcmp(chain_name(c, out->name), "[softirq]") ||
		    !is_named(c, stack)) {
			out->stack = interrupt.stack;
			out->frames = interrupt.frames < UINT16_MAX ? (uint16_t)interrupt.frames
								    : UINT16_MAX;
			return 0;
		}
	}
	out->name = name_of_task(c, task);
	out->is_thread = t && !(t->flags & TASK_IDLE);
	return out->name ? 0 : -ENOMEM;
}

const char *chain_name(const struct chains *c, uint32_t name)
{
	return textpool_text(c->names, name);
}

uint32_t chain_nr_names(const struct chains *c)
{
	return textpool_nr(c->names);
}
