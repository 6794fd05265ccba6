/*
 * From its end on, a span's waits are looked at one by one.  If there are many, those in the
 * middle are summed up by the chains of latency_waits.h, which tell all but where they were:
 * for that, the first and the last of them get a mark, and once in a while all waits are
 * gone through, which counts the marks, and so in how many spans each of them lies.
 */
#include "report/latency_split.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ONE_BY_ONE 16
#define MAX_MARKS (1u << 16)
/*
 * Rows without end may each have spans that all waits lie in.  So often a wait is added to
 * one where marks are counted; what is left then is left out of where it was.
 */
#define MAX_MARKED (UINT64_C(16) << 20)

/* Of a wait and a row: so many spans begin and end with it. */
struct mark {
	uint32_t group, next;
	uint32_t begin, end;
};

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

/* A row of which spans are open while marks are counted. */
struct open {
	uint32_t group, nr;
};

struct latency_split {
	struct latency *l;
	struct latency_waits waits;
	struct head *heads;
	uint32_t nr_heads, cap_heads;
	struct mark *marks;		/* [0] is not used */
	uint32_t nr_marks, free_mark;
	struct open *open;
	size_t nr_open, cap_open;
	uint32_t *open_of;		/* by row: its index in open, + 1, or 0 */
	uint32_t nr_open_of;
	uint64_t nr_spans_open, nr_marked;
	uint32_t nr_since;		/* waits since marks were counted */
	struct parts parts;
};

int latency_split_new(struct latency_split **out, struct latency *l)
{
	struct latency_split *s = calloc(1, sizeof(*s));
	int err = -ENOMEM;

	if (s) {
		s->l = l;
		s->marks = malloc(MAX_MARKS * sizeof(*s->marks));
		s->nr_marks = 1;
		err = s->marks ? latency_waits_init(&s->waits) : -ENOMEM;
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
	latency_waits_release(&s->waits);
	free(s->heads);
	free(s->marks);
	free(s->open);
	free(s->open_of);
	free(s);
}

/* --- where they were ----------------------------------------------------------------------- */

/* Adds where it was to the row, as of so many spans. */
static int add_top(struct latency_split *s, const struct latency_kept *k, uint32_t group,
		   uint32_t nr)
{
	struct latency_piece p;
	struct latency_wait *w;

	latency_waits_piece(k, &p);
	if (!p.blocked_ns || !nr)
		return 0;
	if (s->nr_marked++ >= MAX_MARKED) {
		s->l->tops.dropped_ns += p.blocked_ns * nr;
		return 0;
	}
	w = latency_sums_wait(s->l, group, p.reason, p.idle);
	return w ? latency_sums_top(s->l, w, &p, p.blocked_ns * nr, nr) : -ENOMEM;
}

/* Room for all rows that there are. */
static int grow_open(struct latency_split *s)
{
	uint32_t nr = s->l->nr_rows;
	uint32_t *grown;

	if (nr <= s->nr_open_of)
		return 0;
	grown = realloc(s->open_of, nr * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	memset(grown + s->nr_open_of, 0, (nr - s->nr_open_of) * sizeof(*grown));
	s->open_of = grown;
	s->nr_open_of = nr;
	return 0;
}

static int open_spans(struct latency_split *s, uint32_t group, uint32_t nr)
{
	size_t cap = s->cap_open ? 2 * s->cap_open : 16;
	struct open *grown;

	s->nr_spans_open += nr;
	if (s->open_of[group]) {
		s->open[s->open_of[group] - 1].nr += nr;
		return 0;
	}
	if (s->nr_open == s->cap_open) {
		grown = realloc(s->open, cap * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		s->open = grown;
		s->cap_open = cap;
	}
	s->open[s->nr_open++] = (struct open) { .group = group, .nr = nr };
	s->open_of[group] = (uint32_t)s->nr_open;
	return 0;
}

static void close_spans(struct latency_split *s, uint32_t group, uint32_t nr)
{
	struct open *o = &s->open[s->open_of[group] - 1], *last = &s->open[s->nr_open - 1];

	s->nr_spans_open -= nr;
	o->nr -= nr;
	if (o->nr)
		return;
	s->open_of[last->group] = s->open_of[group];
	s->open_of[group] = 0;
	*o = *last;
	s->nr_open--;
}

/* To all rows of which spans are open. */
static int add_tops(struct latency_split *s, const struct latency_kept *k)
{
	int err = 0;

	if (s->nr_marked >= MAX_MARKED) {
		s->l->tops.dropped_ns += k->ns[LATENCY_SUM_BLOCKED] * s->nr_spans_open;
		return 0;
	}
	for (size_t i = 0; i < s->nr_open && !err; i++)
		err = add_top(s, k, s->open[i].group, s->open[i].nr);
	return err;
}

static void free_mark(struct latency_split *s, uint32_t at)
{
	s->marks[at].next = s->free_mark;
	s->free_mark = at;
}

/* From the newest to the oldest: spans are open from their last wait to their first. */
static int count_marks(struct latency_split *s, uint32_t thread)
{
	struct latency_kept *k = latency_waits_look(&s->waits, s->l->threads[thread].newest);
	int err = 0;

	for (; k && !err; k = latency_waits_look(&s->waits, k->links[LATENCY_ALL].before)) {
		for (uint32_t at = k->marks; at && !err; at = s->marks[at].next)
			err = open_spans(s, s->marks[at].group, s->marks[at].end);
		if (!err)
			err = add_tops(s, k);
		while (k->marks && !err) {
			uint32_t at = k->marks;

			close_spans(s, s->marks[at].group, s->marks[at].begin);
			k->marks = s->marks[at].next;
			free_mark(s, at);
		}
	}
	return err;
}

static int count_all_marks(struct latency_split *s)
{
	int err;

	s->nr_since = 0;
	if (s->nr_marks == 1)
		return 0;
	err = grow_open(s);
	for (uint32_t i = 1; i < s->l->nr_threads && !err; i++)
		err = count_marks(s, i);
	s->nr_marks = 1;
	s->free_mark = 0;
	return err;
}

/* NULL: there is no room. */
static struct mark *mark_of(struct latency_split *s, struct latency_kept *k, uint32_t group)
{
	uint32_t at = k->marks;

	while (at && s->marks[at].group != group)
		at = s->marks[at].next;
	if (at)
		return &s->marks[at];
	if (s->free_mark) {
		at = s->free_mark;
		s->free_mark = s->marks[at].next;
	} else if (s->nr_marks < MAX_MARKS) {
		at = s->nr_marks++;
	} else {
		return NULL;
	}
	s->marks[at] = (struct mark) { .group = group, .next = k->marks };
	k->marks = at;
	return &s->marks[at];
}

static bool has_room(const struct latency_split *s)
{
	return s->nr_marks + 2 <= MAX_MARKS;
}

/* What spans lie over the newest wait is counted now; the other waits keep theirs. */
static int settle_newest(struct latency_split *s, struct latency_kept *k)
{
	struct latency_kept *before;
	int err = 0;

	before = latency_waits_look(&s->waits, k->links[LATENCY_ALL].before);
	while (k->marks && !err) {
		uint32_t at = k->marks;
		const struct mark m = s->marks[at];

		err = add_top(s, k, m.group, m.end);
		k->marks = m.next;
		free_mark(s, at);
		/* There is room: that of the mark. */
		if (before && m.end > m.begin)
			mark_of(s, before, m.group)->end += m.end - m.begin;
	}
	return err;
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
	int err = settle_newest(s, k);

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
	int err = 0;

	if (++s->nr_since >= LATENCY_WAITS_GRACE)
		err = count_all_marks(s);
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
	int err = has_room(s) ? 0 : count_all_marks(s);

	oldest = latency_waits_get(&s->waits, latency_waits_since(&s->waits, LATENCY_ALL, *number,
								  start_ns));
	ns[LATENCY_ON_CPU] += latency_waits_sum(newest, oldest, LATENCY_SUM_ON) -
			      latency_waits_sum(newest, oldest, LATENCY_SUM_IRQ);
	ns[LATENCY_INTERRUPTED] += latency_waits_sum(newest, oldest, LATENCY_SUM_IRQ);
	ns[LATENCY_RUNQ] += latency_waits_sum(newest, oldest, LATENCY_SUM_RUNQ);
	ns[LATENCY_OFF_SKIPPED] += latency_waits_sum(newest, oldest, LATENCY_SUM_SKIPPED);
	for (uint32_t at = t->heads; at && !err; at = s->heads[at - 1].next)
		err = add_reason(s, group, &s->heads[at - 1], newest, start_ns);
	if (err)
		return err;
	mark_of(s, newest, group)->end++;
	mark_of(s, oldest, group)->begin++;
	*number = oldest->links[LATENCY_ALL].before;
	*end_ns = oldest->from_ns;
	return 0;
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
	return count_all_marks(s);
}
