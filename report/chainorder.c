#include "report/chainorder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* 14 MB of waits whose turn has not come; beyond, the earlier half goes anyway. */
#define MAX_WAITING ((size_t)1 << 17)
/*
 * 8 MB of what threads had waited for.  A thread has its place in one set; in a full one
 * the thread that was not heard of for the longest time is forgotten.
 */
#define NR_SETS 8192
#define SET_SIZE 8
/* Who was woken long before it got a CPU asks for what its waker had waited for by then. */
#define NR_PAST 8
/* Waits are asked for so many before their turn, so that memory has time to answer. */
#define AHEAD 8

struct thread {
	uint64_t id;		/* 0: free */
	uint64_t heard_ns;
	uint32_t nr, newest;	/* of past, a ring */
	uint64_t until_ns[NR_PAST];
	uint32_t chain[NR_PAST];
};

struct place {
	uint64_t time_ns;
	uint32_t wait;
};

struct chainorder {
	struct chains *chains;
	uint32_t hops;
	chainorder_fn fn;
	void *ctx;
	struct chainorder_wait *waits;
	struct place *places, *scratch;
	size_t nr, cap;
	struct thread *threads;
	uint64_t safe_ns;
	uint64_t ended;
};

int chainorder_new(struct chainorder **out, struct chains *chains, uint32_t hops,
		   chainorder_fn fn, void *ctx)
{
	struct chainorder *o = calloc(1, sizeof(*o));

	if (!o)
		return -ENOMEM;
	*o = (struct chainorder) { .chains = chains, .hops = hops, .fn = fn, .ctx = ctx };
	o->threads = calloc((size_t)NR_SETS * SET_SIZE, sizeof(*o->threads));
	if (!o->threads) {
		chainorder_free(o);
		return -ENOMEM;
	}
	*out = o;
	return 0;
}

void chainorder_free(struct chainorder *o)
{
	if (!o)
		return;
	free(o->waits);
	free(o->places);
	free(o->scratch);
	free(o->threads);
	free(o);
}

/* --- threads ----------------------------------------------------------------- */

static struct thread *set_of(const struct chainorder *o, uint64_t id)
{
	uint64_t x = id * 0x9e3779b97f4a7c15u;

	return &o->threads[(x >> 40) % NR_SETS * SET_SIZE];
}

static struct thread *find_thread(const struct chainorder *o, uint64_t id)
{
	struct thread *set = set_of(o, id);

	for (size_t i = 0; i < SET_SIZE; i++)
		if (set[i].id == id)
			return &set[i];
	return NULL;
}

static struct thread *make_thread(const struct chainorder *o, uint64_t id)
{
	struct thread *t = find_thread(o, id), *set = set_of(o, id);

	if (t)
		return t;
	t = set;
	for (size_t i = 1; i < SET_SIZE; i++)
		if (set[i].heard_ns < t->heard_ns)
			t = &set[i];
	*t = (struct thread) { .id = id };
	return t;
}

static void remember(const struct chainorder *o, const struct chainorder_wait *w, uint32_t chain)
{
	struct thread *t = make_thread(o, w->thread);

	t->heard_ns = w->time_ns;
	t->newest = (t->newest + 1) % NR_PAST;
	t->until_ns[t->newest] = w->until_ns;
	t->chain[t->newest] = chain;
	if (t->nr < NR_PAST)
		t->nr++;
}

/* Why the waker had waited, as far as that is a reason for this wait; 0: no reason. */
static uint32_t reason(struct chainorder *o, const struct chainorder_wait *w)
{
	const struct thread *t = w->waker ? find_thread(o, w->waker) : NULL;

	for (uint32_t i = 0; t && i < t->nr; i++) {
		uint32_t at = (t->newest + NR_PAST - i) % NR_PAST;

		if (t->until_ns[at] <= w->until_ns)
			return t->until_ns[at] > w->from_ns ? t->chain[at] : 0;
	}
	o->ended += w->waker && w->counts;
	return 0;
}

static int settle(struct chainorder *o, const struct chainorder_wait *w)
{
	uint32_t chain = 0;

	if (w->by.name)
		chain = chain_link(o->chains, &w->by,
				   chain_cut(o->chains, reason(o, w), o->hops - 1));
	/* Who lost its CPU waits no longer for what it had waited for before. */
	if (w->until_ns > w->from_ns || w->by.name)
		remember(o, w, chain_cut(o->chains, chain, o->hops - 1));
	return w->counts ? o->fn(o->ctx, w, chain) : 0;
}

/* --- order ------------------------------------------------------------------- */

static size_t end_of_run(const struct place *p, size_t begin, size_t end)
{
	while (++begin < end && p[begin - 1].time_ns <= p[begin].time_ns)
		;
	return begin < end ? begin : end;
}

/*
 * From both ends, which do not wait for each other: the first of what comes out are taken
 * from the beginnings of the two, the last from their ends.
 */
static void merge(const struct place *a, size_t nr_a, const struct place *b, size_t nr_b,
		  struct place *to)
{
	struct place *end = to + nr_a + nr_b;

	while (nr_a && nr_b) {
		bool first = a->time_ns <= b->time_ns;
		bool last = a[nr_a - 1].time_ns <= b[nr_b - 1].time_ns;

		*to++ = *(first ? a : b);
		*--end = *(last ? &b[nr_b - 1] : &a[nr_a - 1]);
		a += first;
		b += !first;
		nr_a -= (size_t)first + !last;
		nr_b -= (size_t)last + !first;
	}
	memcpy(to, a, nr_a * sizeof(*to));
	memcpy(to + nr_a, b, nr_b * sizeof(*to));
}

/* They come in few ascending runs, one a CPU: those are merged, two at a time. */
static void sort_places(struct chainorder *o)
{
	size_t nr_runs;

	do {
		struct place *from = o->places;
		size_t at = 0;

		nr_runs = 0;
		while (at < o->nr) {
			size_t middle = end_of_run(from, at, o->nr);
			size_t end = middle < o->nr ? end_of_run(from, middle, o->nr) : middle;

			merge(&from[at], middle - at, &from[middle], end - middle,
			      &o->scratch[at]);
			at = end;
			nr_runs++;
		}
		o->places = o->scratch;
		o->scratch = from;
	} while (nr_runs > 1);
}

/* Takes all earlier than that, and as many as there may not be. */
static int take(struct chainorder *o, uint64_t safe_ns, size_t most)
{
	struct chainorder_wait *left;
	size_t nr = 0;
	int err = 0;

	for (size_t i = 0; i < o->nr; i++)
		o->places[i] = (struct place) { o->waits[i].time_ns, (uint32_t)i };
	if (o->nr)
		sort_places(o);
	for (; nr < o->nr && !err && (o->places[nr].time_ns < safe_ns || o->nr - nr > most); nr++) {
		if (nr + AHEAD < o->nr)
			__builtin_prefetch(&o->waits[o->places[nr + AHEAD].wait]);
		err = settle(o, &o->waits[o->places[nr].wait]);
	}
	if (err || nr == 0)
		return err;
	if (nr < o->nr) {
		left = malloc((o->nr - nr) * sizeof(*left));
		if (!left)
			return -ENOMEM;
		for (size_t i = nr; i < o->nr; i++)
			left[i - nr] = o->waits[o->places[i].wait];
		memcpy(o->waits, left, (o->nr - nr) * sizeof(*left));
		free(left);
	}
	o->nr -= nr;
	return 0;
}

static int grow(struct chainorder *o)
{
	size_t cap = o->cap ? o->cap * 2 : 4096;
	struct chainorder_wait *waits = realloc(o->waits, cap * sizeof(*waits));
	struct place *places;

	if (!waits)
		return -ENOMEM;
	o->waits = waits;
	places = realloc(o->places, cap * sizeof(*places));
	if (!places)
		return -ENOMEM;
	o->places = places;
	places = realloc(o->scratch, cap * sizeof(*places));
	if (!places)
		return -ENOMEM;
	o->scratch = places;
	o->cap = cap;
	return 0;
}

int chainorder_add(struct chainorder *o, const struct chainorder_wait *w)
{
	int err = 0;

	if (o->nr == MAX_WAITING)
		err = take(o, 0, MAX_WAITING / 2);
	if (!err && o->nr == o->cap)
		err = grow(o);
	if (!err)
		o->waits[o->nr++] = *w;
	return err;
}

int chainorder_until(struct chainorder *o, uint64_t safe_ns)
{
	if (safe_ns <= o->safe_ns)
		return 0;
	o->safe_ns = safe_ns;
	return take(o, safe_ns, MAX_WAITING);
}

static void release(struct chainorder *o)
{
	free(o->waits);
	free(o->places);
	free(o->scratch);
	free(o->threads);
	o->waits = NULL;
	o->places = o->scratch = NULL;
	o->threads = NULL;
}

int chainorder_finish(struct chainorder *o)
{
	int err = take(o, UINT64_MAX, 0);

	release(o);
	return err;
}

uint64_t chainorder_ended(const struct chainorder *o)
{
	return o->ended;
}
