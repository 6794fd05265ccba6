#include "report/stacksum_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Of stacks with chains so many different ones are told apart: 4 MB. */
#define MAX_CHAINED ((size_t)98304)

/* Most wakeups come from where others came from before: a power of two. */
#define NR_KNOWN 4096

struct known_waker {
	uint64_t context;
	uint32_t task, stack;
	uint64_t thread;	/* 0: none that may have waited itself */
	uint32_t hop;		/* the chain of this waker alone; 0: there was no room */
	bool is_set;
};

struct known_thread {
	uint64_t task, thread;
};

struct stacksum_known {
	const struct field_desc *context;	/* of the event: the same values */
	struct known_waker wakers[NR_KNOWN];
	struct known_thread threads[NR_KNOWN];
};

int stacksum_chains_new(struct stacksum_known **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

static uint64_t thread_of(struct stacksum *s, uint64_t task)
{
	struct known_thread *known = &s->known->threads[task & (NR_KNOWN - 1)];
	const struct trace_task *t;

	if (known->task != task || !known->thread) {
		t = task <= UINT32_MAX ? trace_task(s->trace, (uint32_t)task) : NULL;
		*known = (struct known_thread) {
			task, t ? (uint64_t)t->pid << 32 | t->tid : 0 };
	}
	return known->thread;
}

/* Who is said to have ended a wait, or NULL: memory ran out. */
static const struct known_waker *get_waker(struct stacksum *s, const struct stacksum_wait *w)
{
	uint32_t task = w->waker <= UINT32_MAX ? (uint32_t)w->waker : 0;
	uint64_t hash = ((uint64_t)w->waker_stack << 32 | task) * 0x9e3779b97f4a7c15u ^
			w->context << 52;
	struct known_waker *known = &s->known->wakers[hash >> 52 & (NR_KNOWN - 1)];
	struct chain_waker by;

	if (known->is_set && known->task == task && known->stack == w->waker_stack &&
	    known->context == w->context)
		return known;
	if (chain_waker(s->chains, task, w->waker_stack, w->context_field, w->context, &by))
		return NULL;
	*known = (struct known_waker) {
		.context = w->context, .task = task, .stack = w->waker_stack, .is_set = true,
		.thread = by.is_thread ? thread_of(s, task) : 0,
		.hop = chain_link(s->chains, &by, 0),
	};
	return known;
}

/* When there are too many different chains, new ones count for shorter ones. */
int stacksum_chains_settle(void *ctx, const struct chainorder_wait *w, uint32_t chain)
{
	struct stacksum *s = ctx;
	struct stacksum_entry key = { .group = w->group, .stack = w->stack, .chain = chain };
	uint32_t entry;

	s->no_room += w->woken && !chain;
	if (!w->value) {
		s->records += w->times;
		return 0;
	}
	if (s->counts.nr >= MAX_CHAINED && chain &&
	    stackcounts_find(&s->counts, &key) == STACKCOUNTS_NONE) {
		s->no_room++;
		do
			key.chain = chain_at(s->chains, key.chain)->shorter;
		while (key.chain && stackcounts_find(&s->counts, &key) == STACKCOUNTS_NONE);
	}
	entry = stackcounts_get(&s->counts, &key, 1);
	if (entry == STACKCOUNTS_NONE)
		return -ENOMEM;
	stacksum_rows_raise(s, entry, w->times, w->value);
	return 0;
}

/* What was known of another event's wakers may mean something else. */
static void begin_event(struct stacksum *s, const struct stacksum_wait *w)
{
	if (s->known->context != w->context_field)
		memset(s->known->wakers, 0, sizeof(s->known->wakers));
	s->known->context = w->context_field;
}

static int take_wait(struct stacksum *s, const struct stacksum_wait *w)
{
	struct chainorder_wait wait = {
		.value = w->value, .times = w->times, .group = w->group, .stack = w->stack,
		.counts = w->counts,
	};
	const struct known_waker *known;

	begin_event(s, w);
	if (w->waker || w->context) {
		known = get_waker(s, w);
		if (!known)
			return -ENOMEM;
		wait.woken = true;
		wait.hop = known->hop;
		wait.waker = known->thread;
	}
	if (!s->order || !stacksum_chains_needs_order(w))
		return stacksum_chains_settle(s, &wait, wait.hop);
	wait.thread = thread_of(s, w->task);
	wait.from_ns = w->from_ns;
	wait.until_ns = w->until_ns;
	return chainorder_add(s->order, w->time_ns, &wait);
}

int stacksum_chains_take(void *ctx, const void *waits, size_t nr)
{
	const struct stacksum_wait *w = waits;
	struct stacksum *s = ctx;
	int err = 0;

	for (size_t i = 0; i < nr && !err; i++)
		err = w[i].is_promise ? chainorder_until(s->order, w[i].time_ns)
				      : take_wait(s, &w[i]);
	return err;
}
