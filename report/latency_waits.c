#include "report/latency_waits.h"

#include <errno.h>
#include <stdlib.h>

int latency_waits_init(struct latency_waits *w)
{
	w->ring = calloc(LATENCY_WAITS_KEPT, sizeof(*w->ring));
	w->newest = 0;
	return w->ring ? 0 : -ENOMEM;
}

void latency_waits_release(struct latency_waits *w)
{
	free(w->ring);
	w->ring = NULL;
}

struct latency_kept *latency_waits_look(const struct latency_waits *w, uint32_t number)
{
	if (!number || w->newest - number >= LATENCY_WAITS_KEPT)
		return NULL;
	return &w->ring[number % LATENCY_WAITS_KEPT];
}

struct latency_kept *latency_waits_get(const struct latency_waits *w, uint32_t number)
{
	if (!number || w->newest - number >= LATENCY_WAITS_KEPT - LATENCY_WAITS_GRACE)
		return NULL;
	return &w->ring[number % LATENCY_WAITS_KEPT];
}

/*
 * Jumps are those of the skew-binary numbers (Myers, "An applicative random-access stack"):
 * one of them for each, and any older one is reached in a logarithm of steps.
 */
static uint32_t jump_from(const struct latency_waits *w, enum latency_chain chain,
			  uint32_t before)
{
	const struct latency_kept *b = latency_waits_get(w, before), *j, *jj;

	j = b ? latency_waits_get(w, b->links[chain].jump) : NULL;
	jj = j ? latency_waits_get(w, j->links[chain].jump) : NULL;
	if (jj && b->links[chain].depth - j->links[chain].depth ==
		  j->links[chain].depth - jj->links[chain].depth)
		return j->links[chain].jump;
	return b ? before : 0;
}

static void add_link(struct latency_waits *w, struct latency_kept *k, enum latency_chain chain,
		     uint32_t before)
{
	const struct latency_kept *b = latency_waits_get(w, before);

	k->links[chain].before = before;
	k->links[chain].jump = jump_from(w, chain, before);
	k->links[chain].depth = b ? b->links[chain].depth + 1 : 0;
	for (size_t i = 0; i < LATENCY_NR_SUMS; i++)
		if ((i == LATENCY_SUM_BLOCKED) == (chain == LATENCY_SAME_REASON))
			k->sums[i] = (b ? b->sums[i] : 0) + k->ns[i];
}

static void set_parts(struct latency_kept *k, const struct latency_piece *p)
{
	k->time_ns = p->time_ns;
	k->from_ns = p->time_ns - latency_story_ns(p);
	k->ns[LATENCY_SUM_ON] = p->on_ns;
	k->ns[LATENCY_SUM_IRQ] = p->irq_ns;
	k->ns[LATENCY_SUM_RUNQ] = p->runq_ns;
	k->ns[LATENCY_SUM_SKIPPED] = p->skipped_ns;
	k->ns[LATENCY_SUM_BLOCKED] = p->blocked_ns;
}

uint32_t latency_waits_add(struct latency_waits *w, const struct latency_piece *p,
			   const uint32_t before[LATENCY_NR_CHAINS])
{
	struct latency_kept *k;

	/* Numbers start over after 2^32 waits, of which very few are kept. */
	if (!++w->newest)
		w->newest = 1;
	k = &w->ring[w->newest % LATENCY_WAITS_KEPT];
	*k = (struct latency_kept) {
		.stack = p->stack, .waker = p->waker, .waker_stack = p->waker_stack,
		.reason = p->reason, .context = p->context, .idle = p->idle,
	};
	set_parts(k, p);
	add_link(w, k, LATENCY_ALL, before[LATENCY_ALL]);
	if (p->blocked_ns)
		add_link(w, k, LATENCY_SAME_REASON, before[LATENCY_SAME_REASON]);
	return w->newest;
}

void latency_waits_piece(const struct latency_kept *k, struct latency_piece *to)
{
	*to = (struct latency_piece) {
		.time_ns = k->time_ns, .on_ns = k->ns[LATENCY_SUM_ON],
		.irq_ns = k->ns[LATENCY_SUM_IRQ], .runq_ns = k->ns[LATENCY_SUM_RUNQ],
		.skipped_ns = k->ns[LATENCY_SUM_SKIPPED],
		.blocked_ns = k->ns[LATENCY_SUM_BLOCKED],
		.stack = k->stack, .waker = k->waker, .waker_stack = k->waker_stack,
		.reason = k->reason, .context = k->context, .idle = k->idle,
	};
}

void latency_waits_cut(struct latency_waits *w, uint32_t number, uint64_t end_ns)
{
	struct latency_kept *k = latency_waits_get(w, number);
	struct latency_piece p;

	if (!k)
		return;
	latency_waits_piece(k, &p);
	latency_story_cut(&p, k->from_ns, end_ns);
	set_parts(k, &p);
	add_link(w, k, LATENCY_ALL, k->links[LATENCY_ALL].before);
	if (p.blocked_ns)
		add_link(w, k, LATENCY_SAME_REASON, k->links[LATENCY_SAME_REASON].before);
}

uint32_t latency_waits_until(const struct latency_waits *w, enum latency_chain chain,
			     uint32_t number, uint64_t time_ns)
{
	const struct latency_kept *k = latency_waits_get(w, number), *j;

	while (k && k->time_ns > time_ns) {
		j = latency_waits_get(w, k->links[chain].jump);
		number = j && j->time_ns > time_ns ? k->links[chain].jump :
			 k->links[chain].before;
		k = latency_waits_get(w, number);
	}
	return k ? number : 0;
}

uint32_t latency_waits_since(const struct latency_waits *w, enum latency_chain chain,
			     uint32_t number, uint64_t time_ns)
{
	const struct latency_kept *k = latency_waits_get(w, number), *next;

	while (k) {
		uint32_t to = k->links[chain].jump;

		next = latency_waits_get(w, to);
		if (!next || next->from_ns < time_ns) {
			to = k->links[chain].before;
			next = latency_waits_get(w, to);
		}
		if (!next || next->from_ns < time_ns)
			break;
		number = to;
		k = next;
	}
	return number;
}

uint64_t latency_waits_sum(const struct latency_kept *newest, const struct latency_kept *oldest,
			   enum latency_waits_sum what)
{
	return newest->sums[what] - oldest->sums[what] + oldest->ns[what];
}
