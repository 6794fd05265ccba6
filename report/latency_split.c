/*
 * From its end on, a span's waits are looked at one by one.  If there are many, those in the
 * middle are summed up by the chains of latency_waits.h; where they were, by their marks.
 */
#include "report/latency_split.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/latency_marks.h"

#define ONE_BY_ONE 16
/* The newest wait of a thread for a reason. */
struct head {
	uint32_t newest, next;
	uint8_t reason;
	bool idle;
};

/* What a span is made of. */
struct parts {
	uint64_t ns[LATENCY_NR_COLUMNS];
	uint64_t blocked_ns[LATENCY_STORY_REASONS][2];	/* by reason and idleness */
	uint8_t reasons[2 * LATENCY_STORY_REASONS];	/* those in use */
	size_t nr_reasons;
};

struct latency_split {
	struct latency *l;
	struct latency_waits waits;
	struct head *heads;
	uint32_t nr_heads, cap_heads;
	struct latency_marks marks;
	struct parts parts;
};

int latency_split_new(struct latency_split **out, struct latency *l)
{
	struct latency_split *s = calloc(1, sizeof(*s));
	int err = -ENOMEM;

	if (s) {
		s->l = l;
		err = latency_waits_init(&s->waits);
		if (!err)
			err = latency_marks_init(&s->marks, l, &s->waits);
	}
	if (err) {
		latency_split_free(s);
		return err;
	}
	*out = s;
	return 0;
}

void latency_split_free(struct latency_split *s)
{
	if (!s)
		return;
	latency_marks_release(&s->marks);
	latency_waits_release(&s->waits);
	free(s->heads);
	free(s);
}

/* --- waits --------------------------------------------------------------------------------- */

/* NULL: out of memory. */
static struct head *head_of(struct latency_split *s, struct latency_thread *t, uint8_t reason,
			    bool idle)
{
	uint32_t cap = s->cap_heads ? 2 * s->cap_heads : 64;
	struct head *grown;

	for (uint32_t at = t->heads; at; at = s->heads[at - 1].next)
		if (s->heads[at - 1].reason == reason && s->heads[at - 1].idle == idle)
			return &s->heads[at - 1];
	if (s->nr_heads == s->cap_heads) {
		grown = realloc(s->heads, cap * sizeof(*grown));
		if (!grown)
			return NULL;
		s->heads = grown;
		s->cap_heads = cap;
	}
	grown = &s->heads[s->nr_heads++];
	*grown = (struct head) { .next = t->heads, .reason = reason, .idle = idle };
	t->heads = s->nr_heads;
	return grown;
}

/* The newest wait ends where a later record says that something else began. */
static int cut_newest(struct latency_split *s, struct latency_thread *t, struct latency_kept *k,
		      uint64_t end_ns)
{
	bool was_blocked = k->ns[LATENCY_SUM_BLOCKED] > 0;
	struct head *head = was_blocked ? head_of(s, t, k->reason, k->idle) : NULL;
	int err = latency_marks_settle(&s->marks, k);

	if (k->from_ns < end_ns)
		latency_waits_cut(&s->waits, t->newest, end_ns);
	if (head && (k->from_ns >= end_ns || !k->ns[LATENCY_SUM_BLOCKED]))
		head->newest = k->links[LATENCY_SAME_REASON].before;
	if (k->from_ns >= end_ns)
		t->newest = k->links[LATENCY_ALL].before;
	return err;
}

int latency_split_wait(struct latency_split *s, uint32_t thread, const struct latency_piece *p)
{
	uint64_t from_ns = p->time_ns - latency_story_ns(p);
	struct latency_thread *t = &s->l->threads[thread];
	uint32_t before[LATENCY_NR_CHAINS] = { 0 };
	struct head *head = NULL;
	struct latency_kept *k;
	int err = latency_marks_wait(&s->marks);

	while (!err && (k = latency_waits_get(&s->waits, t->newest)) && k->time_ns > from_ns)
		err = cut_newest(s, t, k, from_ns);
	if (!err && p->blocked_ns) {
		head = head_of(s, t, p->reason, p->idle);
		err = head ? 0 : -ENOMEM;
	}
	if (err)
		return err;
	before[LATENCY_ALL] = t->newest;
	before[LATENCY_SAME_REASON] = head ? head->newest : 0;
	t->newest = latency_waits_add(&s->waits, p, before);
	if (head)
		head->newest = t->newest;
	return 0;
}

/* --- spans --------------------------------------------------------------------------------- */

static int add_blocked(struct latency_split *s, uint32_t group, uint8_t reason, bool idle,
		       uint64_t ns, uint64_t count)
{
	struct latency_wait *w = latency_sums_wait(s->l, group, reason, idle);
	struct parts *to = &s->parts;

	if (!w)
		return -ENOMEM;
	if (!to->blocked_ns[reason][idle])
		to->reasons[to->nr_reasons++] = (uint8_t)(reason << 1 | idle);
	to->blocked_ns[reason][idle] += ns;
	latency_sums_blocked(s->l, group, w, ns, count);
	return 0;
}

/* One wait, or what is left of it. */
static int add_piece(struct latency_split *s, uint32_t group, const struct latency_piece *p)
{
	uint64_t *ns = s->parts.ns;
	struct latency_wait *w;
	int err;

	ns[LATENCY_ON_CPU] += p->on_ns - p->irq_ns;
	ns[LATENCY_INTERRUPTED] += p->irq_ns;
	ns[LATENCY_RUNQ] += p->runq_ns;
	ns[LATENCY_OFF_SKIPPED] += p->skipped_ns;
	if (!p->blocked_ns)
		return 0;
	err = add_blocked(s, group, p->reason, p->idle, p->blocked_ns, 1);
	w = err ? NULL : latency_sums_wait(s->l, group, p->reason, p->idle);
	return w ? latency_sums_top(s->l, w, p, p->blocked_ns, 1) : -ENOMEM;
}

/* What the waits from `newest` back to start_ns were blocked for one reason. */
static int add_reason(struct latency_split *s, uint32_t group, const struct head *head,
		      const struct latency_kept *newest, uint64_t start_ns)
{
	uint32_t last = latency_waits_until(&s->waits, LATENCY_SAME_REASON, head->newest,
					    newest->time_ns);
	const struct latency_kept *l = latency_waits_get(&s->waits, last), *f;

	if (!l || l->from_ns < start_ns)
		return 0;
	f = latency_waits_get(&s->waits, latency_waits_since(&s->waits, LATENCY_SAME_REASON, last,
							     start_ns));
	return add_blocked(s, group, head->reason, head->idle,
			   latency_waits_sum(l, f, LATENCY_SUM_BLOCKED),
			   l->links[LATENCY_SAME_REASON].depth -
			   f->links[LATENCY_SAME_REASON].depth + UINT64_C(1));
}

/*
 * The waits from a number on that lie wholly in the span; *number becomes that of the one
 * before them, *end_ns where they begin.
 */
static int add_many(struct latency_split *s, const struct latency_thread *t, uint32_t group,
		    uint64_t start_ns, uint32_t *number, uint64_t *end_ns)
{
	struct latency_kept *newest = latency_waits_get(&s->waits, *number), *oldest;
	uint64_t *ns = s->parts.ns;
	int err = 0;

	oldest = latency_waits_get(&s->waits, latency_waits_since(&s->waits, LATENCY_ALL, *number,
								  start_ns));
	ns[LATENCY_ON_CPU] += latency_waits_sum(newest, oldest, LATENCY_SUM_ON) -
			      latency_waits_sum(newest, oldest, LATENCY_SUM_IRQ);
	ns[LATENCY_INTERRUPTED] += latency_waits_sum(newest, oldest, LATENCY_SUM_IRQ);
	ns[LATENCY_RUNQ] += latency_waits_sum(newest, oldest, LATENCY_SUM_RUNQ);
	ns[LATENCY_OFF_SKIPPED] += latency_waits_sum(newest, oldest, LATENCY_SUM_SKIPPED);
	for (uint32_t at = t->heads; at && !err; at = s->heads[at - 1].next)
		err = add_reason(s, group, &s->heads[at - 1], newest, start_ns);
	if (!err)
		err = latency_marks_span(&s->marks, newest, oldest, group);
	*number = oldest->links[LATENCY_ALL].before;
	*end_ns = oldest->from_ns;
	return err;
}

static int add_waits(struct latency_split *s, const struct latency_thread *t, uint32_t group,
		     uint64_t start_ns, uint64_t end_ns)
{
	uint32_t number = t->newest;
	const struct latency_kept *k;
	struct latency_piece p;
	int err = 0;

	for (size_t nr = 0; end_ns > start_ns && !err; nr++) {
		k = latency_waits_get(&s->waits, number);
		if (!k)
			break;
		if (nr >= ONE_BY_ONE && k->from_ns >= end_ns) {
			number = latency_waits_since(&s->waits, LATENCY_ALL, number, end_ns);
			number = latency_waits_get(&s->waits, number)->links[LATENCY_ALL].before;
			continue;
		}
		if (nr >= ONE_BY_ONE && k->time_ns <= end_ns && k->from_ns >= start_ns) {
			err = add_many(s, t, group, start_ns, &number, &end_ns);
			continue;
		}
		latency_waits_piece(k, &p);
		if (latency_story_cut(&p, start_ns, end_ns))
			err = add_piece(s, group, &p);
		if (k->from_ns < end_ns)
			end_ns = k->from_ns > start_ns ? k->from_ns : start_ns;
		number = k->links[LATENCY_ALL].before;
	}
	s->l->remarks.nr_forgotten += end_ns > start_ns && number;
	return err;
}

/* What a span had of a column is one value; spans that had nothing have none. */
static int add_values(struct latency_split *s, uint32_t group)
{
	struct latency_row *row = &s->l->rows[group];
	const struct parts *from = &s->parts;
	int err = 0;

	if (from->ns[LATENCY_ON_CPU])
		err = latency_sums_value(s->l, &row->values[LATENCY_OF_ON_CPU],
					from->ns[LATENCY_ON_CPU]);
	if (!err && from->ns[LATENCY_INTERRUPTED])
		err = latency_sums_value(s->l, &row->values[LATENCY_OF_INTERRUPTED],
					from->ns[LATENCY_INTERRUPTED]);
	if (!err && from->ns[LATENCY_RUNQ])
		err = latency_sums_value(s->l, &row->values[LATENCY_OF_RUNQ],
					from->ns[LATENCY_RUNQ]);
	for (size_t i = 0; i < from->nr_reasons && !err; i++) {
		uint8_t reason = from->reasons[i] >> 1;
		bool idle = from->reasons[i] & 1;
		struct latency_wait *w = latency_sums_wait(s->l, group, reason, idle);

		err = w ? latency_sums_value(s->l, &w->values, from->blocked_ns[reason][idle]) :
		      -ENOMEM;
	}
	return err;
}

static void clear_parts(struct parts *p)
{
	for (size_t i = 0; i < p->nr_reasons; i++)
		p->blocked_ns[p->reasons[i] >> 1][p->reasons[i] & 1] = 0;
	p->nr_reasons = 0;
	memset(p->ns, 0, sizeof(p->ns));
}

/* What no record told of. */
static uint64_t unexplained(const struct parts *p, uint64_t left_ns)
{
	for (size_t i = 0; i < LATENCY_NR_COLUMNS; i++)
		left_ns -= p->ns[i];
	for (size_t i = 0; i < p->nr_reasons; i++)
		left_ns -= p->blocked_ns[p->reasons[i] >> 1][p->reasons[i] & 1];
	return left_ns;
}

int latency_split_span(struct latency_split *s, uint32_t thread, uint32_t group,
		       uint64_t start_ns, uint64_t end_ns)
{
	struct latency_row *row = &s->l->rows[group];
	int err = 0;

	if (!latency_sums_wall(s->l, row, end_ns - start_ns))
		return 0;
	clear_parts(&s->parts);
	if (thread)
		err = add_waits(s, &s->l->threads[thread], group, start_ns, end_ns);
	s->parts.ns[LATENCY_UNEXPLAINED] = unexplained(&s->parts, end_ns - start_ns);
	for (size_t i = 0; i < LATENCY_NR_COLUMNS; i++)
		row->ns[i] += s->parts.ns[i];
	return err ? err : add_values(s, group);
}

int latency_split_finish(struct latency_split *s)
{
	return latency_marks_count(&s->marks);
}
