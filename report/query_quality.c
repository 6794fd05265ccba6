#include "report/query_quality.h"

#include "report/number.h"
#include "report/query.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

struct line {
	char *to;
	size_t size_bytes, len;
};

static void __attribute__((format(printf, 2, 3)))
put(struct line *l, const char *fmt, ...)
{
	va_list args;
	int len;

	if (l->len >= l->size_bytes)
		return;
	va_start(args, fmt);
	len = vsnprintf(l->to + l->len, l->size_bytes - l->len, fmt, args);
	va_end(args);
	if (len > 0)
		l->len += (size_t)len;
}

/* Below 0.01 % but not nothing must not read as nothing. */
static const char *percent(char to[NUMBER_BYTES], uint64_t part, uint64_t whole)
{
	double p = number_percent(part, whole);

	if (part && p < 0.01)
		snprintf(to, NUMBER_BYTES, "<0.01 %%");
	else if (part < whole && p > 99.99)
		snprintf(to, NUMBER_BYTES, ">99.99 %%");
	else
		snprintf(to, NUMBER_BYTES, "%.2f %%", p);
	return to;
}

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

static const char *noun(const struct query_quality *q)
{
	return q->is_tallied ? "hit" : q->is_sampled ? "sample" : "record";
}

/* What could not be paired is no loss. */
static void put_unpaired(struct line *l, const struct query_quality *q)
{
	char number[NUMBER_BYTES];

	if (q->no_start)
		put(l, ", %s end%s without a start", number_grouped(number, q->no_start),
		    plural(q->no_start));
	if (q->no_end)
		put(l, ", %s start%s without an end", number_grouped(number, q->no_end),
		    plural(q->no_end));
}

static bool put_health(struct line *l, const struct query_quality *q)
{
	const struct trace_health *h = &q->health;
	char number[NUMBER_BYTES];
	bool damaged = h->damaged_blocks || h->damaged_bytes || h->missing_blocks;

	if (h->damaged_blocks)
		put(l, "; %" PRIu64 " damaged block%s skipped", h->damaged_blocks,
		    plural(h->damaged_blocks));
	else if (h->damaged_bytes)
		put(l, "; %s damaged bytes skipped", number_grouped(number, h->damaged_bytes));
	if (h->missing_blocks)
		put(l, "; %" PRIu64 " block%s missing", h->missing_blocks,
		    plural(h->missing_blocks));
	if (h->missing_records)
		put(l, " (%s %s%s missing)", number_grouped(number, h->missing_records), noun(q),
		    plural(h->missing_records));
	if (h->cut)
		put(l, "; the file is cut: it ends early (recorder killed or disk full?), "
		    "everything before is shown");
	return damaged || h->cut;
}

bool query_quality_print(const struct query_quality *q, char *to, size_t size_bytes)
{
	struct line l = { .to = to, .size_bytes = size_bytes };
	char number[NUMBER_BYTES], share[NUMBER_BYTES];

	if (size_bytes)
		*to = 0;
	put(&l, "%s %s%s", number_grouped(number, q->records), noun(q), plural(q->records));
	put(&l, ", %s lost (%s)", number_grouped(number, q->lost),
	    percent(share, q->lost, q->records + q->lost));
	put_unpaired(&l, q);
	if (q->frames)
		put(&l, ", %s of frames without a name",
		    percent(share, q->unresolved, q->frames));
	if (q->truncated_stacks)
		put(&l, ", %s of stacks cut short",
		    percent(share, q->truncated_stacks, q->records));
	if (q->cut_spans)
		put(&l, ", %s span%s cut at the start of the time range (%s before it left out)",
		    number_grouped(number, q->cut_spans), plural(q->cut_spans),
		    number_ns(share, q->cut_ns));
	if (q->negative)
		put(&l, ", %s negative time%s taken as 0", number_grouped(number, q->negative),
		    plural(q->negative));
	if (q->lost_notes)
		put(&l, ", %s notes about tasks or mappings lost",
		    number_grouped(number, q->lost_notes));
	return put_health(&l, q);
}
