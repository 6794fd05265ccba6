#include "report/chainorder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * 13 MB of waits whose turn has not come; beyond, the earlier half goes anyway.  They stand
 * in runs as they came, mostly from one CPU: those go at about the same time, and memory
 * is read and written from its beginning to its end.
 */
#define MAX_WAITING ((size_t)1 << 17)
#define RUN 512
/* It is worth looking whose turn has come when so many are new, and a part of the others. */
#define MIN_NEW 4096
#define NEW_PART 4
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
	uint32_t chain[NR_PAST];	/* one hop less than asked for, at most */
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
	uint32_t *lives;		/* by run: so many of its waits are left */
	uint32_t *spare;		/* runs without any */
	size_t nr_spare;
	size_t next, run_end;		/* of the run that is being filled */
	size_t worth;			/* so many, to look whose turn has come */
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
	free(o->lives);
	free(o->spare);
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

static void remember(const struct chainorder *o, uint64_t time_ns,
		     const struct chainorder_wait *w, uint32_t chain)
{
	struct thread *t = make_thread(o, w->thread);

	t->heard_ns = time_ns;
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

static int settle(struct chainorder *o, uint64_t time_ns, const struct chainorder_wait *w)
{
	uint32_t chain = 0;

	if (w->woken)
		chain = chain_join(o->chains, w->hop, reason(o, w));
	/* Who lost its CPU waits no longer for what it had waited for before. */
	if (w->until_ns > w->from_ns || w->woken)
		remember(o, time_ns, w, chain_cut(o->chains, chain, o->hops - 1));
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

/* A run that is being filled stays, even if none of its waits is left. */
static void leave(struct chainorder *o, size_t wait)
{
	size_t run = wait / RUN;

	if (--o->lives[run] == 0 && (run + 1) * RUN != o->run_end)
		o->spare[o->nr_spare++] = (uint32_t)run;
}

/* Takes all earlier than that, and as many as there may not be. */
static int take(struct chainorder *o, uint64_t safe_ns, size_t most)
{
	size_t nr = 0;
	int err = 0;

	if (o->nr)
		sort_places(o);
	for (; nr < o->nr && !err && (o->places[nr].time_ns < safe_ns || o->nr - nr > most); nr++) {
		const struct place *p = &o->places[nr];

		if (nr + AHEAD < o->nr)
			__builtin_prefetch(&o->waits[p[AHEAD].wait]);
		err = settle(o, p->time_ns, &o->waits[p->wait]);
		leave(o, p->wait);
	}
	o->nr -= nr;
	if (nr)
		memmove(o->places, o->places + nr, o->nr * sizeof(*o->places));
	o->worth = o->nr + (o->nr / NEW_PART > MIN_NEW ? o->nr / NEW_PART : MIN_NEW);
	return err;
}

static int grow(struct chainorder *o)
{
	size_t cap = o->cap ? o->cap * 2 : 8 * RUN;
	struct chainorder_wait *waits = realloc(o->waits, cap * sizeof(*waits));
	struct place *places;
	uint32_t *runs;

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
	runs = realloc(o->lives, cap / RUN * sizeof(*runs));
	if (!runs)
		return -ENOMEM;
	o->lives = runs;
	runs = realloc(o->spare, cap / RUN * sizeof(*runs));
	if (!runs)
		return -ENOMEM;
	o->spare = runs;
	for (size_t run = cap / RUN; run > o->cap / RUN; run--)
		o->spare[o->nr_spare++] = (uint32_t)run - 1;
	o->cap = cap;
	return 0;
}

/* Late waits may have kept all runs from becoming empty. */
static int move_together(struct chainorder *o)
{
	struct chainorder_wait *left = malloc(o->nr * sizeof(*left) + 1);
	size_t nr_runs = (o->nr + RUN - 1) / RUN;

	if (!left)
		return -ENOMEM;
	for (size_t i = 0; i < o->nr; i++) {
		left[i] = o->waits[o->places[i].wait];
		o->places[i].wait = (uint32_t)i;
	}
	memcpy(o->waits, left, o->nr * sizeof(*left));
	free(left);
	o->nr_spare = 0;
	for (size_t run = o->cap / RUN; run-- > 0;) {
		o->lives[run] = run + 1 < nr_runs ? RUN : 0;
		if (run >= nr_runs)
			o->spare[o->nr_spare++] = (uint32_t)run;
	}
	if (nr_runs)
		o->lives[nr_runs - 1] = (uint32_t)(o->nr - (nr_runs - 1) * RUN);
	return 0;
}

static int begin_run(struct chainorder *o)
{
	int err = 0;

	if (o->run_end && !o->lives[o->run_end / RUN - 1])
		o->spare[o->nr_spare++] = (uint32_t)(o->run_end / RUN - 1);
	o->next = o->run_end = 0;
	if (!o->nr_spare && o->cap < MAX_WAITING)
		err = grow(o);
	if (!err && !o->nr_spare)
		err = take(o, o->safe_ns, MAX_WAITING);
	if (!err && !o->nr_spare && o->nr > MAX_WAITING / 2)
		err = take(o, 0, MAX_WAITING / 2);
	if (!err && !o->nr_spare)
		err = move_together(o);
	if (err)
		return err;
	o->next = (size_t)o->spare[--o->nr_spare] * RUN;
	o->run_end = o->next + RUN;
	o->lives[o->next / RUN] = 0;
	return 0;
}

int chainorder_add(struct chainorder *o, uint64_t time_ns, const struct chainorder_wait *w)
{
	int err = o->next == o->run_end ? begin_run(o) : 0;

	if (err)
		return err;
	o->lives[o->next / RUN]++;
	o->waits[o->next] = *w;
	o->places[o->nr++] = (struct place) { time_ns, (uint32_t)o->next++ };
	return 0;
}

int chainorder_until(struct chainorder *o, uint64_t safe_ns)
{
	if (safe_ns <= o->safe_ns)
		return 0;
	o->safe_ns = safe_ns;
	return o->nr < o->worth ? 0 : take(o, safe_ns, MAX_WAITING);
}

static void release(struct chainorder *o)
{
	free(o->waits);
	free(o->places);
	free(o->scratch);
	free(o->lives);
	free(o->spare);
	free(o->threads);
	o->waits = NULL;
	o->places = o->scratch = NULL;
	o->lives = o->spare = NULL;
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
