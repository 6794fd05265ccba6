#include "record/ftcalls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CALLS 16
/* Far more than the kernel's stacks have room for. */
#define MAX_CALLS 4096
#define FIRST_SLOTS 64		/* a power of two */
/*
 * Of its callees a call remembers the last ones: more than interrupts can call while the
 * tracer is at work on one note.
 */
#define NR_LAST 24
#define NR_FORGOTTEN 8		/* of them at once */
/* A thread, a soft interrupt, an interrupt and one that cannot be masked. */
#define MAX_BESIDE 4

struct callee {
	uint64_t ended_ns, duration_ns;
	uint32_t cpu;
};

struct callees {
	uint64_t sum_ns;		/* without the last ones */
	uint32_t nr;
	struct callee last[NR_LAST];
};

struct open {
	struct ftcalls_open call;
	struct callees callees;
};

struct thread {
	uint64_t key;
	struct open *calls;		/* from the outermost inwards, but [0]: around all */
	uint32_t nr, cap;		/* [0] not counted; counted */
	bool stray;			/* the last one that ended had none around it */
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

static bool is_busy(const struct thread *t)
{
	return t->nr || t->stray;
}

/* Threads without calls are left behind: most of them have ended. */
static int make_room(struct ftcalls *c)
{
	size_t nr_busy = 0, nr_slots = FIRST_SLOTS;
	struct thread *slots;

	for (size_t i = 0; i < c->nr_slots; i++)
		nr_busy += is_busy(&c->slots[i]);
	while (nr_slots < 4 * nr_busy)
		nr_slots *= 2;
	slots = calloc(nr_slots, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < c->nr_slots; i++) {
		struct thread *t = &c->slots[i];

		if (is_busy(t))
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

/* --- callees ----------------------------------------------------------------------- */

static void add_callee(struct callees *c, struct callee callee)
{
	if (c->nr == NR_LAST) {
		for (uint32_t i = 0; i < NR_FORGOTTEN; i++)
			c->sum_ns += c->last[i].duration_ns;
		c->nr -= NR_FORGOTTEN;
		memmove(c->last, c->last + NR_FORGOTTEN, c->nr * sizeof(*c->last));
	}
	c->last[c->nr++] = callee;
}

/*
 * An interrupt does not come in between a reading of the clock and itself: of two calls
 * one is within the other or after it.  But the clocks of two CPUs may differ.
 */
static bool ended_after(const struct callee *c, uint64_t time_ns, uint32_t cpu)
{
	return c->cpu == cpu && c->ended_ns > time_ns;
}

/* Those that were noted before the start of the call and yet are part of it. */
static void take_earlier(struct callees *around, struct callees *of, uint64_t began_ns,
			 uint32_t cpu)
{
	while (around->nr && ended_after(&around->last[around->nr - 1], began_ns, cpu))
		of->sum_ns += around->last[--around->nr].duration_ns;
}

/* Those that were noted before the end of the call and yet came after it. */
static void give_later(struct callees *around, struct callees *of, uint64_t ended_ns,
		       uint32_t cpu)
{
	uint32_t nr = of->nr;

	while (of->nr && ended_after(&of->last[of->nr - 1], ended_ns, cpu))
		of->nr--;
	for (uint32_t i = of->nr; i < nr; i++)
		add_callee(around, of->last[i]);
}

static uint64_t sum_of(const struct callees *c)
{
	uint64_t sum_ns = c->sum_ns;

	for (uint32_t i = 0; i < c->nr; i++)
		sum_ns += c->last[i].duration_ns;
	return sum_ns;
}

/* --- calls ------------------------------------------------------------------------- */

static struct open *innermost(const struct thread *t)
{
	return t->nr ? &t->calls[t->nr] : NULL;
}

/* Its end never came; what its callees took is that of the call around it. */
static void give_up(struct ftcalls *c, struct thread *t)
{
	const struct callees *of = &t->calls[t->nr--].callees;
	struct callees *around = &t->calls[t->nr].callees;

	around->sum_ns += of->sum_ns;
	for (uint32_t i = 0; i < of->nr; i++)
		add_callee(around, of->last[i]);
	c->no_end++;
}

static void give_up_deeper(struct ftcalls *c, struct thread *t, uint32_t depth)
{
	while (t->nr && innermost(t)->call.depth > depth)
		give_up(c, t);
}

/*
 * The call around one of that depth: 0, or which.  What is under way at that depth may be
 * at its end, where the interrupt came; of too many such calls the ends are missing.
 */
static uint32_t find_around(struct ftcalls *c, struct thread *t, uint32_t depth)
{
	uint32_t around = t->nr;

	while (around && t->calls[around].call.depth == depth)
		around--;
	while (t->nr >= around + MAX_BESIDE)
		give_up(c, t);
	return around;
}

static bool has_room(struct thread *t)
{
	uint32_t cap = t->cap ? t->cap * 2 : FIRST_CALLS;
	struct open *calls;

	if (t->nr + 1 < t->cap)
		return true;
	calls = cap <= MAX_CALLS ? realloc(t->calls, cap * sizeof(*calls)) : NULL;
	if (!calls)
		return false;
	if (!t->cap)
		memset(calls, 0, sizeof(*calls));
	t->calls = calls;
	t->cap = cap;
	return true;
}

struct ftcalls_open *ftcalls_enter(struct ftcalls *c, uint64_t thread, uint64_t function,
				   uint32_t depth, uint32_t cpu, uint32_t *above, bool *gap)
{
	struct thread *t = get_thread(c, thread);
	uint32_t around;
	struct open *o;

	if (t)
		give_up_deeper(c, t, depth);
	if (!t || !has_room(t)) {
		c->no_end++;
		return NULL;
	}
	around = find_around(c, t, depth);
	*above = around ? t->calls[around].call.stack : 0;
	*gap = depth != (around ? t->calls[around].call.depth + 1 : 0);
	o = &t->calls[++t->nr];
	o->call = (struct ftcalls_open){ .function = function, .depth = depth, .cpu = cpu };
	o->callees.sum_ns = 0;
	o->callees.nr = 0;
	return &o->call;
}

static uint64_t time_of_end(const struct ftcalls_open *call, const struct ftcalls_end *end,
			    uint64_t duration_ns)
{
	uint64_t latest_ns = call->noted_ns + duration_ns;

	return latest_ns < end->noted_ns ? latest_ns : end->noted_ns;
}

/* The innermost call has ended. */
static void end_call(struct thread *t, const struct ftcalls_end *end, struct ftcalls_ended *to)
{
	struct open *o = innermost(t);
	struct callees *of = &o->callees, *around = &o[-1].callees;
	uint64_t duration_ns = end->ended_ns > end->began_ns ? end->ended_ns - end->began_ns : 0;
	uint64_t callees_ns;

	take_earlier(around, of, end->began_ns, o->call.cpu);
	add_callee(around, (struct callee){ end->ended_ns, duration_ns, end->cpu });
	give_later(around, of, end->ended_ns, end->cpu);
	callees_ns = sum_of(of);
	/* Where the clocks of two CPUs differ, a callee may seem to take longer. */
	*to = (struct ftcalls_ended){
		.time_ns = time_of_end(&o->call, end, duration_ns), .duration_ns = duration_ns, .depth = end->depth, .stack = o->call.stack,
		.self_ns = duration_ns > callees_ns ? duration_ns - callees_ns : 0,
	};
	t->nr--;
	t->stray = !t->nr && end->depth;
}

bool ftcalls_leave(struct ftcalls *c, uint64_t thread, const struct ftcalls_end *end,
		   struct ftcalls_ended *to)
{
	struct thread *t = slot_of(c->slots, c->nr_slots, thread);

	give_up_deeper(c, t, end->depth);
	while (t->nr && innermost(t)->call.depth == end->depth &&
	       innermost(t)->call.function != end->function)
		give_up(c, t);
	if (!t->nr || innermost(t)->call.depth != end->depth) {
		c->no_start++;
		return false;
	}
	end_call(t, end, to);
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
