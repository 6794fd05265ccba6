#include "record/ftcalls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CALLS 16
/* Far more than the kernel's stacks have room for. */
#define MAX_CALLS 4096
#define FIRST_SLOTS 64		/* a power of two */

struct thread {
	uint64_t key;
	struct ftcalls_open *calls;	/* from the outermost inwards */
	uint32_t nr, cap;
	bool used;
};

/* An open-addressing table of threads. */
struct ftcalls {
	struct thread *slots;
	size_t nr_used, nr_slots;
	uint64_t no_start, no_end;
};

int ftcalls_new(struct ftcalls **out)
{
	struct ftcalls *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->nr_slots = FIRST_SLOTS;
	c->slots = calloc(c->nr_slots, sizeof(*c->slots));
	if (!c->slots) {
		free(c);
		return -ENOMEM;
	}
	*out = c;
	return 0;
}

void ftcalls_free(struct ftcalls *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->nr_slots; i++)
		free(c->slots[i].calls);
	free(c->slots);
	free(c);
}

/* --- threads ----------------------------------------------------------------------- */

static struct thread *slot_of(struct thread *slots, size_t nr_slots, uint64_t key)
{
	size_t i = (size_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (nr_slots - 1);

	while (slots[i].used && slots[i].key != key)
		i = (i + 1) & (nr_slots - 1);
	return &slots[i];
}

/* Threads without calls are left behind: most of them have ended. */
static int make_room(struct ftcalls *c)
{
	size_t nr_busy = 0, nr_slots = FIRST_SLOTS;
	struct thread *slots;

	for (size_t i = 0; i < c->nr_slots; i++)
		nr_busy += c->slots[i].nr > 0;
	while (nr_slots < 4 * nr_busy)
		nr_slots *= 2;
	slots = calloc(nr_slots, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < c->nr_slots; i++) {
		struct thread *t = &c->slots[i];

		if (t->nr)
			*slot_of(slots, nr_slots, t->key) = *t;
		else
			free(t->calls);
	}
	free(c->slots);
	c->slots = slots;
	c->nr_slots = nr_slots;
	c->nr_used = nr_busy;
	return 0;
}

static struct thread *get_thread(struct ftcalls *c, uint64_t key)
{
	struct thread *t = slot_of(c->slots, c->nr_slots, key);

	if (t->used)
		return t;
	if (c->nr_used >= c->nr_slots / 2) {
		if (make_room(c) < 0)
			return NULL;
		t = slot_of(c->slots, c->nr_slots, key);
	}
	*t = (struct thread){ .key = key, .used = true };
	c->nr_used++;
	return t;
}

/* --- calls ------------------------------------------------------------------------- */

/* Its end never came; what its callees took is that of the call around it. */
static void give_up(struct ftcalls *c, struct thread *t)
{
	const struct ftcalls_open *call = &t->calls[--t->nr];

	if (t->nr)
		t->calls[t->nr - 1].callees_ns += call->callees_ns;
	c->no_end++;
}

static bool has_room(struct thread *t)
{
	uint32_t cap = t->cap ? t->cap * 2 : FIRST_CALLS;
	struct ftcalls_open *calls;

	if (t->nr < t->cap)
		return true;
	calls = cap <= MAX_CALLS ? realloc(t->calls, cap * sizeof(*calls)) : NULL;
	if (!calls)
		return false;
	t->calls = calls;
	t->cap = cap;
	return true;
}

struct ftcalls_open *ftcalls_enter(struct ftcalls *c, uint64_t thread, uint64_t function,
				   uint32_t depth, uint32_t *above, bool *gap)
{
	struct thread *t = get_thread(c, thread);
	struct ftcalls_open *call;

	while (t && t->nr && t->calls[t->nr - 1].depth >= depth)
		give_up(c, t);
	if (!t || !has_room(t)) {
		c->no_end++;
		return NULL;
	}
	call = &t->calls[t->nr];
	*above = t->nr ? call[-1].stack : 0;
	*gap = depth != (t->nr ? call[-1].depth + 1 : 0);
	*call = (struct ftcalls_open){ .function = function, .depth = depth };
	t->nr++;
	return call;
}

bool ftcalls_leave(struct ftcalls *c, uint64_t thread, uint64_t function, uint32_t depth,
		   uint64_t duration_ns, struct ftcalls_ended *to)
{
	struct thread *t = slot_of(c->slots, c->nr_slots, thread);
	struct ftcalls_open *call;

	while (t->nr && t->calls[t->nr - 1].depth > depth)
		give_up(c, t);
	call = t->nr ? &t->calls[t->nr - 1] : NULL;
	if (call && call->depth == depth && call->function != function) {
		give_up(c, t);
		call = NULL;
	}
	if (!call || call->depth != depth) {
		c->no_start++;
		return false;
	}
	/* Where the clocks of two CPUs differ, a callee may seem to take longer. */
	*to = (struct ftcalls_ended){
		.duration_ns = duration_ns, .depth = depth, .stack = call->stack,
		.self_ns = duration_ns > call->callees_ns ? duration_ns - call->callees_ns : 0,
	};
	t->nr--;
	if (t->nr)
		call[-1].callees_ns += duration_ns;
	return true;
}

void ftcalls_forget(struct ftcalls *c)
{
	for (size_t i = 0; i < c->nr_slots; i++) {
		c->no_end += c->slots[i].nr;
		c->slots[i].nr = 0;
	}
}

uint64_t ftcalls_no_start(const struct ftcalls *c)
{
	return c->no_start;
}

uint64_t ftcalls_no_end(const struct ftcalls *c)
{
	return c->no_end;
}
